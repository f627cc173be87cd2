"""Lists for many users or items: the rows of rank(), in a frame or a file that survives a kill."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.synthetic import two_groups
from matinee.lists import everyone
from matinee.lists.file import write
from matinee.lists.given_ids import read_ids
from matinee.ranking.allowed import allow
from matinee.ranking.rank import rank
from matinee.store.artefact import Artefact

N_USERS, N_ITEMS, K = 24, 12, 3


def artefact_of(model: str = "ease", **settings: object) -> Artefact:
    return mt.fit(model, two_groups(N_USERS, N_ITEMS), **settings)


@pytest.fixture(scope="module")
def ease() -> Artefact:
    return artefact_of(l2=1.0)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everyone, "PART_ROWS", 5 * K)  # five users a part


def rows_of_rank(model: Artefact, user_ids: list[int], k: int, **options: object) -> list[tuple]:
    rows = []
    for user in user_ids:
        histories = model.known.histories([user])
        found = rank(model.model, histories, k, cold=model.popularity, **options)
        for position, (item, score) in enumerate(zip(found.items[0], found.scores[0], strict=True), start=1):
            if item >= 0:
                rows.append((user, position, model.items.id(int(item)), pytest.approx(float(score), abs=1e-6)))
    return rows


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("model", ["ease", "ials", "popularity"])
def test_the_frame_has_the_rows_of_rank(model: str) -> None:
    artefact = artefact_of(model)
    frame = mt.recommend_all(artefact, k=K)
    assert frame.columns == ["user", "rank", "item", "score"]
    assert frame.rows() == rows_of_rank(artefact, artefact.users.ids.tolist(), K)


@pytest.mark.usefixtures("small_parts")
def test_some_users_in_their_order_with_titles_and_restricted_items(ease: Artefact) -> None:
    users = [7, 2, 19, 7, 3, 1, 5]
    among, without = [1, 2, 3, 4, 9], [4]
    frame = mt.recommend_all(ease, users, K, among=among, without=without, titles=True)
    allowed = np.isin(ease.items.ids, [1, 2, 3, 9])
    assert frame.drop("title").rows() == rows_of_rank(ease, [7, 2, 19, 3, 1, 5], K, allowed=allowed)
    titles = dict(zip(ease.items.ids.tolist(), ease.catalogue.titles, strict=True))
    assert frame["title"].to_list() == [titles[item] for item in frame["item"].to_list()]


@pytest.mark.usefixtures("small_parts")
def test_similar_items_are_those_of_similar() -> None:
    knn = artefact_of("item-knn")
    frame = mt.similar_all(knn, k=K, titles=True)
    wanted = [
        (item, position, movie.item_id, pytest.approx(movie.score, abs=1e-6), movie.title)
        for item in knn.items.ids.tolist()
        for position, movie in enumerate(mt.similar(knn, item=item, k=K), start=1)
    ]
    assert frame.columns == ["item", "rank", "similar", "score", "title"]
    assert frame.rows() == wanted
    assert mt.similar_all(knn, [3, 1], k=1)["item"].to_list() == [3, 1]
    with pytest.raises(mt.MatineeError, match="same list"):
        mt.similar_all(artefact_of("popularity"))


def test_text_ids_stay_text() -> None:
    columns = {"user": ["ann", "ann", "bob", "bob", "cy"], "item": ["a", "b", "b", "c", "a"]}
    frame = mt.recommend_all(mt.fit("item-knn", mt.events(columns)), ["cy", "ann"], 1)
    assert frame["user"].to_list() == ["cy", "ann"]
    assert frame["item"].dtype == pl.String


def test_unknown_users_are_counted_and_users_without_history_get_popular_items() -> None:
    split = mt.split(two_groups(N_USERS, N_ITEMS), "new-users", ratios=(0.5, 0.25, 0.25), seed=1)
    model = mt.fit("ease", split, l2=1.0)
    without_history = model.known.histories(model.users.ids.tolist()).lengths == 0
    assert without_history.any()
    lists = everyone.for_users(model, [*model.users.ids.tolist(), 999, "x"], K)
    assert lists.notes == (
        "users: 2 of 26 ids are unknown and skipped (999, x)",
        f"{without_history.sum()} of 24 users have no history in ease and get popular items",
    )
    frame = everyone.collect(lists)
    user = model.users.id(int(np.flatnonzero(without_history)[0]))
    best = np.lexsort((np.arange(N_ITEMS), -model.popularity))[:K]
    assert frame.filter(pl.col("user") == user)["item"].to_list() == model.items.ids[best].tolist()
    with pytest.raises(mt.MatineeError, match=r"none of the 2 users is known; ease has ids such as 0 and 23"):
        mt.recommend_all(model, ["ann", "bob"])
    with pytest.raises(mt.MatineeError, match="there is no user to list for"):
        mt.recommend_all(model, [])


def test_a_list_from_given_items_or_without_them(ease: Artefact) -> None:
    everything = [movie.item_id for movie in mt.recommend(ease, history=[1], k=N_ITEMS)]
    some = mt.recommend(ease, history=[1], among=[2, "5", 1, 77], without=[5], k=9)
    assert [movie.item_id for movie in some] == [2]
    assert some.notes == ("among: 1 of 4 ids are unknown and skipped (77)",)
    others = mt.recommend(ease, history=[1], without=everything[:4], k=N_ITEMS)
    assert [movie.item_id for movie in others] == everything[4:]
    assert [movie.item_id for movie in mt.recommend(ease, history=[], among=[3, 4])] != []
    for among, without, said in [
        ([], None, "among has no ids"),
        ([77, 78], None, r"none of the 2 ids of among is an item \(77, \.\.\.\)"),
        ([2], [2], "without leaves out every item of among"),
        (None, list(range(N_ITEMS)), "without leaves out every item"),
    ]:
        with pytest.raises(mt.MatineeError, match=said):
            mt.recommend(ease, history=[1], among=among, without=without)


READERS = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("suffix", READERS)
def test_a_file_holds_the_frame(ease: Artefact, tmp_path: Path, suffix: str) -> None:
    lists, seen = everyone.for_users(ease, "all", K, titles=True), []
    out = tmp_path / "new folder" / f"lists{suffix}"
    written = write(lists, out, lambda done, total: seen.append((done, total)))
    assert seen == [(done, 5) for done in range(1, 6)]
    assert (written.parts, written.continued) == (5, 0)
    frame = mt.recommend_all(ease, k=K, titles=True)
    found = READERS[suffix](out)
    assert found.drop("score").rows() == frame.drop("score").rows()
    np.testing.assert_allclose(found["score"], frame["score"], atol=1e-6)
    assert [path.name for path in out.parent.iterdir()] == [out.name]  # nothing else is left


class Stopped(BaseException):
    """What a kill looks like from inside."""


def stop_after(parts: int):
    def on_part(done: int, total: int) -> None:
        if done == parts:
            raise Stopped

    return on_part


class Counted(everyone.UserLists):
    """Notes which parts are computed."""

    def part(self, index: int) -> pl.DataFrame:
        computed.append(index)
        return super().part(index)


computed: list[int] = []


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("suffix", READERS)
def test_a_second_run_continues_and_the_same_file_results(ease: Artefact, tmp_path: Path, suffix: str) -> None:
    rows, out = np.arange(N_USERS, dtype=np.int32), tmp_path / f"lists{suffix}"
    whole = tmp_path / f"whole{suffix}"
    write(Counted(ease, rows, K), whole)
    computed.clear()
    with pytest.raises(Stopped):
        write(Counted(ease, rows, K), out, stop_after(2))
    assert not out.exists()
    (tmp_path / f".{out.name}.parts" / f"00002{suffix}.99.part").write_bytes(b"half a part")
    written = write(Counted(ease, rows, K), out)
    assert computed == [0, 1, 2, 3, 4]
    assert written.continued == 2
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.usefixtures("small_parts")
def test_parts_of_other_lists_are_not_used(ease: Artefact, tmp_path: Path) -> None:
    rows, out = np.arange(N_USERS, dtype=np.int32), tmp_path / "lists.csv"
    others = [
        Counted(ease, rows[::-1].copy(), K),
        Counted(ease, rows, K, titles=True),
        Counted(ease, rows, K, allow(ease.items, without=[1])),
        Counted(artefact_of(l2=50.0), rows, K),
    ]
    for other in others:
        with pytest.raises(Stopped):
            write(other, out, stop_after(2))
        computed.clear()
        assert write(Counted(ease, rows, K), out).continued == 0
        assert computed == [0, 1, 2, 3, 4]
    assert pl.read_csv(out).height == mt.recommend_all(ease, k=K).height


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lists.csv", b"id,name\n1,x\n"),
        ("lists.csv", b"\xff\xfe\x00"),
        ("lists.parquet", b"PAR1 no more"),
        ("lists.jsonl", b"[1]\n"),
        ("lists.jsonl", b'{"user": 1}\n'),
    ],
)
def test_what_is_not_a_file_of_lists_is_never_replaced(
    ease: Artefact, tmp_path: Path, name: str, content: bytes
) -> None:
    out = tmp_path / name
    out.write_bytes(content)
    with pytest.raises(mt.MatineeError, match="exists and was not written by Matinee"):
        write(everyone.for_users(ease, "all", K), out)
    assert out.read_bytes() == content


def test_a_file_of_lists_is_replaced_and_folders_and_other_endings_are_refused(ease: Artefact, tmp_path: Path) -> None:
    out = tmp_path / "lists.parquet"
    write(everyone.for_users(ease, "all", K), out)
    write(everyone.for_users(ease, [1], 1), out)
    assert pl.read_parquet(out).height == 1
    (tmp_path / "folder.csv").mkdir()
    for bad, said in [("folder.csv", "is a folder"), ("lists.txt", "no format"), ("lists", "no format")]:
        with pytest.raises(mt.MatineeError, match=said):
            write(everyone.for_users(ease, "all", K), tmp_path / bad)


def test_a_file_that_cannot_be_written_is_one_clear_line(ease: Artefact, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(mt.MatineeError, match="is a file, not a folder"):
        write(everyone.for_users(ease, "all", K), tmp_path / "file" / "lists.csv")


@pytest.mark.usefixtures("small_parts")
def test_two_runs_do_not_write_the_same_file_at_once(ease: Artefact, tmp_path: Path) -> None:
    out = tmp_path / "lists.csv"

    def on_part(done: int, total: int) -> None:
        with pytest.raises(mt.MatineeError, match="another run is writing"):
            write(everyone.for_users(ease, "all", K), out)

    write(everyone.for_users(ease, "all", K), out, on_part)
    assert out.is_file()


@pytest.mark.slow
def test_a_killed_process_is_continued_by_the_next(tmp_path: Path) -> None:
    out, whole = tmp_path / "lists.csv", tmp_path / "whole.csv"
    mt.save_artefact(artefact_of(l2=1.0), tmp_path / "ease")
    arguments = [sys.executable, __file__, str(tmp_path / "ease"), str(out)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while child.stdout.readline() != "3\n":
            assert child.poll() is None
        os.kill(child.pid, signal.SIGKILL)
    assert not out.exists()
    done = subprocess.run([*arguments[:3], str(out), "on"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "continued 3"
    subprocess.run([*arguments[:3], str(whole), "on"], capture_output=True, check=True)
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("ids.txt", b"3\n1\n\n3\n2", ["3", "1", "2"]),
        ("ids.txt", b"\xef\xbb\xbfuser\r\nu1\r\nu2\r\n", ["u1", "u2"]),
        ("ids.csv", b"userId\n7\n8\n", ["7", "8"]),
        ("ids.csv", b'"a,b"\nc\n', None),
        ("ids.csv", b"u1\n", ["u1"]),
        ("ids.csv", b"name,user_id\nAnn,5\nBob,4\n", [5, 4]),
        ("ids.tsv", b"id\tname\nx\tAnn\n", ["x"]),
        ("ids.csv", b"name,age\nAnn,5\nBob,4\n", None),
        ("ids.csv", b"1\n2,3\n", None),
        ("ids", b"12\n", ["12"]),
        ("ids.txt", b"\xff\xff\n", None),
        ("ids.txt", b"a\0b\n", None),
        ("ids.csv", b"", []),
    ],
)
def test_files_of_ids(tmp_path: Path, name: str, content: bytes, ids: list | None) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    if ids is not None:
        assert read_ids(path, "user") == read_ids(str(path), "user") == ids
        return
    with pytest.raises(mt.DataError, match=name):
        read_ids(path, "user")


def test_ids_from_parquet_gzip_sequences_and_text(tmp_path: Path) -> None:
    path = tmp_path / "ids.parquet"
    pl.DataFrame({"score": [0.5, 0.4], "item": ["b", "a"]}).write_parquet(path)
    assert read_ids(path, "item") == ["b", "a"]
    zipped = tmp_path / "ids.csv.gz"
    zipped.write_bytes(gzip.compress(b"item,score\n9,1\n8,1\n"))
    assert read_ids(zipped, "item") == [9, 8]
    assert read_ids("4, 5,4,", "item") == ["4", "5"]
    assert read_ids("a/b,c", "item") == ["a/b", "c"]
    assert len(read_ids(",".join(map(str, range(10_000))), "item")) == 10_000
    assert read_ids("", "item") == []
    assert read_ids(np.array([4, 5]).tolist(), "item") == [4, 5]
    assert read_ids(pl.Series([2, 1]), "item") == [2, 1]
    with pytest.raises(mt.DataError, match=r"missing\.csv cannot be read"):
        read_ids("missing.csv", "item")


if __name__ == "__main__":
    everyone.PART_ROWS = 2 * K
    import time

    def report(done: int, total: int) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()
        time.sleep(0 if len(sys.argv) > 3 else 0.2)

    lists = everyone.for_users(mt.load_artefact(Path(sys.argv[1])), "all", K)
    sys.stdout.write(f"continued {write(lists, Path(sys.argv[2]), report).continued}\n")

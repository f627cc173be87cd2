"""Lookup of data sets by name or path, and splits in files."""

import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from matinee.config import ColumnsConfig
from matinee.data.labels import TEST, TRAIN, VALID
from matinee.data.loading import available, load, load_parts
from matinee.errors import DataError
from note_kinds import changes

LOG = "user,item,rating,timestamp\n1,2,3,4\n"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The four folders of the lookup, empty, and a working folder beside them."""
    folders = {
        "MATINEE_DATA": tmp_path / "named",
        "data": tmp_path / "here" / "data",
        "../shared/data": tmp_path / "shared" / "data",
        "cache": tmp_path / "cache" / "matinee",
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    monkeypatch.setenv("MATINEE_DATA", str(folders["MATINEE_DATA"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path / "here")
    return folders


def test_names_are_looked_up_in_order(folders):
    for where, folder in reversed(folders.items()):
        (folder / "mine").mkdir()
        (folder / "mine" / "ratings.csv").write_text(LOG.replace("1,2,3", f"1,2,{len(where)}"))
        data = load("mine")
        assert data.events.values.tolist() == [len(where)]
        assert data.name == "mine"
        first = next(entry for entry in available() if entry[0] == "mine")
        assert first[1] == where
        assert first[2].resolve() == folder / "mine"


def test_a_name_finds_a_zip_or_a_table(folders):
    with zipfile.ZipFile(folders["cache"] / "ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "1::2::3::4\n")
    (folders["data"] / "plays.csv.gz").write_text(LOG)
    (folders["data"] / "plays.txt.part").write_text("half")
    assert load("ml-1m").events.values.tolist() == [3]
    assert load("plays").name == "plays"
    assert [name for name, _, _ in available()] == ["bundled", "plays", "ml-1m"]


def test_a_path_takes_precedence_over_a_name(folders, tmp_path):
    (folders["MATINEE_DATA"] / "mine").mkdir()
    (tmp_path / "here" / "mine").write_text(LOG)
    assert load("mine").events.values.tolist() == [3]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ml-1m", "data set ml-1m is not downloaded yet; run: matinee data fetch ml-1m"),
        (
            "ml1m",
            "no data set 'ml1m'; did you mean 'ml-1m'? (to download one: matinee data fetch NAME)",
        ),
        ("bundle", "no data set 'bundle'; did you mean 'bundled'?"),
        ("xyz", "no data set 'xyz'; known are: bundled, ml-10m, ml-1m, ml-20m, ml-25m, ml-32m, ml-latest-small"),
        ("a/b", "no file or folder a/b; give a path that exists, or a name of `matinee data list`"),
        ("a.csv", "no file or folder a.csv"),
        ("a.zip", "no file or folder a.zip"),
    ],
)
def test_an_unknown_name_gets_a_hint(folders, name, message):
    with pytest.raises(DataError) as caught:
        load(name)
    assert str(caught.value).startswith(message)


def test_a_folder_prefers_the_table_named_like_a_log(tmp_path):
    (tmp_path / "events.tsv").write_text(LOG.replace(",", "\t"))
    (tmp_path / "shops.csv").write_text("user,item\n7,8\n")
    (tmp_path / "movies.csv").write_text("movieId,title\n2,Heat (1995)\n")
    assert load(tmp_path).users.ids.tolist() == [1]


def test_a_ratings_csv_that_is_not_movielens_keeps_its_titles(tmp_path):
    (tmp_path / "ratings.csv").write_text("at;who;item_id;stars\n2001-02-03;ann;5;4\n")
    (tmp_path / "movies.csv").write_text("item_id,title,genres\n5,Heat (1995),Crime|Drama\n")
    data = load(tmp_path, ColumnsConfig(user="who"))
    assert data.catalogue.titles == ("Heat (1995)",)
    assert data.catalogue.genres == (("Crime", "Drama"),)
    assert data.events.times.tolist() == [981158400]


def labelled(data, labels):
    events = data.events
    users, items = data.users.ids[events.user_rows].tolist(), data.items.ids[events.item_rows].tolist()
    return sorted(zip(labels.tolist(), users, items, events.times.tolist(), strict=True))


PARTS = {
    "train": [(1, 10, 4.0, 100), (1, 11, 3.0, 300), (2, 10, 2.0, 100)],
    "valid": [(1, 12, 5.0, 200)],
    "test": [(2, 13, 1.0, 50), (3, 10, 5.0, 900)],
}
EXPECTED = [
    (TRAIN, 1, 10, 100),
    (TRAIN, 1, 11, 300),
    (TRAIN, 2, 10, 100),
    (VALID, 1, 12, 200),
    (TEST, 2, 13, 50),
    (TEST, 3, 10, 900),
]


def frame_of(rows):
    return pl.DataFrame(rows, schema=["user", "item", "rating", "timestamp"], orient="row")


@pytest.mark.parametrize(
    "names", [("train", "valid", "test"), ("training", "val", "testing"), ("Train", "dev", "test")]
)
@pytest.mark.parametrize("form", ["csv", "parquet", "no header", "zip"])
def test_a_split_in_tables(tmp_path, names, form):
    folder = tmp_path / "split"
    folder.mkdir()
    for name, rows in zip(names, PARTS.values(), strict=True):
        if form == "parquet":
            frame_of(rows).write_parquet(folder / f"{name}.parquet")
        else:
            frame_of(rows).write_csv(folder / f"{name}.csv", include_header=form != "no header")
    path = folder
    if form == "zip":
        path = tmp_path / "split.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"split/{file.name}")
    data, labels = load_parts(path)
    assert labelled(data, labels) == EXPECTED
    assert labels.dtype == np.int8
    assert data.name == "split"
    assert changes(data) == ()
    order = list(zip(data.events.user_rows.tolist(), data.events.times.tolist(), strict=True))
    assert order == sorted(order)


def test_a_split_without_valid_and_with_titles(tmp_path):
    frame_of(PARTS["train"]).write_csv(tmp_path / "train.csv")
    frame_of(PARTS["test"]).write_csv(tmp_path / "test.csv")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n13,Heat (1995),Crime\n")
    data, labels = load_parts(tmp_path)
    assert labelled(data, labels) == [row for row in EXPECTED if row[0] != VALID]
    assert data.catalogue.titles == ("10", "11", "Heat (1995)")


def test_a_split_with_text_ids_in_one_part(tmp_path):
    (tmp_path / "train.csv").write_text("user,item\n1,2\n9,2\n")
    (tmp_path / "test.csv").write_text("user,item\nten,2\n1,3\n")
    data, labels = load_parts(tmp_path)
    assert data.users.ids.tolist() == ["1", "9", "ten"]
    assert labels.tolist() == [TRAIN, TEST, TRAIN, TEST]


def test_adjacency_text(tmp_path):
    (tmp_path / "train.txt").write_text("0 5 3 8\n1 5\n3 9 5 \n")
    (tmp_path / "test.txt").write_text("0 9\n1 3 8\n2\n")
    (tmp_path / "user_list.txt").write_text("org_id remap_id\nA 0\n")
    (tmp_path / "item_list.txt").write_text("org_id remap_id\nA 0\n")
    data, labels = load_parts(tmp_path)
    assert (data.kind, data.timed) == ("click", False)
    events = data.events
    users, items = data.users.ids[events.user_rows].tolist(), data.items.ids[events.item_rows].tolist()
    assert list(zip(users, items, labels.tolist(), strict=True)) == [
        (0, 5, TRAIN),
        (0, 3, TRAIN),
        (0, 8, TRAIN),
        (0, 9, TEST),
        (1, 5, TRAIN),
        (1, 3, TEST),
        (1, 8, TEST),
        (3, 9, TRAIN),
        (3, 5, TRAIN),
    ]


def test_adjacency_text_against_a_plain_loop(tmp_path):
    rng = np.random.default_rng(2)
    lists = {user: rng.permutation(400)[: rng.integers(0, 30)].tolist() for user in rng.permutation(3000).tolist()}
    lines = [" ".join(map(str, [user, *items])) for user, items in lists.items()]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    (tmp_path / "test.txt").write_text("0 1000\n1 1000\n")
    data, labels = load_parts(tmp_path)
    train = data.events.take(labels == TRAIN)
    found: dict[int, list[int]] = {}
    pairs = zip(data.users.ids[train.user_rows].tolist(), data.items.ids[train.item_rows].tolist(), strict=True)
    for user, item in pairs:
        found.setdefault(user, []).append(item)
    assert found == {user: items for user, items in lists.items() if items}


def test_adjacency_text_with_a_word_is_refused(tmp_path):
    (tmp_path / "train.txt").write_text("".join(f"{2 * n} 5 3 8\n{2 * n + 1} 5\n" for n in range(200)) + "7 8 x\n")
    (tmp_path / "test.txt").write_text("0 9\n")
    with pytest.raises(DataError, match=r"train.txt, line 401: 'x' is not a number; a line is: user item item"):
        load_parts(tmp_path)


def test_repeats_are_dropped_within_parts_but_kept_across_parts(tmp_path):
    (tmp_path / "train.csv").write_text("user,item,rating,time\n1,5,1,100\n1,5,2,200\n1,6,1,100\n")
    (tmp_path / "test.csv").write_text("user,item,rating,time\n1,5,4,300\n1,7,4,300\n")
    data, labels = load_parts(tmp_path)
    assert labelled(data, labels) == [(TRAIN, 1, 5, 200), (TRAIN, 1, 6, 100), (TEST, 1, 5, 300), (TEST, 1, 7, 300)]
    assert changes(data) == (
        "dropped 1 repeated events, keeping the last of each",
        "no valid table: nothing to choose settings or to stop training on",
        "1 targets are items that their user also has in an earlier part: masked, so never hit",
    )
    (tmp_path / "test.csv").write_text("user,item,rating,time\n1,5,2,200\n1,7,4,300\n")
    with pytest.raises(
        DataError, match="1 events are in two parts, the first: user 1, item 5; a model would be fitted"
    ):
        load_parts(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train.csv": LOG}, "has no test.csv, .tsv, .parquet or .txt, but train.csv; rename the file of test"),
        ({"test.csv": LOG}, "has no train.csv"),
        ({}, "has no train.csv, .tsv, .parquet or .txt, but nothing"),
        ({"train.csv": LOG, "train.tsv": LOG, "test.csv": LOG}, "has train.csv and train.tsv for the same part"),
        ({"train.csv": LOG, "test.csv": "user,item\n1,2\n"}, "train.csv has values but .*test.csv has none"),
        ({"train.csv": LOG, "test.csv": "user,item,rating\n1,2,3\n"}, "train.csv has times but .*test.csv has none"),
        ({"train.csv": "user,item,rating,time\n", "test.csv": LOG}, "train.csv has no events; a split needs some"),
        ({"train.txt": "2\n", "test.txt": "0 9\n1 3 8\n"}, "train.txt has no events"),
        ({"train.csv": LOG, "test.csv": LOG + "1,3,x,5\n"}, "test.csv, line 3: the value 'x' is not a number"),
    ],
)
def test_inconsistent_parts_are_refused(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load_parts(tmp_path)


def test_a_folder_with_a_split_is_not_a_log(tmp_path):
    (tmp_path / "train.csv").write_text(LOG)
    (tmp_path / "test.csv").write_text(LOG)
    with pytest.raises(DataError, match="contains the parts of a split; use it with --split files:"):
        load(tmp_path)


def put_parts(folder, files):
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows)
    return folder


TRAINED, TESTED = "user,item,rating\n1,2,3\n1,3,4\n2,2,5\n", "user,item,rating\n1,4,3\n2,3,1\n"


@pytest.mark.parametrize(
    ("train", "valid", "test"),
    [
        ("ml-1m.train.rating", None, "ml-1m.test.rating"),
        ("foo_train.csv", None, "foo_test.csv"),
        ("train_foo.tsv", "dev_foo.tsv", "test_foo.tsv"),
        ("ml-100k.train.inter", "ml-100k.valid.inter", "ml-100k.test.inter"),
        ("log.train", "log.validation", "log.test"),
        ("u1.base", None, "u1.test"),
        ("TRAIN.CSV", "Validation.csv", "Test.csv"),
        ("train/part-0.csv", "valid/part-0.csv", "test/part-0.csv"),
        ("my log-training (2).csv", "my log-val (2).csv", "my log-testing (2).csv"),
    ],
)
def test_parts_are_found_however_their_files_are_named(tmp_path, train, valid, test):
    files = {train: TRAINED, test: TESTED} | ({valid: "user,item,rating\n1,5,2\n"} if valid else {})
    put_parts(tmp_path, files)
    put_parts(tmp_path, {"ml-1m.test.negative": "(1,2)\t5\t6\n", "train.md": "how it was made", "test.py": "print()"})
    put_parts(
        tmp_path, {"train.csv.bak": "old", "test.csv~": "old", "test/movies.csv": "movieId,title\n2,Heat (1995)\n"}
    )
    data, labels = load_parts(tmp_path)
    assert np.bincount(labels, minlength=5).tolist() == [3, 0, 1 if valid else 0, 0, 2]
    assert any("no valid table" in note for note in data.notes) == (valid is None)
    if "." not in Path(train).stem and Path(train).stem.lower() != "train" and "/" not in train:
        assert any(f"train={train}" in note and f"test={test}" in note for note in data.notes)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("u1.base", "u2.base", "u1.test"), "has u1.base and u2.base for the same part, train; keep one of them"),
        (("train.csv", "train.tsv", "test.csv"), "has train.csv and train.tsv for the same part"),
        (("train_test.csv", "test.csv"), "has no train.csv"),
        (("train.csv", "latest.csv"), "has no test.csv"),
        (("train.csv", "test.negative"), "has no test.csv"),
    ],
)
def test_parts_that_are_not_clear_are_refused(tmp_path, names, message):
    put_parts(tmp_path, dict.fromkeys(names, TRAINED))
    with pytest.raises(DataError, match=message):
        load_parts(tmp_path)


def test_an_exact_name_is_preferred_and_the_other_file_named(tmp_path):
    put_parts(tmp_path, {"train.csv": TRAINED, "train_small.csv": "user,item\n7,7\n", "test.csv": TESTED})
    data, labels = load_parts(tmp_path)
    assert len(labels) == 5
    assert "parts: train=train.csv, test=test.csv; not used: train_small.csv; no valid table" in data.notes[1]


def test_ratings_sorted_by_item_are_not_graph_text(tmp_path):
    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(90 * 50, size=900))  # item, then user
    pairs = [(key // 50, key % 50) for key in keys.tolist()]
    lines = [f"{user}\t{item}\t{1 + (user * item) % 5}\n" for item, user in pairs]
    put_parts(tmp_path, {"train.tsv": "".join(lines[:600]), "test.tsv": "".join(lines[600:])})
    data, _ = load_parts(tmp_path)
    assert data.kind == "rating"
    assert len(data.events) == len(pairs)
    assert set(data.events.values.tolist()) == {1, 2, 3, 4, 5}
    assert "columns: user=1, item=2, value=3, time=none" in data.notes


@pytest.mark.parametrize("header", [True, False])
def test_the_same_ids_as_text_and_as_numbers_are_one(tmp_path, header):
    rows = {"train": [("ann", 101), ("bob", 101), ("ann", 102), ("7", 102)], "test": [("7", 101), ("bob", 102)]}
    for name, pairs in rows.items():
        users, items = zip(*pairs, strict=True)
        if name == "train":
            pl.DataFrame({"user": users, "item": items}).write_parquet(tmp_path / "train.parquet")
        else:
            text = [f'"{user}","{item}"' for user, item in pairs]
            (tmp_path / "test.csv").write_text("\n".join(['"user","item"', *text] if header else text) + "\n")
    data, labels = load_parts(tmp_path)
    assert data.users.ids.tolist() == ["7", "ann", "bob"]
    assert data.items.ids.tolist() == [101, 102]
    assert (labels == TEST).sum() == 2


def test_parts_with_and_without_a_header_are_read_alike(tmp_path):
    put_parts(tmp_path, {"train.csv": TRAINED, "test.csv": TESTED.partition("\n")[2]})
    data, labels = load_parts(tmp_path)
    assert np.bincount(labels).tolist() == [3, 0, 0, 0, 2]
    assert data.kind == "rating"


def test_a_part_whose_items_are_written_otherwise_is_told(tmp_path):
    train = "".join(f"1,m{item}\n" for item in range(20))
    put_parts(tmp_path, {"train.csv": "user,item\n" + train, "test.csv": "user,item\n" + train.replace("m", "M")})
    note = "test: 20 of 20 (100%) items are not in train: ids such as 'M0', in train 'm0'"
    assert note in load_parts(tmp_path)[0].notes


def test_the_split_of_last_fm_is_plays_without_times(shared_data):
    data, labels = load_parts(shared_data("lastfm"))
    assert (data.kind, data.timed) == ("rating", False)
    assert (len(data.users), len(data.items)) == (1880, 4489)
    assert ((labels == TRAIN).sum(), (labels == TEST).sum()) == (42_135, 10_533)
    assert data.notes[0] == "columns: user=user, item=item, value=plays, time=none"
    assert any(note.startswith("no valid table") for note in data.notes)

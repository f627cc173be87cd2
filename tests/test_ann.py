"""Lists through an approximate index: found items against all scores, filters, and an index that finds too little."""

import sys
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import matinee as mt
from matinee.arrays import FloatArray
from matinee.cli.running import run
from matinee.data.synthetic import two_groups, zipf_log
from matinee.dataset import Events
from matinee.extras import is_installed
from matinee.histories import EventSource, Histories
from matinee.lists.everyone import for_users
from matinee.models import create
from matinee.ranking import indexes, item_index
from matinee.ranking.indexes import Indexes
from matinee.ranking.item_index import DEEPEST, ItemIndex
from matinee.ranking.rank import rank
from matinee.recommender import Engine
from matinee.scale.packing import pack, unpack
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.vocab import UNKNOWN, Vocab
from needs import require

N_ITEMS, N_USERS, DIM = 6000, 80, 16
K = 10


@pytest.fixture(scope="module", autouse=True)
def faiss() -> None:
    require(is_installed("faiss"), "pip install faiss-cpu")


def clustered(rng: np.random.Generator, n: int) -> FloatArray:
    """Vectors around 40 directions, of very different lengths. [n, D]."""
    centres = rng.normal(size=(40, DIM))
    around = centres[rng.integers(40, size=n)] + 0.3 * rng.normal(size=(n, DIM))
    return (around * rng.lognormal(0, 0.5, (n, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> Any:
    """iALS with vectors of our own, so that what is nearest is known."""
    found = create("ials", dim=DIM, unobserved=0.01)
    found.items = clustered(np.random.default_rng(1), N_ITEMS)
    return found


@pytest.fixture(scope="module")
def known(model) -> EventSource:
    """Users with 5 to 20 items that are near to each other."""
    rng = np.random.default_rng(2)
    users, items = [], []
    for user in range(N_USERS):
        near = np.argsort(-(model.items @ model.items[rng.integers(N_ITEMS)]))[:100]
        mine = rng.choice(near, rng.integers(5, 21), replace=False)
        users += [user] * len(mine)
        items += mine.tolist()
    n = len(items)
    events = Events(
        np.array(users, dtype=np.int32), np.array(items, dtype=np.int32), np.full(n, np.nan, np.float32), np.arange(n)
    )
    return EventSource(events, Vocab(np.arange(N_USERS)))


@pytest.fixture(scope="module")
def histories(known) -> Histories:
    return known.of_rows(np.arange(N_USERS))


@pytest.fixture(scope="module")
def index(model) -> ItemIndex:
    return ItemIndex(model.items)


def test_a_search_of_all_cells_finds_the_largest_products_in_their_order(index, model):
    users = clustered(np.random.default_rng(3), 50)
    items, scores = index.probing(index.n_cells).search(users, K)
    products = users @ model.items.T
    assert np.array_equal(items, np.argsort(-products, axis=1)[:, :K])
    np.testing.assert_allclose(scores, np.take_along_axis(products, items, axis=1), rtol=1e-5, atol=1e-5)


def test_items_of_few_cells_are_among_the_largest_and_more_cells_find_more(index, model):
    users = clustered(np.random.default_rng(3), 50)
    best = np.argsort(-(users @ model.items.T), axis=1)[:, :K]
    recalls = []
    for probes in (1, 8, 64):
        items = index.probing(probes).search(users, K)[0]
        recalls.append(np.mean([len({*one} & {*other}) / K for one, other in zip(items, best, strict=True)]))
    assert recalls == sorted(recalls)
    assert recalls[-1] > 0.95


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_search_finds_allowed_items_only(share, index):
    allowed = np.random.default_rng(4).random(N_ITEMS) < share
    items, _ = index.search(clustered(np.random.default_rng(3), 50), K, allowed)
    assert allowed[items[items != UNKNOWN]].all()


def test_ties_are_ordered_by_item_row():
    vectors = np.ones((400, 4), dtype=np.float32)
    found = ItemIndex(vectors)
    items, _ = found.probing(found.n_cells).search(vectors[:1], 5)
    assert np.array_equal(items[0], np.sort(items[0]))


def test_lists_of_all_cells_are_the_exact_ones(index, model, histories):
    every = index.probing(index.n_cells)
    masked = Histories.of([[user, user + 1] for user in range(N_USERS)])
    allowed = np.random.default_rng(5).random(N_ITEMS) < 0.8
    popularity = np.arange(N_ITEMS)
    for options in ({}, {"masked": masked}, {"allowed": allowed}, {"repeat": True}, {"cold": popularity}):
        exact, found = (rank(model, histories, K, **options, index=each) for each in (None, every))
        assert np.array_equal(exact.items, found.items)
        np.testing.assert_allclose(exact.scores, found.scores, rtol=1e-4, atol=1e-5)


def test_nothing_that_is_hidden_is_listed_and_every_list_is_whole(index, model, histories):
    masked = Histories.of([[user, user + 1] for user in range(N_USERS)])
    allowed = np.random.default_rng(5).random(N_ITEMS) < 0.5
    found = rank(model, histories, K, masked=masked, allowed=allowed, index=index.probing(1)).items
    assert allowed[found].all()
    for row, items in enumerate(found.tolist()):
        assert len({*items}) == K
        assert not {*items} & {*histories.take(np.array([row])).items.tolist(), row, row + 1}


def test_lists_that_the_index_cannot_fill_are_exact(index, model, histories):
    few = np.zeros(N_ITEMS, dtype=bool)
    few[: N_ITEMS // 20] = True  # a search for ten of these would look at most of the cells
    assert index.most(few) < K
    for options in ({"allowed": few}, {"candidates": Histories.of([[*range(50)]] * N_USERS)}):
        exact, found = (rank(model, histories, K, **options, index=each) for each in (None, index.probing(1)))
        assert np.array_equal(exact.items, found.items)
        assert np.array_equal(exact.scores, found.scores)
    deep = N_ITEMS // DEEPEST + 1
    assert np.array_equal(
        rank(model, histories, deep, index=index.probing(1)).items, rank(model, histories, deep).items
    )


def test_users_without_a_vector_get_what_they_would_get_without_an_index(index, model):
    histories = Histories.of([[], [3, 4]])
    popularity = np.arange(N_ITEMS)
    exact, found = (rank(model, histories, K, cold=popularity, index=each) for each in (None, index.probing(64)))
    assert found.items[0].tolist() == exact.items[0].tolist() == [*range(N_ITEMS - 1, N_ITEMS - 1 - K, -1)]


def test_an_index_is_used_if_it_finds_enough_and_says_what_it_finds(model, known, monkeypatch):
    monkeypatch.setattr(indexes, "FROM_ITEMS", N_ITEMS)
    found = indexes.tested_index(model, known)
    assert found.index is not None
    assert found.lists == N_USERS // 2
    assert f"through an index of 6,000 items, which finds {found.recall:.1%}" in found.note
    histories = known.of_rows(np.arange(1, N_USERS, 2))  # those that did not choose the cells
    one_by_one = [histories.block(row, row + 1) for row in range(len(histories))]  # as a site lists them
    exact = rank(model, histories, K).items
    listed = np.concatenate([rank(model, one, K, index=found.index).items for one in one_by_one])
    shares = [len({*one} & {*other}) / K for one, other in zip(exact.tolist(), listed.tolist(), strict=True)]
    assert found.recall == pytest.approx(np.mean(shares))
    assert found.recall >= indexes.LEAST_RECALL


def test_one_long_history_does_not_make_the_other_lists_of_the_self_test_look_further(model, known, monkeypatch):
    monkeypatch.setattr(indexes, "FROM_ITEMS", N_ITEMS)
    monkeypatch.setattr(item_index, "DEEPEST", 5)
    monkeypatch.setattr(item_index, "LOOKED_AT", 1)
    events, long = known.events, 1000  # one more user, who asks for a sixth of the items
    columns = np.full(long, N_USERS), np.arange(long), np.full(long, np.nan), np.arange(long)
    joined = [np.append(one, other).astype(one.dtype) for one, other in zip(_columns(events), columns, strict=True)]
    with_long = EventSource(Events(*joined), Vocab(np.arange(N_USERS + 1)))
    found = indexes.tested_index(model, with_long)
    histories = known.of_rows(np.arange(1, N_USERS, 2))
    exact = rank(model, histories, K).items
    index = found.index
    listed = [rank(model, histories.block(row, row + 1), K, index=index).items[0] for row in range(len(histories))]
    shares = [len({*one} & {*other}) / K for one, other in zip(exact.tolist(), listed, strict=True)]
    assert found.recall == pytest.approx(np.mean(shares))


def _columns(events: Events) -> tuple[Any, ...]:
    return events.user_rows, events.item_rows, events.values, events.times


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"FROM_ITEMS": N_ITEMS + 1}, "exact lists, for 6,000 items are fewer than 6,001"),
        ({"LEAST_RECALL": 1.01, "FROM_ITEMS": 1}, "of them, below 101%"),
    ],
)
def test_lists_stay_exact_and_it_is_said_why(changed, why, model, known, monkeypatch):
    for name, value in changed.items():
        monkeypatch.setattr(indexes, name, value)
    found = indexes.tested_index(model, known)
    assert found.index is None
    assert why in found.note


def test_a_model_without_vectors_and_one_whose_scores_are_no_products_stay_exact(known, model, monkeypatch):
    monkeypatch.setattr(indexes, "FROM_ITEMS", 10)
    assert "ease: exact lists, for its scores are no products" in indexes.tested_index(create("ease"), known).note
    other = create("ials", dim=DIM, unobserved=0.01)
    other.items = model.items
    monkeypatch.setattr(other, "score", lambda state: -(state @ model.items.T))
    found = indexes.tested_index(other, known)
    assert found.index is None
    assert found.recall < 0.1


def test_new_items_and_changed_ones_are_found(index, model):
    vectors = np.concatenate([model.items, clustered(np.random.default_rng(6), 3)])
    user = clustered(np.random.default_rng(7), 1)
    vectors[[7, N_ITEMS + 1]] = 100 * user  # the best of all
    worst = int(np.argmax(model.items @ user[0]))
    vectors[worst] = -user[0]
    grown = index.with_vectors(vectors)
    items = grown.probing(grown.n_cells).search(user, K)[0][0]
    assert items.tolist() == np.argsort(-(vectors @ user[0]), kind="stable")[:K].tolist()
    assert worst not in items
    assert index.with_vectors(-vectors) is None  # all changed


def test_an_index_that_was_sent_to_another_process_finds_the_same(index):
    users = clustered(np.random.default_rng(3), 20)
    sent = unpack(*pack(index.probing(8)))
    for one, other in zip(index.probing(8).search(users, K), sent.search(users, K), strict=True):
        assert np.array_equal(one, other)
    assert sent.describe() == index.probing(8).describe()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fitted model whose 300 items count as many."""
    monkeypatch.setattr(indexes, "FROM_ITEMS", 300)
    return mt.fit("ials", two_groups(60, 300), dim=4, epochs=2)


def test_lists_for_everyone_say_how_they_were_made_and_hold_to_their_index(small):
    exact, listed = (for_users(small, "all", 1, ann=ann) for ann in (False, True))
    assert any(note.startswith("ials: ") for note in listed.notes)
    assert not exact.notes
    assert (listed.index is None) == (listed.describe()["index"] == "")


def test_a_training_says_where_an_index_may_be_asked_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(indexes, "FROM_ITEMS", 1000)
    (tmp_path / "log.csv").write_text(
        "user,item\n" + "".join(f"{user},{40 * user + item}\n" for user in range(30) for item in range(60))
    )
    for name, said in (("ials", True), ("popularity", False)):
        settings = ["--set", "epochs=1", "--set", "dim=4"] if said else []
        arguments = ["train", name, "--data", str(tmp_path / "log.csv"), "--out", str(tmp_path / name), *settings]
        assert run(arguments) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert ("through an approximate index of its 1,220 items, if asked for: --ann" in shown) == said


def test_a_site_makes_an_index_once_and_lists_with_it(small, monkeypatch):
    made, original = [], indexes.tested_index
    monkeypatch.setattr(indexes, "tested_index", lambda *given: made.append(given) or original(*given))
    shared = Indexes()
    for _ in range(2):
        engine = Engine([small], small.known, indexes=shared)
    assert len(made) == 1
    assert [each.note[:5] for each in engine.tested_indexes] == ["ials:"]
    exact = Engine([small], small.known)
    assert exact.tested_indexes == []
    user = small.users.id(0)
    assert len(engine.recommend(user, 5)) == len(exact.recommend(user, 5)) == 5


def test_a_site_says_how_its_lists_are_made(monkeypatch, tmp_path):
    monkeypatch.setattr(indexes, "FROM_ITEMS", 500)
    monkeypatch.setattr(item_index, "DEEPEST", 50)
    data = zipf_log(100, 1000, 1100, np.random.default_rng(3))
    fitted = mt.fit("ials", data, dim=DIM, epochs=1)
    fitted.model.items = clustered(np.random.default_rng(4), len(data.items))
    mt.save_artefact(fitted, tmp_path / "ials")
    mt.save_artefact(mt.fit("popularity", data), tmp_path / "popularity")
    paths, db = [tmp_path / "ials", tmp_path / "popularity"], f"sqlite:///{tmp_path / 'site.sqlite3'}"
    with TestClient(create_app(paths, db_url=db, options=SiteOptions(ann=True))) as client:
        by_index, exact = client.get("/health").json()["lists"]
        assert by_index.startswith(f"ials: lists through an index of {len(data.items):,} items")
        assert exact == "popularity: exact lists, for its scores are no products of vectors"
        assert "from an approximate index of" in client.get("/models/ials").text
        assert "<dd>exact</dd>" in client.get("/models/popularity").text


def test_without_the_extra_it_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert run(["serve", "artefacts/ease", "--ann"]) != 0
    assert "is made by faiss, which is not installed: pip install 'matinee[ann]'" in capsys.readouterr().err

"""New items from their features: the map against a plain solve, every model that takes it, tables of items."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

import matinee as mt
from matinee.data.synthetic import two_groups
from matinee.histories import Histories, TrainingData
from matinee.item_table import ItemTable
from matinee.models import create, model_class, model_names
from matinee.models.content.config import ContentConfig
from matinee.models.content.content_map import ContentMap, predict_new_items
from matinee.models.content.similarity import Features
from matinee.models.content.tf_idf import tf_idf, words_of
from matinee.ranking.rank import rank
from matinee.training.configs import EpochsConfig
from matinee.training.run import Run
from matinee.vocab import Vocab

N_USERS, N_ITEMS = 24, 12
NEW_EVEN, NEW_ODD, TWIN, BARE = 12, 13, 14, 15
"""New items: one with the features of even items, one of odd ones, one with those of item 4, one with none."""
TAKES_CONTENT = sorted(name for name in model_names() if model_class(name).item_arrays)


def table() -> ItemTable:
    words = [("even" if item % 2 == 0 else "odd", f"own{item}") for item in range(N_ITEMS)]
    words += [("even",), ("odd",), words[4], ()]
    return ItemTable(Vocab(np.arange(16)), ("",) * 16, np.zeros(16, dtype=np.int32), {"words": tuple(words)}, {}, {})


def fitted(name: str):
    """A model on the even and odd users of two_groups, with four items that nobody has."""
    events = two_groups(N_USERS, N_ITEMS).events
    train = TrainingData(Histories.from_events(events, np.arange(N_USERS, dtype=np.int32)), 16)
    settings = {"dim": 6} if "dim" in model_class(name).Config.model_fields else {}
    settings |= {"epochs": 40} if issubclass(model_class(name).Config, EpochsConfig) else {}
    settings |= {"shrinkage": 0.0} if name == "item-knn" else {}
    return create(name, **settings).fit(train, Run.seeded(0)), train


def test_the_models_with_columns_or_vectors_take_features() -> None:
    assert {
        "ease",
        "item-knn",
        "ials",
        "bpr",
        "lightgcn",
        "ngcf",
        "item2vec",
        "movie-pairs",
        "pmi",
        "linear-next",
        "cdae",
        "mult-vae",
    } <= set(TAKES_CONTENT)


@pytest.mark.parametrize("name", TAKES_CONTENT)
def test_a_new_item_scores_like_a_known_one_with_its_features(name: str) -> None:
    model, train = fitted(name)
    before = {array: dense(getattr(model, array)) for array, _ in model.item_arrays}
    sharp = {"ridge": 0.01, "sharpness": 0.0}
    extended, about = predict_new_items(model, with_single_words(), train.popularity, sharp)
    scores = extended.score(extended.state_of(train.histories))
    even = np.arange(N_USERS) % 2 == 0
    assert (scores[even, NEW_EVEN] > scores[even, NEW_ODD]).all()
    assert (scores[~even, NEW_ODD] > scores[~even, NEW_EVEN]).all()
    assert np.corrcoef(scores[:, TWIN], scores[:, 4])[0, 1] > 0.97
    assert about["without_features"] == 1
    assert about["notes"] == ["1 items without events have no features: they rank as the model has them"]
    for array, value in before.items():  # the model itself is as it was
        np.testing.assert_array_equal(dense(getattr(model, array)), value)


def dense(array) -> np.ndarray:
    return array.toarray() if hasattr(array, "toarray") else np.array(array)


def with_single_words() -> ItemTable:
    """As `table`, with two texts of each word so that none is left out for being rare."""
    known = table()
    return replace(known, texts={"text": tuple(" ".join(words) for words in known.lists["words"])})


@pytest.mark.parametrize("name", ["ease", "item-knn", "pmi", "item2vec"])
def test_known_items_score_as_before(name: str) -> None:
    model, train = fitted(name)
    extended, _ = predict_new_items(model, table(), train.popularity)
    one, other = (each.score(each.state_of(train.histories)) for each in (model, extended))
    np.testing.assert_allclose(other[:, :N_ITEMS], one[:, :N_ITEMS], atol=1e-6)
    np.testing.assert_array_equal(other[:, BARE], one[:, BARE])  # no features: as the model has it


def test_the_map_against_a_plain_solve() -> None:
    rng = np.random.default_rng(0)
    words = tuple(tuple(f"w{word}" for word in rng.choice(9, 3, replace=False)) for _ in range(16))
    features = replace(table(), lists={"words": words})
    popularity = np.where(np.arange(16) < N_ITEMS, 5, 0)
    config = ContentConfig(ridge=0.7, sharpness=1.5)
    found = ContentMap.of(features, popularity, config)
    block = tf_idf(words).toarray().astype(np.float64)
    kernel = np.exp(1.5 * (block @ block.T - 1))
    wanted = np.linalg.inv(kernel[:12, :12] + 0.7 * np.eye(12)) @ kernel[:12, 12:]
    np.testing.assert_allclose(found.mixing, wanted, atol=1e-5)
    model, _ = fitted("ease")
    extended = found.extend(model)
    np.testing.assert_allclose(extended.weights[:12, 12:], (model.weights[:, :12] @ wanted)[:12], atol=1e-5)
    inputs = wanted.T @ model.weights[:12]  # new items add to a history what they resemble adds
    np.testing.assert_allclose(extended.weights[12:, :12], inputs[:, :12], atol=1e-5)
    assert (np.diag(extended.weights) == 0).all()
    knn, _ = fitted("item-knn")
    np.testing.assert_allclose(
        found.extend(knn).similarities.toarray()[:12, 12:],
        np.maximum(knn.similarities.toarray()[:12, :12] @ found.mixing, 0),
        atol=1e-5,
    )
    few = found.extend(knn, kept=2).similarities.toarray()
    assert ((few > 0).sum(axis=0)[12:] <= 2).all()


@pytest.mark.parametrize("name", ["ease", "item-knn", "ials"])
def test_a_blend_adds_what_the_other_items_predict(name: str) -> None:
    popularity = np.where(np.arange(16) < N_ITEMS, np.arange(16) + 1, 0)
    config = ContentConfig(ridge=0.7, blend=4.0)
    model, _ = fitted(name)
    extended = ContentMap.of(table(), popularity, config).extend(model)
    array, axis = model.item_arrays[0]
    before, after = (np.moveaxis(dense(getattr(each, array)), axis, 0) for each in (model, extended))
    kernel = Features.of(table(), config).kernel(np.arange(12), np.arange(12), config.sharpness).astype(np.float64)
    for item in (0, 5, 11):  # a plain loop: leave the item out, and predict it
        others = np.delete(np.arange(12), item)
        weights = np.linalg.solve(kernel[np.ix_(others, others)] + 0.7 * np.eye(11), kernel[others, item])
        wanted = before[item] + 4 / (4 + popularity[item]) * (weights @ before[others])
        wanted = np.maximum(wanted, 0) if name == "item-knn" else wanted
        np.testing.assert_allclose(after[item][:12], wanted[:12], atol=1e-4)


def test_the_most_popular_known_items_are_used() -> None:
    popularity = np.where(np.arange(16) < N_ITEMS, np.arange(16) + 1, 0)
    found = ContentMap.of(table(), popularity, ContentConfig(max_known=3))
    assert found.known.tolist() == [9, 10, 11]
    assert found.predicted.tolist() == [NEW_EVEN, NEW_ODD, TWIN]


def test_tables_without_a_use_are_refused() -> None:
    model, train = fitted("ease")
    empty = replace(table(), lists={})
    with pytest.raises(mt.MatineeError, match="no item with events has features"):
        predict_new_items(model, empty, train.popularity)
    with pytest.raises(mt.MatineeError, match="popularity has no item columns or vectors"):
        predict_new_items(fitted("popularity")[0], table(), train.popularity)
    with pytest.raises(mt.MatineeError, match="did you mean 'ridge'"):
        predict_new_items(model, table(), train.popularity, {"rigde": 1})


def test_a_product_added_to_the_data_is_listed_and_saved(tmp_path) -> None:
    data = two_groups(N_USERS, N_ITEMS)
    ids = data.items.ids.tolist()
    frame = pl.DataFrame(
        {
            "sku": [*ids, 500, 501],
            "name": [f"Item {item}" for item in ids] + ["New even", "New odd"],
            "categories": ["even" if row % 2 == 0 else "odd" for row in range(N_ITEMS)] + ["even", "odd"],
        }
    )
    model = mt.fit("ease", data, l2=1.0, items=mt.items(frame))
    assert model.items.ids.tolist() == [*ids, 500, 501]
    assert model.catalogue.titles[-2:] == ("New even", "New odd")
    assert model.manifest["content"]["new_items"] == 2
    mt.save_artefact(model, tmp_path / "ease")
    loaded = mt.load_artefact(tmp_path / "ease")
    for user_row in (0, 1):
        wanted, unwanted = (500, 501) if user_row % 2 == 0 else (501, 500)
        listed = [movie.item_id for movie in mt.recommend(loaded, user=data.users.id(user_row), k=20)]
        assert listed.index(wanted) < listed.index(unwanted)
        assert listed.index(wanted) < 3
    plain = mt.fit("ease", data, l2=1.0)
    histories = plain.known.histories(data.users.ids.tolist())
    old = rank(plain.model, histories, 1).items
    assert old.tolist() == rank(model.model, histories, 1, allowed=np.arange(14) < 12).items.tolist()


def test_the_features_of_the_catalogue_serve_a_split_by_new_items() -> None:
    data = two_groups(24, 24)
    data = replace(data, catalogue=replace(data.catalogue, genres=(("A",), ("B",)) * 12))
    split = mt.split(data, "new-items", ratios=(0.5, 0.25, 0.25), seed=3)
    cold, warm = (mt.fit("ease", split, l2=1.0, items=items) for items in (None, "catalogue"))
    found = [mt.evaluate(model, split, k=(1,)).metrics["new-hit-rate@1"].mean for model in (cold, warm)]
    assert found[1] > 0.9
    assert found[0] < 0.7
    with pytest.raises(mt.MatineeError, match="needs --split new-items"):
        mt.fit("ials", mt.split(data), monitor="new-ndcg@10", patience=1)


def test_metrics_of_new_items_against_a_plain_loop() -> None:
    split = mt.split(two_groups(24, 24), "new-items", ratios=(0.5, 0.25, 0.25), seed=3)
    model = mt.fit("item-knn", split)
    report = mt.evaluate(model, split, k=(3,))
    targets = split.targets("test")
    held_out = set(targets.item_rows.tolist())
    inputs = split.inputs("test")
    recalls = []
    for user in np.unique(targets.user_rows).tolist():
        history = Histories.of([inputs.item_rows[inputs.user_rows == user].tolist()])
        scores = model.model.score(model.model.state_of(history))[0]
        ranked = sorted(held_out, key=lambda item: (-scores[item], item))[:3]
        wanted = set(targets.item_rows[targets.user_rows == user].tolist())
        recalls.append(len(wanted & set(ranked)) / len(wanted))
    assert report.metrics["new-recall@3"].mean == pytest.approx(np.mean(recalls))


def test_tables_of_items_from_frames() -> None:
    columns = {
        "Movie ID": [7, 3, 5],
        "Title": ["Alien (1979)", "Heat", None],
        "Genres": ["Horror|Sci-Fi", "", None],
        "plot": ["A <b>crew</b> meets", None, "x"],
        "cast": [["Weaver"], [], ["Pacino", "De Niro"]],
        "price": [1.5, None, 3],
    }
    for make in (pl.DataFrame, pd.DataFrame, dict):
        found = mt.items(make(columns), lists="cast", numbers="price")
        assert found.items.ids.tolist() == [3, 5, 7]
        assert found.titles == ("Heat", "", "Alien (1979)")
        assert found.years.tolist() == [0, 0, 1979]
        assert found.lists == {
            "genres": ((), (), ("Horror", "Sci-Fi")),
            "cast": ((), ("Pacino", "De Niro"), ("Weaver",)),
        }
        assert found.texts == {"plot": ("", "x", "A <b>crew</b> meets")}
        np.testing.assert_array_equal(found.numbers["price"], [np.nan, 3, 1.5])


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"item": [1, 1], "title": ["a", "b"]}, {}, "item 1 stands twice, in row 1 and row 2"),
        ({"item": [1, None]}, {}, "row 2"),
        ({"item": [1], "price": ["cheap"]}, {"numbers": "price"}, "'cheap' in column 'price' is not a number"),
        ({"item": [1], "text": ["x"]}, {"text": "txt"}, "no column 'txt'; did you mean 'text'"),
        ({"name": ["x"]}, {}, "no column of ids"),
        ({"item": [1]}, {"texts": "x"}, "unknown key 'texts'"),
    ],
)
def test_bad_tables_of_items_are_named(columns: dict, options: dict, said: str) -> None:
    with pytest.raises(mt.MatineeError, match=said):
        mt.items(columns, **options)


def test_ids_of_another_type_are_refused() -> None:
    with pytest.raises(mt.DataError, match=r"item ids are numbers in two-groups \(such as 0\) and text in the table"):
        mt.fit("ease", two_groups(N_USERS, N_ITEMS), items=mt.items({"item": ["a"], "genres": ["x"]}))


def test_words_and_their_weights() -> None:
    assert words_of("<p>Amélie's 2nd <i>film</i></p>") == ["amelie", "s", "2nd", "film"]
    assert words_of("우주 영화") == words_of("우주 영화")
    matrix = tf_idf([["a", "b", "b"], ["a", "c"], ["b"], []], min_documents=2).toarray()
    idf = {"a": np.log(4 / 3), "b": np.log(4 / 3)}
    row = np.array([idf["a"], (1 + np.log(2)) * idf["b"]])
    np.testing.assert_allclose(matrix[0], row / np.linalg.norm(row), atol=1e-6)
    np.testing.assert_allclose(matrix[1:], [[1, 0], [0, 1], [0, 0]], atol=1e-6)


def test_numbers_resemble_their_neighbours_and_a_missing_one_nothing() -> None:
    years = np.array([0, *range(1900, 2000)], dtype=np.int32)
    table_of_years = ItemTable(Vocab(np.arange(101)), ("",) * 101, years)
    features = Features.of(table_of_years, ContentConfig())
    similarity = features.kernel(np.array([50, 0]), np.arange(101), 0.0)
    assert similarity[0, 50] == pytest.approx(1)
    assert similarity[0, 60] == pytest.approx(0.5)
    assert similarity[0, 90] == 0
    assert (similarity[1] == 0).all()
    assert features.present.tolist() == [False] + [True] * 100


@pytest.mark.parametrize("name", TAKES_CONTENT)
def test_a_scale_multiplies_the_scores_of_new_items_alone(name: str) -> None:
    model, train = fitted(name)
    if name == "item2vec":
        model.config = model.config.model_copy(update={"score_by": "context"})
    plain, _ = predict_new_items(model, table(), train.popularity)
    scaled, _ = predict_new_items(model, table(), train.popularity, {"scale": 2.0})
    state = plain.state_of(train.histories)  # some models solve it from all items, new ones too
    one, two = plain.score(state), scaled.score(state)
    np.testing.assert_allclose(two[:, :N_ITEMS], one[:, :N_ITEMS], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(two[:, NEW_EVEN:BARE], 2 * one[:, NEW_EVEN:BARE], rtol=1e-5, atol=1e-5)


INPUTS = ("ease", "linear-next", "item-knn", "pmi", "cdae", "mult-vae")


@pytest.mark.parametrize("name", INPUTS)
def test_a_history_of_a_new_item_scores_like_that_of_its_known_twin(name: str) -> None:
    model, train = fitted(name)
    extended, _ = predict_new_items(
        model, with_single_words(), train.popularity, {"ridge": 0.01, "sharpness": 0.0, "kept": 16}
    )
    twin, known = extended.score(extended.state_of(Histories.of([[TWIN], [4]])))
    others = np.delete(np.arange(N_ITEMS), 4)
    assert np.corrcoef(twin[others], known[others])[0, 1] > 0.95
    assert np.abs(twin[others]).max() > 0


@pytest.mark.parametrize("name", ["item-knn", "pmi", "ease", "mult-vae"])
def test_what_new_items_add_to_histories_against_a_plain_loop(name: str) -> None:
    model, train = fitted(name)
    found = ContentMap.of(table(), train.popularity)
    extended = found.extend(model, kept=5)
    array, axis = model.item_inputs[0]
    before, after = (np.moveaxis(dense(getattr(each, array)), axis, 0) for each in (model, extended))
    for n, item in enumerate(found.predicted.tolist()):
        wanted = sum(found.mixing[i, n] * after[known] for i, known in enumerate(found.known.tolist()))
        if name != "mult-vae":
            wanted[item] = 0
        if name in ("item-knn", "pmi"):
            wanted[np.argsort(-wanted, kind="stable")[5:]] = 0
            wanted = np.maximum(wanted, 0)
        np.testing.assert_allclose(after[item], wanted, atol=1e-5)
    np.testing.assert_allclose(after[:N_ITEMS, : min(N_ITEMS, after.shape[1])], before[:N_ITEMS, :N_ITEMS])


def test_an_item_that_has_dislikes_only_predicts_nothing_and_is_not_predicted() -> None:
    values = np.array([5, 5, 5, 5, 1, 1], dtype=np.float32)  # users 0 and 1 like items 0 and 1, and dislike item 2
    events = pl.DataFrame({"user": [0, 0, 1, 1, 0, 1], "item": [0, 1, 0, 1, 2, 2], "rating": values})
    words = pl.DataFrame({"item": [0, 1, 2, 3], "genres": ["a", "a|b", "b", "a|b"], "title": list("wxyz")})
    data = mt.events(events)
    disliked = mt.fit("ease", data, items=mt.items(words), values="linear:1=-1,3=0,5=1")
    assert disliked.manifest["content"]["known_items"] == 2
    assert disliked.manifest["content"]["new_items"] == 1
    assert (disliked.model.weights[:, 2] == 0).all()
    liked = mt.fit("ease", data, items=mt.items(words), values="unary")
    assert liked.manifest["content"]["known_items"] == 3

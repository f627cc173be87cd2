"""The predicted rating on a movie's page: from which model, and when it is kept back."""

from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI

from matinee.catalogue import Catalogue
from matinee.dataset import Dataset
from matinee.histories import Histories
from matinee.models import create
from matinee.recommender import Engine
from matinee.serve.app import create_app
from matinee.store.artefact import load, save
from site_fixtures import CHEAP, NOW, SiteClient, train
from toy_models import SumOfRows, artefact_of, engine_of
from toy_tasks import oracle

CATALOGUE = Catalogue.of([f"Film {row} (2000)" for row in range(4)], [["Drama"]] * 4)


def measured(*rows: tuple[int, float, bool]) -> list[dict[str, object]]:
    return [{"ratings": ratings, "rmse": rmse, "better": better} for ratings, rmse, better in rows]


def predicting(name: str, value: float, table: list[dict[str, object]]) -> tuple[object, list[dict[str, object]]]:
    model = oracle(np.full((1, 4), value))
    model.name = name
    return model, table


def engine_with(*models: tuple[object, list[dict[str, object]]]) -> Engine:
    listing = artefact_of(SumOfRows(np.eye(4).tolist()), CATALOGUE, [3, 2, 1, 1])
    return engine_of(
        listing, *(artefact_of(model, CATALOGUE, [3, 2, 1, 1], predicted_values=table) for model, table in models)
    )


def rated(n: int, value: float = 4.0) -> Histories:
    return Histories.of([list(range(n))], [[value] * n])


def value_of(engine: Engine, history: Histories, row: int) -> float | None:
    found = engine.predicted_value(history, row)
    return None if found is None else found.value


def test_a_prediction_is_given_from_the_number_of_ratings_at_which_it_is_better() -> None:
    engine = engine_with(predicting("one", 3.5, measured((1, 1.0, False), (2, 0.9, True))))
    assert [value_of(engine, rated(n), 3) for n in range(4)] == [None, None, 3.5, 3.5]


def test_a_number_at_which_it_is_not_better_keeps_it_back_whatever_the_others() -> None:
    engine = engine_with(predicting("one", 3.5, measured((1, 1.0, True), (2, 0.9, False))))
    assert value_of(engine, rated(1), 3) == 3.5
    assert value_of(engine, rated(3), 3) is None


def test_watches_without_a_rating_do_not_count_and_neither_do_ratings_given_twice() -> None:
    engine = engine_with(predicting("one", 3.5, measured((2, 0.9, True))))
    assert value_of(engine, Histories.of([[0, 1]], [[4, np.nan]]), 3) is None
    assert value_of(engine, Histories.of([[0, 0]], [[4, 5]]), 3) is None


def test_of_several_models_the_one_of_the_lowest_error_at_that_number_predicts() -> None:
    engine = engine_with(
        predicting("one", 1.5, measured((1, 0.9, True), (3, 0.8, True))),
        predicting("two", 2.5, measured((1, 0.8, True), (3, 0.9, True))),
    )
    assert (value_of(engine, rated(1), 3), value_of(engine, rated(3), 3)) == (2.5, 1.5)


def test_models_without_a_table_predict_nothing() -> None:
    assert value_of(engine_with(), rated(3), 3) is None
    assert value_of(engine_with(predicting("one", 3.5, [])), rated(3), 3) is None


def test_a_model_that_makes_no_lists_is_not_among_those_of_the_site_unless_alone() -> None:
    model, table = predicting("one", 3.5, measured((1, 0.9, True)))
    model.makes_lists = False  # type: ignore[attr-defined]
    assert engine_with((model, table)).models == ("sum-of-rows",)
    assert engine_of(artefact_of(model, CATALOGUE, [1, 1, 1, 1])).models == ("one",)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def with_vbmf(
    artefact_paths: list[Path], known_movies: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """The site's models and VBMF, said to be better from two ratings on."""
    assert create("vbmf").makes_lists is False
    folder = tmp_path_factory.mktemp("predicting")
    found = load(train("vbmf", known_movies, folder))
    table = measured((1, 1.0, False), (2, 0.9, True))
    return [*artefact_paths, save(found.with_manifest({"predicted_values": table}), folder / "better").path]  # type: ignore[list-item]


@pytest.fixture
def predicting_app(with_vbmf: list[Path], tmp_path: Path) -> FastAPI:
    return create_app(with_vbmf, db_url=f"sqlite:///{tmp_path}/site.db", clock=lambda: NOW, hasher=CHEAP)


def give(client: SiteClient, item_id: int, stars: int) -> None:
    assert client.post("/mark", data={"item_id": str(item_id), "mark": str(stars)}).status_code == 200


def test_the_page_of_a_movie_says_what_the_visitor_would_give_it(predicting_app: FastAPI) -> None:
    with SiteClient(predicting_app) as client:
        assert "Predicted rating" not in client.get("/movie/1198").text
        give(client, 1214, 5)
        assert "Predicted rating" not in client.get("/movie/1198").text  # one rating: no better than an average
        give(client, 541, 5)
        high = client.get("/movie/1198").text
        assert "Predicted rating" in high
        assert "Predicted rating" not in client.get("/movie/541").text  # rated: nothing to predict
        assert 'href="/model/vbmf' not in client.get("/").text
        for item_id in (1214, 541):
            give(client, item_id, 1)
        low = client.get("/movie/1198").text
        assert value_on(low) < value_on(high)
        korean = client.get("/movie/1198", headers={"accept-language": "ko"}).text
        assert f"{value_on(low)}점쯤 주실 것 같아요" in korean


def value_on(page: str) -> float:
    return float(page.partition("you would give it about ")[2].partition("<")[0])

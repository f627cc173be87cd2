"""A shop of one's own, from two CSV files with columns as shops have them, through the command line."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import matinee as mt
from matinee.cli.commands import app
from matinee.data.audit import audit
from matinee.errors import DataError, MatineeError
from matinee.store.artefact import load

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "shop_files.py"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shop: products.csv and log.csv, written by the script of the large one."""
    spec = spec_from_file_location("shop_files", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("shop")
    module.write(folder, n_products=300, n_customers=80)
    return folder


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout if "--json" in arguments else result.output


@pytest.fixture(scope="module")
def trained(shop: Path) -> str:
    return invoke("train", "ease", "--data", shop / "log.csv", "--items", shop / "products.csv", "--out", shop / "ease")


def test_every_product_is_in_the_artefact_with_all_that_is_known(shop: Path, trained: str) -> None:
    artefact = load(shop / "ease")
    table = artefact.item_table
    assert len(artefact.items) == 300
    assert table.texts.keys() == {"description"}
    assert table.lists.keys() >= {"genres", "brand", "colours"}
    assert max(len(colours) for colours in table.lists["colours"]) == 3
    assert np.isfinite(table.numbers["price"]).all()
    assert any(picture.startswith("https://") for picture in table.pictures)
    assert (artefact.noun.plural, artefact.source) == ("products", "")
    for said in ("'shelf mark'", "without its unit '€'", "cut into words at ';'", "120 of 120 items of the log"):
        assert said in trained
    assert "ovie" not in trained


def test_products_that_nobody_bought_are_listed(shop: Path, trained: str) -> None:
    artefact = load(shop / "ease")
    never = [artefact.items.id(row) for row in np.flatnonzero(artefact.popularity == 0)]
    assert len(never) == 180
    bought = artefact.known.histories([artefact.users.id(0)])
    history = [artefact.items.id(row) for row in bought.items.tolist()]
    found = mt.recommend(artefact, history=history, among=never, k=5)
    assert len(found.movies) == 5
    assert found.movies[0].score > 0


def test_the_audit_and_the_comparison_take_the_file_too(shop: Path) -> None:
    files = ("--data", shop / "log.csv", "--items", shop / "products.csv")
    audit = json.loads(invoke("data", "audit", *files, "--json"))
    assert audit["items"] == 300
    assert audit["item_events"]["min"] > 0
    assert audit["read"][1]["columns"]["genres"] == "category"
    compared = invoke("compare", "ease", "user-knn", *files, "-k", "10")
    assert "user-knn cannot predict items from features" in compared


def test_the_new_artefact_evaluates_on_its_own_data(shop: Path, trained: str) -> None:
    invoke(
        "train", "ease", "--data", shop / "log.csv", "--items", shop / "products.csv", "--split", "random",
        "--out", shop / "cut",
    )  # fmt: skip
    found = json.loads(invoke("evaluate", shop / "cut", "--json"))
    assert found["metrics"]["ndcg@10"]["mean"] > 0.02


def test_the_audit_shows_the_kinds_of_events_of_the_log(shop: Path) -> None:
    data = mt.load(shop / "log.csv", items=shop / "products.csv")
    found = dict(audit(data).rows())
    counted = pl.read_csv(shop / "log.csv")["action"].value_counts()
    for kind, n in counted.rows():
        assert found[f"{kind}: events"].startswith(f"{n:,}")
    assert len(data.items) == 300


def test_a_table_of_items_joins_a_log_as_it_is_loaded(shop: Path) -> None:
    table = mt.items(pl.DataFrame({"product_id": ["P00001", "new"], "name": ["A", "B"]}))
    data = mt.load(shop / "log.csv", items=table)
    assert data.item_table.titles[data.items.row("new")] == "B"
    with pytest.raises(MatineeError, match=r"mt\.items\(frame\)"):
        mt.load(shop / "log.csv", items={"product_id": ["P1"]})  # type: ignore[arg-type]


def test_a_file_of_one_column_is_no_table_of_items(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("product_id\nP00001\nP00002\n", "utf-8")
    with pytest.raises(DataError, match="write a header such as id, title, genres and a line for each item"):
        mt.load(shop / "log.csv", items=tmp_path / "one.csv")

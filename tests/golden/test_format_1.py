"""Artefacts written by the code before names changed (format 1) still load, and rank bit by bit as they did.

`format-1/` holds one of each model, trained on a toy; `rankings.json` the lists that the old code made of them.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.models import MODELS
from matinee.ranking.rank import Ranking, rank
from matinee.store.artefact import Artefact, load, save

FOLDER = Path(__file__).parent / "format-1"
GOLDEN = json.loads((FOLDER / "rankings.json").read_text("utf-8"))
NAMES = sorted(GOLDEN["rankings"])


def lists(artefact: Artefact, which: str) -> Ranking:
    if which == "visitors":
        ones = [[1.0] * len(history) for history in GOLDEN["histories"]]  # the value that every event had then
        return rank(artefact.model, Histories.of(GOLDEN["histories"], ones), 12)
    return rank(artefact.model, artefact.known.histories(list(artefact.users.ids[:6])), 12)


def assert_as_before(artefact: Artefact, name: str) -> None:
    for which, before in GOLDEN["rankings"][name].items():
        found = lists(artefact, which)
        assert found.items.tolist() == before["items"]
        scores = np.array([[-np.inf if score is None else score for score in row] for row in before["scores"]])
        # processors round sums differently, and a solve by steps ends where a step gains little
        np.testing.assert_allclose(found.scores, scores, rtol=2e-6, atol=1e-5 if name.startswith("mlp") else 2e-6)


def test_every_model_of_format_1_is_still_there() -> None:
    models = {name.removesuffix("-stored") for name in NAMES}
    assert len(models) == 20
    assert models <= set(MODELS)


@pytest.mark.parametrize("name", NAMES)
def test_a_format_1_artefact_ranks_as_it_did(name: str) -> None:
    assert json.loads((FOLDER / name / "manifest.json").read_text("utf-8"))["format"] == 1
    assert_as_before(load(FOLDER / name), name)


@pytest.mark.parametrize("name", NAMES)
def test_saved_again_it_is_format_2_and_ranks_the_same(name: str, tmp_path: Path) -> None:
    save(load(FOLDER / name), tmp_path / "again")
    manifest = json.loads((tmp_path / "again" / "manifest.json").read_text("utf-8"))
    assert manifest["format"] == 2
    assert_as_before(load(tmp_path / "again"), name)


def test_a_format_of_tomorrow_is_refused(tmp_path: Path) -> None:
    save(load(FOLDER / "ease"), tmp_path / "ease")
    path = tmp_path / "ease" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"format": 3}), "utf-8")
    with pytest.raises(MatineeError, match="has format 3, but this version of Matinee reads 1 and 2; train again"):
        load(tmp_path / "ease")

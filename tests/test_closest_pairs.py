"""The most similar pairs of a model against a brute-force search, and the command that shows them."""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.cli import main
from matinee.data.synthetic import two_groups
from matinee.errors import MatineeError
from matinee.models.vectors import cosines
from matinee.report import pairs
from matinee.report.pairs import closest_pairs
from matinee.store.artefact import Artefact, save


@pytest.fixture(scope="module")
def fitted() -> Artefact:
    return mt.fit("ials", mt.load("bundled"), epochs=3, dim=16)


@pytest.mark.parametrize("block_values", [2**22, 20_000])
@pytest.mark.parametrize("least", [50, 150])
def test_closest_pairs_against_all_pairs(
    fitted: Artefact, least: int, block_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "BLOCK_VALUES", block_values)
    similarity = cosines(fitted.model.item_vectors(), np.arange(len(fitted.items)))
    known = np.flatnonzero(fitted.popularity >= least)
    every = [(similarity[a, b], a, b) for n, a in enumerate(known) for b in known[n + 1 :]]
    best = sorted(every, key=lambda each: (-each[0], each[1], each[2]))[:15]
    found = closest_pairs(fitted, 15, least)
    assert [(pair.one_id, pair.other_id) for pair in found] == [
        (fitted.items.id(int(a)), fitted.items.id(int(b))) for _, a, b in best
    ]
    np.testing.assert_allclose([pair.similarity for pair in found], [value for value, _, _ in best], rtol=1e-5)
    events = fitted.known.events
    for pair in found:
        users = [
            set(events.user_rows[events.item_rows == fitted.items.row(each)].tolist())
            for each in (pair.one_id, pair.other_id)
        ]
        assert (pair.one_events, pair.other_events) == (len(users[0]), len(users[1]))
        assert pair.shared_users == len(users[0] & users[1])
        assert fitted.catalogue.titles[fitted.items.row(pair.one_id)] == pair.one


def test_closest_pairs_never_cross_two_tastes() -> None:
    for name in ("ials", "item-knn", "pmi"):
        found = closest_pairs(mt.fit(name, two_groups(24, 12)), 8, 1)
        assert len(found) == 8
        for pair in found:
            assert int(pair.one.split()[1]) % 2 == int(pair.other.split()[1]) % 2, name


def test_no_similarities_or_too_few_movies_is_a_one_line_error(fitted: Artefact) -> None:
    with pytest.raises(MatineeError, match="popularity has no similarities between movies"):
        closest_pairs(mt.fit("popularity", mt.load("bundled")))
    second = int(np.sort(fitted.popularity)[-2])
    with pytest.raises(MatineeError, match=f"fewer than two movies .* --min-item-events {second} or less"):
        closest_pairs(fitted, 10, second + 1)
    assert len(closest_pairs(fitted, 10, second)) == 1


def test_the_command_shows_the_pairs(
    fitted: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[str, str]:
        command = ["matinee", "data", "show", "--pairs", str(tmp_path / "model"), "-k", "3", "--min-item-events", "100"]
        monkeypatch.setattr(sys, "argv", [*command, *arguments])
        with contextlib.suppress(SystemExit):
            main()
        return capsys.readouterr()

    save(fitted, tmp_path / "model")
    monkeypatch.setenv("COLUMNS", "200")
    expected = closest_pairs(fitted, 3, 100)
    assert json.loads(run("--json")[0])["pairs"] == [pair.to_json() for pair in expected]
    out, _ = run()
    assert expected[0].one in out
    assert f"{expected[0].similarity:.3f}" in out
    assert "leave out the data and --of" in run("--of", "3")[1]

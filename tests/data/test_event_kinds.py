"""Kinds of events: recognised or named, counted, chosen and weighed."""

from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.errors import DataError, MatineeError
from matinee.store.artefact import load, save

SHOP = {
    "customer": ["a", "a", "a", "b", "b", "b"],
    "product_id": ["p1", "p1", "p2", "p1", "p2", "p3"],
    "action": ["purchase", "view", "view", "view", "basket", " view "],
    "time": [1, 2, 3, 4, 5, 6],
}


@pytest.mark.parametrize("name", ["action", "event_type", "Behavior", "interaction"])
def test_a_column_of_kinds_is_recognised_counted_and_said(name: str) -> None:
    data = mt.events({name if key == "action" else key: cells for key, cells in SHOP.items()})
    assert {kind: found.events for kind, found in data.event_kinds.items()} == {"view": 4, "basket": 1, "purchase": 1}
    assert list(data.event_kinds) == ["view", "basket", "purchase"]
    assert f"kinds of events in '{name}': view 4, basket 1, purchase 1" in data.notes
    assert data.kind == "click"
    assert set(data.events.values.tolist()) == {1.0}


def test_chosen_kinds_count_and_the_others_are_dropped_and_counted() -> None:
    data = mt.events(SHOP, kinds=["purchase", "basket"])
    assert len(data.events) == 2
    assert any("dropped 4 of 6 lines: kind view 4" in note for note in data.notes)
    assert data.event_kinds.keys() == {"purchase", "basket"}


def test_weights_are_values_and_of_repeats_the_strongest_stays() -> None:
    data = mt.events(SHOP, kinds=["view=0.2", "basket=0.5", "purchase=1"])
    columns = data.events.user_rows, data.events.item_rows, data.events.values
    rows = zip(*(column.tolist() for column in columns), strict=True)
    found = {(data.users.id(user), data.items.id(item)): value for user, item, value in rows}
    wanted = {("a", "p1"): 1, ("a", "p2"): 0.2, ("b", "p1"): 0.2, ("b", "p2"): 0.5, ("b", "p3"): 0.2}
    assert found == pytest.approx(wanted)
    assert any("keeping the strongest of each" in note for note in data.notes)
    assert data.event_kinds["view"].value == 0.2
    weights = mt.fit("ease", data).model.value_map.weights(np.array([0.2, 0.5, 1], dtype=np.float32))
    np.testing.assert_allclose(weights, np.array([0.2, 0.5, 1]) / np.mean([1, 0.2, 0.2, 0.5, 0.2]), rtol=1e-5)


def test_a_value_of_the_log_is_multiplied() -> None:
    data = mt.events(SHOP | {"plays": [2, 1, 1, 4, 1, 1]}, kinds=["view=0.5", "basket=1", "purchase=3"])
    assert sorted(data.events.values.tolist()) == [0.5, 0.5, 1, 2, 6]


def test_the_artefact_has_the_kinds(tmp_path: Path) -> None:
    save(mt.fit("item-knn", mt.events(SHOP, kinds=["view=0.2", "basket=0.5", "purchase=1"])), tmp_path / "shop")
    found = load(tmp_path / "shop").event_kinds
    assert {name: (kind.events, kind.value) for name, kind in found.items()} == {
        "view": (4, 0.2), "basket": (1, 0.5), "purchase": (1, 1.0)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"kinds": ["veiw"]}, "no events of the kind 'veiw'; did you mean 'view'?"),
        ({"kinds": ["view=0.2", "purchase"]}, "give each kind a weight"),
        ({"kinds": ["view=0"]}, "the weight '0' of view is not a number above 0"),
        ({"kinds": ["view=-1"]}, "the weight '-1' of view is not a number above 0"),
        ({"kinds": ["view=inf"]}, "is not a number above 0"),
        ({"kinds": ["view=lots"]}, "the weight 'lots' of view is not a number above 0"),
        ({"kind": "acton"}, "no column 'acton' of kinds; did you mean 'action'?"),
        ({"kind": "time"}, "the column 'time' is named for two roles"),
    ],
)
def test_what_is_wrong_with_kinds_is_one_line(columns: dict, says: str) -> None:
    with pytest.raises(MatineeError) as error:
        mt.events(SHOP, **columns)
    assert says in str(error.value)


def test_kinds_without_a_column_of_kinds_are_an_error() -> None:
    with pytest.raises(DataError, match="there is no column of kinds"):
        mt.events({"user": [1], "item": [2]}, kinds=["view"])


def test_columns_of_other_things_are_not_taken_for_kinds() -> None:
    many = {"user": list(range(40)), "item": list(range(40)), "action": [f"note {n}" for n in range(40)]}
    assert mt.events(many).event_kinds == {}
    assert mt.events({"user": [1, 2], "item": [1, 2], "event": [3, 4]}).event_kinds == {}
    assert mt.events({"user": [1, 2], "item": [1, 2], "type": ["a", "b"]}).event_kinds == {}
    assert mt.events({"user": [1, 2], "item": [1, 2], "action": ["a", None]}).event_kinds.keys() == {"a", "none"}

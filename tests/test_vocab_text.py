"""Text ids of any length and script find their row, one by one and in bulk."""

import random

import numpy as np
import pytest

from matinee.vocab import UNKNOWN, Vocab


@pytest.mark.parametrize("n_wanted", [1, 200, 5000])
def test_long_text_ids_find_their_rows(n_wanted):
    draw = random.Random(4)
    ids = sorted(
        {"영화 🎬"[: draw.randint(0, 5)] + "x" * draw.randint(0, 40) + str(draw.random()) for _ in range(3000)}
    )
    shuffled = draw.sample(ids, len(ids))
    vocab = Vocab.of(shuffled)
    assert vocab.ids.tolist() == ids
    wanted = [draw.choice([*ids, "no such id of some length"]) for _ in range(n_wanted)]
    expected = [ids.index(id) if id in ids else UNKNOWN for id in wanted]
    assert vocab.rows(wanted).tolist() == expected
    assert vocab.row("no such id of some length") == UNKNOWN


def test_integer_ids_are_found_whatever_they_are_written_as() -> None:
    vocab = Vocab(np.array([3, 7, 2**62]))
    assert vocab.rows([7, 2**62, 8, 3]).tolist() == [1, 2, UNKNOWN, 0]
    assert vocab.rows([7, 2**63, -(2**70), 3]).tolist() == [1, UNKNOWN, UNKNOWN, 0], "past 64 bits"
    assert vocab.rows(["7", 3, True, "seven", " 3 "]).tolist() == [1, 0, UNKNOWN, UNKNOWN, 0]

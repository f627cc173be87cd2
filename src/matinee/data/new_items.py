"""The split by new items: whole items are held out of training."""

import numpy as np

from matinee.arrays import IntArray
from matinee.config import SplitConfig
from matinee.data.labels import TEST, TRAIN, VALID, Labels
from matinee.data.split_settings import checked_ratios
from matinee.data.statistics import count_of
from matinee.dataset import Dataset
from matinee.mapped import looked_up


def new_items(data: Dataset, config: SplitConfig) -> tuple[Labels, tuple[str, ...]]:
    """Hold out whole items, drawn at random by the ratios: all their events are targets.

    Items are counted as events of a user are in a random split: floor for train, floor for valid, the rest is test.
    """
    n_items = len(data.items)
    train, valid, test = checked_ratios(config)
    first_valid = int(n_items * train)
    first_test = first_valid + int(n_items * valid) if test else n_items
    drawn = np.random.default_rng(config.seed).permutation(n_items)
    part = np.full(n_items, TRAIN, dtype=np.int8)
    part[drawn[first_valid:]] = VALID
    part[drawn[first_test:]] = TEST
    labels: Labels = looked_up(part, data.events.item_rows)
    sentences = [_sentence(name, part == label, labels == label) for name, label in (("valid", VALID), ("test", TEST))]
    return labels, tuple(f"new-items: {sentence}" for sentence in sentences)


def _sentence(name: str, items: IntArray | np.ndarray, events: IntArray | np.ndarray) -> str:
    held_out, of_events = count_of(int(items.sum()), len(items)), count_of(int(events.sum()), len(events))
    return f"{held_out} items are held out for {name}, with {of_events} events"

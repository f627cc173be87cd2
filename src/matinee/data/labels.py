"""Labels of a split: the part to which each event belongs."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = NDArray[np.int8]
UNUSED, TRAIN, VALID_INPUTS, VALID, TEST_INPUTS, TEST = -1, 0, 1, 2, 3, 4
"""VALID and TEST are targets; VALID_INPUTS and TEST_INPUTS are the given events of held-out users or sessions."""
PART_NAMES = ("unused", "train", "valid inputs", "valid", "test inputs", "test")
"""By label + 1."""

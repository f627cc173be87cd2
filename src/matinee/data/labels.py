"""The label of each event of a split: the part that it belongs to."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = NDArray[np.int8]
UNUSED, TRAIN, VALID_SHOWN, VALID, TEST_SHOWN, TEST = -1, 0, 1, 2, 3, 4
"""VALID and TEST are targets; the two SHOWN are events of held-out users that a model is shown."""

"""Lists whose parts take a while, for tests that end a worker meanwhile."""

import time
from dataclasses import dataclass

from matinee.lists.everyone import Lists


@dataclass(frozen=True)
class SlowLists:
    """See Lists. seconds: of a part."""

    lists: Lists
    seconds: float
    notes: tuple[str, ...] = ()

    def __len__(self):
        return len(self.lists)

    def describe(self):
        return self.lists.describe()

    def part(self, index):
        time.sleep(self.seconds)
        return self.lists.part(index)

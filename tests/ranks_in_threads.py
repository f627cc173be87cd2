"""Ranks of one fit as threads of this process."""

import threading
from pathlib import Path
from typing import Any

from matinee.training.ranks import Meeting, Ranks


def side_by_side(n: int, folder: Path, work: Any) -> list[Any]:
    """What `work` gives for each of n ranks, which are threads here."""
    meeting, found = Meeting.open(n, "", folder / f"meeting-{len(list(folder.iterdir()))}")[0], [None] * n

    def run(rank: int) -> None:
        found[rank] = work(Ranks(rank, meeting))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found

"""One fit in a process of its own: started, followed, and ended after its time or when nobody wants it any more."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from matinee.processes import THREADS

State = Literal["running", "done", "failed", "cancelled", "too_long"]
STAGES = ("reading", "measuring", "fitting", "saving")
SHARES = (0.05, 0.45, 0.45, 0.05)
"""The part of the time that each stage takes, roughly."""
MOST_EPOCHS = 1000
"""Epochs that are kept of a curve."""


@dataclass(slots=True)
class Progress:
    """What a fit said of itself.

    stage: of STAGES; epoch, epochs: of this stage, 0 for a model without any; curve: of each epoch its loss and, if it
    was measured, its score on valid; error: why it failed, in one line.
    """

    stage: str = STAGES[0]
    epoch: int = 0
    epochs: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    error: str = ""

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        index = STAGES.index(self.stage)
        within = self.epoch / self.epochs if self.epochs else 0.0
        return sum(SHARES[:index]) + SHARES[index] * min(1.0, within)

    def take(self, said: Mapping[str, Any]) -> None:
        """Note a line of the process."""
        if said.get("stage") in STAGES:
            self.stage, self.epoch, self.epochs, self.curve = said["stage"], 0, 0, []
        if "epoch" in said:
            self.epoch, self.epochs = int(said["epoch"]), int(said["epochs"])
            self.curve = [*self.curve[-MOST_EPOCHS:], {name: float(said[name]) for name in said if name != "epochs"}]
        self.error = str(said.get("error", self.error))


class FitProcess:
    """A running or ended process.

    command: the program, which reads `order` as a line of JSON and says what it does in lines of JSON; limit: seconds
    after which it is ended; ticks: seconds of a clock that is never set back.
    """

    def __init__(
        self,
        command: Sequence[str],
        order: Mapping[str, Any],
        limit: float,
        ticks: Callable[[], float],
    ) -> None:
        self.progress = Progress()
        self.state: State = "running"
        self._ticks, self._started, self._ended = ticks, ticks(), 0.0
        self._lock = threading.Lock()
        environment = os.environ | dict.fromkeys(THREADS, "1")
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self._timer = threading.Timer(limit, self.end, ("too_long",))
        self._timer.daemon = True
        self._timer.start()
        self._reader = threading.Thread(target=self._follow, args=(dict(order),), daemon=True)
        self._reader.start()

    @property
    def seconds(self) -> float:
        """How long it has run, or ran."""
        return (self._ticks() if self.state == "running" else self._ended) - self._started

    def remaining(self) -> float | None:
        """Seconds until it is done, if it goes on as it did; None before that can be said."""
        share = self.progress.share
        return self.seconds * (1 - share) / share if share > SHARES[0] and self.seconds > 1 else None

    def end(self, state: State = "cancelled") -> None:
        """End the process; does nothing once it has ended."""
        self._set(state)
        self._process.kill()

    def join(self) -> None:
        """Wait until the process has ended and is followed no longer."""
        self._reader.join()

    def _set(self, state: State) -> None:
        """The first end counts."""
        with self._lock:
            if self.state == "running":
                self.state, self._ended = state, self._ticks()

    def _follow(self, order: dict[str, Any]) -> None:
        process, progress = self._process, self.progress
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            pass  # it has ended already; what it said, if anything, says why
        is_done = _listen(process.stdout, progress)
        process.wait()
        self._timer.cancel()
        for pipe in (process.stdin, process.stdout):
            try:
                pipe.close()
            except OSError:
                continue
        self._set("done" if is_done and not process.returncode else "failed")


def _listen(lines: IO[bytes], progress: Progress) -> bool:
    """Note what a process says until it ends. Whether it said that it is done."""
    is_done = False
    for line in lines:
        try:
            said = json.loads(line)
            progress.take(said)
            is_done = is_done or said.get("done") is True
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # a library that prints
    return is_done

"""Kills and power cuts while an artefact is saved over another: afterwards the old one loads, or the new one.

    python benchmarks/faults_artefact.py > benchmarks/faults_artefact.json

kills: SIGKILL at a random moment of `save`, in a process forked for each.
steps: SIGKILL before each operation of a save on the file system, one by one.
commands: SIGKILL of `matinee train --out` around the moment when it saves.
cuts: the operations of a save are recorded; a state after a power cut keeps all before a random moment that were
synced, and of the others a random subset: an operation on a folder is kept or lost whole, and a file that was not
synced is empty, cut short, or whole. This is harsher than a file system with a journal.
disks: ext4 itself, in an image behind a loop device (needs root): the process is killed, what the kernel has given to
the device so far is copied, and the copy is mounted, which replays its journal. What was not synced is lost, as only
the kernel's memory holds it. The device keeps all that it was given: a cache of its own is not simulated.
All but commands are tried with the exchange of folders in one step and with the two renames that stand in for it.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from matinee import workflow, writing
from matinee.data.synthetic import two_groups
from matinee.errors import MatineeError
from matinee.store.artefact import Artefact, load, save

MODES = ("exchange", "renames")
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "ctypes.dlopen", "shutil.rmtree")
IMAGE_MB = 48
FREE, RECORD = -1, -2
"""Instead of a step to die before: none, or record the operations."""
LOG = "operations.json"


def artefacts() -> list[Artefact]:
    """Two fits that differ in every array."""
    data = two_groups(200, 400)
    return [workflow.fit("ease", data, l2=l2) for l2 in (50, 500)]


def state_of(path: Path, fits: list[Artefact]) -> int | str:
    """The number of the fit that loads from a path, whole; or why none does."""
    try:
        found = load(path)
    except MatineeError as error:
        return str(error)
    for number, fit in enumerate(fits):
        if found.model.config == fit.model.config and np.array_equal(found.model.weights, fit.model.weights):
            return number
    return "a mixture"


def without_exchange(mode: str) -> None:
    if mode == "renames":
        writing.exchange = lambda one, other: False  # type: ignore[assignment]


def serve_saves() -> None:
    """Fork a process that saves, for each line `NUMBER MODE STEP PATH`, and wait for its end at the next line."""
    fits = artefacts()  # without polars, whose threads a fork would lose
    print("ready", flush=True)
    for line in sys.stdin:
        number, mode, step, path = line.split(maxsplit=3)
        pid = os.fork()
        if pid == 0:
            without_exchange(mode)
            target = Path(path.strip())
            if int(step) >= 0:
                die_before(int(step))
            operations = record(target.parent) if int(step) == RECORD else []
            save(fits[int(number)], target)
            if int(step) == RECORD:
                target.parent.with_name(LOG).write_text(json.dumps(list(operations)))
            os._exit(0)
        print(pid, flush=True)
        sys.stdin.readline()
        print(os.waitpid(pid, 0)[1], flush=True)


def die_before(step: int) -> None:
    """Kill this process before its operation of that number on the file system, or its fsync."""
    left = [step]

    def count(event: str, *_: object) -> None:
        if event in EVENTS or event == "fsync":
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sync = os.fsync
    os.fsync = lambda number: (count("fsync"), sync(number))[1]  # type: ignore[assignment]
    sys.addaudithook(count)


class Saver:
    """A process that forks savers."""

    def __init__(self) -> None:
        command = [sys.executable, __file__, "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read() == "ready"

    def start(self, number: int, mode: str, path: Path, step: int = FREE) -> int:
        """Begin a save, and return its process id."""
        self._write(f"{number} {mode} {step} {path}")
        return int(self._read())

    def end(self) -> int:
        """Wait for the end of the save, and return its status."""
        self._write("")
        return int(self._read())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Tally:
    """What was found after each fault."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.neither: list[str] = []

    def add(self, found: int | str, old: int, where: str = "") -> None:
        """Count a state; where: names the fault."""
        if isinstance(found, str):
            self.neither.append(f"{where}: {found}")
        self.counts["neither" if isinstance(found, str) else "old" if found == old else "new"] += 1

    def to_json(self) -> dict[str, Any]:
        """Counts, and the first states that were neither."""
        return {key: self.counts[key] for key in ("old", "new", "neither")} | {"examples": self.neither[:5]}


def kills(saver: Saver, fits: list[Artefact], n: int, mode: str, rng: random.Random) -> dict[str, Any]:
    """SIGKILL at random moments of a save, until `n` have hit one; those that came after its end are counted apart."""
    tally, late, left_behind = Tally(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "artefact"
        save(fits[0], path)
        seconds = sorted(_seconds(saver, path, mode) for _ in range(9))[4]
        while sum(tally.counts.values()) < n:
            old = state_of(path, fits)
            if isinstance(old, str):
                raise SystemExit(f"cannot go on: {old}")
            pid = saver.start(1 - old, mode, path)
            time.sleep(rng.uniform(0, 1.1 * seconds))
            os.kill(pid, signal.SIGKILL)
            if saver.end() == 0:
                late += 1
                continue
            left_behind += len(os.listdir(folder)) > 1
            tally.add(state_of(path, fits), old)
        save(fits[0], path)
        swept = os.listdir(folder) == ["artefact"]
    return tally.to_json() | {
        "kills": n, "save_ms": round(1000 * seconds, 1), "came_after_the_save": late,
        "left_something_aside": left_behind, "all_swept_by_the_next_save": swept,
    }  # fmt: skip


def _seconds(saver: Saver, path: Path, mode: str) -> float:
    begun = time.perf_counter()
    saver.start(0, mode, path)
    saver.end()
    return time.perf_counter() - begun


def steps(saver: Saver, fits: list[Artefact], mode: str) -> dict[str, Any]:
    """SIGKILL before each operation of a save."""
    tally, step, swept = Tally(), 0, True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "artefact"
        while True:
            save(fits[0], path)
            swept = swept and os.listdir(folder) == ["artefact"]
            saver.start(1, mode, path, step)
            if saver.end() == 0:
                return tally.to_json() | {"steps": step, "all_swept_by_the_next_save": swept}
            tally.add(state_of(path, fits), 0, f"step {step}")
            step += 1


def commands(n: int, rng: random.Random) -> dict[str, Any]:
    """SIGKILL of the command itself, within 250 ms of the moment at which it begins to save."""
    tally, old = Tally(), "1"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "artefact"
        command = [sys.executable, "-m", "matinee", "train", "popularity", "--out", str(path)]
        subprocess.run([*command, "--seed", old], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for number in range(n):
            new = str(number + 2)
            child = subprocess.Popen([*command, "--seed", new], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while child.poll() is None and not list(Path(folder).glob(".*.part")):
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.25))
            child.kill()
            child.wait()
            try:
                found = str(load(path).manifest["seed"])
            except MatineeError as error:
                tally.add(str(error), 0)
                continue
            tally.add(0 if found == old else 1 if found == new else f"seed {found}", 0)
            old = found
    return tally.to_json() | {"kills": n}


Operation = tuple[str, str, Any]
"""Name, path within the folder, and another path or the content."""


def record(root: Path) -> list[Operation]:
    """The list to which the operations of this process in a folder are added from now on."""
    operations: list[Operation] = []

    def within(path: object) -> str | None:
        text = os.path.abspath(os.fsdecode(path))  # type: ignore[arg-type]
        return os.path.relpath(text, root) if text == str(root) or text.startswith(f"{root}/") else None

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        names = {"os.mkdir": "mkdir", "os.rename": "rename", "os.remove": "unlink", "os.rmdir": "rmdir"}
        if event not in names:
            return
        directory = arguments[1] if event in ("os.remove", "os.rmdir") else -1  # shutil.rmtree opens folders
        first = (
            arguments[0] if directory in (-1, None) else f"{os.readlink(f'/proc/self/fd/{directory}')}/{arguments[0]}"
        )
        if (path := within(first)) is not None:
            operations.append((names[event], path, within(arguments[1]) if event == "os.rename" else None))

    sync, exchange = os.fsync, writing.exchange

    def fsync(number: int) -> None:
        sync(number)
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        content = path.read_bytes().hex() if path.is_file() else None
        operations.append(("fsync", str(within(path)), content))

    def exchanged(one: Path, other: Path) -> bool:
        done = exchange(one, other)
        if done:
            operations.append(("exchange", str(within(one)), within(other)))
        return done

    os.fsync, writing.exchange = fsync, exchanged  # type: ignore[assignment]
    sys.addaudithook(on_event)
    return operations


def after_cut(operations: list[Operation], root: Path, rng: random.Random) -> None:
    """Bring `root`, which is as before the operations, into a state in which a power cut may leave it."""
    done = operations[: rng.randint(0, len(operations))]
    lost_share = rng.choice((0.0, 0.2, 0.5, 0.9, 1.0))
    created: set[str] = set()
    for at, (name, path, other) in enumerate(done):
        target = root / path
        if name == "fsync":
            if other is not None:  # a file: now whole, if its folder is there
                _write(target, bytes.fromhex(other))
            continue
        folders = {os.path.dirname(path) or ".", *([os.path.dirname(other) or "."] if other else [])}
        synced = any(later[0] == "fsync" and later[1] in folders for later in done[at + 1 :])
        if not synced and rng.random() < lost_share:
            continue
        created.add(path)
        _apply(name, target, root / other if other else None)
    for file in [file for file in root.rglob("*") if file.is_file()]:
        synced_names = {operation[1] for operation in done if operation[0] == "fsync"}
        inside = os.path.relpath(file, root)
        if ".part" in inside and inside not in synced_names and rng.random() < 0.7:
            file.write_bytes(file.read_bytes()[: rng.choice((0, file.stat().st_size // 2))])


def _write(target: Path, content: bytes) -> None:
    if target.parent.is_dir():
        target.write_bytes(content)


def _apply(name: str, target: Path, other: Path | None) -> None:
    """One operation on folders; without effect where an operation before it, which it needs, was lost."""
    try:
        if name == "mkdir":
            target.mkdir()
        elif name == "unlink":
            target.unlink()
        elif name == "rmdir":
            target.rmdir()
        elif name == "rename" and other is not None:
            os.rename(target, other)
        elif name == "exchange" and other is not None:
            writing.exchange(target, other)
    except OSError:
        pass


def cuts(saver: Saver, fits: list[Artefact], n: int, mode: str, rng: random.Random) -> dict[str, Any]:
    """States after a power cut, made from the recorded operations of a save."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        root, before = Path(folder).resolve() / "root", Path(folder).resolve() / "before"
        save(fits[0], root / "artefact")
        shutil.copytree(root, before)
        saver.start(1, mode, root / "artefact", RECORD)
        if saver.end() != 0:
            raise SystemExit("the save that was to be recorded failed")
        operations = [tuple(operation) for operation in json.loads(root.with_name(LOG).read_text())]
        for number in range(n):
            shutil.rmtree(root)
            shutil.copytree(before, root)
            after_cut(operations, root, rng)
            tally.add(state_of(root / "artefact", fits), 0, f"cut {number}")
    return tally.to_json() | {"cuts": n, "operations": len(operations)}


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[str]:
    """Mount an ext4 image through a loop device, whose name is yielded; mounting replays its journal."""
    at.mkdir(exist_ok=True)
    device = _command("losetup", "--find", "--show", str(image))
    try:
        _command("mount", device, str(at))
        try:
            yield device
        finally:
            _command("umount", str(at))
    finally:
        _command("losetup", "--detach", device)


def _command(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.strip()


def disks(saver: Saver, fits: list[Artefact], n: int, mode: str, rng: random.Random) -> dict[str, Any]:
    """Power cuts of an ext4 file system during a save."""
    tally, replayed = Tally(), 0
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        image, copy, fresh = top / "disk.img", top / "cut.img", top / "fresh.img"
        fresh.write_bytes(b"")
        os.truncate(fresh, IMAGE_MB * 2**20)
        _command("mkfs.ext4", "-q", "-F", str(fresh))
        with mounted(fresh, top / "mount"):
            save(fits[0], top / "mount" / "artefact")
            seconds = sorted(_seconds(saver, top / "mount" / "artefact", mode) for _ in range(5))[2]
        for number in range(n):
            shutil.copyfile(fresh, image)
            with mounted(image, top / "mount"):
                pid = saver.start(1, mode, top / "mount" / "artefact")
                time.sleep(rng.uniform(0, 1.1 * seconds))
                os.kill(pid, signal.SIGKILL)
                saver.end()
                shutil.copyfile(image, copy)  # what the device was given; the rest is in the kernel's memory
            replayed += "needs_recovery" in _command("dumpe2fs", "-h", str(copy))
            with mounted(copy, top / "mount"):
                tally.add(state_of(top / "mount" / "artefact", fits), 0, f"disk {number}")
    return tally.to_json() | {"cuts": n, "journals_replayed": replayed, "save_ms": round(1000 * seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    can_mount = os.geteuid() == 0 and all(map(shutil.which, ("losetup", "mkfs.ext4", "dumpe2fs")))
    for name, n in {"kills": 250, "cuts": 250, "disks": 20 if can_mount else 0, "commands": 30}.items():
        parser.add_argument(f"--{name}", type=int, default=n, help=f"default: {n}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_saves()
        return
    rng, fits, saver = random.Random(options.seed), artefacts(), Saver()
    found: dict[str, Any] = {"seed": options.seed}
    parts: dict[str, Callable[[str], dict[str, Any]]] = {
        "cuts": lambda mode: cuts(saver, fits, options.cuts, mode, rng),
        "kills": lambda mode: kills(saver, fits, options.kills, mode, rng),
        "steps": lambda mode: steps(saver, fits, mode),
        "disks": lambda mode: disks(saver, fits, options.disks, mode, rng),
    }
    for name, run in parts.items():
        if name == "steps" or getattr(options, name):
            found[name] = {mode: run(mode) for mode in MODES}
    if options.commands:
        found["commands"] = commands(options.commands, rng)
    saver.close()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

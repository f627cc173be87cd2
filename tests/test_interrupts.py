"""Ctrl+C and SIGTERM at any moment end a command in one line."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from matinee.cli.running import run

pytestmark = pytest.mark.slow

SCRIPT = """
import os, signal, sys
target, number = sys.argv.pop(1), int(sys.argv.pop(1))

class Sender:
    "Sends a signal to this process when a module is imported."
    def find_spec(self, name, path=None, module=None):
        if name == target:
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Sender())
from matinee.cli import main
main()
"""
TRAIN = ("train", "ease", "--data", "bundled", "--out", "x")
MODULES = (
    "typer",
    "rich.console",
    "pydantic",
    "matinee.cli.options",
    "numpy",
    "polars",
    "scipy.sparse",
    "matinee.workflow",
)


@pytest.mark.parametrize("module", MODULES)
def test_ctrl_c_while_a_module_is_imported(tmp_path: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module, str(int(signal.SIGINT)), *TRAIN],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_command_works(tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "matinee", "evaluate", "ease", "--data", "bundled", "--samples", "100000", "-v"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        assert "reading bundled" in process.stderr.readline()
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == code
    assert rest.endswith("error: interrupted\n" if code == 130 else "error: terminated\n")
    assert "Traceback" not in rest


def test_signals_are_as_before_after_a_command() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run(["train", "nothing", "-q"]) == 2
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

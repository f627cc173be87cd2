"""How long a newcomer takes from `pip install` to lists of their own: docs/quickstart.md, followed as it stands.

    python benchmarks/newcomer.py > benchmarks/newcomer.json

In an empty environment and an empty folder it installs what the page says, opens the demo until its first page answers,
and runs each command and each block of Python of the page, in order; then audit, training and lists of a log with odd
columns (ODD). Prints one JSON object: for each step its seconds by the clock, which other work on the machine makes
longer, and those of the processor, which it does not.
"""

import json
import os
import random
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "quickstart.md"
PORT = 8437
ODD = "--user Kunden-Nr. --item Artikel --value Menge --at 'Bestellt am'"
"""The columns of a log with a byte-order mark, semicolons, decimal commas, days before months, and ids with commas."""


def main() -> None:
    text = PAGE.read_text("utf-8")
    steps: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        here, binaries = Path(folder), Path(folder, ".venv", "bin")
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MATINEE_DATA")}
        environment |= {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "HOME": folder}

        def step(what: str, command: list[str], source: str | None = None) -> None:
            run = lambda: subprocess.run(  # noqa: E731 - what is timed
                command, cwd=here, env=environment, input=source, text=True, check=True, stdout=subprocess.DEVNULL
            )
            steps.append({"step": what} | timed(run))

        step("python3 -m venv .venv", [sys.executable, "-m", "venv", ".venv"])
        wanted = re.search(r"^pip install '\.(.*)'$", text, flags=re.M)[1]  # type: ignore[index]
        step(f"pip install '.{wanted}'", ["pip", "install", "--quiet", f"{PROJECT}{wanted}"])
        steps.append({"step": "matinee demo, until its page answers"} | timed(lambda: demo(here, environment)))
        for language, code in re.findall(r"^```(python|sh)\n(.*?)^```$", text, flags=re.M | re.S):
            if language == "python":
                step(code.splitlines()[0] + " ...", ["python", "-"], code)
            for line in code.splitlines() if language == "sh" else ():
                if line != "matinee demo":
                    step(line, shlex.split(line))
        own_lists = sum(each["seconds"] for each in steps)
        write_odd_log(here / "orders.csv")
        for line in (
            f"matinee data audit orders.csv {ODD}",
            f"matinee train ease --data orders.csv {ODD} --out odd",
            "matinee recommend odd --users all -k 5 --out odd.csv",
        ):
            step(line, shlex.split(line))
        assert len((here / "odd.csv").read_text("utf-8").splitlines()) == 1 + 90 * 5
    total = {
        "seconds": round(own_lists, 1),
        "processor_seconds": round(sum(each["processor"] for each in steps[:-3]), 1),
    }
    print(json.dumps({"from_install_to_lists": total, "steps": steps}, indent=2))


def timed(run: Callable[[], object]) -> dict[str, float]:
    """Seconds by the clock, and of the processor in the processes that ran."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - started
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 1), "processor": round(processor, 1)}


def demo(folder: Path, environment: dict[str, str]) -> None:
    command = ["matinee", "demo", "--no-browser", "--port", str(PORT)]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as site:
        try:
            while not answers(f"http://127.0.0.1:{PORT}/"):
                assert site.poll() is None, "the demo ended"
                time.sleep(0.2)
        finally:
            site.terminate()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def write_odd_log(path: Path) -> None:
    """Orders of 90 customers, of three tastes."""
    draw = random.Random(2)
    lines = ["Bestellt am;Artikel;Kunden-Nr.;Menge;Bemerkung"]
    for order in range(1_800):
        customer = draw.randrange(90)
        article = f"Gr\u00f6\u00dfe {customer % 3}, Nr. {draw.randrange(20)}"
        amount = f"{draw.randrange(1, 9)},5"
        lines.append(f"{1 + order % 28:02}.{1 + order // 150:02}.2025;{article};{customer:04};{amount};")
    path.write_text("\n".join(lines) + "\n", "utf-8-sig")


if __name__ == "__main__":
    main()

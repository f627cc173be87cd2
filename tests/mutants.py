"""Breaks the code in many small ways and counts how many the tests notice (see docs/testing.md).

Cosmic Ray says which mutants there are. A sample is drawn: positions in the code first, each equally likely, then
one mutant of each, so that an operator with many replacements does not crowd out the rest. Each mutant is written to a
copy of the package, and the tests that tests/mutants.toml names for its module run in a process forked from this one,
which has imported the libraries.
"""

import argparse
import ast
import compileall
import contextlib
import importlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import cosmic_ray.ast
import cosmic_ray.mutating
import cosmic_ray.plugins

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "src" / "matinee"
LIBRARIES = ("numpy", "scipy.sparse", "polars", "pydantic", "sqlalchemy", "safetensors.numpy", "hypothesis", "pytest",
             "fastapi", "starlette.testclient", "uvicorn", "playwright.sync_api", "argon2", "jinja2")  # fmt: skip
LEAST = 0.95
"""Share of the mutants that must die."""
FIRST_LIMIT = 600.0
"""Seconds for the tests of a module as it is; its mutants get four times what they took."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change at one position. module: below src/matinee; occurrence: which position of the operator, from 0."""

    module: str
    line: int
    operator: str
    occurrence: int

    def apply(self, source: str) -> str:
        """The source with this one change."""
        operator = cosmic_ray.plugins.get_operator(self.operator)()
        mutated: str | None = cosmic_ray.mutating.mutate_code(source, operator, self.occurrence)
        if mutated is None:
            raise ValueError(f"{self} is no mutant of this source")
        return mutated


def positions_of(module: str, source: str, speed: Collection[str] = ()) -> list[list[Mutant]]:
    """Every position that can be mutated, with its mutants; see _passive for what is left out."""
    tree = cosmic_ray.ast.get_ast(source)
    nodes = list(cosmic_ray.ast.ast_nodes(tree))
    passive = list(_passive(source, speed))
    found: dict[tuple[int, int], list[Mutant]] = {}
    for name in sorted(cosmic_ray.plugins.operator_names()):
        operator_class = cosmic_ray.plugins.get_operator(name)
        if operator_class.arguments():
            continue
        operator = operator_class()
        positions = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, start in enumerate(positions):
            if not any(first <= start < last for first, last in passive):
                found.setdefault(start, []).append(Mutant(module, start[0], name, occurrence))
    return [found[start] for start in sorted(found)]


def _passive(source: str, speed: Collection[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Start and end of what no list, score or file depends on.

    Annotations, options of a dataclass (slots, eq), and constants that decide about speed and memory alone.
    """
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.expr | None] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.ClassDef):
            parts += [call for call in node.decorator_list if isinstance(call, ast.Call)]
        if isinstance(node, ast.Assign):
            names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
            parts += [node.value] if names & set(speed) and node.col_offset == 0 else []
        for part in parts:
            if isinstance(part, ast.expr):
                yield (part.lineno, part.col_offset), (part.end_lineno or 0, part.end_col_offset or 0)


def sample(all_positions: list[list[Mutant]], n_mutants: int, seed: int) -> list[Mutant]:
    """One mutant at each of some positions, in the order of the files."""
    draw = random.Random(seed)
    drawn = draw.sample(all_positions, min(n_mutants, len(all_positions)))
    return sorted((draw.choice(mutants) for mutants in drawn), key=lambda mutant: (mutant.module, mutant.line))


class Copy:
    """A copy of the package in which one mutant at a time is written and tested."""

    def __init__(self, folder: Path) -> None:
        self.source, self.folder = folder / "src", folder
        shutil.copytree(PACKAGE, self.source / "matinee", ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(self.source, quiet=2)
        self._child, self._started, self._limit = 0, 0.0, 0.0

    def start(self, mutant: Mutant | None, tests: list[str], limit: float) -> None:
        """Begin to test a mutant, or the code as it is; at most `limit` seconds long."""
        if mutant is not None:
            path = self.source / "matinee" / mutant.module
            # a mutant of the same size, written in the same second, would run as the module that was compiled before
            Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
            path.write_text(mutant.apply((PACKAGE / mutant.module).read_text("utf-8")), "utf-8")
        self._started, self._limit = time.monotonic(), limit
        self._child = os.fork()
        if self._child == 0:
            self._run(tests)

    def result(self) -> tuple[str, float] | None:
        """survived, killed or timeout, and the seconds it took; None as long as the tests run."""
        done, status = os.waitpid(self._child, os.WNOHANG)
        seconds = time.monotonic() - self._started
        if done:
            return ("survived" if status == 0 else "killed"), seconds
        if seconds < self._limit:
            return None
        os.killpg(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        return "timeout", seconds

    def restore(self, mutant: Mutant) -> None:
        """Take the mutant out again."""
        shutil.copyfile(PACKAGE / mutant.module, self.source / "matinee" / mutant.module)

    def output(self) -> str:
        """What the last tests printed."""
        return (self.folder / "output.txt").read_text("utf-8", "replace")

    def _run(self, tests: list[str]) -> None:
        """Run the tests in this process, and end it: with 0 if all pass."""
        code = 1
        try:
            os.setpgrp()
            with (self.folder / "output.txt").open("w") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            os.environ["PYTHONPATH"] = str(self.source)
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(self.folder / "hypothesis")
            sys.dont_write_bytecode = True
            sys.path.insert(0, str(self.source))
            os.chdir(PROJECT)
            options = [
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
                "--hypothesis-seed=1",
                "-Wignore::pytest.PytestAssertRewriteWarning",
            ]
            pytest = importlib.import_module("pytest")
            code = int(pytest.main([*options, f"--basetemp={self.folder / 'tests'}", *tests]))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


Job = tuple[str, Mutant | None]
"""A module, and what to change in it."""


def run_all(
    jobs: list[Job], tests: dict[str, list[str]], copies: list[Copy], limits: dict[str, float]
) -> Iterator[tuple[Job, str, float, str]]:
    """What became of each job, how long it took and what the tests printed, as they end; as many at once as copies."""
    waiting, free, busy = list(reversed(jobs)), list(copies), dict[Copy, Job]()
    while waiting or busy:
        while waiting and free:
            copy, job = free.pop(), waiting.pop()
            copy.start(job[1], tests[job[0]], limits.get(job[0], FIRST_LIMIT))
            busy[copy] = job
        time.sleep(0.02)
        for copy, job in list(busy.items()):
            found = copy.result()
            if found is not None:
                if job[1] is not None:
                    copy.restore(job[1])
                yield job, *found, copy.output()
                free.append(copy)
                del busy[copy]


def run(mutants: list[Mutant], tests: dict[str, list[str]], workers: int) -> dict[Mutant, str]:
    """What became of each mutant. Raises SystemExit where the code as it is fails its tests."""
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-")) for _ in range(workers)]
        copies = [Copy(Path(folder)) for folder in folders]
        limits: dict[str, float] = {}
        modules: list[Job] = [(module, None) for module in sorted({mutant.module for mutant in mutants})]
        for (module, _), found, seconds, output in run_all(modules, tests, copies, limits):
            if found != "survived":
                raise SystemExit(f"{output}\nthe tests of {module} fail on the code as it is")
            print(f"unchanged {seconds:5.1f} s  {module}", file=sys.stderr, flush=True)
            limits[module] = 20 + 4 * seconds
        outcome: dict[Mutant, str] = {}
        jobs: list[Job] = [(mutant.module, mutant) for mutant in mutants]
        for (_, mutant), found, seconds, _ in run_all(jobs, tests, copies, limits):
            if mutant is not None:
                outcome[mutant] = found
                name = mutant.operator.removeprefix("core/")
                print(f"{found:<9} {seconds:5.1f} s  {mutant.module}:{mutant.line} {name}", file=sys.stderr, flush=True)
        return {mutant: outcome[mutant] for mutant in mutants}


def diff(mutant: Mutant) -> list[str]:
    """The changed lines."""
    source = (PACKAGE / mutant.module).read_text("utf-8")
    lines = unified_diff(source.splitlines(), mutant.apply(source).splitlines(), lineterm="", n=0)
    return [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]


def main() -> None:
    """Draw, run, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=200, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], metavar="MODULE", help="such as ranking/rank.py")
    parser.add_argument("--part", default="1/1", help="1/2 and 2/2 are the two halves of a sample, for two machines")
    parser.add_argument("--again", type=Path, help="test the survivors of an earlier result, a JSON file, instead")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    asked = parser.parse_args()
    table = tomllib.loads((PROJECT / "tests" / "mutants.toml").read_text("utf-8"))
    tests = {module: entry["tests"] for module, entry in table.items() if not asked.only or module in asked.only}
    all_positions = [
        mutants
        for module in tests
        for mutants in positions_of(module, (PACKAGE / module).read_text("utf-8"), table[module].get("speed", ()))
    ]
    part, n_parts = map(int, asked.part.split("/"))
    mutants = sample(all_positions, asked.sample, asked.seed)[part - 1 :: n_parts]
    if asked.again:
        earlier = json.loads(asked.again.read_text("utf-8"))["survivors"]
        mutants = [Mutant(*(each[key] for key in ("module", "line", "operator", "occurrence"))) for each in earlier]
    for name in LIBRARIES:
        importlib.import_module(name)
    started = time.perf_counter()
    outcome = run(mutants, tests, asked.workers)
    counts = Counter(outcome.values())
    survivors = [mutant for mutant, found in outcome.items() if found == "survived"]
    share = 1 - len(survivors) / max(1, len(mutants))
    result = {
        "positions": len(all_positions),
        "mutants": len(mutants),
        "seed": asked.seed,
        "part": asked.part,
        **{found: counts[found] for found in ("killed", "timeout", "survived")},
        "share_killed": round(share, 4),
        "seconds": round(time.perf_counter() - started, 1),
        "survivors": [
            {"module": m.module, "line": m.line, "operator": m.operator, "occurrence": m.occurrence, "diff": diff(m)}
            for m in survivors
        ],
    }
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        for mutant in survivors:
            print("\n".join([f"{mutant.module}:{mutant.line} {mutant.operator}", *diff(mutant)]))
        print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants died ({share:.1%})")
    sys.exit(0 if share >= LEAST else 1)


if __name__ == "__main__":
    main()

"""`--quick` leaves out tests that take long, by the list in quick_tests.txt; `--time-quick` measures and writes it.

Seconds are of the processor, with child processes, so that other programs hardly change the list; of the clock only
where a test waits for long.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

LIST = Path(__file__).with_suffix(".txt")
LONGEST = 0.04
"""Seconds of the processor for a test that `--quick` runs, with its fixtures."""
LONGEST_WAIT = 1.0
"""Seconds by the clock."""
HEADING = "# Tests of which a case took long; written by `make time-fast`.\n"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help=f"leave out the tests that {LIST.name} names")
    parser.addoption("--time-quick", action="store_true", help=f"measure what runs, and write {LIST.name}")


def name_of(item: pytest.Item) -> str:
    """Of the file and the test, without a case."""
    return item.nodeid.removeprefix("tests/").partition("[")[0]


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--time-quick"):
        config.pluginmanager.register(Timer())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--quick"):
        return
    longer = set(LIST.read_text().splitlines())
    config.hook.pytest_deselected(items=[item for item in items if name_of(item) in longer])
    items[:] = [item for item in items if name_of(item) not in longer]


class Timer:
    """Measures each test, and writes the names of the longer ones."""

    def __init__(self) -> None:
        self.longer: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Time a test with its fixtures."""
        before = os.times()
        try:
            return (yield)
        finally:
            *used, waited = (after - then for after, then in zip(os.times(), before, strict=True))
            if sum(used) > LONGEST or waited > LONGEST_WAIT:
                self.longer.add(name_of(item))

    def pytest_sessionfinish(self) -> None:
        """Write the list."""
        LIST.write_text(HEADING + "".join(f"{name}\n" for name in sorted(self.longer)))

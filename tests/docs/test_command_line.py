"""The page of the command line names every command and option, and its examples do what they show."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from matinee.cli.running import run

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")


@pytest.fixture(scope="module")
def writer(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("write_commands")


def test_the_list_of_commands_is_that_of_the_application(writer: ModuleType) -> None:
    assert writer.updated(PAGE) == PAGE, "run `python docs/write_commands.py`"


def test_every_command_has_a_heading_and_every_option_a_line_below_it(writer: ModuleType) -> None:
    sections = dict(re.findall(r"^### (.+)\n((?:(?!#).*\n)*)", PAGE, flags=re.MULTILINE))
    for name, command in writer.commands():
        section = sections[f"matinee {name}"]
        for parameter in writer.parameters(command):
            if parameter.param_type_name == "option":
                assert re.search(rf"^- `.*{re.escape(parameter.opts[0])}\b.*`: .", section, flags=re.MULTILINE), (
                    parameter
                )
            assert parameter.help, f"{name} {parameter.name}"


def test_the_errors_shown_are_those_of_today(capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.findall(r"^\$ matinee (.+)\n(error: .+)$", PAGE, flags=re.MULTILINE)
    assert shown
    for line, error in shown:
        assert run(shlex.split(line)) == 2
        assert capsys.readouterr().err == f"{error}\n"


def test_the_exit_codes_are_those_of_the_code() -> None:
    from matinee.cli import failures, running

    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)}
    ours = {failures.FAILED, failures.WRONG_USAGE, failures.INTERRUPTED, failures.TERMINATED, running.PIPE_CLOSED}
    assert codes == {0} | ours

"""Write the list of commands and options in docs/command-line.md, from the application itself.

A test fails when the page no longer matches.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from matinee.cli.commands import SWITCHES, build

Parsed: TypeAlias = Any  # typer does not export the classes of its commands and parameters
PAGE = Path(__file__).with_name("command-line.md")
BEGIN, END = "<!-- written by docs/write_commands.py -->\n", "<!-- end -->\n"


def listing() -> str:
    """A heading for each command, its help, and a line for each argument and option."""
    return "\n".join(line for name, command in commands() for line in _section(name, command))


def commands() -> Iterator[tuple[str, Parsed]]:
    """Each command with its name, such as ("data list", ...), in the order of --help."""

    def below(prefix: str, command: Parsed) -> Iterator[tuple[str, Parsed]]:
        inner = getattr(command, "commands", {})
        if not inner:
            yield prefix.strip(), command
        for name, each in inner.items():
            yield from below(f"{prefix} {name}", each)

    return below("", build())


def parameters(command: Parsed) -> list[Parsed]:
    """The arguments and options of a command, without --help and those that every command has."""
    return [each for each in command.params if each.name not in (*SWITCHES, "help")]


def updated(page: str) -> str:
    """The page with the listing of today."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{listing()}\n{END}{tail}"


def _section(name: str, command: Parsed) -> Iterator[str]:
    yield f"### matinee {name}\n"
    yield " ".join((command.help or "").split()) + "\n"
    for each in parameters(command):
        yield f"- {_names(each)}: {' '.join((each.help or '').split())}"
    yield ""


def _names(parameter: Parsed) -> str:
    """`--out PATH`: how a parameter is written."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    value = "" if getattr(parameter, "is_flag", False) else parameter.metavar or "VALUE"
    return f"`{' '.join([', '.join(parameter.opts), *([value] if value else [])])}`"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text("utf-8")), "utf-8")

"""The Korean names of well-known movies, from a list (korean_titles.toml)."""

import re
import tomllib
from functools import cache
from pathlib import Path

from matinee.titles import split_year, spoken_title, title_key

_NUMBER = re.compile(r" (?=\d+\b)")
"""The blank before a number."""


def korean_title(title: str) -> str:
    """The name under which a movie was released in Korea, empty if the list does not have it.

    title: as in the data, such as `Host, The (Gwoemul) (2006)`. A name of the list with a year is of that movie only.
    A number stays on the line of the word before it.
    """
    key = title_key(spoken_title(title).name)
    return _titles().get((key, split_year(title)[1])) or _titles().get((key, 0), "")


@cache
def _titles() -> dict[tuple[str, int], str]:
    """Korean names by the key of the English one and the year, 0 for a name that is not bound to one."""
    table = tomllib.loads(Path(__file__).with_name("korean_titles.toml").read_text("utf-8"))
    return {
        (title_key(spoken_title(english).name), split_year(english)[1]): _NUMBER.sub("\u00a0", korean)
        for english, korean in table["titles"].items()
    }

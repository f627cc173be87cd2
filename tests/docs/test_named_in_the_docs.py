"""What a user can name stands in the documents: variables of the environment, figures of a scrape, both READMEs.

Commands, options and exit codes are held by test_command_line.py, settings and public names by test_docs_site.py,
metrics by test_metrics.py, splits by test_data_page.py, routes by serve/test_pages.py.
"""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CODE = [path.read_text("utf-8") for path in (PROJECT / "src").rglob("*.py")]
README = (PROJECT / "README.md").read_text("utf-8")
KOREAN = (PROJECT / "README.ko.md").read_text("utf-8")


def rows(page: str) -> set[str]:
    """The names in the first cells of the tables of a page."""
    text = (PROJECT / "docs" / page).read_text("utf-8")
    return {name for cell in re.findall(r"^\| (`.+?) \|", text, flags=re.M) for name in re.findall(r"`(\w+)`", cell)}


def test_every_variable_that_the_code_reads_has_a_row() -> None:
    named = {name for text in CODE for name in re.findall(r"""environ(?:\.get\(|\[)"(MATINEE_\w+|XDG_\w+)""", text)}
    assert len(named) >= 3
    assert named <= rows("command-line.md")


def test_every_figure_of_a_scrape_has_a_row() -> None:
    named = {name for text in CODE for name in re.findall(r'[(,]\s*"(matinee_[a-z_]+)", "[A-Z]', text)}
    assert len(named) >= 6
    shown = rows("operating.md")
    assert {name for name in named if not {name, f"{name}_total"} & shown} == set()


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, without comments."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)
    return [re.sub(r" *#.*", "", block) for block in found]


def test_the_korean_readme_has_the_commands_code_pictures_and_numbers_of_the_english_one() -> None:
    for language in ("sh", "python"):
        assert blocks(KOREAN, language) == blocks(README, language)
    pictures = r"!\[[^\]]*\]\(([^)]+)\)"
    assert re.findall(pictures, KOREAN) == re.findall(pictures, README)
    fast = r"^\| .*?(\d[\d.]*) ?(?:s|초)"
    assert re.findall(fast, KOREAN, flags=re.M) == re.findall(fast, README, flags=re.M)
    sizes = r"([\d.,]+) (?:MB|GB)(?![A-Za-z])"
    assert set(re.findall(sizes, KOREAN)) >= set(re.findall(sizes, README))


def test_the_korean_readme_leads_where_the_english_one_leads() -> None:
    """Its tables of scores are left out, and the list of all documents."""
    link = r"(?<!!)\[[^\]]*\]\((docs/[^)#]+)\)"
    english = set(re.findall(link, README.split("## Models")[0]))
    assert english <= set(re.findall(link, KOREAN))

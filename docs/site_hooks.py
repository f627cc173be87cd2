"""What mkdocs needs beyond its settings: sections for whole folders, links to files that are no pages, and the code."""

import re
import shutil
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent
STATIC = DOCS.parent / "src" / "matinee" / "serve" / "static"
FONTS = "assets/fonts"
FOLDERS = {"Each model": "models", "Laboratory": "laboratory", "Decisions": "decisions"}
SHIM = "iframe-worker-1.0.4.js"
LIST_AFTER_TEXT = re.compile(r"^((?![-|#>`\s]|\d+\.).+)\n(?=- )", flags=re.M)
FENCED = re.compile(r"(^```.*?^```$)", flags=re.M | re.S)
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


@event_priority(50)  # before mkdocstrings reads its settings
def on_config(config: Any) -> Any:  # noqa: ANN401 - mkdocs' own class
    """Add a section for each folder, its pages by their headings, and give mkdocstrings the code.

    It gets a copy without `matinee/__init__.pyi`, where `models` is the function that it also is: by that alone, there
    is no module below it.
    """
    code = Path(config.site_dir).parent / "code"
    shutil.rmtree(code, ignore_errors=True)
    shutil.copytree(DOCS.parent / "src", code, ignore=shutil.ignore_patterns("*.pyi", "__pycache__"))
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(code)]
    for title, folder in FOLDERS.items():
        pages = sorted((DOCS / folder).glob("*.md"))
        listed = {entry for section in config.nav for entry in _paths(section)}
        config.nav.append(
            {
                title: [
                    {_heading(each): path}
                    for each in pages
                    if (path := each.relative_to(DOCS).as_posix()) not in listed
                ]
            }
        )
    return config


def on_files(files: Files, config: Any, **_: object) -> Files:  # noqa: ANN401 - mkdocs' own class
    """Add the Korean font of the movie site, of which a page loads the parts that it needs, with its licence."""
    rules = re.findall(r"@font-face\s*{[^}]*hangul-[^}]*}", (STATIC / "fonts.css").read_text("utf-8"))
    style = re.sub(r"url\(\W?[^)]*?(hangul-\d+\.woff2)\W?\)", r"url(\1)", "\n".join(rules))
    files.append(File.generated(config, f"{FONTS}/hangul.css", content=style))
    for font in (*(STATIC / "fonts").glob("hangul-*.woff2"), STATIC / "fonts" / "LICENSE-Pretendard.txt"):
        files.append(File.generated(config, f"{FONTS}/{font.name}", abs_src_path=str(font)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:  # noqa: ANN401 - mkdocs' own class
    """Links to files of the repository that are no pages become their paths, for the site has no such files.

    And a list right below a line of text gets the empty line that this Markdown wants.
    """
    here = Path(page.file.abs_src_path).parent

    def shown(link: re.Match[str]) -> str:
        text, target, _anchor = link.groups()
        if re.match(r"[a-z]+:", target):
            return link[0]
        path = (here / target).resolve()
        if path.is_dir() and (path / "README.md").is_file() and path.is_relative_to(DOCS):
            return f"[{text}]({target.rstrip('/')}/README.md)"
        if path.is_relative_to(DOCS) and path.is_file() and path.suffix != ".py":
            return link[0]
        inside = path.relative_to(DOCS.parent).as_posix()
        return f"`{inside}`" if text.strip("`") in (inside, target) else f"{text} (`{inside}`)"

    parts = FENCED.split(LINK.sub(shown, markdown))  # text and code in turn
    return "".join(part if n % 2 else LIST_AFTER_TEXT.sub(r"\1\n\n", part) for n, part in enumerate(parts))


def on_post_page(output: str, page: Any, **_: object) -> str:  # noqa: ANN401 - mkdocs' own class
    """The script by which the search works from the disk comes with the site, not from another host.

    And a page in another language says so.
    """
    shown = _with_shim(output, "../" * page.url.count("/"))
    return shown.replace('<html lang="en"', '<html lang="ko"') if page.url.endswith(".ko.html") else shown


def on_post_template(output: str, template_name: str, **_: object) -> str:
    """No page for addresses that do not exist: its links are those of a server's root, and a disk has no use for it."""
    return "" if template_name == "404.html" else output


def _with_shim(output: str, above: str) -> str:
    return output.replace("https://unpkg.com/iframe-worker/shim", f"{above}assets/{SHIM}")


def _paths(entry: Any) -> list[str]:  # noqa: ANN401 - a tree of lists and dicts
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [path for each in inner for path in _paths(each)]


def _heading(page: Path) -> str:
    """The first heading of a page; README.md gives the folder's."""
    return re.search(r"^# (.+)$", page.read_text("utf-8"), flags=re.M)[1]  # type: ignore[index]

"""A document as one HTML file that loads nothing from elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from matinee.destinations import MARK
from matinee.report.comparison.document import Block, Document, Picture, Section, Table
from matinee.report.comparison.theme import to_svg


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring blocks that are set side by side: several figures, or one of another kind."""

    kind: Literal["figures", "text", "table", "code"]
    blocks: tuple[Block, ...]


def to_html(document: Document) -> str:
    """The document as a page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("page.html")
    return page.render(document=document, mark=MARK.decode(), groups=lambda section: list(_groups(section)), svg=_svg)


def _groups(section: Section) -> Iterator[Group]:
    pictures: list[Block] = []
    for block in section.blocks:
        if isinstance(block, Picture):
            pictures.append(block)
            continue
        if pictures:
            yield Group("figures", tuple(pictures))
            pictures = []
        yield Group("text" if isinstance(block, str) else "table" if isinstance(block, Table) else "code", (block,))
    if pictures:
        yield Group("figures", tuple(pictures))


def _svg(picture: Picture) -> Markup:
    return Markup(to_svg(picture.figure, picture.name, f"{picture.title}. {picture.caption}"))

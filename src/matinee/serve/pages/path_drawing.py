"""The drawing of a reason: the visitor's items, what they share with the recommended one, and that one."""

from dataclasses import dataclass
from typing import Literal

from matinee.serve.pages.cards import Card
from matinee.serve.pages.i18n import Texts
from matinee.serve.pages.sentences import kind_of, sentence, word_of

WIDTH, GAP, BOX_HEIGHT, STEP = 360, 16, 56, 96
"""In units of the drawing, which is as wide as a telephone: boxes stand in rows, one STEP below the other."""
LONGEST_LINE = 21
"""Letters of a title that fit into a line of half the width; a Korean letter is as wide as two."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box with lines of text. role: cited, shared or item."""

    role: Literal["cited", "shared", "item"]
    x: int
    y: int
    width: int
    lines: tuple[str, ...]
    height: int = BOX_HEIGHT


@dataclass(frozen=True, slots=True)
class PathDrawing:
    """Boxes, the lines between them (x, y, x, y), and the same in words."""

    text: str
    boxes: tuple[Box, ...]
    lines: tuple[tuple[int, int, int, int], ...]
    height: int
    width: int = WIDTH


def draw_path(texts: Texts, card: Card) -> PathDrawing | None:
    """The way from the reasons of a card to its movie; None without reasons."""
    if not card.reasons:
        return None
    half = (WIDTH - GAP) // 2
    first = (WIDTH - half) // 2 if len(card.reasons) == 1 else 0
    cited = [
        Box("cited", first + place * (half + GAP), 0, half, _lines(_named(reason)))
        for place, reason in enumerate(card.reasons)
    ]
    middle: list[Box] = []
    if card.shared is not None:
        what = texts(f"shared.as.{kind_of(card.shared)}", attribute=card.shared.attribute.replace("_", " "))
        middle = [
            Box(
                "shared",
                (WIDTH - half) // 2,
                STEP,
                half,
                _cut(tuple(filter(None, (what, word_of(texts, card.shared))))),
            )
        ]
    item = Box("item", (WIDTH - half) // 2, STEP * (1 + len(middle)), half, _lines(_named(card)))
    lines = [_between(box, (middle or [item])[0]) for box in cited] + [_between(box, item) for box in middle]
    text = sentence(texts, [_named(reason) for reason in card.reasons], card.shared, liked=card.liked)
    return PathDrawing(f"{text}: {_named(card)}", (*cited, *middle, item), tuple(lines), item.y + BOX_HEIGHT)


def _named(card: Card) -> str:
    return f"{card.title.name} ({card.year})" if card.year else card.title.name


def _between(upper: Box, lower: Box) -> tuple[int, int, int, int]:
    return upper.x + upper.width // 2, upper.y + upper.height, lower.x + lower.width // 2, lower.y


def _lines(title: str) -> tuple[str, ...]:
    """A title in at most two lines, broken at blanks."""
    lines = [""]
    for word in title.split():
        if lines[-1] and _length(f"{lines[-1]} {word}") > LONGEST_LINE:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return _cut((lines[0], " ".join(lines[1:])) if len(lines) > 1 else (lines[0],))


def _cut(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Lines that fit, with three dots where they are cut."""
    return tuple(line if _length(line) <= LONGEST_LINE else _head(line) + "…" for line in lines)


def _head(line: str) -> str:
    while _length(line) >= LONGEST_LINE:
        line = line[:-1]
    return line.rstrip()


def _length(text: str) -> int:
    """Letters, those of Korean, Chinese and Japanese as two."""
    return sum(2 if letter >= "\u1100" else 1 for letter in text)

"""The encoding of a text file: by its mark, as a person names it, else UTF-8. None is guessed."""

import codecs
import re
from dataclasses import dataclass

from matinee.errors import DataError

BYTE_ORDER_MARK = codecs.BOM_UTF8
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
"""First bytes -> encoding; UTF-32's begin with UTF-16's."""
_SHOWN = ("cp1252", "cp949")
"""Encodings in which an error shows what it stumbled on, for its reader to judge."""
_BEFORE, _AFTER = re.compile(rb'[^,;|\t\r\n"]{0,40}\Z'), re.compile(rb'[^,;|\t\r\n"]{0,40}')
_WINDOW = 40
_HEAD = 1_000
"""Bytes by which UTF-16 without its mark is recognised."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What is known of a file's encoding before it is read.

    name: as a person names it, None if they do not; option: where they can, empty for nowhere; fallback: that of what
    is not UTF-8 and has no name, such as Latin-1 for the older MovieLens.
    """

    name: str | None = None
    option: str = ""
    fallback: str | None = None

    def stated(self, raw: bytes) -> tuple[str, str] | None:
        """The encoding that a file's first bytes or the person states, and which of them did; None for neither."""
        if (mark := _mark(raw)) is not None:
            return mark, "by its mark"
        return None if self.name is None else (codecs.lookup(self.name).name.removesuffix("-sig"), "as named")

    def note(self, raw: bytes) -> str | None:
        """A sentence on the encoding of a file that is not plain UTF-8."""
        stated = self.stated(raw)
        return None if stated is None or stated[0] == "utf-8" else f"read as {stated[0]}, {stated[1]}"


UTF_8 = Encoding()


def decode(raw: bytes, where: str, encoding: Encoding = UTF_8) -> bytes:
    r"""Re-encode a file's bytes as UTF-8 without a byte-order mark, lines ending in \n.

    Raises DataError if it is not text, and if it is not what its mark or its name says.
    """
    mark, stated, name, option = _mark(raw), encoding.stated(raw), encoding.name, encoding.option
    if name is not None and mark is not None and not codecs.lookup(name).name.startswith(mark):
        raise DataError(f"{where} begins with the mark of {mark}, so it is not {name}; leave {option} out")
    if stated is not None and stated[0] != "utf-8":
        raw = _recoded(raw, *stated, where)
    while raw.startswith(BYTE_ORDER_MARK):  # joined files and some exports have several
        raw = raw.removeprefix(BYTE_ORDER_MARK)
    if b"\0" in raw:
        raise DataError(_on_zeros(raw, where, option))
    if not raw.isascii():
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            if encoding.fallback is None or name is not None:
                line = raw.count(b"\n", 0, error.start) + 1
                byte, fix = f"0x{raw[error.start]:02x}", _fix(raw, error.start, option)
                raise DataError(f"{where}, line {line}: byte {byte} is not UTF-8; {fix}") from None
            raw = raw.decode(encoding.fallback, "replace").encode()
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw


def _mark(raw: bytes) -> str | None:
    return next((encoding for mark, encoding in _MARKS.items() if raw.startswith(mark)), None)


def _recoded(raw: bytes, encoding: str, by: str, where: str) -> bytes:
    try:
        return raw.decode(encoding).encode()
    except UnicodeDecodeError as error:
        if by == "by its mark":
            raise DataError(f"{where} begins like {encoding} text but is not; save the file as UTF-8 text") from None
        line = raw[: error.start].decode(encoding, "replace").count("\n") + 1
        problem = f"byte 0x{raw[error.start]:02x} is not {encoding}"
    except UnicodeError:  # half a pair, which some encodings can write
        line, problem = 1, f"it is not {encoding}"
    raise DataError(f"{where}, line {line}: {problem}; name another encoding, or save the file as UTF-8 text")


def _on_zeros(raw: bytes, where: str, option: str) -> str:
    """What is wrong with a file that has zero bytes: it is no text, or UTF-16 without its mark."""
    halves = {"utf-16-be": raw[0:_HEAD:2], "utf-16-le": raw[1:_HEAD:2]}
    zeros = {encoding: half.count(0) / max(1, len(half)) for encoding, half in halves.items()}
    most = max(zeros, key=zeros.__getitem__)
    if option and zeros[most] > 0.5 and not min(zeros.values()):
        return f"{where} looks like {most} without its mark; name it ({option} {most}), or save the file as UTF-8 text"
    line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
    return f"{where} is not text (a zero byte on line {line}); give a CSV, TSV or Parquet table"


def _fix(raw: bytes, at: int, option: str) -> str:
    """What to do about a byte that is not UTF-8, with the text around it in usual encodings."""
    save = "save the file as UTF-8 text"
    if not option:
        return save
    before, after = _BEFORE.search(raw[max(0, at - _WINDOW) : at]), _AFTER.match(raw[at : at + _WINDOW])
    word = (before[0] if before else b"") + (after[0] if after else b"")
    readings = [f"{name} reads {text!r}" for name in _SHOWN if (text := _text(word, name)) is not None]
    shown = f"{option} {', '.join(readings)}" if readings else f"{option} NAME"
    return f"name its encoding ({shown}), or {save}"


def _text(word: bytes, encoding: str) -> str | None:
    try:
        return word.decode(encoding)
    except UnicodeDecodeError:
        return None

"""Compressed bytes, recognised by their first ones and unpacked within bounds; and files of other kinds, by name."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import IO, Any

from backports import zstd

from matinee.errors import DataError, first_line

MAX_BYTES = 8 * 2**30
"""Maximum unpacked size; the largest MovieLens unpacks to 1.2 GB."""
MAX_RATIO = 200
"""Maximum compression ratio; logs stay below 20."""
SMALL = 2**24
"""Bytes that may be unpacked at any ratio."""
_LAYERS = 3
"""A file may be compressed so many times over, such as a `.csv.gz` that was sent through gzip again."""
_CHUNK = 2**22
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError, ValueError)


def _open_bz2(file: IO[bytes]) -> IO[bytes]:
    return bz2.open(file)


def _open_xz(file: IO[bytes]) -> IO[bytes]:
    return lzma.open(file)


_Opener = Callable[[Any], Any]
_STREAMS: Mapping[bytes, tuple[str, _Opener]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", _open_bz2),
    b"\xfd7zXZ\0": ("xz", _open_xz),
    b"\x28\xb5\x2f\xfd": ("zstd", zstd.open),
}
_FOREIGN: Mapping[bytes, str] = {
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it first",
    b"Rar!\x1a\x07": "is a rar archive; unpack it first",
    b"\x04\x22\x4d\x18": "is compressed with lz4; unpack it first",
    b"\x1f\x9d": "is compressed with compress (.Z); unpack it first",
    b"SQLite format 3\0": "is an SQLite database; export its table of events as CSV or Parquet",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "is an Excel file of before 2007 (.xls); save it as .xlsx or CSV",
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file; export its table as CSV or Parquet",
    b"\x93NUMPY": "is a numpy array; give a table with named columns to mt.events, or save it as CSV",
    b"FEA1": "is Feather of version 1; write it again with version 2, or as Parquet",
    b"ORC": "is an ORC file; write it as Parquet",
    b"Obj\x01": "is an Avro file; write it as Parquet",
    b"%PDF-": "is a PDF; give a table as CSV, Parquet, JSON or xlsx",
    b"\x80\x04\x95": "is a Python pickle, which can run anything when it is read; save the table as Parquet or CSV",
    b"\x80\x05\x95": "is a Python pickle, which can run anything when it is read; save the table as Parquet or CSV",
    b"RDX3\n": "is a file of R; write the table as CSV",
    b"RDX2\n": "is a file of R; write the table as CSV",
}


class TooLargeError(DataError):
    """What a file unpacks to is beyond its bound."""


def unpack(raw: bytes, where: str, limit: int | None = None) -> bytes:
    """The bytes inside gzip, bzip2, xz or zstd; other bytes as they are.

    limit: bytes of the result, by default in proportion to the file. Raises DataError for damage, TooLargeError beyond.
    """
    limit = limit or max(SMALL, min(MAX_RATIO * len(raw), MAX_BYTES))
    for _ in range(_LAYERS):
        stream = _stream(raw)
        if stream is None:
            return raw
        raw = _unpacked(raw, stream, where, limit)
    return raw


def is_packed(raw: bytes) -> bool:
    """Whether bytes are compressed, in a way that `unpack` knows."""
    return _stream(raw) is not None


def peek(file: IO[bytes], n_bytes: int) -> bytes:
    """The first bytes of an open file, unpacked once if they are compressed; fewer where it is short or damaged."""
    head = file.read(16)
    file.seek(0)
    stream = _stream(head)
    try:
        return (stream[1](file) if stream else file).read(n_bytes)
    except _DAMAGE:
        return b""


def refuse_foreign(raw: bytes, where: str) -> None:
    """Raise DataError if bytes are of a kind that is known but not read, such as a database, with what to do."""
    for magic, sentence in _FOREIGN.items():
        if raw.startswith(magic):
            raise DataError(f"{where} {sentence}")


def _stream(raw: bytes) -> tuple[str, _Opener] | None:
    return next((stream for magic, stream in _STREAMS.items() if raw.startswith(magic)), None)


def _unpacked(raw: bytes, stream: tuple[str, _Opener], where: str, limit: int) -> bytes:
    kind, opener = stream
    chunks, size = [], 0
    try:
        with opener(io.BytesIO(raw)) as file:
            while chunk := file.read(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    break
    except _DAMAGE as error:
        raise DataError(f"{where} is damaged {kind} ({first_line(error)}); download or copy it again") from None
    if size > limit:
        raise TooLargeError(f"{where} unpacks to more than {limit / 2**20:,.0f} MiB; unpack it by hand if you trust it")
    return b"".join(chunks)

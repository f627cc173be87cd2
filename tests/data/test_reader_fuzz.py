"""Broken files by the thousand: every reader gives a table or one line, soon, in a multiple of the file's memory.

MATINEE_FUZZ_SECONDS is the time for all readers together, see .ci/run. Each reader gets FILES at most,
the same on every machine, and FEWEST however slow it is; MATINEE_FUZZ_SEED draws others. A file that fails is printed
as Python bytes and saved beside the test's temporary files.
"""

import bz2
import faulthandler
import gzip
import io
import json
import lzma
import os
import resource
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from backports import zstd

from matinee.data.loading import load, load_parts
from matinee.errors import DataError
from matinee.reading.table import read_table
from matinee.serve.transfer.read import read_upload
from matinee.serve.transfer.rows import UnreadableError

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("MATINEE_FUZZ_SECONDS", "8"))
SEED = int(os.environ.get("MATINEE_FUZZ_SEED", "1"))
FILES = 20_000
"""So many broken files a reader take about a minute of a core."""
FEWEST = min(int(10 * SECONDS), FILES)
"""So many a reader are tried however slow the machine is: 600 in .ci/run."""
NOW = 1_700_000_000
DEADLINE = 10
"""Seconds for one file of a few kB, on a machine that does other things too; a second hang ends the process."""
MEMORY, TIMES = 2**27, 2_000
"""Memory that a file may take: so many bytes, and so many times its own size."""

LOG = b"userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n1,1029,3.0,1260759179\n7,31,3.0,1260759182\n"
REVIEWS = b'user;item;rating;review\nann;"Heat (1995)";4,5;"long\n""good""\nfilm"\nbob;Alien;3;""\n'
WORDS = (
    b"# user item rating time\n1\t5\t4\t2016-10-16 17:57:24+02\n2\t5\t3\t2016-10-17T17:57:24Z\n3\t6\t1\t16 Oct 2016\n"
)
KONECT = b"% bip weighted\n% 3 2 2\n1 1 4.5 1260759144\n1 2 3 1260759145\n2 2 1 1260759146\n"
ADJACENCY = b"0 5 3 8\n1 5\n2 9 5 3 1 7\n3 4 6\n"
NETFLIX = b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n"
LINES = b'{"user": 1, "item": "a", "rating": 4.5, "time": 1260759144}\n{"user": 2, "item": "b", "rating": 3}\n'
ARRAY = json.dumps(
    [{"user": {"id": n}, "movie": {"title": "Heat", "ids": {"imdb": "tt1"}}, "stars": n} for n in range(4)]
)
WRAPPED = json.dumps({"at": "now", "events": [{"user": n, "item": "a", "value": 1} for n in range(4)]})
DIARY = b'Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n2020-01-02,"Heat, 2",1995,http://x,4.5,,,2020-01-01\n'
IMDB = b"Const,Your Rating,Date Rated,Title,URL,Title Type,IMDb Rating,Year\ntt0113277,9,2020-01-02,Heat,http://x,movie,8.3,1995\n"
TOKENS = [
    *(
        b'"',
        b'""',
        b",",
        b";",
        b"\t",
        b"::",
        b"|",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"#",
        b"%",
        b" ",
    ),
    *(
        b"nan",
        b"1e999",
        b"-1",
        b"99999999999999999999",
        b"0x1",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"\\u0000",
        b"\\ud800",
        b"1:\n",
    ),
    *(
        b"sep=",
        b"01/02/2016",
        b"2016-02-30",
        b"+99:99",
        b"24:61",
        b"\xf0\x9f\x8e\xac",
        b"(1,2)\t3\t",
        b"<html>",
        b"1,234",
    ),
    *(b"PAR1", b"ARROW1", b"PK\x03\x04", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"null", b"True"),
]


def columnar() -> list[bytes]:
    """A table of every type, as Parquet (plain and packed), Arrow and a workbook."""
    times = [datetime(2016, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    frame = pl.DataFrame(
        {
            "user": pl.Series(["ann", "bob", "ann"], dtype=pl.Categorical),
            "item": pl.Series([b"a", b"b", b"c"], dtype=pl.Binary),
            "rating": pl.Series(["1.5", "2.0", "3.0"]).cast(pl.Decimal(10, 2)),
            "time": times,
            "length": [timedelta(hours=1)] * 3,
            "tags": [["x"], [], ["y", "z"]],
            "big": pl.Series([1, 2, 2**63 + 5], dtype=pl.UInt64),
        }
    )
    plain, packed, arrow, stream, book = (io.BytesIO() for _ in range(5))
    frame.write_parquet(plain, compression="uncompressed")
    frame.write_parquet(packed, compression="zstd")
    frame.write_ipc(arrow)
    frame.write_ipc_stream(stream)
    frame.select("user", "rating", pl.col("time").dt.replace_time_zone(None)).write_excel(book)
    return [buffer.getvalue() for buffer in (plain, packed, arrow, stream, book)]


def packed() -> list[bytes]:
    """A log in every compression and archive."""
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml/ratings.csv", LOG)
        archive.writestr("ml/movies.csv", "movieId,title,genres\n31,Heat (1995),Action\n")
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        member = tarfile.TarInfo("log.csv")
        member.size = len(LOG)
        archive.addfile(member, io.BytesIO(LOG))
    raws = [
        gzip.compress(LOG),
        bz2.compress(LOG),
        lzma.compress(LOG),
        zstd.compress(LOG),
        gzip.compress(gzip.compress(LOG)),
    ]
    return [*raws, zipped.getvalue(), tarred.getvalue(), gzip.decompress(tarred.getvalue())]


def through_load(name: str) -> Callable[[bytes, Path], None]:
    """Read a file as the command line does."""

    def read(raw: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(raw)
        data = load(path, now=NOW)
        assert len(data.events) > 0
        assert len(data.catalogue) == len(data.items)

    return read


def movielens(raw: bytes, folder: Path) -> None:
    """Read a folder of MovieLens; the bytes are its ratings, a line of `=` and its movies."""
    ratings, _, movies = raw.partition(b"===\n")
    (folder / "ratings.dat").write_bytes(ratings)
    (folder / "movies.dat").write_bytes(movies)
    load(folder, now=NOW)


def parts(raw: bytes, folder: Path) -> None:
    """Read the parts of a split."""
    train, _, test = raw.partition(b"===\n")
    (folder / "train.txt").write_bytes(train)
    (folder / "test.txt").write_bytes(test)
    load_parts(folder, now=NOW)


def tolerant(raw: bytes, folder: Path) -> None:
    """Read a table as the site's import does, on its own and with the rows found in it."""
    table = read_table(raw, "an upload", tolerant=True)
    for row in range(len(table.frame)):
        table.locate(row)
    read_upload([("an upload", raw)])


READERS: dict[str, tuple[Callable[[bytes, Path], None], list[bytes]]] = {
    "delimited": (through_load("log.csv"), [LOG, REVIEWS, WORDS, KONECT, LOG.replace(b",", b"::")]),
    "json": (through_load("log.json"), [LINES, ARRAY.encode(), WRAPPED.encode(), b'{"user": [1, 2], "item": [3, 4]}']),
    "blocks": (through_load("log.txt"), [NETFLIX, ADJACENCY, KONECT]),
    "columnar": (through_load("log.parquet"), columnar()),
    "packed": (through_load("log.gz"), packed()),
    "movielens": (
        movielens,
        [LOG[32:].replace(b",", b"::") + b"===\n31::Heat (1995)::Action|Crime\n1029::Dumbo::Drama\n"],
    ),
    "parts": (parts, [ADJACENCY + b"===\n0 9\n1 3 8\n", LOG + b"===\n" + LOG, KONECT + b"===\n" + KONECT]),
    "import": (tolerant, [DIARY, IMDB, LOG, REVIEWS, ARRAY.encode(), b"Exported today\n\n" + DIARY]),
}


def mutated(rng: np.random.Generator, seeds: list[bytes]) -> bytes:
    """One of the files with one to eight changes."""
    raw = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(rng.integers(1, 9)):
        at, end = sorted(rng.integers(0, len(raw) + 1, 2).tolist())
        end = min(end, at + 40)
        match rng.integers(8):
            case 0:
                raw[at:at] = TOKENS[rng.integers(len(TOKENS))]
            case 1:
                raw[at : at + 1] = bytes([rng.integers(256)])
            case 2:
                del raw[at:end]
            case 3:
                raw[at:at] = raw[at:end] * int(rng.integers(1, 60))
            case 4:
                del raw[at:]
            case 5:
                raw[at:end] = TOKENS[rng.integers(len(TOKENS))]
            case 6 if at < len(raw):
                raw[at] ^= 1 << int(rng.integers(8))
            case _:
                other = seeds[rng.integers(len(seeds))]
                raw[at:at] = other[: int(rng.integers(len(other)))]
        del raw[40_000:]
    return bytes(raw)


def peak() -> int:
    """The most memory that the process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("reader", READERS)
def test_any_bytes_give_a_table_or_one_line(
    reader: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seconds = SECONDS / len(READERS)
    tried, aborts = through_children(reader, tmp_path, seconds) if reader == "columnar" else (0, 0)
    tried = tried or break_files(reader, tmp_path, 0, seconds)
    record_property("files", tried)
    record_property("aborts", aborts)
    assert tried >= FEWEST
    assert aborts <= 1 + tried / 1000


def break_files(reader: str, folder: Path, first: int, seconds: float) -> int:
    """Try broken files from the first-th on. Returns how many were tried in all, FILES at most."""
    read, seeds = READERS[reader]
    for seed in seeds:  # the files are right before they are broken; this also warms up what is loaded once
        try_one(read, seed, folder)
    end, index = time.monotonic() + seconds, first
    while index < FILES and (index < FEWEST or time.monotonic() < end):
        raw = mutated(np.random.default_rng([SEED, index, *reader.encode()]), seeds)
        (folder / "last").write_bytes(raw)
        (folder / "index").write_text(str(index))
        before, began = peak(), time.monotonic()
        faulthandler.dump_traceback_later(12 * DEADLINE, exit=True)
        try_one(read, raw, folder)
        faulthandler.cancel_dump_traceback_later()
        assert time.monotonic() - began < DEADLINE, raw
        assert peak() - before < MEMORY + TIMES * len(raw), raw
        index += 1
    return index


def through_children(reader: str, folder: Path, seconds: float) -> tuple[int, int]:
    """`break_files` in processes of their own: polars aborts on some damaged Parquet, which no Python can catch.

    Returns how many files were tried, and on how many the process was aborted.
    """
    end, first, aborts = time.monotonic() + seconds, 0, 0
    while True:
        left = str(max(end - time.monotonic(), 0))
        command = [sys.executable, __file__, reader, str(folder), str(first), left]
        child = subprocess.run(command, capture_output=True, text=True)
        if child.returncode == 0:
            return int(child.stdout), aborts
        assert child.returncode == -signal.SIGABRT, child.stderr[-3000:]
        first, aborts = int((folder / "index").read_text()) + 1, aborts + 1


def try_one(read: Callable[[bytes, Path], None], raw: bytes, folder: Path) -> bool:
    """Whether bytes are read; if not, the refusal is one line."""
    try:
        read(raw, folder)
    except DataError as error:
        assert "\n" not in str(error), (str(error), raw)  # noqa: PT017 - either outcome is right
        assert len(str(error)) < 2_000, (str(error), raw)  # noqa: PT017
        return False
    except UnreadableError:
        return False
    except BaseException as error:
        raise AssertionError(f"{type(error).__name__}: {error} for {raw!r}") from error
    return True


if __name__ == "__main__":
    print(break_files(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))  # noqa: T201

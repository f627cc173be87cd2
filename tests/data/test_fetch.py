"""Downloads from a local test server."""

import hashlib
import http.server
import io
import re
import socket
import threading
import zipfile
from dataclasses import dataclass, field

import numpy as np
import pytest

from matinee.data import fetch as fetching
from matinee.data.fetch import SETS, fetch
from matinee.data.loading import load
from matinee.errors import DataError
from matinee.folders import cache_folder


def archive_bytes(size=600_000):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "1::2::3::4\n1::3::5::6\n")
        archive.writestr("ml-1m/README", np.random.default_rng(0).bytes(size))
    return buffer.getvalue()


ARCHIVE = archive_bytes()
MD5 = hashlib.md5(ARCHIVE, usedforsecurity=False).hexdigest()


@dataclass
class Server:
    """The content and faults of the test server, and the ranges requested from it."""

    url: str = ""
    content: bytes = ARCHIVE
    checksum: str | None = f"MD5 (ml-1m.zip) = {MD5}\n"
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    """Number of body bytes after which each of the next responses is cut off."""
    requested: list[str | None] = field(default_factory=list)


@pytest.fixture
def server():
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/sets/ml-1m.zip":
                self.archive()
            elif self.path == "/sets/ml-1m.zip.md5" and state.checksum is not None:
                self.answer(200, state.checksum.encode())
            else:
                self.send_error(404)

        def archive(self):
            wanted = self.headers.get("Range")
            state.requested.append(wanted)
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1)) if wanted and state.ranges else 0
            total = len(state.content)
            if start >= total:
                self.answer(416, b"", {"Content-Range": f"bytes */{total}"})
            elif start:
                self.answer(206, state.content[start:], {"Content-Range": f"bytes {start}-{total - 1}/{total}"})
            else:
                self.answer(200, state.content)

        def answer(self, status, body, headers=None):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            cut = state.cuts.pop(0) if state.cuts and "zip.md5" not in self.path else len(body)
            self.wfile.write(body[:cut])

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        state.url = f"http://127.0.0.1:{running.server_port}/sets"
        yield state
        running.shutdown()
        thread.join()


def test_download(server, tmp_path):
    seen = []
    path = fetch("ml-1m", cache=tmp_path, base_url=server.url, on_progress=lambda *done: seen.append(done))
    assert path == tmp_path / "ml-1m.zip"
    assert path.read_bytes() == ARCHIVE
    assert seen[0] == (0, len(ARCHIVE))
    assert seen[-1] == (len(ARCHIVE), len(ARCHIVE))
    assert seen == sorted(seen)
    assert [entry.name for entry in tmp_path.iterdir()] == ["ml-1m.zip"]
    assert load(path).events.values.tolist() == [3, 5]


def test_a_cached_archive_is_not_downloaded_again(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MATINEE_DATASETS_URL", server.url + "/")
    monkeypatch.setenv("MATINEE_DATA", str(tmp_path / "none"))
    assert cache_folder() == tmp_path / "matinee"
    assert fetch("ml-1m") == fetch("ml-1m") == tmp_path / "matinee" / "ml-1m.zip"
    assert server.requested == [None]
    monkeypatch.chdir(tmp_path)
    assert load("ml-1m").name == "ml-1m"


def test_a_broken_transfer_resumes_at_once(server, tmp_path):
    server.cuts = [200_000, 100_000]
    path = fetch("ml-1m", cache=tmp_path, base_url=server.url)
    assert path.read_bytes() == ARCHIVE
    assert server.requested == [None, "bytes=200000-", "bytes=300000-"]


def test_a_partial_file_of_an_earlier_call_is_resumed(server, tmp_path):
    (tmp_path / "ml-1m.zip.part").write_bytes(ARCHIVE[:123_456])
    seen = []
    path = fetch("ml-1m", cache=tmp_path, base_url=server.url, on_progress=lambda *done: seen.append(done))
    assert path.read_bytes() == ARCHIVE
    assert server.requested == ["bytes=123456-"]
    assert seen[0] == (123_456, len(ARCHIVE))


def test_a_server_without_ranges_sends_the_whole_file_again(server, tmp_path):
    server.ranges = False
    (tmp_path / "ml-1m.zip.part").write_bytes(b"x" * 123_456)
    assert fetch("ml-1m", cache=tmp_path, base_url=server.url).read_bytes() == ARCHIVE
    assert server.requested == ["bytes=123456-"]


def test_a_complete_partial_file_is_only_verified(server, tmp_path):
    (tmp_path / "ml-1m.zip.part").write_bytes(ARCHIVE)
    assert fetch("ml-1m", cache=tmp_path, base_url=server.url).read_bytes() == ARCHIVE


def test_a_partial_file_longer_than_the_archive_is_deleted(server, tmp_path):
    (tmp_path / "ml-1m.zip.part").write_bytes(ARCHIVE + b"more")
    with pytest.raises(DataError, match="does not match the file and was deleted"):
        fetch("ml-1m", cache=tmp_path, base_url=server.url)
    assert fetch("ml-1m", cache=tmp_path, base_url=server.url).read_bytes() == ARCHIVE


def test_repeated_interruptions_raise_and_keep_the_partial_file(server, tmp_path):
    server.cuts = [1000] * 50
    with pytest.raises(DataError, match=r"interrupted after 4,000 of \d+,\d+ bytes\); run it again to resume, or save"):
        fetch("ml-1m", cache=tmp_path, base_url=server.url)
    assert (tmp_path / "ml-1m.zip.part").read_bytes() == ARCHIVE[:4000]
    server.cuts = []
    assert fetch("ml-1m", cache=tmp_path, base_url=server.url).read_bytes() == ARCHIVE


def test_a_wrong_checksum_deletes_the_file_and_raises(server, tmp_path):
    server.checksum = "0" * 32 + "  ml-1m.zip"
    with pytest.raises(DataError) as caught:
        fetch("ml-1m", cache=tmp_path, base_url=server.url)
    assert f"{server.url}/ml-1m.zip arrived with checksum {MD5} instead of {'0' * 32} and was deleted" in str(
        caught.value
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["content", "no zip"])
def test_without_a_checksum_the_zip_is_tested(server, tmp_path, damage):
    server.checksum = None
    assert fetch("ml-1m", cache=tmp_path / "good", base_url=server.url).read_bytes() == ARCHIVE
    broken = bytearray(ARCHIVE)
    broken[300_000] ^= 1
    server.content = bytes(broken) if damage == "content" else b"<html>not found</html>"
    with pytest.raises(DataError, match=r"is a damaged zip .* and was deleted; download it again"):
        fetch("ml-1m", cache=tmp_path / "bad", base_url=server.url)
    assert list((tmp_path / "bad").iterdir()) == []


def test_a_set_missing_on_the_server_raises(server, tmp_path):
    with pytest.raises(DataError) as caught:
        fetch("ml-25m", cache=tmp_path, base_url=server.url)
    assert str(caught.value) == (
        f"{server.url}/ml-25m.zip cannot be downloaded (Not Found); run it again to resume, or save the file by hand "
        f"as {tmp_path / 'ml-25m.zip'}"
    )


def test_an_unreachable_server_raises(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(DataError) as caught:
        fetch("ml-1m", cache=tmp_path, base_url=url)
    assert str(caught.value).startswith(f"{url}/ml-1m.zip cannot be downloaded (")
    assert f"save the file by hand as {tmp_path / 'ml-1m.zip'}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_invalid_arguments_raise(tmp_path):
    with pytest.raises(DataError, match="no data set 'ml1m' to fetch; did you mean 'ml-1m'"):
        fetch("ml1m", cache=tmp_path)
    with pytest.raises(DataError, match="is not an http or https URL; fix MATINEE_DATASETS_URL"):
        fetch("ml-1m", cache=tmp_path, base_url="file:///etc")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written: .*; set XDG_CACHE_HOME"):
        fetch("ml-1m", cache=tmp_path / "file", base_url="http://127.0.0.1:9")


def test_the_official_data_sets():
    assert set(SETS) == {"ml-latest-small", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m"}
    assert fetching.OFFICIAL == "https://files.grouplens.org/datasets/movielens"

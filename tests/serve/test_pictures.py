"""Pictures of items: what is shown, and what is not, whatever a column of pictures says."""

import logging
import os
from io import BytesIO
from pathlib import Path
from zlib import crc32

import pytest
from PIL import Image
from starlette.testclient import TestClient

from matinee.serve.app import create_app
from matinee.serve.item_facts import facts_of, safe_link
from matinee.serve.options import SiteOptions
from matinee.serve.pictures import MAX_BYTES, Pictures
from site_fixtures import CHEAP, NOW, SiteClient


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with sound pictures and others, and a file outside it."""
    folder = tmp_path / "pictures"
    (folder / "inside").mkdir(parents=True)
    for name, size in {"a.png": (300, 500), "inside/b.jpg": (2000, 100), "c.webp": (10, 10), "d.gif": (5, 9)}.items():
        Image.new("RGB", size, (200, 30, 30)).save(folder / name)
    Image.new("RGB", (9, 9)).save(folder / "named.txt", "PNG")
    (folder / "no.png").write_bytes(b"no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:20])
    (folder / "script.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    (folder / "page.html").write_text("<script>alert(1)</script>")
    (folder / "old.bmp").write_bytes(_as("BMP"))
    (folder / "large.png").write_bytes(_bomb())
    with (folder / "heavy.jpg").open("wb") as heavy:
        heavy.truncate(MAX_BYTES + 1)
    Image.new("RGB", (9, 9)).save(tmp_path / "outside.png")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    os.mkfifo(folder / "pipe.png")
    return folder


def _as(kind: str) -> bytes:
    out = BytesIO()
    Image.new("RGB", (9, 9)).save(out, kind)
    return out.getvalue()


def _bomb() -> bytes:
    """A PNG whose head says that it has 60,000 by 60,000 pixels."""
    png = bytearray(_as("PNG"))
    png[16:24] = (60_000).to_bytes(4) * 2
    png[29:33] = crc32(png[12:29]).to_bytes(4)
    return bytes(png)


@pytest.mark.parametrize("name", ["a.png", "inside/b.jpg", "c.webp", "d.gif", "named.txt", "inside/../a.png"])
def test_a_sound_picture_is_made_small(folder: Path, name: str) -> None:
    pictures = Pictures(folder)
    assert pictures.has(name)
    small = Image.open(BytesIO(pictures.small(name) or b""))
    assert small.format == "WEBP"
    assert small.width <= 480
    assert small.height <= 720


@pytest.mark.parametrize(
    "name",
    [
        "no.png", "empty.png", "script.svg", "page.html", "old.bmp", "large.png", "heavy.jpg", "link.png", "pipe.png",
        "../outside.png", "inside/../../outside.png", "/etc/passwd", "missing.png", "inside", ".", "", "a\0b",
        "https://example.org/a.png", "//example.org/a.png", "file:///x", "data:image/png;base64,AAAA", "x" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_picture_is_not_shown_and_said_once(
    folder: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = Pictures(folder)
    with caplog.at_level(logging.WARNING, "matinee"):
        assert [pictures.has(name), pictures.has(name)] == [False, False]
    assert len(caplog.records) == (1 if name else 0)
    assert all("\n" not in record.getMessage() and len(record.getMessage()) < 400 for record in caplog.records)


def test_a_picture_that_is_cut_short_keeps_its_card(folder: Path) -> None:
    pictures = Pictures(folder)
    assert not pictures.has("cut.png") or pictures.small("cut.png") is None


def test_pictures_are_served_by_the_site(shop_paths: list[Path], folder: Path, tmp_path: Path) -> None:
    app = create_app(
        shop_paths,
        db_url=f"sqlite:///{tmp_path}/s.db",
        clock=lambda: NOW,
        hasher=CHEAP,
        options=SiteOptions(pictures=folder),
    )
    with SiteClient(app) as client:
        _, key = app.state.site.api_keys.create("test", ["admin"])
        headers = {"Authorization": f"Bearer {key}"}
        for item, picture in {
            "n1": "a.png",
            "n2": "script.svg",
            "n3": "../outside.png",
            "n4": "https://x.org/a.png",
        }.items():
            sent = {"title": f"Thing {item}", "picture": picture}
            assert client.put(f"/api/v1/items/{item}", json=sent, headers=headers).status_code == 201
        assert 'src="/picture/n1"' in client.get("/item/n1").text
        for item in ("n2", "n3", "n4"):
            page = client.get(f"/item/{item}").text
            assert "/picture/" not in page
            assert '<svg class="cover"' in page
            assert "x.org" not in page
        _is(client, "/picture/n1", "image/webp")
        (folder / "a.png").write_bytes(b"broken since")
        app.state.site.pictures.small.cache_clear()
        _is(client, "/picture/n1", "image/svg+xml")


def _is(client: TestClient, address: str, media_type: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("link", "is_safe"),
    [
        ("https://example.org/a?b=c#d", True),
        ("HTTP://example.org", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\tscript:alert(1)", False),
        ("data:text/html,<script>", False),
        ("vbscript:x", False),
        ("//example.org", False),
        ("/my", False),
        ("https://", False),
        ("https://user:secret@example.org", False),
        ("https://[::1", False),
        ("https://example.org/" + "a" * 3000, False),
        ("", False),
    ],
)
def test_only_links_to_pages_of_the_web_are_shown(link: str, is_safe: bool) -> None:
    assert bool(safe_link(link)) == is_safe


def test_facts_are_cut_to_a_sensible_length() -> None:
    about = {"texts": {"story": "word " * 10_000_000, "blank": "  "}, "lists": {"people": ["x" * 900] * 500},
             "numbers": {f"n{n}": float(n) for n in range(40)}}  # fmt: skip
    facts = facts_of(about)
    assert [(name, len(text) <= 2000) for name, text in facts.texts] == [("story", True)]
    assert len(facts.lists[0][1]) == 30
    assert max(map(len, facts.lists[0][1])) == 200
    assert len(facts.numbers) == 12

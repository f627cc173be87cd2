"""A page comes in two parts, the same bytes as in one; its styles are those that the policy names."""

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from matinee.serve.http.page_response import BEGINNING, STYLE, STYLE_PACKED, PageResponse
from matinee.serve.stylesheet import INLINED, shortened, source_of


def answered(body: str, accepts: bytes) -> tuple[dict[str, str], list[bytes]]:
    """The headers and the parts of the body of an answer."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", accepts)]}
    asyncio.run(PageResponse(body, 200, {"Vary": "Cookie"})(scope, None, send))  # type: ignore[arg-type]
    assert [one.get("more_body", False) for one in sent[1:]] == [True] * (len(sent) - 2) + [False]
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return headers, [one["body"] for one in sent[1:]]


@pytest.mark.parametrize(
    "body",
    [
        "x" * (BEGINNING + 1),
        "가나다<p>" * 30_000,
        "".join(map(chr, range(32, 120))) * 2000,
        f"<head><style>{STYLE.decode()}</style>" + STYLE.decode() + "<p>x" * 30_000,
        STYLE.decode() * 3,
        "x" * (BEGINNING - 100) + STYLE.decode(),  # the first part ends in the style
    ],
)
def test_the_first_part_can_be_read_before_the_second_and_both_are_the_page(body: str) -> None:
    headers, (first, rest) = answered(body, b"gzip, br")
    unpacker = zlib.decompressobj(31)
    beginning = unpacker.decompress(first)
    assert beginning == body.encode()[:BEGINNING]
    assert beginning + unpacker.decompress(rest) == body.encode()
    assert unpacker.eof
    assert headers["content-encoding"] == "gzip"
    assert "content-length" not in headers
    assert headers["vary"] == "Cookie, Accept-Encoding"
    assert gzip.decompress(first + rest) == body.encode()
    assert (STYLE_PACKED in first) == (STYLE in body.encode()[:BEGINNING])


@pytest.mark.parametrize("body", ["", "가", f"<style>{STYLE.decode()}</style><p>", "x" * BEGINNING])
def test_a_short_page_comes_in_one_part_with_the_style_that_is_compressed_already(body: str) -> None:
    headers, (packed,) = answered(body, b"gzip, br")
    assert gzip.decompress(packed) == body.encode()
    assert headers["content-length"] == str(len(packed))
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Cookie, Accept-Encoding")
    assert (STYLE_PACKED in packed) == (STYLE in body.encode())


@pytest.mark.parametrize(("body", "accepts"), [("x" * 200_000, b"br"), ("x" * 200_000, b""), ("x", b"")])
def test_a_page_for_a_client_without_gzip_comes_as_it_is(body: str, accepts: bytes) -> None:
    headers, parts = answered(body, accepts)
    assert parts == [body.encode()]
    assert headers["content-length"] == str(len(body))
    assert "content-encoding" not in headers


@pytest.mark.parametrize(
    ("css", "short"),
    [
        ("/* a { b } */ a  {\n  b: c d ;\n}", "a{b: c d;}"),
        ("a :hover { width: calc(100vw - 2rem) }", "a :hover{width: calc(100vw - 2rem)}"),
        ('.x::before { content: ""; }', '.x::before{content: "";}'),
    ],
)
def test_a_style_is_shortened_without_a_change_of_meaning(css: str, short: str) -> None:
    assert shortened(css) == short


def test_styles_that_stand_in_pages_name_no_file_and_end_no_element() -> None:
    for style in INLINED.values():
        assert "url(" not in style
        assert "<" not in style
    assert source_of("") == "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"  # of nothing, as published

"""Text that is not UTF-8: read by its mark or as it is named, and never guessed."""

import codecs
import json
from pathlib import Path

import pytest

import matinee as mt
from matinee.cli.running import run
from matinee.errors import DataError, MatineeError
from matinee.reading.encodings import Encoding, decode
from note_kinds import changes

USERS = {
    "cp1252": "Bj\u00f6rn\u2019s",
    "latin-1": "Am\u00e9lie",
    "cp949": "\uae40\ubbfc\uc218",
    "shift_jis": "\u7530\u4e2d",
    "utf-16-le": "\u00c5sa",
}


def write(path: Path, user: str, encoding: str, mark: bytes = b"") -> Path:
    path.write_bytes(mark + f"user;item;rating\n{user};a;4\nx;b;3\n".encode(encoding))
    return path


@pytest.mark.parametrize(("encoding", "user"), USERS.items())
def test_text_is_read_as_it_is_named_and_the_read_says_so(tmp_path, encoding, user):
    data = mt.load(write(tmp_path / "log.csv", user, encoding), encoding=encoding)
    assert user in data.users.ids.tolist()
    name = codecs.lookup(encoding).name
    assert changes(data) == (f"{tmp_path / 'log.csv'}: read as {name}, as named",)


@pytest.mark.parametrize(
    ("encoding", "mark", "name"),
    [
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16"),
        ("utf-32-le", codecs.BOM_UTF32_LE, "utf-32"),
        ("utf-32-be", codecs.BOM_UTF32_BE, "utf-32"),
    ],
)
def test_a_mark_is_believed_and_the_read_says_so(tmp_path, encoding, mark, name):
    path = write(tmp_path / "log.csv", "\u00c5sa", encoding, mark)
    for given in ({}, {"encoding": encoding}):
        data = mt.load(path, **given)
        assert "\u00c5sa" in data.users.ids.tolist()
        assert changes(data) == (f"{path}: read as {name}, by its mark",)


def test_utf_8_is_no_news(tmp_path):
    for encoding in ("utf-8", "utf-8-sig"):
        path = write(tmp_path / "log.csv", "\u00c5sa", encoding)
        for given in ({}, {"encoding": "utf-8"}, {"encoding": "utf8"}):
            assert changes(mt.load(path, **given)) == ()


@pytest.mark.parametrize(
    ("content", "given", "message"),
    [
        (
            "a\n\uae40\ubbfc\uc218,x".encode("cp949"),
            {},
            "line 2: byte 0xb1 is not UTF-8; name its encoding "
            "(--encoding cp1252 reads '\u00b1\u00e8\u00b9\u00ce\u00bc\u00f6', cp949 reads '\uae40\ubbfc\uc218'), or",
        ),
        (b"u,i\n\x81\xff,2\n", {}, "line 2: byte 0x81 is not UTF-8; name its encoding (--encoding NAME), or save"),
        ("u,i\n1,2\n".encode("utf-16-le"), {}, "looks like utf-16-le without its mark; name it (--encoding utf-16-le)"),
        ("u,i\n1,2\n".encode("utf-16-be"), {}, "looks like utf-16-be without its mark; name it (--encoding utf-16-be)"),
        (b"u,i\nab\x81,2\n", {"encoding": "cp1252"}, "line 2: byte 0x81 is not cp1252; name another encoding, or save"),
        (b"\xff\xfeu\0", {"encoding": "cp1252"}, "begins with the mark of utf-16, so it is not cp1252; leave --encod"),
        (b"\xef\xbb\xbfu", {"encoding": "utf-16"}, "begins with the mark of utf-8, so it is not utf-16; leave --enco"),
        (
            b"u,i\n+2AA-,2\n",
            {"encoding": "utf-7"},
            "line 1: it is not utf-7; name another encoding, or save the file as",
        ),
    ],
)
def test_what_is_not_clear_is_refused_with_the_option_that_works(tmp_path, content, given, message):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        mt.load(path, **given)
    text = str(raised.value)
    assert message in text, text
    assert "\n" not in text


def test_where_no_encoding_can_be_named_none_is_offered():
    for raw in ("\u00c5sa".encode("cp1252"), "u,i".encode("utf-16-le")):
        with pytest.raises(DataError) as raised:
            decode(raw, "FILE")
        assert "name" not in str(raised.value)
    assert decode("\u00c5sa\r\n".encode("cp1252"), "FILE", Encoding("cp1252")) == "\u00c5sa\n".encode()


@pytest.mark.parametrize("name", ["ansi-latin", "", "base64", "hex", "a\0b"])
def test_an_unknown_encoding_is_refused(name):
    with pytest.raises(MatineeError, match="is no encoding that Python knows; usual ones are cp1252") as raised:
        mt.load("bundled", encoding=name)
    assert "\n" not in str(raised.value)


def test_an_encoding_is_refused_where_it_says_nothing(tmp_path):
    frame = mt.events({"user": [1, 2], "item": [3, 4]}).to_frame()
    with pytest.raises(DataError, match="encoding is that of a file, and events is a table in memory; leave it out"):
        mt.events(frame, encoding="cp1252")
    frame.write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="is Parquet, which says itself how its text is written; leave --encoding out"):
        mt.load(tmp_path / "log.parquet", encoding="cp1252")


def test_movielens_with_another_encoding_has_its_titles(tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,5,4.0,900000000\n2,5,3.0,900000001\n")
    (tmp_path / "movies.csv").write_bytes("movieId,title,genres\n5,\uae40\uc528 (2009),Drama\n".encode("cp949"))
    with pytest.raises(DataError, match=r"movies\.csv, line 2: byte 0xb1 is not UTF-8; name its encoding"):
        mt.load(tmp_path)
    assert mt.load(tmp_path, encoding="cp949").catalogue.titles == ("\uae40\uc528 (2009)",)


def test_the_command_names_the_encodings_of_log_and_items(tmp_path, capsys):
    log = tmp_path / "log.csv"
    log.write_bytes(b"user;item\n" + b"".join(f"Bj\u00f6rn{n % 8};{n % 7}\n".encode("cp1252") for n in range(56)))
    (tmp_path / "items.csv").write_bytes("item,title\n1,\uae40\uc528\n2,Amelie\n".encode("cp949"))
    audit = ["data", "audit", str(log), "--items", str(tmp_path / "items.csv"), "--encoding", "cp1252", "--json"]
    assert run(audit) == 1
    assert "--items-encoding cp1252 reads" in capsys.readouterr().err
    assert run([*audit, "--items-encoding", "cp949"]) == 0
    notes = json.dumps(json.loads(capsys.readouterr().out))
    assert f"{log}: read as cp1252, as named" in notes
    assert "items.csv: read as cp949, as named" in notes

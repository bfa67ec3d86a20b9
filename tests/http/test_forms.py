"""Multipart forms: what browsers and apps send, cut at every place, and what must be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest

from stormpetrel.errors import Malformed, TooLarge
from stormpetrel.http import forms
from stormpetrel.http.forms import MultipartForm

TYPE = "multipart/form-data; boundary=AaB03x"
FORM = (
    b'--AaB03x\r\nContent-Disposition: form-data; name="status"\r\n\r\nsaid \xc3\xbcber\r\n--not it\r\n'
    b'--AaB03x\r\nContent-Disposition: form-data; name="file"; filename="\xc3\xa4.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n--AaB03\r\n--\r\n\x00\r\n"
    b'--AaB03x\r\nContent-Disposition: form-data; name="empty"; filename=""\r\n\r\n\r\n--AaB03x--\r\n'
)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, *, size: int = 65_536, content_type: str = TYPE) -> list[tuple[str, Any]]:
    """Return (name, value) pairs; a file is (its name, its size, its content)."""
    parts = pieces(data, size)

    async def more() -> bytes:
        return next(parts, b"")

    form = MultipartForm(content_type)
    try:
        asyncio.run(form.read(more))
        return [
            (name, value if isinstance(value, str) else (value.filename, value.size, value.file.read()))
            for name, value in form.pairs
        ]
    finally:
        form.close()


def part(name: str = "a", value: bytes = b"v", more: bytes = b"") -> bytes:
    return b'--AaB03x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        name.encode(),
        more,
        value,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 50, 65_536])
def test_fields_and_files_come_out_as_they_were_sent_wherever_the_network_cuts_them(size):
    content = b"\x89PNG\r\n--AaB03\r\n--\r\n\x00"
    assert read(FORM, size=size) == [
        ("status", "said über\r\n--not it"),
        ("file", ("ä.png", len(content), content)),
        ("empty", ("", 0, b"")),
    ]


def test_a_large_file_is_whole(monkeypatch):
    monkeypatch.setattr(forms, "MAX_BYTES_IN_MEMORY", 10_000)
    content = bytes(range(256)) * 400
    sent = part("file", content, b'; filename="x"') + part("b") + b"--AaB03x--"
    assert read(sent, size=4_096) == [("file", ("x", len(content), content)), ("b", "v")]


@pytest.mark.parametrize(
    ("content_type", "sent", "says"),
    [
        ("multipart/form-data", FORM, "names no boundary"),
        ("multipart/form-data; boundary=" + "b" * 257, FORM, "its boundary is too long"),
        ('multipart/form-data; boundary=AaB03x; a="' + ";" * 9_000, FORM, "too many parameters"),
        (TYPE, part(more=b'; b="' + b";" * 4_000) + b"--AaB03x--", "too many parameters"),
        (TYPE, FORM[:-4], "before its last delimiter"),
        (TYPE, b"", "before its last delimiter"),
        (TYPE, b"no form", "could not be read"),
        (TYPE, part(value=b"\r\n--AaB03xy") + b"--AaB03x--", "text follows a boundary"),
        (TYPE, part(value=b"\xff") + b"--AaB03x--", "not valid UTF-8"),
        (TYPE, b"--AaB03x\r\nContent-Type: text/plain\r\n\r\nv\r\n--AaB03x--", "a part has no name"),
        (TYPE, part() * (forms.MAX_FIELDS + 1) + b"--AaB03x--", "more than 100 fields"),
        (TYPE, part(more=b'; filename="x"') * (forms.MAX_FILES + 1) + b"--AaB03x--", "more than 16 files"),
        (TYPE, b"--AaB03x\r\n" + b"X: y\r\n" * 20 + b"\r\nv\r\n--AaB03x--", "could not be read"),
    ],
)
def test_what_is_no_form_is_refused_in_plain_words(content_type, sent, says):
    for size in (1, 65_536):
        with pytest.raises(Malformed, match=says):
            read(sent, size=size, content_type=content_type)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"form-data; name=a", "a"),
        (b'form-data;NAME = "a" ; x', "a"),
        (b'form-data; name="a;b=\\"c\\\\"', 'a;b="c\\'),
        (b'form-data; x="; name=b"; name="a%22"', "a%22"),
        (b'form-data; name="a\\b"', "a\\b"),
        (b"form-data; name=a; name*=utf-8''b", "a"),
    ],
)
def test_names_are_read_as_browsers_and_apps_write_them(header, name):
    sent = b"--AaB03x\r\nContent-Disposition: " + header + b"\r\n\r\nv\r\n--AaB03x--"
    assert read(sent) == [(name, "v")]


@pytest.mark.parametrize("count", [1, 50])
def test_texts_that_are_long_together_are_refused(count):
    fitting = part(value=b"v" * (forms.MAX_TEXT_BYTES // count)) * count
    assert len(read(fitting + b"--AaB03x--")) == count
    with pytest.raises(TooLarge, match="texts of the form"):
        read(fitting + part() * 50 + b"--AaB03x--")


def test_many_small_files_go_to_disk_once_they_take_much_memory_together(monkeypatch):
    monkeypatch.setattr(forms, "MAX_BYTES_IN_MEMORY", 10_000)
    on_disk = []
    rollover = SpooledTemporaryFile.rollover
    monkeypatch.setattr(
        SpooledTemporaryFile, "rollover", lambda spooled: (on_disk.append(spooled), rollover(spooled))
    )
    content = bytes(range(250)) * 16
    sent = part("file", content, b'; filename="x"') * 5 + b"--AaB03x--"
    assert read(sent, size=900) == [("file", ("x", 4_000, content))] * 5
    assert len(on_disk) == 3


def test_thousands_of_parts_are_refused_before_any_is_parsed():
    with pytest.raises(Malformed, match="more than 116 parts"):
        read(part() * 5_000 + b"--AaB03x--", size=1_000_000)


def test_after_an_error_no_file_stays_open():
    made = []

    async def more() -> bytes:
        if not made:
            made.append(form)
            return part("file", b"v" * 100, b'; filename="x"')
        raise Malformed

    form = MultipartForm(TYPE)
    with pytest.raises(Malformed):
        asyncio.run(form.read(more))
    assert [uploaded.file.closed for uploaded in form._files] == [True]

"""Kannel's smsbox as the carrier: the real one in both directions, and requests that it would not send."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import (
    Accepted,
    Forged,
    LinkState,
    SubmitFailed,
    UnitReceipt,
    UnitState,
    Unreadable,
    WebhookRequest,
)
from stormpetrel.gateway.providers.kannel import make
from stormpetrel.sms.udh import Concatenation, ReferenceKind, header_of
from stormpetrel.sms.user_data import Coding
from tests.gateway.api_server import api_server, fixed
from tests.gateway.inbox import MemoryInbox, route, run, unit, until
from tests.gateway.kannel import end, running_kannel
from tests.gateway.webhook_server import listener, serving
from tests.parts import require

SECRET = "a c/%C&ü"  # %C is an escape of Kannel's


def kannel(send_url="http://127.0.0.1:1/cgi-bin/sendsms", **keys):
    return make(
        route(
            "kannel",
            **{
                "send_url": send_url,
                "webhook_url": "https://example.org/sms/main",
                "username": "storm",
                "password": "petrel",
                "secret": SECRET,
            }
            | keys,
        )
    )


def webhook(provider, **fields):
    query = urlencode({"secret": SECRET} | fields)
    return provider.receive(WebhookRequest("GET", query.encode(), {}, b"", 0.0))


def test_a_real_kannel_delivers_messages_and_receipts_and_retries_what_was_not_stored(tmp_path):
    require("kannel")
    inbox = MemoryInbox()
    inbox.is_full = True
    sock = listener()
    webhook_url = f"http://127.0.0.1:{sock.getsockname()[1]}/sms/main"
    quoted = urlencode({"": SECRET})[1:].replace("%", "%%")

    async def main(peer):
        provider = kannel(peer.send_url, webhook_url=webhook_url)
        await provider.start(inbox)
        async with serving({"main": provider}, inbox, sock=sock):
            first = peer.phone("+15551234567 40404 text follow+alice")
            await asyncio.sleep(1.0)
            inbox.is_full = False
            await until(lambda: inbox.messages)
            # The fake SMSC has one client at a time.
            end(first)
            first.stdout.close()
            phone = peer.phone("+15551234567 40404 text ünï € გამარჯობა")
            await until(lambda: len(inbox.messages) == 2)
            assert inbox.texts == ["follow+alice", "ünï € გამარჯობა"]
            assert {(each.sender, each.receiver) for each in inbox.messages} == {("+15551234567", "40404")}

            texts = ["hello %d € there", "გამარჯობა " * 20, "x" * 400]
            for number, text in enumerate(texts):
                sent = unit(text, id=f"u{number} %d&é")
                assert await provider.send(sent) == Accepted(sent.id, sent.segments)
            await until(lambda: len(inbox.receipts) == 6)
            assert {(each.unit_id, each.state) for each in inbox.receipts} == {
                (f"u{number} %d&é", state)
                for number in range(3)
                for state in (UnitState.SENT, UnitState.DELIVERED)
            }
        wrong = kannel(peer.send_url, password="wrong")
        await wrong.start(inbox)
        assert await wrong.send(unit()) == SubmitFailed("403 sendsms", 30.0)
        await wrong.stop()
        await provider.stop()
        return phone

    with sock, running_kannel(tmp_path, webhook_url, quoted) as peer:
        phone = run(lambda: main(peer))
        end(phone)
    with phone.stdout as output:
        got = output.read()
    assert "<40404 +15551234567 text hello %d € there>" in got
    assert got.count("udh %05%00%03") == 6


@pytest.mark.parametrize("secret", ["", "a", SECRET + "x", SECRET.upper()])
def test_a_wrong_secret_is_refused(secret):
    with pytest.raises(Forged):
        webhook(kannel(), secret=secret, **{"from": "+1555", "text": "x", "id": "1"})


def test_a_route_without_a_secret_refuses_everything():
    with pytest.raises(Forged):
        webhook(kannel(secret=""), secret="", **{"from": "+1555", "text": "x", "id": "1"})


@pytest.mark.parametrize(
    ("charset", "coding", "octets", "text"),
    [
        ("UTF-8", "0", "é€ გ".encode(), "é€ გ"),
        ("GSM", "0", b"plain", "plain"),
        ("", "0", b"plain", "plain"),
        ("WINDOWS-1252", "0", b"\x80 \xe9", "€ é"),
        ("ISO-8859-1", "0", b"\xe9", "é"),
        ("UTF-16BE", "2", "გ😀".encode("utf-16-be"), "გ😀"),
        ("UTF-16BE", "2", b"\xd8\x00\x00", "�"),
        ("UTF-8", "0", b"\xff", "�"),
    ],
)
def test_texts_of_each_charset_are_decoded(charset, coding, octets, text):
    fields = {"from": "+1555", "to": "40404", "text": octets, "charset": charset, "coding": coding, "id": "k"}
    ((found,), answer) = webhook(kannel(), **fields)
    assert (found.key, found.text, found.part) == ("k", text, None)
    # An answer with a text would be sent to the phone.
    assert answer.body == b""


def test_a_part_keeps_its_header_and_binary_content_is_no_text():
    header = header_of(Concatenation(ReferenceKind.UDH_8, 7, 2, 1))
    fields = {"from": "+1555", "text": "first", "charset": "UTF-8", "id": "k", "udh": header}
    ((found,), _) = webhook(kannel(), **fields)
    assert found.text is None
    assert (found.part.coding, found.part.octets.decode("utf-16-be")) == (Coding.UCS2, "first")
    assert found.part.header.concatenation.number == 1
    ((binary,), _) = webhook(kannel(), **fields | {"udh": b"", "coding": "1", "text": b"\x00\xff"})
    assert (binary.text, binary.part.coding, binary.part.octets) == (None, Coding.BINARY, b"\x00\xff")


def test_without_an_id_the_key_is_made_of_the_message():
    fields = {"from": "+1555", "to": "40404", "text": "x", "ts": "2026-01-01"}
    keys = [
        webhook(kannel(), **fields | more)[0][0].key for more in ({}, {}, {"text": "y"}, {"ts": "2026-01-02"})
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("dlr", "state", "error"),
    [
        ("1", UnitState.DELIVERED, ""),
        ("2", UnitState.FAILED, "dlr 2"),
        ("4", UnitState.SENT, ""),
        ("8", UnitState.SENT, ""),
        ("16", UnitState.FAILED, "dlr 16"),
    ],
)
def test_receipts_name_our_own_id(dlr, state, error):
    assert webhook(kannel(), dlr=dlr, ref="u1")[0] == [UnitReceipt(state, unit_id="u1", error=error)]


def test_unknown_receipts_and_parameters_are_acknowledged():
    for fields in ({"dlr": "32", "ref": "u1"}, {"dlr": "", "ref": "u1"}, {"dlr": "1", "ref": ""}):
        assert webhook(kannel(), **fields)[0] == []
    (found,), _ = webhook(kannel(), **{"from": "+1", "text": "", "id": "1", "new": "x"})
    assert found.text == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "x", "id": "1"},
        {"from": "+1", "id": "1"},
        {"from": "+1", "text": "x", "id": "1", "charset": "KOI8-R"},
        {"from": "+1", "text": "x", "id": "1" * 201},
        {},
    ],
)
def test_requests_that_are_no_message_are_unreadable(fields):
    with pytest.raises(Unreadable):
        webhook(kannel(), **fields)


def test_a_page_of_another_program_accepts_nothing_and_no_answer_is_a_route_that_is_down():
    async def main(url):
        provider = kannel(url)
        await provider.start(MemoryInbox())
        result = await provider.send(unit())
        await provider.stop()
        return result, provider.state

    with api_server(fixed(200, b"<html>It works!")) as api:
        result, _ = run(lambda: main(api.url))
        assert result == SubmitFailed("send_url is not Kannel's sendsms", 30.0)
    result, state = run(lambda: main("http://127.0.0.1:1/"))
    assert (result, state) == (SubmitFailed("no connection"), LinkState.DOWN)


@pytest.mark.parametrize("key", ["send_url", "webhook_url", "username", "password"])
def test_a_missing_key_is_named(key):
    with pytest.raises(SetupError, match=rf"sms\.route\.main\.{key} is missing: kannel needs it"):
        kannel(**{key: ""})


@pytest.mark.parametrize(
    "url",
    [
        "example.org/sms",
        "ftp://example.org",
        "https://",
        "https:///sms",
        "http://a:b@example.org/",
        "https://example.org/#x",
        "http://[",
        "http://example.org:99999/",
        "https://bücher.example/",
    ],
)
def test_a_wrong_url_is_named(url):
    with pytest.raises(SetupError, match=r"sms\.route\.main\.webhook_url "):
        kannel(webhook_url=url)

"""The bare parser: bytes to messages, however they are split."""

from __future__ import annotations

import random

import pytest

from stormpetrel.edge.parser import BETWEEN, MAX_CHUNKED_CUTS, MAX_PATH_BYTES, RequestParser
from stormpetrel.shield.percent import MAX_BROKEN_ESCAPES, MAX_PARAMETERS
from tests.edge.parser_fuzz import (
    CORPUS,
    Coverage,
    are_same,
    check,
    corpus_line,
    events_of,
    load_corpus,
    search,
)

CHUNKED = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


def test_every_input_of_the_corpus_gives_the_same_events_however_it_is_split() -> None:
    rng = random.Random(1)
    for data in load_corpus():
        for _ in range(10):
            check(data, rng)


def test_no_mutation_of_the_corpus_breaks_an_invariant() -> None:
    search(load_corpus(), random.Random(2), is_over=lambda runs: runs == 6_000)


@pytest.mark.prove
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_breaks_an_invariant_in_a_longer_search(seed: int) -> None:
    search(load_corpus(), random.Random(seed), is_over=lambda runs: runs == 100_000)


def test_the_corpus_is_written_as_it_is_read() -> None:
    lines = CORPUS.read_text(encoding="ascii").splitlines()
    assert [corpus_line(data) for data in load_corpus()] == lines
    assert len(set(lines)) == len(lines)


def test_the_search_notices_what_is_new() -> None:
    coverage = Coverage()
    assert coverage.is_new(lambda: events_of([NEXT]))
    assert not coverage.is_new(lambda: events_of([NEXT]))
    assert coverage.is_new(lambda: events_of([CHUNKED]))


def test_the_search_notices_events_that_depend_on_the_split() -> None:
    one, two = events_of([NEXT]), events_of([NEXT + NEXT])
    assert are_same(two, two)
    assert not are_same(one, two)
    assert are_same([*one, ("sealed",)], two)


def test_a_body_full_of_blank_lines_is_cut_so_often_and_a_message_hidden_behind_it_is_not_answered() -> None:
    content = b"\r\n\r\n" * (MAX_CHUNKED_CUTS + 1)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    events = events_of([CHUNKED + body + NEXT])
    assert [event[0] for event in events] == ["head", "body", "end", "sealed"]
    assert events[1] == ("body", content)
    apart = events_of([CHUNKED + body, NEXT])
    assert [event[0] for event in apart] == ["head", "body", "end", "head", "end"]


def test_a_connection_that_sends_a_byte_at_a_time_may_send_a_body_in_chunks() -> None:
    content = b"x" * 900
    data = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    events = events_of([data[at : at + 1] for at in range(len(data))])
    assert events[1:] == [("body", content), ("end",)]


def test_more_headers_than_are_read_are_refused_also_with_an_upgrade_among_them() -> None:
    many = b"X: y\r\n" * 98
    data = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n" + many + b"Upgrade: websocket\r\n\r\n"
    assert events_of([data]) == [("refused",)]


@pytest.mark.parametrize(
    ("query", "events"),
    [
        (b"a&" * (MAX_PARAMETERS - 1), ["head", "end"]),
        (b"a&" * MAX_PARAMETERS, ["refused"]),
        (b"%" * MAX_BROKEN_ESCAPES, ["head", "end"]),
        (b"%" * (MAX_BROKEN_ESCAPES + 1), ["refused"]),
        (b"%41" * (MAX_BROKEN_ESCAPES + 1), ["head", "end"]),
    ],
)
def test_a_query_that_the_application_would_not_read_is_refused_at_its_head(
    query: bytes, events: list[str]
) -> None:
    data = b"GET /?%b HTTP/1.1\r\nHost: a\r\n\r\n" % query
    assert [event[0] for event in events_of([data])] == events


@pytest.mark.parametrize(
    ("target", "events"),
    [
        (b"/" * MAX_PATH_BYTES, ["head", "end"]),
        (b"/" * MAX_PATH_BYTES + b"?" + b"a" * 5_000, ["head", "end"]),
        (b"/" * (MAX_PATH_BYTES + 1), ["refused"]),
        (b"/" * (MAX_PATH_BYTES + 1) + b"?a", ["refused"]),
        (b"/%41" * MAX_PATH_BYTES, ["refused"]),
    ],
)
def test_a_path_that_is_longer_than_any_that_exists_is_refused(target: bytes, events: list[str]) -> None:
    data = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target
    assert [event[0] for event in events_of([data])] == events


def test_a_message_with_the_bytes_of_the_one_before_is_the_same_message_unparsed() -> None:
    parser = RequestParser(max_header_bytes=12_000, has_cookie_prefix=False)
    messages = []
    for data in (NEXT, NEXT, b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", NEXT):
        assert parser.cut(data, 0) == len(data)
        parser.feed(data)
        assert parser.phase is BETWEEN
        messages.append(parser.message)
    assert messages[0] is messages[1]
    assert messages[3] is not messages[1]
    assert [message.path for message in messages if message] == [b"/next", b"/next", b"/other", b"/next"]


def test_repeated_messages_give_the_events_of_parsed_ones() -> None:
    upgrade = b"GET /next HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    closing = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with_body = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
    chunked = CHUNKED + b"2\r\nab\r\n0\r\n\r\n"
    broken = b"GET /next HTTP/1.1\r\n\r\n"
    rng = random.Random(3)
    for _ in range(300):
        pieces = rng.choices([NEXT, NEXT, NEXT, upgrade, closing, with_body, chunked, broken, b"\r\n"], k=6)
        check(b"".join(pieces), rng)

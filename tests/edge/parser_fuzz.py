"""A coverage-guided fuzzer of the bare request parser.

    python -m tests.edge.parser_fuzz --seconds 60          search, and print what breaks an invariant
    python -m tests.edge.parser_fuzz --seconds 60 --write  also add inputs that reach something new to the corpus

Coverage is the pairs of lines that run one after another in parser.py and message.py, and the engine's error
texts: they stand for the branches of the engine, which is written in C. The corpus has one input per line, as the
text of a Python bytes literal.
"""

from __future__ import annotations

import argparse
import ast
import logging
import random
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import httptools

from stormpetrel.edge import message, parser
from stormpetrel.edge.parser import BETWEEN, HEAD, MessageError, RequestParser

CORPUS = Path(__file__).parent / "corpus" / "requests.txt"
MAX_INPUT_BYTES = 4096
MAX_HEADER_BYTES = 12_000
MAX_CONTENT_BYTES = 1000
TOKENS = [
    *b"GET |POST |HEAD |CONNECT |OPTIONS |PRI |*|/|/a%20b|/%00|?access_token=x|#f|http://a/|ftp://a/".split(
        b"|"
    ),
    *b" HTTP/1.1\r\n| HTTP/1.0\r\n| HTTP/2.0\r\n| HTTP/1.1|\r\n|\r\n\r\n|\n|\r|\0|\x80|\t| |:|,|;|=".split(
        b"|"
    ),
    *b"Host: a\r\n|Content-Length: 5\r\n|Content-Length: 0\r\n|Content-Length: 5, 5\r\n|Content-Length:\r\n".split(
        b"|"
    ),
    *b"Transfer-Encoding: chunked\r\n|Transfer-Encoding: gzip, chunked\r\n|Transfer-Encoding: x\r\n".split(
        b"|"
    ),
    *b"Connection: close\r\n|Connection: keep-alive\r\n|Connection: Upgrade\r\n|Upgrade: websocket\r\n".split(
        b"|"
    ),
    *b"Upgrade: h2c\r\n|Expect: 100-continue\r\n|Cookie: __Host-a=b\r\n|Trailer: x\r\n|X: y\r\n".split(b"|"),
    *b"0\r\n\r\n|5\r\nhello\r\n|1;a=b\r\nx\r\n|ffffffffffffffff\r\n|5\r\n|-1\r\n|+5\r\n|0x5\r\n".split(b"|"),
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
]
Event = tuple[Any, ...]


class InvariantBroken(AssertionError):
    """The parser did something that it never may."""


class NothingLogged(logging.Handler):
    """Turns an exception inside the parser, which it logs and answers with a refusal, into a failure."""

    def emit(self, record: logging.LogRecord) -> None:
        raise InvariantBroken(record.getMessage()) from (record.exc_info or (None, None))[1]


def events_of(reads: Iterable[bytes]) -> list[Event]:
    """Return the events of a connection that reads these pieces.

    ("head", method, version, path, path as text, query, headers, keep-alive, upgrade), ("body", content),
    ("end",), ("refused",), and ("sealed",) where the rest could not be read because a message was hidden in it. The
    list ends where a connection would: at an error, at a message that closes, and at an upgrade. Raise
    InvariantBroken if the steps contradict each other.
    """
    reader = RequestParser(max_header_bytes=MAX_HEADER_BYTES, has_cookie_prefix=True)
    events: list[Event] = []
    log, handler = logging.getLogger("stormpetrel.edge"), NothingLogged()
    log.addHandler(handler)
    try:
        for data in reads:
            at = 0
            while at < len(data):
                at = _step(reader, data, at, events)
                if events and events[-1][0] in ("closed", "sealed", "too large"):
                    return events
    except MessageError as error:
        if events and events[-1][0] == "body":
            # How much of it was delivered before depends on the reads.
            events.pop()
        events.append(("refused",))
        if not 400 <= error.refused.status <= 505:
            raise InvariantBroken(error.refused) from None
    finally:
        log.removeHandler(handler)
        reader.close()
    return events


def _step(reader: RequestParser, data: bytes, at: int, events: list[Event]) -> int:
    """Read one piece as the edge does; return where the next begins."""
    phase = reader.phase
    if phase is BETWEEN and data[at] in b"\r\n":
        at = reader.skip_blank_lines(data, at)
        if at == len(data):
            return at
    cut = reader.cut(data, at)
    end = len(data) if cut < 0 else cut
    if end <= at or end > len(data):
        raise InvariantBroken(f"a cut from {at} to {end} of {len(data)}")
    reader.feed(data[at:end])
    head = reader.message
    if phase <= HEAD:
        if head is None:
            if reader.body or reader.phase is not HEAD:
                raise InvariantBroken("a head without an end, but with more")
            return end
        if head.has_body and reader.body:
            raise InvariantBroken("a head and its body in one piece")
        events.append(_head_event(head))
        reader.max_content_bytes = MAX_CONTENT_BYTES
        if head.length > MAX_CONTENT_BYTES:
            events.append(("too large",))
            return end
    if head is None:
        raise InvariantBroken("a body without a message")
    _add_body(reader, head, events)
    if reader.phase is BETWEEN:
        _add_end(head, events)
    return end


def _head_event(head: message.RequestMessage) -> Event:
    names = [name for name, _ in head.headers]
    if head.version not in ("1.0", "1.1") or (head.version == "1.1" and names.count(b"host") != 1):
        raise InvariantBroken("a version or a host that is refused")
    if any(b"\n" in text or b"\r" in text or b"\0" in text for pair in head.headers for text in pair):
        raise InvariantBroken("a header that holds more than a line")
    if head.has_body and (head.is_upgrade or b"upgrade" in names):
        raise InvariantBroken("an upgrade with a body")
    if head.is_chunked and (head.length or head.version != "1.1"):
        raise InvariantBroken("two ways to frame a body")
    parts = (head.method, head.version, head.path, head.path_text, head.query, tuple(head.headers))
    return ("head", *parts, head.keep_alive, head.is_upgrade)


def _add_body(reader: RequestParser, head: message.RequestMessage, events: list[Event]) -> None:
    if not reader.body:
        return
    if not head.has_body:
        raise InvariantBroken("a body without framing")
    body, reader.body = bytes(reader.body), bytearray()
    if events[-1][0] == "body":
        body = events.pop()[1] + body
    events.append(("body", body))
    if len(body) > (MAX_CONTENT_BYTES if head.is_chunked else head.length):
        raise InvariantBroken("more body than there may be")


def _add_end(head: message.RequestMessage, events: list[Event]) -> None:
    size = len(events[-1][1]) if events[-1][0] == "body" else 0
    if not head.is_chunked and size != head.length:
        raise InvariantBroken(f"{size} bytes of a body of {head.length}")
    kept_alive = next(event for event in reversed(events) if event[0] == "head")[7]
    events.append(("end",))
    if kept_alive and not head.keep_alive:
        events.append(("sealed",))
    elif not head.keep_alive or head.is_upgrade:
        events.append(("closed",))


def check(data: bytes, rng: random.Random) -> list[Event]:
    """Check every invariant for one input; return its events. Raise InvariantBroken, or the parser's exception."""
    whole = events_of([data])
    ways = [cut_at(data, sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6))))]
    if len(data) <= 256:
        ways.append([data[at : at + 1] for at in range(len(data))])
    for way in ways:
        split = events_of(way)
        if not are_same(whole, split):
            raise InvariantBroken(f"{data!r} split as {way!r}: {split} instead of {whole}")
    return whole


def are_same(one: list[Event], other: list[Event]) -> bool:
    """Return whether two ways to read the same bytes agree; one that was sealed agrees as far as it came."""
    if one and one[-1][0] == "sealed":
        return other[: len(one) - 1] == one[:-1]
    if other and other[-1][0] == "sealed":
        return one[: len(other) - 1] == other[:-1]
    return one == other


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    """Return the data cut at these places, in order."""
    ends = [*places, len(data)]
    pieces = [data[start:end] for start, end in zip([0, *places], ends, strict=True)]
    return [piece for piece in pieces if piece]


def load_corpus() -> list[bytes]:
    """Return the inputs of the corpus."""
    return [ast.literal_eval(f'b"{line}"') for line in CORPUS.read_text(encoding="ascii").splitlines()]


def corpus_line(data: bytes) -> str:
    """Return an input as a line of the corpus."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii").replace('"', '\\"')


class Coverage:
    """The features that inputs have reached: pairs of lines of the parser, and texts of exceptions."""

    def __init__(self) -> None:
        self._files = {parser.__file__, message.__file__}
        self._now: set[Any] = set()
        self._last = 0
        self.seen: set[Any] = set()

    def is_new(self, run: Callable[[], object]) -> bool:
        """Return whether a run reached something that none before it did."""
        self._now = set()
        self._last = 0
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            run()
        finally:
            sys.settrace(before)
        found = self._now - self.seen
        self.seen |= found
        return bool(found)

    def _enter(self, frame: FrameType, kind: str, _argument: object) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, kind: str, argument: Any) -> Any:
        if kind == "line":
            self._now.add((self._last, frame.f_lineno))
            self._last = frame.f_lineno
        elif kind == "exception":
            error = argument[1]
            is_engines = isinstance(error, httptools.HttpParserError)
            # Without the input, which the texts of some exceptions contain.
            self._now.add(re.sub("b['\"].*", "", str(error)) if is_engines else type(error))
        return self._line


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Return the data with one to four small changes."""
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 2, 4, 16, 64)))
        change = rng.randrange(7)
        if change == 0:
            data = data[:at] + rng.choice(TOKENS) + data[at:]
        elif change == 1:
            data = data[:at] + rng.choice(TOKENS) + data[end:]
        elif change == 2:
            data = data[:at] + data[end:]
        elif change == 3:
            data = data[:end] + data[at:end] * rng.choice((1, 1, 2, 64)) + data[end:]
        elif change == 4 and data:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif change == 5:
            other = rng.choice(others)
            data = data[:at] + other[rng.randrange(len(other) + 1) :]
        else:
            data = data + rng.choice(others)
        data = data[:MAX_INPUT_BYTES]
    return data


def search(corpus: list[bytes], rng: random.Random, *, is_over: Callable[[int], bool]) -> list[bytes]:
    """Mutate the corpus until `is_over(runs)`; return the inputs that reached something new.

    Raise InvariantBroken, or the parser's exception.
    """
    coverage = Coverage()
    corpus = list(corpus)
    for data in corpus:
        coverage.is_new(lambda data=data: events_of([data]))  # type: ignore[misc]
    found: list[bytes] = []
    runs = 0
    while not is_over(runs):
        runs += 1
        data = mutated(rng.choice(corpus), corpus, rng)
        if not data:
            continue
        check(data, rng)
        # Tracing is slow: only one run in four is traced.
        if runs % 4 == 0 and coverage.is_new(lambda data=data: events_of([data])):  # type: ignore[misc]
            corpus.append(data)
            found.append(data)
    return found


def main() -> None:
    """Search for a while."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--write", action="store_true")
    chosen = options.parse_args()
    corpus = load_corpus()
    end_s = time.monotonic() + chosen.seconds
    runs = 0

    def is_over(number: int) -> bool:
        nonlocal runs
        runs = number
        return time.monotonic() > end_s

    found = search(corpus, random.Random(chosen.seed), is_over=is_over)
    print(f"{runs} runs, {len(found)} inputs reached something new")
    if chosen.write:
        CORPUS.write_text("".join(corpus_line(data) + "\n" for data in [*corpus, *found]), encoding="ascii")


if __name__ == "__main__":
    main()

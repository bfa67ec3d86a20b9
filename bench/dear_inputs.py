"""The most expensive input of each door: how long it blocks a worker's loop at once, and its cost per byte.

    python bench/dear_inputs.py [--rounds 4] [--only WORD] [--quick] [--json]

A door is a way for input to come in: the address, a header, a form, JSON, multipart, chunks, WebSocket
frames, texts of posts and profiles, every route. For each door, texts made of fragments are tried at the
largest size that it accepts; the most expensive are varied for some rounds. CPU time of the loop's thread,
the best of three; the cost per byte excludes the cost of a small input by the same door. Ceilings: 3 ms at
once, 50 ns a byte.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from doors import Door, doors, routes
from loop_meter import Measured, Spent, measured_worker
from machine import calibration_s

AT_ONCE_S = 0.003
A_BYTE_S = 50e-9
MATTERS_S = 0.0005

FRAGMENTS = [
    b"%",
    b"%4",
    b"%41",
    b"%25",
    b"%E0%B8%81",
    b"+",
    b"&",
    b"a=1&",
    b"a[]=1&",
    b"a[b][c]=1&",
    b"id[]=7&",
    b"[",
    b"]",
    b"[],",
    b"[[],",
    b"{}",
    b"{},",
    b'{"a":',
    b'"":0,',
    b'"a",',
    b"1,",
    b"1e9,",
    b"1.2345678901234567e-300,",
    b"-",
    b"\\u0041",
    b"\\ud83d\\ude00",
    b"=",
    b";",
    b",",
    b" ",
    b"\t",
    b"\r\n",
    b"\r",
    b"\n",
    b"--x\r\n",
    b"\r\n--x",
    b"\r\n--x-",
    b"\r\n--",
    b"@a ",
    b"@a@b.c ",
    b"#a ",
    b"#a",
    b"https://a.b ",
    b"https://a.b/(",
    b"https://",
    b"(",
    b")",
    b"[a](",
    b"\xf0\x9f\x91\xa8\xe2\x80\x8d",
    b"e\xcc\x81",
    b"\xcc\x81",
    b"\xe0\xb9\x87",
    b"\xcd\x85\xcc\x81\xcc\x96\xcc\xb4",
    b"\xd9\x8b",
    b"\xef\xb7\xba",
    b"<b>",
    b"<",
    b"&amp;",
    b"\xe2\x80\xae",
    b'"',
    b"'",
    b"*",
    b"a",
    b"a ",
    b"A.",
    b"from:a ",
    b"OR ",
    b"\xe3\x81\x82",
    b"\xe4\xb8\x80 ",
    b"q=0.1,",
    b"a/",
    b"./",
    b"../",
    b"a=b; ",
    b'"a"="b"; ',
    b"\xe2\x80\x8b",
    b'W/"a",',
    b"gzip;q=0.5,",
    b"1.1.1.1,",
    b"::1,",
    b"\x00",
    b"\xff",
    b":",
    b"x:y\r\n",
]


DEAREST = [
    b"a",
    b"%",
    b"%41",
    b"%E0%B8%81",
    b"a[]=1&",
    b"a[b][c]=1&",
    b"[[],",
    b"1.2345678901234567e-300,",
    b"\\ud83d\\ude00",
    b",,",
    b";",
    b"q=0.1,",
    b"--x\r\n",
    b"-\r\n--x",
    b"a a ",
    b"https://a.b/(",
    b"\xd9\x8bhttps://&",
    b"@a #a ",
    b"\xf0\x9f\x91\xa8\xe2\x80\x8d",
    b"\xcc\x81",
    b"\xcd\x85\xcc\x81\xcc\x96\xcc\xb4",
    b"\xe2\x80\x8b",
]
"""Fragments that searches found to be expensive at some door; a test tries each at every door."""


@dataclass(frozen=True, slots=True)
class Found:
    """The most expensive text of a door, and its cost."""

    door: str
    fragment: bytes
    sent_bytes: int
    at_once_s: float
    total_s: float
    a_byte_s: float

    @property
    def is_over(self) -> bool:
        """Return True if a ceiling is exceeded; bytes that cost at most 0.5 ms in total are not judged."""
        return self.at_once_s > AT_ONCE_S or (
            self.a_byte_s * self.sent_bytes > MATTERS_S and self.a_byte_s > A_BYTE_S
        )


def _filled(fragment: bytes, size_bytes: int) -> bytes:
    return (fragment * (size_bytes // len(fragment) + 1))[:size_bytes]


def _cost(place: Measured, door: Door, text: bytes, *, times: int = 3) -> tuple[Spent, int]:
    data = door.request(text)
    spent = [place.cost(data, parts=door.parts) for _ in range(times)]
    return Spent(min(s.worst_s for s in spent), min(s.total_s for s in spent)), len(data)


def dearest(place: Measured, door: Door, texts: list[bytes], *, scale: float) -> Found:
    """Return the cost of the most expensive of `texts` at a door, on a machine that is `scale` times as fast.

    A text that seems to exceed a ceiling is tried again: CPU time varies with the load of the machine.
    """
    small, small_bytes = _cost(place, door, b"a", times=1)
    worst: Found | None = None
    for fragment in texts:
        for times in (1, 3, 9):
            spent, sent = _cost(place, door, _filled(fragment, door.size_bytes), times=times)
            found = _found(door, fragment, spent, sent, small, small_bytes, scale=scale)
            if not found.is_over:
                break
        if worst is None or found.at_once_s > worst.at_once_s or found.is_over:
            worst = found
        if worst.is_over:
            break
    assert worst is not None
    return worst


def _found(
    door: Door,
    fragment: bytes,
    spent: Spent,
    sent: int,
    small: Spent,
    small_bytes: int,
    *,
    scale: float = 1.0,
) -> Found:
    size = sent - small_bytes if sent > 2 * small_bytes else sent
    a_byte_s = 0.0 if door.is_many else max(0.0, spent.total_s - small.total_s) / size
    return Found(door.name, fragment, sent, spent.worst_s / scale, spent.total_s / scale, a_byte_s / scale)


def search(place: Measured, door: Door, rng: random.Random, *, rounds: int, fragments: list[bytes]) -> Found:
    """Find the most expensive text for a door: single fragments first, then the worst joined with others."""
    small, small_bytes = _cost(place, door, b"a")
    scored: list[tuple[float, bytes]] = []
    for fragment in fragments:
        spent, _ = _cost(place, door, _filled(fragment, door.size_bytes), times=1)
        scored.append((spent.worst_s + spent.total_s, fragment))
    for _ in range(rounds):
        scored = sorted(scored, reverse=True)[:4]
        for _, fragment in list(scored):
            other = rng.choice(FRAGMENTS)
            joined = fragment + other if rng.random() < 0.5 else other + fragment
            spent, _ = _cost(place, door, _filled(joined, door.size_bytes), times=1)
            scored.append((spent.worst_s + spent.total_s, joined))
    found = []
    for _, fragment in sorted(scored, reverse=True)[:3]:
        spent, sent = _cost(place, door, _filled(fragment, door.size_bytes))
        found.append(_found(door, fragment, spent, sent, small, small_bytes))
    return max(found, key=lambda one: (one.is_over, one.at_once_s, one.total_s))


def main(arguments: list[str]) -> int:
    """Print the table; return 1 if a ceiling is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    found: list[Found] = []
    with tempfile.TemporaryDirectory() as directory, measured_worker(Path(directory)) as place:
        for door in doors(place):
            if options.only.lower() in door.name.lower():
                fragments = rng.sample(FRAGMENTS, 8) if options.quick else FRAGMENTS
                found.append(
                    search(
                        place, door, rng, rounds=1 if options.quick else options.rounds, fragments=fragments
                    )
                )
        for door in routes(place) if not options.quick else ():
            if options.only.lower() in door.name.lower():
                found.append(search(place, door, rng, rounds=0, fragments=rng.sample(FRAGMENTS, 12)))
    found.sort(key=lambda one: one.at_once_s, reverse=True)
    if options.json:
        print(
            json.dumps(
                [
                    {**{name: getattr(one, name) for name in one.__slots__}, "fragment": repr(one.fragment)}
                    for one in found
                ]
            )
        )
    else:
        print(f"calibration {calibration_s() * 1000:.2f} ms; {os.cpu_count()} processors")
        print(f"{'door':44} {'bytes':>8} {'at once ms':>10} {'total ms':>9} {'ns/byte':>8}  dearest")
        for one in found:
            print(
                f"{one.door:44} {one.sent_bytes:8,} {one.at_once_s * 1000:10.2f} {one.total_s * 1000:9.2f} "
                f"{one.a_byte_s * 1e9:8.1f}  {one.fragment[:40]!r}{' OVER' if one.is_over else ''}"
            )
    return 1 if any(one.is_over for one in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The audience: accuracy over a month, cost of a request, error of the identity, and the size of its files.

    python bench/audience.py [--visitors 20100000] [--before 593000] [--seeds 1] [--quick] [--json]

`month`: so many visitors come in a month, and so many in the same month a year before: 70 % browsers that return
the cookie (from their second request on), 15 % that return none, 10 % members, 5 % feed readers. Two workers count
them and a watch merges them. Target: within 1 %, and growth as in truth.
`cost`: CPU time of a request, one processor. A visit is a page, eight of its files and three more pages;
40 % of the visits are a browser's first. "repeated": the same visitor again. Target: 2 µs on average.
`identity`: people in groups against their number, in a day and in a month of daily visits. Target: 5 % in all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
from collections.abc import Iterator

from machine import slowness

from stormpetrel.audience.counter import (
    ALL,
    FEEDS,
    KEY_BYTES,
    MEMBERS,
    NAMES,
    RETURNED,
    UNMARKED,
    WEB,
    VisitorCounter,
)
from stormpetrel.audience.periods import Period, period_named, periods_at
from stormpetrel.audience.sketch import PACKED_BYTES
from stormpetrel.audience.visitor import VisitorReader
from stormpetrel.model.audience import growth
from stormpetrel.shield.marks import mint_visitor
from stormpetrel.shield.paths import PathFacts
from stormpetrel.watch.audience_tally import AudienceTally, new_tally

NOON_S = 1_795_953_600.0  # 2026-11-29 12:00 UTC
DAY_S = 86_400
SECRET = b"a secret for the benchmark only!"
PAGE = PathFacts(exists=True, hot=frozenset())
REPORT_EVERY = 20_000
FIREFOX = b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ASSETS = (b"/assets/style.css", b"/assets/app.js", b"/assets/icons.svg", b"/assets/sea.svg")
FILES = (*ASSETS, *(b"/media/%d.webp" % number for number in range(4)))
PAGES = (b"/public", b"/@Nino", b"/@Nino/114000000000000001")


def counters_in(periods: list[Period], rng: random.Random, count: int = 2) -> list[VisitorCounter]:
    """Return workers' counters that count in these periods."""
    keys = {period.name: rng.randbytes(KEY_BYTES) for period in periods}
    made = []
    for _ in range(count):
        counter = VisitorCounter()
        for period in periods:
            counter.begin(period, bytearray(keys[period.name]))
        counter.tick(periods[0].from_s)
        made.append(counter)
    return made


def merge(tally: AudienceTally, counters: list[VisitorCounter], at_s: float) -> None:
    """Report everything to the watch."""
    for counter in counters:
        while news := counter.take():
            tally.take(news.updates, news.counts, news.announced, at_s=at_s)


def month(name: str, visitors: int, rng: random.Random) -> int:
    """Return the number that a month with so many visitors gets."""
    period = period_named(name)
    counters = counters_in([period], rng)
    tally = AudienceTally()
    tally.periods[name] = new_tally(period, rng)
    for number in range(visitors):
        one = counters[number & 1]
        kind = number % 20
        if kind < 14:
            place = b"place 2001:db8:%x::/64 %b" % (number, FIREFOX)
            one.add(place, (UNMARKED,))
            counters[number >> 1 & 1].add(b"cookie %d" % number, (WEB, ALL))
            counters[number >> 1 & 1].add(place, (RETURNED,))
        elif kind < 17:
            one.add(b"place 2001:db8:%x::/64 %b" % (number, FIREFOX), (UNMARKED,))
        elif kind < 19:
            one.add(b"account %d" % number, (WEB, ALL, MEMBERS))
        else:
            one.add(b"place 2001:db8:%x::/64 reader" % number, (FEEDS, ALL))
        if number % REPORT_EVERY == 0:
            merge(tally, counters, period.from_s)
    merge(tally, counters, period.from_s)
    return tally.periods[name].numbers()["visitors/all"]


class AnyPage(dict[bytes, PathFacts]):
    """A table in which every path is a page."""

    def __missing__(self, path: bytes) -> PathFacts:
        return PAGE


def headers_of(agent: bytes, cookie: bytes = b"") -> dict[bytes, bytes]:
    """Return the headers of a browser, as the parser gives them."""
    headers = {b"host": b"petrel.example", b"user-agent": agent, b"accept-encoding": b"gzip, deflate, br"}
    return {**headers, b"cookie": b"stormpetrel_visitor=" + cookie} if cookie else headers


def requests_of(number: int, *, is_first: bool) -> list[tuple[bytes, str, dict[bytes, bytes]]]:
    """Return path, address and headers of each request of a visit."""
    address = f"198.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    agent = b"%b/%d" % (FIREFOX, number % 500)
    age_s = 0 if is_first else 5 * DAY_S
    cookie = mint_visitor(SECRET, mark_id=number, at_s=int(NOON_S) - age_s).encode()
    first = headers_of(agent) if is_first else headers_of(agent, cookie)
    again = headers_of(agent, cookie)
    return [(b"/about", address, first), *((path, address, again) for path in (*FILES, *PAGES))]


def cost(visits: int) -> dict[str, float]:
    """Return microseconds of CPU time for each request: of visits, and of the same visitor again."""
    rng = random.Random(3)
    (counter,) = counters_in([*periods_at(NOON_S)], rng, 1)
    counter.tick(NOON_S)
    reader = VisitorReader(counter, secret=SECRET, own_host=b"petrel.example", paths=AnyPage())
    come = [one for number in range(visits) for one in requests_of(number, is_first=number % 5 < 2)]

    def count() -> float:
        began_s = time.thread_time()
        for path, address, headers in come:
            reader.see(headers, path, address, epoch_s=NOON_S)
        return (time.thread_time() - began_s) / len(come) * 1e6

    found = {"visits": count()}
    path, address, headers = come[1]
    began_s = time.thread_time()
    for _ in range(100_000):
        reader.see(headers, path, address, epoch_s=NOON_S)
    found["repeated"] = (time.thread_time() - began_s) * 10
    return found


class Person:
    """A person with browsers. `moves`: the address of each request; `forgets`: no cookie outlives the day."""

    def __init__(
        self, addresses: list[str], agents: list[bytes], *, moves: bool, forgets: bool = False
    ) -> None:
        self.addresses = addresses
        self.agents = agents
        self.moves = moves
        self.forgets = forgets
        self.cookies: dict[bytes, bytes] = {}

    def come(
        self, at_s: float, marks: Iterator[int], rng: random.Random
    ) -> Iterator[tuple[bytes, str, dict[bytes, bytes]]]:
        """Yield the requests of a day."""
        if self.forgets:
            self.cookies.clear()
        for agent in self.agents:
            address = rng.choice(self.addresses)
            for path in (b"/", *FILES, *PAGES):
                if self.moves:
                    address = rng.choice(self.addresses)
                yield path, address, headers_of(agent, self.cookies.get(agent, b""))
                if agent not in self.cookies:
                    self.cookies[agent] = mint_visitor(SECRET, mark_id=next(marks), at_s=int(at_s)).encode()


def groups(rng: random.Random) -> dict[str, list[Person]]:
    """Return people in groups: most have one device at home."""
    school = ["203.0.113.7"]
    carrier = [f"100.64.{number >> 6}.{number & 63}" for number in range(256)]
    exits = [f"192.0.2.{number}" for number in range(60)]
    agents = [b"%b %d" % (FIREFOX, number) for number in range(12)]
    homes = itertools.count(1)

    def home() -> list[str]:
        number = next(homes)
        return [f"198.51.{number >> 8}.{number & 255}"]

    return {
        "at home, one device": [Person(home(), [rng.choice(agents)], moves=False) for _ in range(2400)],
        "a school behind one address": [
            Person(school, [rng.choice(agents[:3])], moves=False) for _ in range(600)
        ],
        "a carrier, a new address for each request": [
            Person(carrier, [rng.choice(agents[:5])], moves=True) for _ in range(900)
        ],
        "Tor, a new session each day": [
            Person(exits, [agents[0]], moves=False, forgets=True) for _ in range(4)
        ],
        "two devices, no account": [Person(home(), rng.sample(agents, 2), moves=False) for _ in range(96)],
    }


def identity(days: int) -> list[dict[str, object]]:
    """Return people and counted visitors, by group and in all, of `days` days in which each comes each day."""
    rows: list[dict[str, object]] = []
    rng = random.Random(11)
    all_people = groups(rng)
    everyone = [one for people in all_people.values() for one in people]
    for name, people in {**all_people, "all of them": everyone}.items():
        for one in people:
            one.cookies.clear()
        period = period_named("2026-11" if days > 1 else "2026-11-02")
        counters = counters_in([period], rng)
        readers = [
            VisitorReader(one, secret=SECRET, own_host=b"petrel.example", paths=AnyPage()) for one in counters
        ]
        tally = AudienceTally()
        tally.periods[period.name] = new_tally(period, rng)
        marks = itertools.count(1)
        for day in range(days):
            at_s = period.from_s + day * DAY_S + 1000.0
            for person in people:
                for path, address, headers in person.come(at_s, marks, rng):
                    reader = rng.choice(readers)
                    reader.see(headers, path, address, epoch_s=at_s)
        merge(tally, counters, period.from_s)
        found = tally.periods[period.name].numbers()["visitors/all"]
        rows.append(
            {
                "people": name,
                "days": days,
                "true": len(people),
                "counted": found,
                "error": found / len(people) - 1,
            }
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=20_100_000)
    parser.add_argument("--before", type=int, default=593_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the visitors")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.visitors, options.before = options.visitors // 100, options.before // 100
    found: dict[str, object] = {"bytes_of_a_period": len(NAMES) * PACKED_BYTES}
    months = []
    for seed in range(options.seeds):
        rng = random.Random(seed)
        now = month("2009-02", options.visitors, rng)
        before = month("2008-02", options.before, rng)
        months.append(
            {
                "seed": seed,
                "counted": now,
                "error": now / options.visitors - 1,
                "before": before,
                "error_before": before / options.before - 1,
                "growth": growth(now, before),
                "true_growth": growth(options.visitors, options.before),
            }
        )
        if not options.json:
            print(json.dumps(months[-1], ensure_ascii=False), flush=True)
    found["months"] = months
    # Also at the speed of the machine on which limits were set (machine.py).
    found["slowness"] = slowness()
    found["cost_us"] = [cost(2_000 if options.quick else 20_000) for _ in range(3)]
    found["identity"] = [*identity(1), *identity(3 if options.quick else 28)]
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    print(f"bytes of a period: {found['bytes_of_a_period']}")
    print(f"this machine is {found['slowness']:.2f} times slower than the reference")
    for one in found["cost_us"]:  # type: ignore[attr-defined]
        print("µs of CPU a request:", ", ".join(f"{name} {us:.2f}" for name, us in one.items()))
    for row in found["identity"]:  # type: ignore[attr-defined]
        counts = f"{row['true']:>5} people  {row['counted']:>5} counted  {row['error']:+.1%}"
        print(f"{row['days']:>2} days  {counts}  {row['people']}")


if __name__ == "__main__":
    main()

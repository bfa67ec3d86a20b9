"""People at their browsers, two workers that see their requests, and the tally of the watch, without sockets."""

from __future__ import annotations

import itertools
import random

from stormpetrel.audience.counter import KEY_BYTES, VisitorCounter
from stormpetrel.audience.periods import periods_at
from stormpetrel.audience.visitor import NO_LOGIN, VisitorLogin, VisitorReader
from stormpetrel.shield.marks import mint_visitor
from stormpetrel.shield.paths import Family, PathFacts
from stormpetrel.watch.audience_tally import AudienceTally, new_tally

NOON_S = 1_795_953_600.0  # 2026-11-29 12:00 UTC
SECRET = b"a secret that is long enough"
HOST = "petrel.example"
PAGE = PathFacts(exists=True, hot=frozenset())
API = PathFacts(family=Family.API, exists=True)
FEED = PathFacts(family=Family.FEED, exists=True)
FIREFOX = b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Place:
    """An instance with two workers, in periods that run at `now_s`."""

    def __init__(self, now_s=NOON_S):
        self.now_s = now_s
        self.tally = AudienceTally()
        self.marks = itertools.count(1)
        self.counters = [VisitorCounter(), VisitorCounter()]
        self.paths = {}
        self.readers = [
            VisitorReader(one, secret=SECRET, own_host=HOST.encode(), paths=self.paths)
            for one in self.counters
        ]
        self.turn_to(now_s)

    def turn_to(self, now_s):
        """Let time pass: new periods begin, and the counts of the old ones are merged."""
        self.now_s = now_s
        for period in periods_at(now_s):
            if period.name not in self.tally.periods:
                self.tally.periods[period.name] = new_tally(period, random.Random(1))
            for one in self.counters:
                one.begin(period, bytearray(period.name.ljust(KEY_BYTES).encode()))
        for one in self.counters:
            one.tick(now_s)

    def see(self, path, address, headers, facts=PAGE, rng=random, login=NO_LOGIN):
        """Count one request at one of the workers."""
        self.paths[path] = facts
        rng.choice(self.readers).see(dict(headers), path, address, epoch_s=self.now_s, login=login)

    def numbers(self, name="2026-11"):
        """Return the numbers of a period."""
        for one in self.counters:
            while news := one.take():
                self.tally.take(news.updates, news.counts, news.announced, at_s=self.now_s)
        return self.tally.periods[name].numbers()


class Browser:
    """A browser of a person, at an address that may change. `headers`: sent with each request."""

    def __init__(self, place, address, *, agent=FIREFOX, keeps_cookies=True, headers=(), rng=random):
        self.place = place
        self.address = address
        self.agent = agent
        self.keeps_cookies = keeps_cookies
        self.headers = tuple(headers)
        self.cookie = None
        self.rng = rng

    def get(self, path, facts=PAGE, referrer=None, login=NO_LOGIN):
        """Request a path. A page gives the browser a visitor cookie, if it has none."""
        headers = [(b"user-agent", self.agent), *self.headers]
        if self.cookie:
            headers.append((b"cookie", b"stormpetrel_visitor=" + self.cookie.encode()))
        if referrer:
            headers.append((b"referer", referrer))
        self.place.see(path, self.address, headers, facts, self.rng, login)
        if self.keeps_cookies and self.cookie is None and facts is PAGE and not path.startswith(b"/assets/"):
            self.cookie = mint_visitor(SECRET, mark_id=next(self.place.marks), at_s=int(self.place.now_s))

    def visit(self, login=NO_LOGIN):
        """View two pages and the stylesheet."""
        self.get(b"/about", login=login)
        self.get(b"/assets/app.css", login=login)
        self.get(b"/public", referrer=f"https://{HOST}/about".encode(), login=login)


def session_of(account_id):
    """Return the login of a member who has just signed in."""
    return VisitorLogin(account_id, is_token=False, since_s=NOON_S)


def token_of(account_id):
    """Return the login of a member's app."""
    return VisitorLogin(account_id, is_token=True, since_s=0.0)

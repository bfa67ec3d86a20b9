"""Quotas: how often something may be done, by whoever counts. One table of data for all of them.

A quota is a bucket of `burst` uses that refills by one use in `every_s` seconds. Who counts is a *slot*: an account
id, or a keyed hash of a network or of a typed name (`slot`), so that the number of rows is bounded whoever asks.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from stormpetrel.model.ids import time_ms

SLOTS = 262_144
"""Rows of one quota that count networks and typed names: two may share one by chance, nothing can be aimed at one."""
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Quota:
    """`name`: its key in the table. `burst` uses at once, one more every `every_s` seconds."""

    name: str
    burst: int
    every_s: float

    @property
    def every_ms(self) -> int:
        """Milliseconds for one use to come back."""
        return max(1, round(self.every_s * 1000))

    @property
    def span_ms(self) -> int:
        """Milliseconds for an empty bucket to be full."""
        return self.burst * self.every_ms


# Guesses at passwords and second factors. Of one account at most 10 + 10 + 20 (POOL) + 2 x (10 + 10) (newcomers)
# are checked in the first hour by devices that are not known to it, and 40 in each hour after.
GUESS_DEVICE = Quota("guess.device", 10, 6 * MINUTE_S)
"""One known device, at its own account."""
GUESS_SESSION = Quota("guess.session", 10, 6 * MINUTE_S)
"""One signed-in browser, in the forms that ask for the password again."""
GUESS_HOME = Quota("guess.home", 10, 6 * MINUTE_S)
"""One account from a network where it is signed in."""
GUESS_PAIR = (
    Quota("guess.pair", 5, MINUTE_S),
    Quota("guess.pair.hour", 10, 8 * MINUTE_S),
    Quota("guess.pair.day", 20, 72 * MINUTE_S),
)
"""One account from one network: the wait grows from one minute to eight to seventy-two."""
GUESS_NETWORK = Quota("guess.network", 30, MINUTE_S)
"""Every account together from one network, by devices that are not known to the account."""
GUESS_POOL = Quota("guess.pool", 20, 3 * MINUTE_S)
"""One account, by all devices that are not known to it."""
GUESS_SEEN = Quota("guess.seen", 1, DAY_S)
"""Free: this network has not tried this account for a day."""
GUESS_NEWCOMER_NEAR = Quota("guess.new.near", 10, 6 * MINUTE_S)
"""One account, by networks that try it for the first time; where members were seen before the attack."""
GUESS_NEWCOMER_FAR = Quota("guess.new.far", 10, 6 * MINUTE_S)
"""The same, from anywhere else."""
GUESS_CODE = Quota("guess.code", 10, 15 * MINUTE_S)
"""Codes of one account, by devices that are not known to it: whoever gets here has the password."""
GUESS_NOTICE = Quota("guess.notice", 1, DAY_S)
"""Mails to an owner about guesses."""


# Mails that somebody asks for. An account gets one by strangers every 15 minutes at most, which is less than a link
# works for (model/mail.py): whoever asks, its owner has one in the mailbox that works.
MAIL_PAIR = Quota("mail.pair", 4, 15 * MINUTE_S)
"""Asked for one login, from one network."""
MAIL_NETWORK = Quota("mail.network", 30, 2 * MINUTE_S)
"""Asked for by one network: a school has one."""
MAIL_DEVICE = Quota("mail.device", 4, 15 * MINUTE_S)
"""Asked for by the devices of one account, for whatever login: which account that is, only the courier looks up."""
MAIL_STRANGERS = Quota("mail.strangers", 4, 15 * MINUTE_S)
"""Sent to one account because strangers asked."""
MAIL_OWN = Quota("mail.own", 5, 12 * MINUTE_S)
"""Sent to one account because it asked, or a device that is known to it."""
MAIL_ADDRESS = Quota("mail.address", 5, 12 * MINUTE_S)
"""Links that confirm one address, for every account that wants it: not less than MAIL_OWN, so that the owner alone
never meets it."""

# What strangers and new accounts may put into the store. An account that is older than YOUNG_MS has only the first.
YOUNG_MS = 3 * DAY_S * 1000
APPS = Quota("apps", 60, MINUTE_S)
"""Applications registered from one network: a school's phones, and an app that registers with each start."""
APP_TOKENS = Quota("app_tokens", 120, 30)
"""Tokens of applications that speak for no account, from one network: an app gets one before somebody signs up.
One that is revoked is given back."""
SIGN_UPS = Quota("sign_ups", 20, 2 * MINUTE_S)
"""Accounts made from one network: a room full of people, then one every two minutes."""
YOUNG_POSTS = Quota("young.posts", 300, 12)
"""Posts by a young account."""
YOUNG_UPLOAD_MB = Quota("young.upload_mb", 500, MINUTE_S)
"""Megabytes that a young account uploads."""
YOUNG_WAYS_IN = Quota("young.ways_in", 100, 10 * MINUTE_S)
"""Browsers and apps that sign in to a young account."""
YOUNG_MENTIONS = Quota("young.mentions", 60, MINUTE_S)
"""Accounts named by a young account for the first time that do not follow it."""
YOUNG_FOLLOWS = Quota("young.follows", 300, MINUTE_S)
"""Follows, and requests to follow, by a young account."""


def is_young(account_id: int, *, now_ms: int) -> bool:
    """Return whether the account was made less than YOUNG_MS ago."""
    return now_ms - time_ms(account_id) < YOUNG_MS


def slot(secret: bytes, who: str) -> int:
    """The row that counts `who`, a network or a typed name. Keyed, so that nobody can choose one."""
    digest = hashlib.blake2b(
        who.lower().encode("utf-8", "replace"), key=secret[:64], digest_size=8, person=b"petrel.quota"
    ).digest()
    return int.from_bytes(digest) % SLOTS + 1


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The network that counts for an address: "192.0.2.0/24", "2001:db8:1:200::/56"; what is no address, itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    length = 24 if parsed.version == 4 else 56
    return str(ipaddress.ip_network((parsed, length), strict=False))

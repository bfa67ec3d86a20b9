"""Quotas: limits on how often an action may be done. All of them are data in one table.

A quota is a bucket of `burst` uses that refills by one use in `every_s` seconds. Each *slot* has its
own bucket: an account id, or a keyed hash of a network or of a typed name (`slot`), so that the
number of rows is bounded.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from stormpetrel.model.ids import time_ms

SLOTS = 262_144
"""Rows of a quota that counts networks and typed names. Two may share a row by chance, but
no client can aim at one.
"""
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Quota:
    """`name`: its key in the table. `burst`: uses at once; one more every `every_s` seconds."""

    name: str
    burst: int
    every_s: float

    @property
    def every_ms(self) -> int:
        """Return the time in which one use comes back, in milliseconds."""
        return max(1, round(self.every_s * 1000))

    @property
    def span_ms(self) -> int:
        """Return the time in which an empty bucket refills, in milliseconds."""
        return self.burst * self.every_ms


# Attempts at passwords and second factors. Of one account, devices that are not known to it get at most 10 +
# 10 + 20 (POOL) + 2 x (10 + 10) (newcomers) attempts in the first hour, and 40 in each hour after.
GUESS_DEVICE = Quota("guess.device", 10, 6 * MINUTE_S)
"""One known device, at its own account."""
GUESS_SESSION = Quota("guess.session", 10, 6 * MINUTE_S)
"""One signed-in browser, in forms that ask for the password again."""
GUESS_HOME = Quota("guess.home", 10, 6 * MINUTE_S)
"""One account, from a network where it is signed in."""
GUESS_PAIR = (
    Quota("guess.pair", 5, MINUTE_S),
    Quota("guess.pair.hour", 10, 8 * MINUTE_S),
    Quota("guess.pair.day", 20, 72 * MINUTE_S),
)
"""One account, from one network: the wait grows from one minute to eight to seventy-two."""
GUESS_NETWORK = Quota("guess.network", 30, MINUTE_S)
"""All accounts together, from one network, by devices that are not known to the account."""
GUESS_POOL = Quota("guess.pool", 20, 3 * MINUTE_S)
"""One account, by all devices that are not known to it."""
GUESS_SEEN = Quota("guess.seen", 1, DAY_S)
"""Available if this network has not tried this account for a day."""
GUESS_NEWCOMER_NEAR = Quota("guess.new.near", 10, 6 * MINUTE_S)
"""One account, by networks that try it for the first time and where members were seen before the attack."""
GUESS_NEWCOMER_FAR = Quota("guess.new.far", 10, 6 * MINUTE_S)
"""The same, from all other networks."""
GUESS_CODE = Quota("guess.code", 10, 15 * MINUTE_S)
"""Codes of one account, by devices that are not known to it: a client that gets this far has the password."""
GUESS_NOTICE = Quota("guess.notice", 1, DAY_S)
"""Mails to an owner about attempts."""

CODE_OF_OWNER = Quota("sms.nonce.owner", 6, 4 * HOUR_S)
"""Codes texted for one account from the part of the budget that is kept for owners."""

NAMING_NOTICE = Quota("naming.notice", 1, DAY_S)
"""Mails to an owner about reports that may name the account."""

# Mails on request. An account gets at most one mail per 15 minutes on request of strangers, which is less
# than the lifetime of a link (model/mail.py): so its owner always has one in the mailbox that works.
MAIL_PAIR = Quota("mail.pair", 4, 15 * MINUTE_S)
"""Requested for one login, from one network."""
MAIL_NETWORK = Quota("mail.network", 30, 2 * MINUTE_S)
"""Requested from one network: a whole school may share one."""
MAIL_DEVICE = Quota("mail.device", 4, 15 * MINUTE_S)
"""Requested by the devices of one account, for any login: only the courier looks up the login's account."""
MAIL_STRANGERS = Quota("mail.strangers", 4, 15 * MINUTE_S)
"""Sent to one account at the request of strangers."""
MAIL_OWN = Quota("mail.own", 5, 12 * MINUTE_S)
"""Sent to one account at its own request, or that of a device known to it."""
MAIL_ADDRESS = Quota("mail.address", 5, 12 * MINUTE_S)
"""Links that confirm one address, for all accounts that want it: not less than MAIL_OWN, so that the
owner alone never reaches it.
"""

# Codes that are texted to sign in (rules/phone_sign_in.py). Each costs the operator a text, so besides these the
# limit per country applies (`sms.code_per_prefix_day`). A phone gets at most 8 at once and then 8 an hour.
PHONE_CODE_PAIR = Quota("phone.pair", 4, 15 * MINUTE_S)
"""Requested for one number, from one network."""
PHONE_CODE_NETWORK = Quota("phone.network", 30, 2 * MINUTE_S)
"""Requested from one network: carriers put many phones behind one address."""
PHONE_CODE_ALL = Quota("phone.all", 600, 6)
"""Requested by all browsers that have never signed in."""
PHONE_CODE_DEVICE = Quota("phone.device", 4, 15 * MINUTE_S)
"""Requested by the devices of one account, for any number: only the sms role looks up the number's account."""
PHONE_CODE_STRANGERS = Quota("phone.strangers", 4, 15 * MINUTE_S)
"""Sent to one phone at the request of strangers."""
PHONE_CODE_OWN = Quota("phone.own", 4, 15 * MINUTE_S)
"""Sent to one phone at the request of a device known to its account."""

# Subscriptions to the status page. Each makes a mail to an address, or a call of a URL, that a stranger typed.
STATUS_NETWORK = Quota("status.network", 20, 3 * MINUTE_S)
"""Requested from one network."""
STATUS_ALL = Quota("status.all", 2000, 10)
"""Requested by all networks together: many people subscribe in the first minutes of an incident."""
STATUS_MAIL = Quota("status.mail", 4, 15 * MINUTE_S)
"""Automatic updates about one channel that are mailed: a channel that fails and recovers has two a minute."""
STATUS_MAILBOX = Quota("status.mailbox", 5, 6 * HOUR_S)
"""Confirmation mails to further addresses of one mailbox (model/status_subscription.py)."""
STATUS_WEBHOOK = Quota("status.webhook", 3, HOUR_S)
"""Challenges sent to one URL."""
STATUS_WEBHOOK_HOST = Quota("status.webhook.host", 5, 7 * DAY_S)
"""Webhooks of one network on one host: a host has few places (`webhooks_per_host`)."""
STATUS_WEBHOOK_ALL = Quota("status.webhook.all", 60, MINUTE_S)
"""Webhooks requested by all networks together: many host names may lead to one machine."""

# Limits on the rows that strangers and new accounts create. An account older than YOUNG_MS has only the first
# limits.
YOUNG_MS = 3 * DAY_S * 1000
APPS = Quota("apps", 60, MINUTE_S)
"""Applications registered from one network: a school's phones, and an app that registers at each start."""
APP_TOKENS = Quota("app_tokens", 120, 30)
"""Tokens of applications without an account, from one network: an app gets one before a sign-up. A
revoked token is given back.
"""
SIGN_UPS = Quota("sign_ups", 20, 2 * MINUTE_S)
"""Accounts created from one network: a room full of people, then one every two minutes."""
YOUNG_POSTS = Quota("young.posts", 300, 12)
"""Posts by a young account."""
YOUNG_UPLOAD_MB = Quota("young.upload_mb", 500, MINUTE_S)
"""Megabytes uploaded by a young account."""
YOUNG_WAYS_IN = Quota("young.ways_in", 100, 10 * MINUTE_S)
"""Browsers and apps that sign in to a young account."""
YOUNG_MENTIONS = Quota("young.mentions", 60, MINUTE_S)
"""Accounts that a young account mentions for the first time and that do not follow it."""
YOUNG_FOLLOWS = Quota("young.follows", 300, MINUTE_S)
"""Follows, and requests to follow, by a young account."""


def is_young(account_id: int, *, now_ms: int) -> bool:
    """Return True if the account was created less than YOUNG_MS ago."""
    return now_ms - time_ms(account_id) < YOUNG_MS


def slot(secret: bytes, who: str) -> int:
    """Return the row that counts `who`, a network or a typed name. Keyed, so that no client can choose a row."""
    digest = hashlib.blake2b(
        who.lower().encode("utf-8", "replace"), key=secret[:64], digest_size=8, person=b"petrel.quota"
    ).digest()
    return int.from_bytes(digest) % SLOTS + 1


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return the network of an address: "192.0.2.0/24", "2001:db8:1:200::/56"; other
    text is returned unchanged.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    length = 24 if parsed.version == 4 else 56
    return str(ipaddress.ip_network((parsed, length), strict=False))

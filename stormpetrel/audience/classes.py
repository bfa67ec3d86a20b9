"""Coarse classes of requests: programs, feed services, referrers and landing pages. Nothing finer is counted."""

from __future__ import annotations

import re

BOT_WORDS = (
    b"bot", b"crawl", b"spider", b"slurp", b"scrap", b"archiver", b"preview", b"facebookexternalhit", b"embedly",
    b"monitor", b"stormpetrel-canary", b"uptime", b"pingdom", b"statuscake", b"lighthouse", b"headless", b"phantomjs",
    b"curl/", b"wget/", b"python-requests", b"python-urllib", b"python-httpx", b"aiohttp", b"go-http-client",
    b"libwww", b"java/", b"httpie", b"wrk/", b"apachebench", b"zgrab", b"masscan", b"nmap", b"nikto", b"sqlmap",
)  # fmt: skip
"""A User-Agent with one of these words, in any case, is a program's. One without any name is, too."""
READER_WORDS = (
    b"feed",
    b"rss",
    b"reader",
    b"miniflux",
    b"newsblur",
    b"inoreader",
    b"bazqux",
    b"theoldreader",
)
"""Feed readers call themselves feed bots and feed fetchers: at a feed, they read for people."""
_SUBSCRIBERS = re.compile(rb"(?<![\d/.])(\d{1,7}) (?:subscriber|reader)s?\b")
_SERVICE = re.compile(rb"[A-Za-z][A-Za-z .]{0,30}")
MAX_SUBSCRIBERS = 1_000_000

SEARCH_SITES = (
    "google", "bing", "duckduckgo", "yahoo", "ecosia", "qwant", "startpage", "baidu", "yandex", "brave", "kagi",
    "mojeek", "naver", "seznam",
)  # fmt: skip
SOCIAL_SITES = (
    "facebook", "fb", "instagram", "threads", "twitter", "x", "t", "bsky", "linkedin", "lnkd", "reddit", "tumblr",
    "pinterest", "vk", "weibo", "youtube", "tiktok", "telegram", "discord", "whatsapp", "mastodon", "lemmy",
    "ycombinator",
)  # fmt: skip
MAIL_SITES = ("mail", "webmail", "outlook", "gmail", "proton", "fastmail", "mailbox", "gmx")
REFERRERS = ("search", "social", "mail", "other", "none")
_LANDING_OF = {
    b"tags": "tag",
    b"public": "explore",
    b"explore": "explore",
    b"search": "explore",
    b"about": "about",
    b"auth": "sign_in",
    b"oauth": "sign_in",
}
LANDINGS = ("home", "profile", "post", "tag", "explore", "about", "sign_in", "other")


def is_program(agent: bytes, *, is_feed: bool) -> bool:
    """Return whether a User-Agent is a program's that reads for no particular person."""
    if not agent:
        return True
    lower = agent.lower()
    if is_feed and any(word in lower for word in READER_WORDS):
        return False
    return any(word in lower for word in BOT_WORDS)


def subscribers_of(agent: bytes) -> tuple[str, int] | None:
    """Return the feed service that a User-Agent names, and how many subscribers it announces; None for others."""
    match = _SUBSCRIBERS.search(agent)
    if match is None:
        return None
    service = _SERVICE.match(agent)
    name = service[0].decode("ascii").strip() if service is not None else "unnamed"
    return name, min(int(match[1]), MAX_SUBSCRIBERS)


def referrer_class(referrer: bytes, own_host: bytes) -> str:
    """Return one of REFERRERS for the Referer header, or "" if it is a page of this instance."""
    if not referrer:
        return "none"
    scheme, found, rest = referrer.partition(b"://")
    if not found or scheme not in (b"http", b"https"):
        # Apps send their own name, such as android-app://com.google.android.gm/.
        return "mail" if b"mail" in referrer or b".gm" in referrer else "other"
    host = rest.partition(b"/")[0].lower()
    if host == own_host:
        return ""
    labels = host.partition(b":")[0].decode("latin-1").split(".")
    if any(label in MAIL_SITES for label in labels):
        return "mail"
    site = set(labels[:-1])
    if site & set(SEARCH_SITES):
        return "search"
    return "social" if site & set(SOCIAL_SITES) else "other"


def landing_class(path: bytes) -> str:
    """Return one of LANDINGS for the path of a page."""
    if path == b"/":
        return "home"
    first, _, rest = path[1:].partition(b"/")
    if first[:1] == b"@":
        return "post" if rest[:1].isdigit() else "profile"
    return _LANDING_OF.get(first, "other")

"""The words of a report for the names that are measured. A name without words of its own is shown as it is."""

from __future__ import annotations

CLIENTS = {
    "members": "Members on the web",
    "apps": "Members in apps",
    "visitors": "Visitors",
    "feeds": "Feed readers",
    "sign-ins": "Sign-ins and sign-ups",
    "SMS": "SMS",
    "canaries": "The server's own canaries",
    "others": "Others",
}
CHANNELS = {
    "web": "Web pages of members",
    "apps": "Apps",
    "posting": "Posting and other writes",
    "streaming": "Live updates",
    "sign_in": "Sign-in and sign-up",
    "feeds": "Feeds",
    "new": "New visitors",
    "returning": "Returning visitors",
    "media": "Media",
    "sms_in": "SMS in",
    "sms_out": "SMS out",
    "canary": "The server's own canaries",
}
CLASSES = {
    "K0": "K0: established members, writing",
    "K1": "K1: established members, reading",
    "K2": "K2: returning visitors, known readers and devices",
    "K3": "K3: strangers, new credentials, sign-ins",
    "K4": "K4: demoted clients, and requests over a budget",
}
SOURCES = {
    "member": "Members",
    "returning": "Returning visitors",
    "known_network": "Strangers from known networks",
    "new_network": "Strangers from new networks",
    "forged": "Clients with invalid credentials",
}
AGENTS = {
    "browser": "Browsers",
    "app": "Apps",
    "reader": "Feed readers",
    "program": "Programs and libraries",
    "none": "Without a name",
}
REFERRERS = {
    "none": "No link given",
    "own": "A page of this site",
    "mail": "A link in a mail",
    "search": "A search engine",
    "social": "A social network",
    "other": "Another site",
}
KINDS = {
    "cached": "Pages from memory",
    "page": "Pages",
    "api": "API",
    "feed": "Feeds",
    "stream": "Live streams",
    "sign_in": "Sign-ins",
    "token": "Tokens for apps",
    "sign_up": "Sign-ups and new applications",
    "search": "Searches",
    "tag": "Hashtags",
    "deep": "Pages after the first",
    "unknown_path": "Paths that do not exist",
    "write": "Writes",
    "media": "Media",
    "asset": "Files of pages",
}
CONNECTIONS = {
    "opened": "Opened in a second",
    "reset": "Reset by the client, in a second",
    "unused": "Closed without a request, in a second",
    "slow_head": "Head incomplete",
    "slow_body": "Body incomplete",
    "unread": "Client reads nothing",
    "silent": "Nothing sent",
    "streams": "Live streams",
    "new": "New",
    "idle": "Idle",
    "busy": "Busy",
}
ORDERS = {
    "allow": "Allow",
    "deny": "Deny",
    "undo": "Rule removed",
    "pause": "Pause of denies and demotions, set or ended",
}
NOTICED_BY = {
    "watch": "The watch, by overload",
    "phase": "The watch, by a change of the traffic",
    "canary": "A canary that failed",
    "operator": "An operator, who opened an incident",
}
TIMELINE = {
    "overload": "",
    "calm": "",
    "canary": "",
    "worker": "",
    "watch": "",
    "allow": "An operator allowed a client ",
    "deny": "An operator denied a client ",
    "undo": "An operator's rule ended: ",
    "pause": "An operator changed the pause: ",
    "incident": "An operator wrote on the status page: ",
}
"""The kinds of journal entries that the time line shows, and the words before their text."""
VERDICTS = {
    "calm": "usual traffic",
    "crowd": "a crowd: many people at once",
    "attack": "an attack",
    "mixed": "an attack and a crowd at once",
    "unknown": "not decided",
}
IN_SHORT = {
    "calm": "usual traffic",
    "crowd": "a crowd",
    "attack": "an attack",
    "mixed": "an attack within a crowd",
}
"""The verdicts in a sentence."""
SHARE, PER_S, AMOUNT = "share", "a second", ""
MEASURES = {
    # Rates of requests and connections
    "requests_per_s": ("requests", PER_S),
    "pages_per_s": ("pages for strangers", PER_S),
    "members_per_s": ("requests of members", PER_S),
    "files_per_s": ("files of pages, and media", PER_S),
    "feeds_per_s": ("feeds", PER_S),
    "search_per_s": ("searches", PER_S),
    "expensive_per_s": ("expensive pages, such as tags and deep pages", PER_S),
    "others_per_s": ("requests of strangers to the API", PER_S),
    "writes_per_s": ("writes of members", PER_S),
    "abused_per_s": ("requests of credentials with very many requests", PER_S),
    "forged_per_s": ("requests with invalid credentials", PER_S),
    "claims_per_s": ("requests that claim the address of another client", PER_S),
    "bodies_per_s": ("large bodies of strangers", PER_S),
    "refused_bodies_per_s": ("bodies that were refused for their size", PER_S),
    "sign_ups_per_s": ("new accounts and applications", PER_S),
    "sign_ins_per_s": ("attempts to sign in", PER_S),
    "streams_per_s": ("live streams opened", PER_S),
    "shared_per_s": ("requests from busy addresses that members share", PER_S),
    "few_per_s": ("requests from busy addresses", PER_S),
    "pipelined_per_s": ("requests sent before the last answer was read", PER_S),
    "malformed_per_s": ("requests that cannot be read", PER_S),
    "opened_per_s": ("connections opened", PER_S),
    "churn_per_s": ("connections dropped without use", PER_S),
    "failed_per_s": ("failed attempts to sign in", PER_S),
    "most_failed_per_s": ("failed attempts for one account", PER_S),
    "texts_new_per_s": ("texts from new numbers", PER_S),
    # Amounts
    "slow": ("connections that make no progress", AMOUNT),
    "slow_bodies": ("uploads that make no progress", AMOUNT),
    "open_streams": ("open live streams", AMOUNT),
    "cost_ms": ("CPU time in a second, in ms", AMOUNT),
    "requests_per_address": ("requests per address", AMOUNT),
    "files_per_page": ("files fetched after each page", AMOUNT),
    "addresses": ("different addresses", AMOUNT),
    "networks": ("different networks", AMOUNT),
    "failed_sign_ins": ("failed attempts to sign in", AMOUNT),
    "most_failed": ("failed attempts for one account", AMOUNT),
    "texts_new": ("texts from new numbers", AMOUNT),
    # Shares
    "programs": ("strangers that look like programs", SHARE),
    "page_programs": ("pages requested by programs", SHARE),
    "other_programs": ("other requests by programs", SHARE),
    "file_programs": ("files requested by programs", SHARE),
    "new_networks": ("strangers from networks that are new here", SHARE),
    "ignored_retry": ("refused clients that came back too early", SHARE),
    "page_links": ("pages opened by a link from elsewhere", SHARE),
    "page_cookies": ("pages requested with a visitor cookie", SHARE),
    "young_writes": ("writes of accounts younger than a day", SHARE),
    "one_account": ("failed attempts that concern one account", SHARE),
    "steady": ("requests of heavy senders that were there seconds before", SHARE),
    "churn_share": ("new connections that were dropped without use", SHARE),
}
"""By the names of features and evidence: words, and the unit."""


def named(names: dict[str, str], name: str) -> str:
    """Return the words for a name; without any, the name with spaces."""
    return names.get(name) or name.replace("_", " ") or "(none)"

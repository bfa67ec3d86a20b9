"""The words of a report for the names that are measured. A name without words of its own is shown as it is."""

from __future__ import annotations

CLIENTS = {
    "members": "Members on the web",
    "apps": "Members in apps",
    "visitors": "Visitors",
    "feeds": "Feed readers",
    "sign-ins": "Sign-ins and sign-ups",
    "SMS": "SMS",
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
}
AGENTS = {
    "browser": "Browsers",
    "app": "Apps",
    "feed_reader": "Feed readers",
    "bot": "Bots and search engines",
    "program": "Programs and libraries",
    "none": "Without a name",
}
REFERRERS = {
    "none": "None given",
    "own": "This site",
    "mail": "A link in a mail",
    "search": "A search engine",
    "social": "A social network",
    "other": "Another site",
    "other_site": "Another site",
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
MEASURES = {
    "new_networks": "requests from networks that are new here",
    "path_entropy": "variety of the requested paths",
    "early_returns": "requests that came back before Retry-After ended",
    "referrer_share": "requests that name the page with the link",
}
"""Words for measures of the evidence. Those of each vector's rule are listed in docs/insight.md."""


def named(names: dict[str, str], name: str) -> str:
    """Return the words for a name; without any, the name with spaces."""
    return names.get(name) or name.replace("_", " ") or "(none)"

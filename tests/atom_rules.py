"""A checker for RFC 4287 (Atom): returns the problems of a document, none for a valid one."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import datetime
from urllib.parse import urlsplit

ATOM = "{http://www.w3.org/2005/Atom}"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_ONCE_IN_FEED = ("id", "title", "updated")  # 4.1.1
_ONCE_IN_ENTRY = ("id", "title", "updated")  # 4.1.2
_AT_MOST_ONCE = (
    "published",
    "content",
    "summary",
    "subtitle",
    "generator",
    "rights",
    "source",
    "icon",
    "logo",
)
_KNOWN = {
    "feed": {"id", "title", "updated", "author", "link", "generator", "subtitle", "entry", "icon", "logo"},
    "entry": {"id", "title", "updated", "published", "author", "link", "category", "content", "summary"},
}


def problems(document: bytes) -> list[str]:
    """Return the problems of the document, one line each."""
    feed = ET.fromstring(document)
    if feed.tag != f"{ATOM}feed":
        return [f"the root is {feed.tag}"]
    found = [*_children(feed, "feed", _ONCE_IN_FEED)]
    entries = feed.findall(f"{ATOM}entry")
    if not any(link.get("rel") == "self" for link in feed.findall(f"{ATOM}link")):
        found.append("feed: no link rel=self")  # 4.1.1: SHOULD
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    if len(set(ids)) != len(ids):
        found.append("two entries have the same id")
    for entry in entries:
        found += _children(entry, "entry", _ONCE_IN_ENTRY)
        if not entry.findall(f"{ATOM}author") and not feed.findall(f"{ATOM}author"):
            found.append("entry: nobody wrote it")  # 4.1.2
        content = entry.find(f"{ATOM}content")
        has_alternate = any(link.get("rel") == "alternate" for link in entry.findall(f"{ATOM}link"))
        if content is None and not has_alternate:
            found.append("entry: neither content nor an alternate link")  # 4.1.2
        if content is not None and (content.get("type") not in ("text", "html") or len(content)):
            found.append("entry: content that is not text")  # 4.1.3
        if _LANGUAGE in entry.attrib and not re.fullmatch(r"[A-Za-z0-9-]+", entry.get(_LANGUAGE, "")):
            found.append("entry: a language that is none")
    return found


def _children(element: ET.Element, name: str, once: tuple[str, ...]) -> list[str]:
    found = []
    names = [child.tag.removeprefix(ATOM) for child in element if child.tag.startswith(ATOM)]
    found += [f"{name}: {names.count(one)} times {one}" for one in once if names.count(one) != 1]
    found += [f"{name}: {one} more than once" for one in _AT_MOST_ONCE if names.count(one) > 1]
    found += [f"{name}: {one} does not belong there" for one in set(names) - _KNOWN[name]]
    for child in element:
        kind = child.tag.removeprefix(ATOM)
        text = child.text or ""
        if kind in ("updated", "published"):
            if not _DATE.match(text):
                found.append(f"{name}: {kind} {text!r} is no date of RFC 3339")
            else:
                datetime.fromisoformat(text)
        if kind == "id" and not urlsplit(text).scheme:
            found.append(f"{name}: the id {text!r} is no absolute IRI")
        if kind == "link" and not urlsplit(child.get("href", "")).scheme:
            found.append(f"{name}: a link without an absolute address")
        if kind == "category" and not child.get("term"):
            found.append(f"{name}: a category without a term")
        if kind == "author" and not child.findtext(f"{ATOM}name"):
            found.append(f"{name}: an author without a name")
    alternates = [
        (link.get("type"), link.get("hreflang"))
        for link in element.findall(f"{ATOM}link")
        if link.get("rel", "alternate") == "alternate"
    ]
    if len(set(alternates)) != len(alternates):
        found.append(f"{name}: two alternate links of one type")
    return found

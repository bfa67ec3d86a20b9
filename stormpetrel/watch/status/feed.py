"""The Atom feed of incidents and maintenance (RFC 4287): an entry for each update, with an id for good."""

from __future__ import annotations

import re
from html import escape

from stormpetrel.model.incident import Incident, IncidentUpdate, iso
from stormpetrel.model.incident_text import body_html
from stormpetrel.watch.status.view import StatusView

CONTENT_TYPE = "application/atom+xml; charset=utf-8"
NEWEST = 50
# Characters that XML 1.0 (2.2) forbids, even escaped.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def atom(view: StatusView) -> bytes:
    """Return the feed with the NEWEST updates, newest first."""
    found = [(one, update) for one in view.incidents for update in one.updates]
    found.sort(key=lambda pair: -pair[1].at_ms)
    updated_ms = found[0][1].at_ms if found else view.now_epoch_s // 86_400 * 86_400_000
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">',
        f"<id>tag:{_text(view.domain)},2026:status</id>",
        f"<title>Status of {_text(view.title)}</title>",
        f"<updated>{iso(updated_ms)}</updated>",
        f"<author><name>{_text(view.title)}</name></author>",
        f'<link rel="self" type="application/atom+xml" href="{_text(view.page_url)}/history.atom"/>',
        f'<link rel="alternate" type="text/html" href="{_text(view.page_url)}/"/>',
    ]
    lines += [_entry(view, one, update) for one, update in found[:NEWEST]]
    return "\n".join([*lines, "</feed>", ""]).encode()


def _entry(view: StatusView, one: Incident, update: IncidentUpdate) -> str:
    status = update.status.replace("_", " ").capitalize()
    at = iso(update.at_ms)
    return (
        f"<entry><id>tag:{_text(view.domain)},2026:status/{one.id}/{update.id}</id>"
        f"<title>{status}: {_text(one.name)}</title>"
        f"<published>{at}</published><updated>{at}</updated>"
        f'<link rel="alternate" type="text/html" href="{_text(view.page_url)}/incidents/{one.id}#{update.id}"/>'
        f'<content type="html">{_text(body_html(update.text))}</content></entry>'
    )


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))

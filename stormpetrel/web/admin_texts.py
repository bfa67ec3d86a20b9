"""Forms for administrators: the instance's rules, texts, announcements and blocked e-mail domains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.ids import parse_id
from stormpetrel.model.moderation import (
    MAX_ANNOUNCEMENT,
    MAX_HINT,
    MAX_RULE,
    MAX_TEXT,
    TEXT_NAMES,
    Announcement,
    InstanceRule,
    InstanceText,
)
from stormpetrel.rules import instance as rules
from stormpetrel.rules import moderation
from stormpetrel.web.links import same_site
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PAGE = "/admin/texts"
TITLES = {
    "extended_description": "About this server (full description)",
    "privacy_policy": "Privacy policy",
    "terms_of_service": "Terms of service",
}


@dataclass(frozen=True, slots=True)
class TextsView:
    """The data that the page can change."""

    texts: dict[str, InstanceText]
    rules: tuple[InstanceRule, ...]
    announcements: tuple[Announcement, ...]
    domains: tuple[str, ...]
    reader: Reader | None


def read_texts(connection: Connection, *, reader_id: int, now_ms: int) -> TextsView:
    """Read the data of the page. Raise Forbidden if the reader is not an administrator."""
    moderation.require_admin(moderation.moderator(connection, account_id=reader_id))
    return TextsView(
        rules.texts(connection),
        tuple(rules.rules(connection)),
        tuple(rules.announcements(connection, reader_id=reader_id)),
        tuple(rules.email_domains(connection)),
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
    )


async def texts(request: Request) -> Response:
    """GET /admin/texts: show the texts and forms."""
    seen = await request.site.database.read(read_texts, reader_id=request.account_id, now_ms=request.now_ms)
    return pages_of(request).page(
        request,
        "admin_texts.html",
        reader=seen.reader,
        texts=[
            (name, TITLES[name], seen.texts[name].text if name in seen.texts else "") for name in TEXT_NAMES
        ],
        rules=seen.rules,
        announcements=seen.announcements,
        domains=seen.domains,
        limits={
            "text": MAX_TEXT,
            "rule": MAX_RULE,
            "hint": MAX_HINT,
            "announcement": MAX_ANNOUNCEMENT,
        },
    )


def _as_admin(connection: Connection, /, *, reader_id: int, rule: Callable[..., Any], **values: Any) -> None:
    rule(connection, moderation.moderator(connection, account_id=reader_id), **values)


async def _write(request: Request, rule: Callable[..., Any], **values: Any) -> Response:
    await request.site.database.write(
        _as_admin, reader_id=request.account_id, rule=rule, now_ms=request.now_ms, **values
    )
    return redirect(PAGE)


async def save(request: Request) -> Response:
    """POST /admin/texts/WHAT: apply the change that the last part of the path names."""
    form = await request.form()
    what = request.parameters["what"]
    if what in TEXT_NAMES:
        return await _write(request, rules.set_text, name=what, text=form.get("text", ""))
    some_id = parse_id(form.get("id", "")) or 0
    match what:
        case "add_rule":
            return await _write(request, rules.add_rule, text=form.get("text", ""), hint=form.get("hint", ""))
        case "remove_rule":
            return await _write(request, rules.remove_rule, rule_id=some_id)
        case "announce":
            return await _write(request, rules.announce, text=form.get("text", ""))
        case "block_domain":
            return await _write(request, rules.block_email_domain, domain=form.get("domain", ""))
        case "unblock_domain":
            return await _write(request, rules.unblock_email_domain, domain=form.get("domain", ""))
        case _:
            return await _write(request, rules.withdraw, announcement_id=some_id)


async def dismiss(request: Request) -> Response:
    """POST /announcements/ID/dismiss: mark it as read."""
    await request.site.database.write(
        rules.dismiss, account_id=request.account_id, announcement_id=request.id()
    )
    return redirect(same_site((await request.form()).get("next", "")))

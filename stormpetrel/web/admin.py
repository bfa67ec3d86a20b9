"""Administrators' pages: an overview, and the pending sign-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import moderation
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.model.account import User
    from stormpetrel.storage.engine.connection import Connection

SHOWN = 100
"""The maximum number of sign-ups on the page, oldest first; further ones follow as these are decided."""


def read_sign_ups(connection: Connection, *, reader_id: int, now_ms: int) -> tuple[Reader | None, list[User]]:
    """Read the reader, who must be an administrator, and at most SHOWN pending sign-ups."""
    account_rules.require_admin(connection, account_id=reader_id)
    waiting = account_rules.pending_users(connection, limit=SHOWN)
    return read_reader(connection, reader_id=reader_id, now_ms=now_ms), waiting


def approve_as(connection: Connection, *, reader_id: int, account_id: int, now_ms: int) -> None:
    """Approve a sign-up. Check the reader's permission in the same transaction."""
    moderation.approve(
        connection,
        moderation.moderator(connection, account_id=reader_id),
        account_id=account_id,
        now_ms=now_ms,
    )


def reject_as(connection: Connection, *, reader_id: int, account_id: int, now_ms: int) -> None:
    """Reject and delete a sign-up. Check the reader's permission in the same transaction."""
    moderation.reject(
        connection,
        moderation.moderator(connection, account_id=reader_id),
        account_id=account_id,
        now_ms=now_ms,
    )


def read_overview(connection: Connection, *, reader_id: int, now_ms: int) -> tuple[Reader | None, int, int]:
    """Read the reader (a moderator) and the counts of open reports and pending sign-ups (at most SHOWN)."""
    moderation.moderator(connection, account_id=reader_id)
    return (
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
        moderation.count_open_reports(connection),
        len(account_rules.pending_users(connection, limit=SHOWN)),
    )


async def overview(request: Request) -> Response:
    reader, open_reports, waiting = await request.site.database.read(
        read_overview, reader_id=request.account_id, now_ms=request.now_ms
    )
    return pages_of(request).page(
        request, "admin.html", reader=reader, open_reports=open_reports, sign_ups=waiting
    )


async def sign_ups(request: Request) -> Response:
    reader, waiting = await request.site.database.read(
        read_sign_ups, reader_id=request.account_id, now_ms=request.now_ms
    )
    return pages_of(request).page(request, "admin_sign_ups.html", reader=reader, waiting=waiting, shown=SHOWN)


async def approve(request: Request) -> Response:
    await request.site.database.write(
        approve_as, reader_id=request.account_id, account_id=request.id(), now_ms=request.now_ms
    )
    return redirect("/admin/sign_ups")


async def reject(request: Request) -> Response:
    await request.site.database.write(
        reject_as, reader_id=request.account_id, account_id=request.id(), now_ms=request.now_ms
    )
    return redirect("/admin/sign_ups")

"""The pages about the audience: for administrators, and a short one for everyone if it is public."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.audience import CHANNELS, AudienceRow
from stormpetrel.rules import audience
from stormpetrel.rules.accounts import require_admin
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

KINDS = {"day": "Days", "week": "Weeks", "month": "Months"}
CHANNEL_NAMES = {"web": "Web", "apps": "Apps", "feeds": "Feeds", "sms": "SMS"}
SHARES = {"known_by": "Recognised by", "from": "Came from", "landing": "First page"}
FRESH_S = 60.0
BAR_HEIGHT = 100


@dataclass(frozen=True, slots=True)
class AudienceBar:
    """A bar of the chart. `height`: at most BAR_HEIGHT."""

    name: str
    visitors: int
    height: int


def read_rows(
    connection: Connection, *, reader_id: int | None, now_ms: int
) -> tuple[Reader | None, dict[str, list[AudienceRow]]]:
    """Read the reader and the rows of each kind."""
    found = {kind: audience.rows(connection, kind=kind, now_ms=now_ms) for kind in KINDS}
    if reader_id is None:
        return None, found
    return read_reader(connection, reader_id=reader_id, now_ms=now_ms), found


def read_rows_for_admin(
    connection: Connection, *, reader_id: int, now_ms: int
) -> tuple[Reader | None, dict[str, list[AudienceRow]]]:
    """Read the reader and the rows. Raise Forbidden if the reader is not an administrator."""
    require_admin(connection, account_id=reader_id)
    return read_rows(connection, reader_id=reader_id, now_ms=now_ms)


def bars_of(rows: list[AudienceRow]) -> list[AudienceBar]:
    """Return the bars of a chart, the greatest with the full height."""
    most = max((row.visitors() for row in rows), default=0) or 1
    return [
        AudienceBar(row.period.name, row.visitors(), round(row.visitors() / most * BAR_HEIGHT))
        for row in rows
    ]


async def admin(request: Request) -> Response:
    """GET /admin/audience: every number, for administrators."""
    reader, rows = await request.site.database.read(
        read_rows_for_admin, reader_id=request.account_id, now_ms=request.now_ms
    )
    return pages_of(request).page(
        request,
        "admin_audience.html",
        reader=reader,
        rows=rows,
        kinds=KINDS,
        bars={kind: bars_of(found) for kind, found in rows.items()},
        channels=CHANNELS,
        channel_names=CHANNEL_NAMES,
        shares=SHARES,
        is_enabled=request.site.config.audience.enabled,
        is_public=request.site.config.audience.public,
        machines=max((row.machines for found in rows.values() for row in found), default=1),
    )


async def public(request: Request) -> Response:
    """GET /audience: the visitors of the latest days and months. Raise NotFound unless they are public."""
    if not request.site.config.audience.public:
        raise NotFound
    reader, rows = await request.site.database.read(
        read_rows, reader_id=request.reader_id, now_ms=request.now_ms
    )
    request.keep_hot("instance", ttl_s=FRESH_S)
    return pages_of(request).page(
        request,
        "audience.html",
        reader=reader,
        rows=rows,
        bars=bars_of(rows["day"]),
        channels=CHANNELS,
        channel_names=CHANNEL_NAMES,
    )

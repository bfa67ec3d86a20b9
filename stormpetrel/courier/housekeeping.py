"""The courier's cleaning each minute, in transactions of a few rows, so that no writer waits behind it.

The retention times are in [retention] of the configuration; constants here implement fixed promises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from stormpetrel.config import RetentionConfig
from stormpetrel.model.ids import first_id_at
from stormpetrel.model.status_subscription import PENDING_KEPT_MS, UPDATES_KEPT_MS
from stormpetrel.rules import deletion, media
from stormpetrel.rules.access import COMMAND_LINE_CLIENT_ID, SESSION_AGE_S
from stormpetrel.storage import housekeeping as stored
from stormpetrel.storage import quotas, status_subscriptions, status_updates
from stormpetrel.storage.engine.database import Database

EVERY_S = 60.0
BATCH = 200
FEW = 10
"""Batch size for rows that need a dozen statements each."""
BATCHES = 50
"""Batches of one kind per round; the rest waits for the next, so that a backlog does not crowd out jobs."""
DAY_MS = 86_400_000
IDEMPOTENCY_KEPT_MS = 65 * 60 * 1000
"""The promise is an hour; five minutes more allow for clocks that differ."""
UNCONFIRMED_KEPT_MS = 7 * DAY_MS
"""Deletes sign-ups whose address was never confirmed, so that they cannot block other people's names."""
CODES_KEPT_MS = 60 * 60 * 1000
"""An expired code is remembered for a while, so that its second use is refused as a second use."""
URGENCY = 3


def in_words(removed: Counter[str]) -> str:
    """Return what a round removed, for the log, or "".

    Quotas that are full again are left out: each use of an account leaves one, so that a line per minute would be
    written about them, also on an idle instance. The metrics count them.
    """
    return ", ".join(
        f"{kind} {count}" for kind, count in sorted(removed.items()) if count and kind != "quotas"
    )


@dataclass(slots=True)
class Housekeeping:
    """Removes old rows of `db`. `removed`: rows by kind since the process began."""

    db: Database
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    removed: Counter[str] = field(default_factory=Counter)
    _after_application_id: int = 0
    _after_quota: tuple[str, int] = ("", 0)

    async def round(self, *, now_ms: int) -> Counter[str]:
        """Do one round; return the number of removed rows by kind. Raise Busy when the store fails."""
        before = self.removed.copy()
        days = self.retention
        await self._old(
            "idempotency", stored.remove_old_idempotency_keys, before_ms=now_ms - IDEMPOTENCY_KEPT_MS
        )
        await self._old("codes", stored.remove_old_codes, before_ms=now_ms - CODES_KEPT_MS)
        await self._old("mutes", stored.end_expired_mutes, now_ms=now_ms)
        await self._old("mail_links", stored.remove_old_mail_links, now_ms=now_ms)
        await self._old("unconfirmed", stored.remove_unconfirmed, before_ms=now_ms - UNCONFIRMED_KEPT_MS)
        await self._old("media_lost", media.fail_lost, now_ms=now_ms)
        await self._old("media_loose", media.remove_old_loose, now_ms=now_ms)
        sessions_end_ms = now_ms - SESSION_AGE_S * 1000
        await self._old("sessions", stored.remove_old_sessions, before_id=first_id_at(sessions_end_ms))
        if kept_ms := days.notifications_days * DAY_MS:
            before_id = first_id_at(max(0, now_ms - kept_ms))
            await self._old("notifications", stored.remove_old_notifications, before_id=before_id)
        if kept_ms := days.app_tokens_days * DAY_MS:
            before_id = first_id_at(max(0, now_ms - kept_ms))
            await self._old("app_tokens", stored.remove_old_app_tokens, before_id=before_id)
        if kept_ms := days.suspended_days * DAY_MS:
            suspended_ms = {"before_ms": now_ms - kept_ms, "now_ms": now_ms}
            await self._old("suspended", deletion.delete_suspended, batch=FEW, **suspended_ms)
        if kept_ms := days.dead_jobs_days * DAY_MS:
            await self._old("dead_jobs", stored.remove_dead_jobs, before_ms=now_ms - kept_ms)
        pending_end_ms = max(0, now_ms - PENDING_KEPT_MS)
        await self._old(
            "status_pending", status_subscriptions.remove_old_pending, before_id=first_id_at(pending_end_ms)
        )
        await self._old("status_updates", status_updates.remove_old, before_ms=now_ms - UPDATES_KEPT_MS)
        await self._quotas(now_ms)
        if kept_ms := days.applications_days * DAY_MS:
            await self._applications(first_id_at(max(0, now_ms - kept_ms)))
        return self.removed - before

    def metrics(self) -> dict[str, float]:
        """Return the number of removed rows by kind."""
        return {
            f'stormpetrel_cleared_rows_total{{kind="{kind}"}}': count
            for kind, count in sorted(self.removed.items())
        }

    async def _old(self, kind: str, remove: Callable[..., int], *, batch: int = BATCH, **values: int) -> None:
        for _ in range(BATCHES):
            count = await self.db.write_as(URGENCY, 10.0, remove, count=batch, **values)
            self.removed[kind] += count
            if count < batch:
                break

    async def _quotas(self, now_ms: int) -> None:
        """Remove quotas that are full again, a part of the table per round, as it can be large."""
        for _ in range(BATCHES):
            removed, self._after_quota = await self.db.write_as(
                URGENCY, 10.0, quotas.remove_full, after=self._after_quota, count=BATCH, now_ms=now_ms
            )
            self.removed["quotas"] += removed
            if self._after_quota == ("", 0):
                break

    async def _applications(self, before_id: int) -> None:
        """Check the next few: nearly all are in use, so checking all in each round would cost a scan."""
        removed, self._after_application_id = await self.db.write_as(
            URGENCY,
            10.0,
            stored.remove_unused_applications,
            after_id=self._after_application_id,
            before_id=before_id,
            built_in=COMMAND_LINE_CLIENT_ID,
            count=BATCH,
        )
        self.removed["applications"] += removed

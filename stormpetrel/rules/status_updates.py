"""Send an update of the status page to its subscribers: taken once, then split into jobs of the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.incident import MAINTENANCE
from stormpetrel.model.quota import STATUS_MAIL
from stormpetrel.model.status_subscription import StatusNotice, StatusSubscription
from stormpetrel.rules.quotas import spend
from stormpetrel.rules.status_subscriptions import WebhookJob, mail_refused
from stormpetrel.storage import outbox
from stormpetrel.storage import status_subscriptions as stored_subscriptions
from stormpetrel.storage import status_updates as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.status_updates import Sending

PARTS = 4
"""Sendings of one update: so many connections to the mail server."""
MIN_PART = 500
LATER_MS = 5 * 60_000
"""A mail that the server did not take for now is sent alone after this time (greylisting takes some minutes)."""
_CHANNELS = tuple(CHANNEL_NAMES)


class StatusUpdateJob(msgspec.Struct, frozen=True):
    """The outbox job `status_update`. `is_late`: its mails have waited."""

    status_update_id: int
    is_late: bool = False


class SendingJob(msgspec.Struct, frozen=True):
    """The outbox job `sending`."""

    sending_id: int


class LateMail(msgspec.Struct, frozen=True):
    """The outbox job `late_mail`: a mail that the mail server did not take at first."""

    status_update_id: int
    subscription_id: int


def take(connection: Connection, *, notices: Sequence[StatusNotice], now_ms: int) -> int:
    """Store updates that a watch hands over, and queue their sending; return how many were new.

    A watch that is killed after this hands the same ones over again.
    """
    ids = [id for one in notices if (id := stored.add(connection, one, now_ms=now_ms)) is not None]
    for id in ids:
        outbox.put(connection, kind="status_update", payload=StatusUpdateJob(id), now_ms=now_ms)
    return len(ids)


def split(connection: Connection, *, status_update_id: int, is_late: bool = False, now_ms: int) -> None:
    """Queue the sendings of an update to mail subscribers, and a call for each webhook (run by the courier).

    Mails about a channel that changes again and again wait: then the newest automatic update is sent. `is_late`: the
    update's mails have waited.
    """
    notice = stored.notice(connection, id=status_update_id)
    if notice is None:
        return
    if not is_late:
        _call_webhooks(connection, notice, status_update_id, now_ms=now_ms)
    elif _is_outdated(connection, notice, status_update_id):
        return
    wait_ms = _mail_wait_ms(connection, notice, now_ms=now_ms)
    if wait_ms:
        job = StatusUpdateJob(status_update_id, is_late=True)
        outbox.put(connection, kind="status_update", payload=job, now_ms=now_ms, delay_ms=wait_ms)
        return
    ids = stored.active_mail_ids(connection)
    parts = max(1, min(PARTS, len(ids) // MIN_PART))
    bounds = [0, *(ids[len(ids) * part // parts - 1] for part in range(1, parts + 1))] if ids else []
    for after_id, until_id in pairwise(bounds):
        id = stored.add_sending(connection, Sending(status_update_id, after_id, until_id), now_ms=now_ms)
        outbox.put(
            connection,
            kind="sending",
            payload=SendingJob(id),
            now_ms=now_ms,
            lane=outbox.LANE_STATUS_MAIL,
            job_id=id,
        )


def _call_webhooks(
    connection: Connection, notice: StatusNotice, status_update_id: int, *, now_ms: int
) -> None:
    for one in stored.active_webhooks(connection):
        if one.wants(notice.concerned):
            outbox.put(
                connection,
                kind="webhook",
                payload=WebhookJob(one.id, status_update_id),
                now_ms=now_ms,
                lane=outbox.LANE_WEBHOOKS,
            )


def _mail_wait_ms(connection: Connection, notice: StatusNotice, *, now_ms: int) -> int:
    """Take the update's mails from the quotas of its channels; return the wait in ms if all are used up, else 0."""
    if not _is_limited(notice):
        return 0
    waits_ms = [
        spend(connection, STATUS_MAIL, _CHANNELS.index(channel), now_ms=now_ms)
        for channel in notice.channels
        if channel in _CHANNELS
    ]
    return min(waits_ms, default=0)


def _is_outdated(connection: Connection, notice: StatusNotice, status_update_id: int) -> bool:
    """Return True if a newer update is of the same incident, or an automatic one about all channels of this one."""
    return any(
        newer.incident_id == notice.incident_id
        or (_is_limited(newer) and set(newer.channels).issuperset(notice.channels))
        for newer in stored.newer_notices(connection, id=status_update_id)
    )


def _is_limited(notice: StatusNotice) -> bool:
    """Return True for an update that measurements caused: people do not write two a minute."""
    return notice.is_automatic and notice.impact != MAINTENANCE


def next_part(
    connection: Connection, *, sending_id: int, count: int
) -> tuple[int, StatusNotice, list[StatusSubscription]] | None:
    """Return the id of the update, the update, and its next subscribers, at most `count`; None when all have it."""
    sending = stored.sending(connection, id=sending_id)
    if sending is None:
        return None
    recipients = stored.next_recipients(
        connection, after_id=sending.after_id, until_id=sending.until_id, count=count
    )
    notice = stored.notice(connection, id=sending.status_update_id)
    return (sending.status_update_id, notice, recipients) if recipients and notice is not None else None


def advance(
    connection: Connection,
    *,
    sending_id: int,
    status_update_id: int,
    after_id: int,
    sent: Sequence[int],
    refused: Sequence[tuple[int, str]],
    late: Sequence[int],
    now_ms: int,
) -> None:
    """Note that the mails up to a subscription were sent.

    `sent`: subscriptions whose mail was accepted after failures. `refused`: (subscription, reason) of mails that were
    refused for good. `late`: subscriptions whose mail is to be sent again.
    """
    stored.advance(connection, id=sending_id, after_id=after_id)
    for id in sent:
        stored_subscriptions.note_success(connection, id=id)
    for id, reason in refused:
        mail_refused(connection, id=id, reason=reason, now_ms=now_ms)
    for id in late:
        outbox.put(
            connection,
            kind="late_mail",
            payload=LateMail(status_update_id, id),
            now_ms=now_ms,
            delay_ms=LATER_MS,
            lane=outbox.LANE_STATUS_MAIL,
        )


def finished(connection: Connection, *, sending_id: int) -> None:
    """Delete a sending that is done."""
    stored.delete_sending(connection, id=sending_id)


def one_delivery(
    connection: Connection, *, status_update_id: int, subscription_id: int
) -> tuple[StatusNotice, StatusSubscription] | None:
    """Return the update and the subscription of a late mail or a call; None if either has ended."""
    notice = stored.notice(connection, id=status_update_id)
    found = stored_subscriptions.by_id(connection, id=subscription_id)
    return (notice, found) if notice is not None and found is not None else None

"""Sends the updates of the status page to subscribers by mail, and notes the progress after every few mails.

If the courier is killed, the mails of the last BATCH that were not noted yet are sent once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.clock import now_ms
from stormpetrel.config import Config
from stormpetrel.courier.dispatch import Attempt, Dispatch, JobFailed
from stormpetrel.courier.mail_stream import MailStream
from stormpetrel.courier.mailer import CONVERSATION_S, MailFailed
from stormpetrel.courier.status_letters import StatusMailTemplate, template
from stormpetrel.model.mail import link_token
from stormpetrel.model.status_subscription import StatusNotice, StatusSubscription, SubscriptionState
from stormpetrel.own_thread import in_own_thread
from stormpetrel.rules import status_updates as rules
from stormpetrel.rules.status_subscriptions import mail_refused
from stormpetrel.rules.status_updates import LateMail, SendingJob
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.database import Database

BATCH = 8
AT_ONCE = rules.PARTS + 1
LONGEST_S = 900.0
"""One attempt at a part of the subscribers; the next attempt goes on where it ended."""
MAX_TEMPLATES = 16

_decode_sending = msgspec.json.Decoder(SendingJob).decode
_decode_late = msgspec.json.Decoder(LateMail).decode


class _StatusMails:
    """The work of the lane."""

    def __init__(self, db: Database, config: Config, secret: bytes) -> None:
        self._db = db
        self._config = config
        self._secret = secret
        self._templates: BoundedTable[str, StatusMailTemplate] = BoundedTable(
            MAX_TEMPLATES, evicts=Eviction.OLDEST
        )

    async def sending(self, attempt: Attempt) -> None:
        """Send an update to a part of the subscribers."""
        job = _decode_sending(attempt.job.payload)
        stream = MailStream(self._config)
        try:
            while True:
                part = await self._db.read(rules.next_part, sending_id=job.sending_id, count=BATCH)
                if part is None:
                    await attempt.finish(partial(rules.finished, sending_id=job.sending_id))
                    return
                step = asyncio.ensure_future(self._step(attempt, stream, job.sending_id, *part))
                try:
                    is_ours = await asyncio.shield(step)
                except asyncio.CancelledError:
                    # The courier ends: mails that are on their way must be noted, or they are sent twice.
                    await step
                    raise
                if not is_ours:
                    return
        finally:
            await in_own_thread(stream.close)

    async def _step(
        self,
        attempt: Attempt,
        stream: MailStream,
        sending_id: int,
        status_update_id: int,
        notice: StatusNotice,
        recipients: Sequence[StatusSubscription],
    ) -> bool:
        """Send a batch and note it; return False if another courier does the job by now."""
        wanted = [one for one in recipients if one.wants(notice.concerned)]
        outcomes = await self._send(stream, notice, wanted)
        done = list(zip(wanted, outcomes, strict=False))
        is_whole = len(done) == len(wanted)
        return await attempt.advance(
            partial(
                rules.advance,
                sending_id=sending_id,
                status_update_id=status_update_id,
                after_id=recipients[-1].id if is_whole else done[-1][0].id,
                sent=[one.id for one, failure in done if failure is None and one.off_reason],
                refused=[
                    (one.id, failure.safe_text) for one, failure in done if failure and failure.for_good
                ],
                late=[one.id for one, failure in done if failure and not failure.for_good],
                now_ms=now_ms(),
            )
        )

    async def late_mail(self, attempt: Attempt) -> None:
        """Send a mail that the mail server did not take at first."""
        job = _decode_late(attempt.job.payload)
        found = await self._db.read(
            rules.one_delivery, status_update_id=job.status_update_id, subscription_id=job.subscription_id
        )
        if found is None or found[1].state is not SubscriptionState.ACTIVE:
            await attempt.finish()
            return
        stream = MailStream(self._config)
        try:
            (outcome,) = await self._send(stream, found[0], [found[1]])
        finally:
            await in_own_thread(stream.close)
        if outcome is None:
            await attempt.finish()
        elif outcome.for_good:
            id, reason = found[1].id, outcome.safe_text
            await attempt.finish(partial(mail_refused, id=id, reason=reason, now_ms=now_ms()))
        else:
            raise JobFailed(outcome.safe_text)

    async def _send(
        self, stream: MailStream, notice: StatusNotice, wanted: Sequence[StatusSubscription]
    ) -> list[MailFailed | None]:
        if not wanted:
            return []
        made = self._templates.get(notice.update_id)
        if made is None:
            made = template(notice, self._config)
            self._templates.put(notice.update_id, made)
        mails = [made.mail(one, token=link_token(self._secret, one.nonce)) for one in wanted]
        try:
            return await in_own_thread(lambda: stream.send(mails))
        except MailFailed as error:
            # Not of one recipient, but of the server: all wait for it.
            raise JobFailed(error.safe_text) from error


def status_mail_lane(db: Database, config: Config, secret: bytes) -> Dispatch:
    """Return the lane that sends updates of the status page by mail."""
    mails = _StatusMails(db, config, secret)
    works = {"sending": mails.sending, "late_mail": mails.late_mail}
    return Dispatch(db, outbox.LANE_STATUS_MAIL, works, at_once=AT_ONCE, longest_s=LONGEST_S + CONVERSATION_S)

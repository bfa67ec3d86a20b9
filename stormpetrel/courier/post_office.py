"""Sends the mails of the outbox."""

from __future__ import annotations

import msgspec

from stormpetrel.config import Config
from stormpetrel.courier.dispatch import Attempt, Dispatch, JobFailed
from stormpetrel.courier.letters import write
from stormpetrel.courier.mailer import CONVERSATION_S, MailFailed, send
from stormpetrel.model.mail import Letter
from stormpetrel.own_thread import in_own_thread
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.database import Database

AT_ONCE = 4
LONGEST_S = CONVERSATION_S * 3
"""Includes name look-ups and slow disks."""

_decode = msgspec.json.Decoder(Letter).decode


def mail_lane(db: Database, config: Config, secret: bytes) -> Dispatch:
    """Return the lane that sends the mails of the outbox."""

    async def mail(attempt: Attempt) -> None:
        job = attempt.job
        message = write(_decode(job.payload), config=config, secret=secret, name=f"{job.id}.stormpetrel")
        try:
            await in_own_thread(lambda: send(config, message, name=str(job.id)))
        except MailFailed as error:
            raise JobFailed(error.safe_text, for_good=error.for_good) from error
        await attempt.finish()

    return Dispatch(db, outbox.LANE_MAIL, {"mail": mail}, at_once=AT_ONCE, longest_s=LONGEST_S)

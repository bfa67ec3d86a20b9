"""Mails of the outbox: read, written, sent."""

from __future__ import annotations

import msgspec

from stormpetrel.config import Config
from stormpetrel.courier.dispatch import Work
from stormpetrel.courier.letters import write
from stormpetrel.courier.mailer import MailFailed, send
from stormpetrel.model.mail import Letter
from stormpetrel.storage.outbox import Job

_decode = msgspec.json.Decoder(Letter).decode


def mail_work(config: Config, secret: bytes) -> Work:
    """What the mail lane does with a job."""

    def work(job: Job) -> None:
        if job.kind != "mail":
            raise MailFailed("this release knows no such kind of job", for_good=True)
        name = f"{job.id}.stormpetrel"
        send(config, write(_decode(job.payload), config=config, secret=secret, name=name), name=str(job.id))

    return work

"""The mails to subscribers of the status page: one text for an update, to which each subscriber's parts are added."""

from __future__ import annotations

import quopri
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from stormpetrel import clock
from stormpetrel.config import Config
from stormpetrel.courier.mail_stream import OutgoingMail
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.incident import MAINTENANCE, moment
from stormpetrel.model.status_subscription import (
    LEAVE_PATH,
    SUBSCRIPTION_PATH,
    StatusNotice,
    StatusSubscription,
)
from stormpetrel.model.text import one_line


@dataclass(frozen=True, slots=True)
class StatusMailTemplate:
    """The mail of an update without the parts that differ: `head` and `body` are complete lines with CRLF.

    `leave_url`, `link`: without the token; `link` in quoted-printable, as the last line of the body.
    """

    update_id: str
    head: bytes
    body: bytes
    link: bytes
    leave_url: bytes
    domain: bytes

    def mail(self, subscription: StatusSubscription, *, token: str) -> OutgoingMail:
        """Return the mail to one subscriber."""
        name = f"{self.update_id}.{subscription.id}"
        key, id, to = token.encode(), name.encode(), subscription.target.encode()
        data = b"".join(
            (
                *(self.head, b"To: ", to, b"\r\nMessage-ID: <", id, b"@", self.domain, b">\r\n"),
                *(b"List-Unsubscribe: <", self.leave_url, key, b">\r\n\r\n"),
                *(self.body, self.link, key, b"\r\n"),
            )
        )
        return OutgoingMail(name, subscription.target, data)


def template(notice: StatusNotice, config: Config) -> StatusMailTemplate:
    """Return the template of an update's mails."""
    title = one_line(config.title) or "Stormpetrel"
    domain = config.mail_sender.rpartition("@")[2]
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(title, addr_spec=config.mail_sender)
    message["Subject"] = f"{_status(notice)}: {one_line(notice.name)} · {title}"
    message["Date"] = formatdate(clock.now_s())
    # All mails of an incident become one thread.
    message["References"] = f"<incident.{notice.incident_id}@{domain}>"
    message["List-Id"] = f"<status.{domain}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # Prevents automatic replies (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(notice, title, config), cte="quoted-printable")
    head, _, body = message.as_bytes().partition(b"\r\n\r\n")
    link = quopri.encodestring(f"{config.base_url}{SUBSCRIPTION_PATH}?token=".encode())
    return StatusMailTemplate(
        notice.update_id,
        head + b"\r\n",
        body,
        # A line has 76 characters at most: a soft break parts the link from its token.
        link.replace(b"\n", b"\r\n") + b"=\r\n",
        f"{config.base_url}{LEAVE_PATH}?token=".encode(),
        domain.encode(),
    )


def _text(notice: StatusNotice, title: str, config: Config) -> str:
    channels = ", ".join(CHANNEL_NAMES.get(one, one) for one in notice.channels)
    facts = [f"{_status(notice)}, {moment(notice.at_ms)}"]
    if notice.impact == MAINTENANCE:
        facts.append(f"Planned: {moment(notice.scheduled_for_ms)} to {moment(notice.scheduled_until_ms)}")
    else:
        facts.append(f"Impact: {notice.impact}. Began: {moment(notice.started_ms)}")
    if channels:
        facts.append(f"Services: {channels}")
    if notice.is_automatic:
        facts.append("This update was written automatically, from measurements.")
    if config.status_url:
        facts.append(f"{config.status_url.rstrip('/')}/incidents/{notice.incident_id}")
    said = "\n".join(facts)
    return (
        f"{one_line(notice.name)}\n\n{notice.body}\n\n{said}\n\n-- \n{title}\n{config.base_url}\n\n"
        "You subscribed to incidents and maintenance. Choose what you get, or unsubscribe:\n"
    )


def _status(notice: StatusNotice) -> str:
    return notice.status.replace("_", " ").capitalize()

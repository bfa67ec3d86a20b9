"""Sends many mails over one connection to the mail server, pipelined where the server offers it (RFC 2920)."""

from __future__ import annotations

import contextlib
import email
import smtplib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.policy import SMTP
from typing import Any

from stormpetrel.config import Config
from stormpetrel.courier.mailer import CONVERSATION_S, PERMANENT, MailFailed, connected, failures, send

_ACCEPTED = (250, 251)
_CLOSING = 421


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A mail to one recipient. `name`: the same when the same mail is sent again. `data`: with CRLF, not escaped."""

    name: str
    recipient: str
    data: bytes


class MailStream:
    """A connection that is opened when it is needed, and again after it broke. Not for several threads at once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._where = f"{config.mail.host}:{config.mail.port}"
        self._open = contextlib.ExitStack()
        self._client: Any = None

    def send(self, mails: Sequence[OutgoingMail]) -> list[MailFailed | None]:
        """Send the mails, blocking for at most CONVERSATION_S; return the failure of each, None if it was accepted.

        There are fewer failures than mails if the connection broke: the outcome of the others is not known. Raise
        MailFailed if that of no mail is.
        """
        if self._config.mail.transport != "smtp":
            return [self._elsewhere(one) for one in mails]
        outcomes: list[MailFailed | None] = []
        is_kept = self._client is not None
        try:
            self._converse(mails, outcomes)
        except MailFailed:
            self.close()
            if outcomes:
                return outcomes
            if not is_kept:
                raise
            # The server closed the connection while it was idle, or allows only so many mails on it.
            try:
                self._converse(mails, outcomes)
            except MailFailed:
                self.close()
                if not outcomes:
                    raise
        return outcomes

    def close(self) -> None:
        """End the connection, if there is one."""
        self._client = None
        # A server that has gone away cannot be told.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self._open.close()

    def _elsewhere(self, mail: OutgoingMail) -> MailFailed | None:
        message = email.message_from_bytes(mail.data, policy=SMTP)
        send(self._config, message, name=mail.name)
        return None

    def _converse(self, mails: Sequence[OutgoingMail], outcomes: list[MailFailed | None]) -> None:
        with failures(self._where):
            deadline_at_s = time.monotonic() + CONVERSATION_S
            if self._client is None:
                self._client = self._open.enter_context(connected(self._config, deadline_at_s=deadline_at_s))
                self._client.ehlo_or_helo_if_needed()
            client = self._client
            client.renew(deadline_at_s=deadline_at_s)
            if not client.has_extn("pipelining"):
                for mail in mails:
                    outcomes.append(self._step_by_step(client, mail))
                return
            client.send(self._envelope(mails[0]))
            for mail, following in zip(mails, [*mails[1:], None], strict=True):
                # The next envelope goes with this mail's data, so each mail costs one round trip.
                next_envelope = b"" if following is None else self._envelope(following)
                outcomes.append(self._pipelined(client, mail, next_envelope))

    def _envelope(self, mail: OutgoingMail) -> bytes:
        sender, recipient = self._config.mail_sender, mail.recipient
        return f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode("ascii")

    def _pipelined(self, client: Any, mail: OutgoingMail, next_envelope: bytes) -> MailFailed | None:
        """Read the answers to the mail's envelope, then send its data and the next envelope."""
        sender, recipient, data = client.getreply(), client.getreply(), client.getreply()
        if sender[0] not in _ACCEPTED:
            raise smtplib.SMTPResponseException(*sender)
        if recipient[0] == _CLOSING:
            raise smtplib.SMTPResponseException(*recipient)
        if recipient[0] not in _ACCEPTED:
            if data[0] == 354:
                # Some servers accept DATA without a recipient; they get an empty mail, to no recipient.
                client.send(b".\r\n")
                client.getreply()
            client.send(b"RSET\r\n" + next_envelope)
            client.getreply()
            return self._refused("the recipient", *recipient)
        if data[0] != 354:
            raise smtplib.SMTPDataError(*data)
        client.send(_escaped(mail.data) + b".\r\n" + next_envelope)
        return self._result(*client.getreply())

    def _step_by_step(self, client: Any, mail: OutgoingMail) -> MailFailed | None:
        sender = client.mail(self._config.mail_sender)
        if sender[0] not in _ACCEPTED:
            raise smtplib.SMTPResponseException(*sender)
        recipient = client.rcpt(mail.recipient)
        if recipient[0] == _CLOSING:
            raise smtplib.SMTPResponseException(*recipient)
        if recipient[0] not in _ACCEPTED:
            client.rset()
            return self._refused("the recipient", *recipient)
        return self._result(*client.data(mail.data))

    def _result(self, code: int, said: bytes) -> MailFailed | None:
        if code == _CLOSING:
            raise smtplib.SMTPResponseException(code, said)
        return None if code in _ACCEPTED else self._refused("the mail", code, said)

    def _refused(self, what: str, code: int, said: bytes) -> MailFailed:
        return MailFailed(f"{self._where} rejected {what}: {code} {said!r}", for_good=code >= PERMANENT)


def _escaped(data: bytes) -> bytes:
    """Return the data with a second dot before each line that begins with one (RFC 5321, 4.5.2)."""
    return data.replace(b"\r\n.", b"\r\n..")

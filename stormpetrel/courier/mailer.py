"""Sends a mail: into a file, into the log, or to a mail server.

A mail server may never finish, so each answer has a time and size limit, and the whole conversation a
deadline.
"""

from __future__ import annotations

import contextlib
import logging
import os
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from stormpetrel.config import Config
from stormpetrel.errors import StormpetrelError

log = logging.getLogger(__name__)

CONVERSATION_S = 60.0
"""Limit for sending one mail, whatever the server does."""
MAX_ANSWER_BYTES = 65_536
"""Limit for all answers of a server in one conversation; a typical one has about 1,000 bytes."""
FILES_KEPT = 1000
"""Maximum of mails in the directory; older ones are deleted."""
PERMANENT = 500
"""Codes from here on mean that a retry is useless (RFC 5321 4.2.1)."""


class MailFailed(StormpetrelError):
    """A mail could not be sent. `for_good`: retrying cannot help."""

    def __init__(self, safe_text: str, *, for_good: bool = False) -> None:
        super().__init__(safe_text)
        self.for_good = for_good


def mail_directory(config: Config) -> Path:
    """Return the directory for mails with transport "file"."""
    return config.data_dir / "mail"


def send(config: Config, message: EmailMessage, *, name: str) -> str:
    """Send a mail, blocking for at most CONVERSATION_S; return a text for the operator. Raise MailFailed.

    `name` stays the same when the same mail is tried again.
    """
    if config.mail.transport == "smtp":
        return _by_smtp(config, message)
    if config.mail.transport == "console":
        log.info("mail %s:\n%s", name, message.as_string())
        return "written to the log"
    return _into_file(mail_directory(config), message, name=name)


def _into_file(directory: Path, message: EmailMessage, *, name: str) -> str:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, unfinished = directory / f"{name}.eml", directory / f"{name}.unfinished"
        with open(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(message.as_bytes())
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        names = sorted(entry.name for entry in os.scandir(directory) if entry.name.endswith(".eml"))
        for old in names[:-FILES_KEPT]:
            (directory / old).unlink(missing_ok=True)
    except OSError as error:
        raise MailFailed(f"{directory}: {error.strerror or error}") from error
    log.info("mail written to %s", path)
    return f"written to {path}"


class _Answers:
    """The server's answers, as smtplib reads them: by lines, within the deadline and MAX_ANSWER_BYTES."""

    def __init__(self, sock: socket.socket, client: _Bounded) -> None:
        self._sock = sock
        self._client = client
        self._kept = b""

    def readline(self, most: int = -1) -> bytes:
        client = self._client
        step_ends_at_s = time.monotonic() + client.step_s
        while b"\n" not in self._kept and not 0 <= most <= len(self._kept):
            # A server that sends a byte a second must not extend the step's time.
            left_s = min(step_ends_at_s, client.deadline_at_s) - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the mail server took too long")
            self._sock.settimeout(left_s)
            more = self._sock.recv(4096)
            client.budget_bytes -= len(more)
            if client.budget_bytes < 0:
                raise OSError("the mail server sent too much data")
            if not more:
                break
            self._kept += more
        end = self._kept.find(b"\n") + 1 or len(self._kept)
        end = min(end, most) if most >= 0 else end
        line, self._kept = self._kept[:end], self._kept[end:]
        return line

    def close(self) -> None:
        self._kept = b""


class _Bounded:
    """Mixin for smtplib's classes: bounds every read and every write."""

    deadline_at_s: float
    step_s: float
    budget_bytes: int
    sock: Any
    file: Any

    def renew(self, *, deadline_at_s: float) -> None:
        """Allow another MAX_ANSWER_BYTES of answers, until a later deadline."""
        self.deadline_at_s, self.budget_bytes = deadline_at_s, MAX_ANSWER_BYTES

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = _Answers(self.sock, self)
        answer: tuple[int, bytes] = super().getreply()  # type: ignore[misc]  # smtplib.SMTP stands beside it
        return answer

    def send(self, s: Any) -> None:
        left_s = min(self.step_s, self.deadline_at_s - time.monotonic())
        if self.sock and left_s <= 0:
            raise smtplib.SMTPServerDisconnected("the mail server took too long")
        if self.sock:
            self.sock.settimeout(left_s)
        super().send(s)  # type: ignore[misc]  # as above


class _Plain(_Bounded, smtplib.SMTP):
    pass


class _Tls(_Bounded, smtplib.SMTP_SSL):
    pass


@contextlib.contextmanager
def connected(config: Config, *, deadline_at_s: float) -> Iterator[Any]:
    """Yield a client of smtplib that is signed in, with a method `renew`. Raise errors of smtplib, OSError."""
    settings = config.mail
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    client: Any = (
        _Tls(timeout=settings.timeout_s, context=context)
        if settings.security == "tls"
        else _Plain(timeout=settings.timeout_s)
    )
    client.step_s = settings.timeout_s
    client.renew(deadline_at_s=deadline_at_s)
    # smtplib checks certificates for this name; if the constructor had it, it would connect before the limits
    # are set.
    client._host = settings.host
    try:
        code, said = client.connect(settings.host, settings.port)
        if code != 220:
            raise smtplib.SMTPResponseException(code, said)
        if settings.security == "starttls":
            code, said = client.starttls(context=context)
            if code != 220:
                raise smtplib.SMTPResponseException(code, said)
        if settings.username:
            client.login(settings.username, settings.password)
        yield client
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()
    finally:
        client.close()


def _by_smtp(config: Config, message: EmailMessage) -> str:
    where = f"{config.mail.host}:{config.mail.port}"
    with failures(where), connected(config, deadline_at_s=time.monotonic() + CONVERSATION_S) as client:
        client.send_message(message, config.mail_sender, [str(message["To"].addresses[0].addr_spec)])
    return f"{where} accepted it"


@contextlib.contextmanager
def failures(where: str) -> Iterator[None]:
    """Turn the errors of a conversation with the mail server `where` into MailFailed."""
    try:
        yield
    except smtplib.SMTPNotSupportedError as error:
        raise MailFailed(f"{where} lacks a required feature: {error}") from error
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise MailFailed(
            f"{where} rejected the recipient: {code} {said!r}", for_good=code >= PERMANENT
        ) from error
    except smtplib.SMTPAuthenticationError as error:
        # Only the operator can correct this, so it is tried again.
        raise MailFailed(f"{where} rejected mail.username and mail.password: {error.smtp_code}") from error
    except smtplib.SMTPDataError as error:
        for_good = error.smtp_code >= PERMANENT
        raise MailFailed(
            f"{where} rejected the mail: {error.smtp_code} {error.smtp_error!r}", for_good=for_good
        ) from error
    except smtplib.SMTPResponseException as error:
        raise MailFailed(f"{where} answered {error.smtp_code} {error.smtp_error!r}") from error
    except ssl.SSLCertVerificationError as error:
        raise MailFailed(f"the certificate of {where} is not trusted: {error.verify_message}") from error
    except (smtplib.SMTPException, OSError, UnicodeError, ValueError) as error:
        raise MailFailed(f"{where}: {error or type(error).__name__}") from error

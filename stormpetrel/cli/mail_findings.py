"""The checks of `check` for the mail settings; no mail is sent."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stormpetrel.cli.findings import Finding, Severity
from stormpetrel.config import is_loopback

if TYPE_CHECKING:
    from stormpetrel.config import Config

CONNECT_TIMEOUT_S = 3.0


def mail_findings(config: Config) -> Iterator[Finding]:
    """Check if mails can be sent, as far as possible without sending one."""
    mail = config.mail
    if mail.transport != "smtp":
        where = f"files in {config.data_dir / 'mail'}" if mail.transport == "file" else "the log"
        verdict = Severity.OK
        if mail.confirm == "required":
            verdict = Severity.WARN
        todo = (
            "set mail.transport to smtp: nobody who signs up gets the link"
            if verdict is Severity.WARN
            else ""
        )
        yield Finding("mail", verdict, f"mails go to {where}", todo)
        return
    where = f"{mail.host}:{mail.port}"
    if mail.ca_file and not os.access(mail.ca_file, os.R_OK):
        yield Finding("mail", Severity.FAIL, f"mail.ca_file {mail.ca_file} cannot be read", "correct it")
        return
    try:
        socket.create_connection((mail.host, mail.port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        text = f"{where} cannot be reached: {error.strerror or type(error).__name__}"
        yield Finding(
            "mail", Severity.FAIL, text, "correct mail.host and mail.port, or start the mail server"
        )
        return
    if mail.security == "none" and not is_loopback(mail.host):
        text = f"{where}, unprotected on the way: links in mails can be read"
        yield Finding("mail", Severity.WARN, text, "set mail.security to starttls or tls")
        return
    yield Finding("mail", Severity.OK, f"{where} is there; try stormpetrel mail test ADDRESS")

"""`mail`: tests if mails can be sent."""

from __future__ import annotations

import argparse
from typing import Any

from stormpetrel.cli.parser import Commands, add_command, add_group
from stormpetrel.errors import EnvironmentFailure, SetupError


def add_commands(commands: Commands[Any]) -> None:
    """Add `mail test`."""
    group = add_group(commands, "mail", about="Tests the mail settings.")
    parser = add_command(
        group,
        "test",
        _test,
        about="Sends a test mail now and reports the result.",
        example="stormpetrel mail test nino@example.org",
    )
    parser.add_argument("address", metavar="ADDRESS", help="recipient of the mail")


def _test(args: argparse.Namespace) -> int:
    import secrets

    from stormpetrel.config_loader import load
    from stormpetrel.courier.letters import write
    from stormpetrel.courier.mailer import MailFailed, send
    from stormpetrel.model.account import email_problem
    from stormpetrel.model.mail import Letter, Notice
    from stormpetrel.process import secret
    from stormpetrel.storage.engine.migrate import require_current

    config = load(args.config).config
    problem = email_problem(args.address)
    if problem is not None:
        raise SetupError(f"{args.address} {problem}")
    if config.mail.transport == "file":
        # The file goes into the data directory, which must be an instance's.
        require_current(config.database_url)
    name = f"test-{secrets.token_hex(8)}"
    letter = Letter(Notice.TEST.value, args.address, "")
    try:
        message = write(letter, config=config, secret=secret.load(config), name=name)
        if config.mail.transport == "console":
            print(message.as_string())
            return 0
        outcome = send(config, message, name=name)
    except MailFailed as error:
        raise EnvironmentFailure(f"the mail was not sent: {error.safe_text}") from error
    print(f"mail sent to {args.address}: {outcome}")
    return 0

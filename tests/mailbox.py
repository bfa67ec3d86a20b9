"""The mails that a running instance wrote to files, and the links in them."""

from __future__ import annotations

import email
import email.policy
import re
import secrets
import time

from stormpetrel.model.access import secret_hash
from stormpetrel.model.mail import Purpose, new_link
from stormpetrel.rules import accounts
from stormpetrel.rules import mail as mail_rules
from tests.people import now_ms


def mails_to(place, address):
    """Return the mails that the courier wrote for the address, oldest first."""
    found = []
    for path in sorted((place.instance.directory / "data" / "mail").glob("*.eml")):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if message["To"].addresses[0].addr_spec == address:
            found.append(message)
    return found


def next_mail(place, address, count=1):
    """Return the newest mail, as soon as there are `count`."""
    for _ in range(400):
        found = mails_to(place, address)
        if len(found) >= count:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError(f"no mail to {address}:\n{place.instance.log[-3000:]}")


def link_in(message, place):
    """Return the path and query of the one link with a token in the mail."""
    (link,) = re.findall(rf"{place.base_url}(/\S+token=[0-9a-f]{{48}})", message.get_content())
    return link


def link_of(place, account_id, purpose=Purpose.RESET):
    """Create a link as the courier would, but without a mail. Return its token."""
    token = secrets.token_hex(24)
    user = place.write(accounts.user, account_id=account_id)
    link = new_link(b"x" * 32, token)
    wanted = mail_rules.LinkWanted(purpose.value, user.username, link.nonce, secret_hash(token).hex())
    place.write(mail_rules.send_wanted, wanted=wanted, user=user, now_ms=now_ms())
    return token

"""The text of each mail. Plain text; every link in it uses the instance's public address."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from stormpetrel import clock
from stormpetrel.config import Config
from stormpetrel.courier.mailer import MailFailed
from stormpetrel.model.mail import Letter, Notice, Purpose, link_token
from stormpetrel.model.status_subscription import SUBSCRIPTION_PATH
from stormpetrel.model.text import one_line

_CONFIRM = (
    "Please confirm your address",
    """welcome to {title}. To confirm your e-mail address, open this page and press the button:

{link}

The link works for two days. If you did not sign up, ignore this e-mail: nothing will happen.""",
)
_ADDRESS = (
    "Please confirm your new address",
    """please confirm the new e-mail address of your account on {title}. Open this page and press the button:

{link}

The link works for a day. If you did not ask for this, ignore this e-mail: nothing will change.""",
)
_RESET = (
    "Choose a new password",
    """someone, probably you, requested a new password for your account on {title}. To choose one, open this page:

{link}

The link works once, within an hour. All browsers and apps will then have to sign in again. If it was not you, ignore
this e-mail: your password will not change.""",
)
_PASSWORD_CHANGED = (
    "Your password was changed",
    """the password of your account on {title} was just changed.

If that was you, you need not do anything. If not, reset your password right away:

{base_url}/auth/password/new""",
)
_ADDRESS_CHANGED = (
    "Your e-mail address was changed",
    """the e-mail address of your account on {title} was changed. This address will not receive any more e-mail.

If that was not you, please contact the admins of {title}{contact}.""",
)
_SIGN_IN = (
    "Sign in",
    """to sign in to your account on {title}, open this page in the browser you want to use and press the button:

{link}

The link works once, within half an hour. If you did not ask for this, ignore this e-mail: no browser is signed in
without it.""",
)
_SECOND_FACTOR_CHANGED = (
    "Your two-factor authentication was changed",
    """an authenticator app, a passkey or the recovery codes of your account on {title} were just added, removed or
replaced.

If that was you, you need not do anything. If not, set a new password right away and check your settings:

{base_url}/auth/password/new
{base_url}/settings/security""",
)
_WRONG_PASSWORDS = (
    "Failed sign-ins to your account",
    """devices that you have not used before tried several wrong passwords for your account on {title}. None of
them worked, and further attempts are now limited. You get this e-mail at most once a day.

If this was you, you can sign in without your password, with a link sent by e-mail:

{base_url}/auth/sign_in/mail

If not, you need not do anything. Your account page shows how many attempts there were:

{base_url}/settings/account""",
)
_ADDRESS_IN_USE = (
    "You already have an account",
    """someone, probably you, entered this address on {title}, to sign up or for another account. It already
belongs to your account @{username}, and nothing has changed. Sign in here:

{base_url}/auth/sign_in

If you do not remember your password, you can sign in with a link sent by e-mail:

{base_url}/auth/sign_in/mail

If it was not you, ignore this e-mail. The person who entered the address was not told that you have an account.""",
)
_APPROVED = (
    "You can sign in now",
    """the admins of {title} approved your request to join. You can now sign in with your username or this
address, and the password you chose:

{base_url}/auth/sign_in""",
)
_PHONE_CHANGED = (
    "The phone of your account was changed",
    """a phone was just linked to your account on {title}, or removed from it. A linked phone can read and post by
SMS.

If that was you, you need not do anything. If not, check your phone settings and set a new password right away:

{base_url}/settings/phone
{base_url}/auth/password/new""",
)
_NAMING = (
    "May a report name your account?",
    """{title} had unusually heavy traffic for a while, and many of the requests went to pages of your account
@{username}. The admins may publish a report about it. It does not name you unless you agree.

Here you can see when it was, and choose:

{base_url}/settings/naming

You need not do anything: without an answer you are not named. You can change your choice at any time. You get this
e-mail at most once a day.""",
)
_STATUS_CONFIRM = (
    "Please confirm your subscription",
    """someone, probably you, wants e-mails about incidents and maintenance of {title} at this address. To get them,
open this page and press the button:

{link}

The link works for two days. If you did not ask for this, ignore this e-mail: you will get no others.""",
)
_STATUS_KNOWN = (
    "You are subscribed already",
    """someone, probably you, asked for e-mails about incidents and maintenance of {title} at this address. It is
subscribed already, and nothing has changed. Choose what you get, or unsubscribe, on this page:

{link}""",
)
_TEST = ("Test e-mail", """this is the test e-mail you asked for. {title} can send e-mail.""")

_SAID = {
    Purpose.CONFIRM.value: _CONFIRM,
    Purpose.ADDRESS.value: _ADDRESS,
    Purpose.RESET.value: _RESET,
    Notice.PASSWORD_CHANGED.value: _PASSWORD_CHANGED,
    Notice.ADDRESS_CHANGED.value: _ADDRESS_CHANGED,
    Purpose.SIGN_IN.value: _SIGN_IN,
    Notice.SECOND_FACTOR_CHANGED.value: _SECOND_FACTOR_CHANGED,
    Notice.WRONG_PASSWORDS.value: _WRONG_PASSWORDS,
    Notice.ADDRESS_IN_USE.value: _ADDRESS_IN_USE,
    Notice.APPROVED.value: _APPROVED,
    Notice.PHONE_CHANGED.value: _PHONE_CHANGED,
    Notice.NAMING.value: _NAMING,
    Notice.STATUS_CONFIRM.value: _STATUS_CONFIRM,
    Notice.STATUS_KNOWN.value: _STATUS_KNOWN,
    Notice.TEST.value: _TEST,
}
_PATHS = {
    Purpose.CONFIRM.value: "/auth/confirm",
    Purpose.ADDRESS.value: "/auth/confirm",
    Purpose.RESET.value: "/auth/password/edit",
    Purpose.SIGN_IN.value: "/auth/sign_in/link",
    Notice.STATUS_CONFIRM.value: SUBSCRIPTION_PATH,
    Notice.STATUS_KNOWN.value: SUBSCRIPTION_PATH,
}


def write(letter: Letter, *, config: Config, secret: bytes, name: str) -> EmailMessage:
    """Return the mail. `name` makes its Message-ID, which identifies the same mail when it is sent twice.

    Raise MailFailed, for good, if the address cannot be written in a mail.
    """
    subject, text = _SAID[letter.about]
    # A title is one line: nothing in it may become another header.
    title = one_line(config.title) or "Stormpetrel"
    path = _PATHS.get(letter.about)
    link = f"{config.base_url}{path}?token={link_token(secret, letter.nonce)}" if path else ""
    contact = f" ({config.contact_email})" if config.contact_email else ""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(title, addr_spec=config.mail_sender)
        message["To"] = Address(addr_spec=letter.to)
    except (ValueError, IndexError) as error:
        raise MailFailed(
            f"an address cannot be written in a mail: {type(error).__name__}", for_good=True
        ) from error
    message["Subject"] = f"{subject} · {title}"
    message["Date"] = formatdate(clock.now_s())
    message["Message-ID"] = f"<{name}@{config.mail_sender.rpartition('@')[2]}>"
    # Prevents automatic replies (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    said = text.format(
        title=title, link=link, base_url=config.base_url, contact=contact, username=letter.username
    )
    greeting = f"Hello {letter.username},\n\n" if letter.username else "Hello,\n\n"
    message.set_content(f"{greeting}{said}\n\n{title}\n{config.base_url}\n", cte="quoted-printable")
    return message

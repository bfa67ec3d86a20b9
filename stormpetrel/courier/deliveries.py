"""What the courier does for each kind of job. Every effect here is in the database, or told after its commit."""

from __future__ import annotations

import msgspec

from stormpetrel.courier.drain import Deliver
from stormpetrel.model.event import Event
from stormpetrel.rules.accounts import user_by_login
from stormpetrel.rules.mail import LinkWanted, send_wanted
from stormpetrel.rules.notifications import notify_admins_of_sign_up, notify_post_subscribers
from stormpetrel.storage.connection import Connection


class _PostNotices(msgspec.Struct, frozen=True):
    post_id: int


class _SignUp(msgspec.Struct, frozen=True):
    account_id: int


_decode_events = msgspec.json.Decoder(list[Event]).decode
_decode_post_notices = msgspec.json.Decoder(_PostNotices).decode
_decode_link_wanted = msgspec.json.Decoder(LinkWanted).decode
_decode_sign_up = msgspec.json.Decoder(_SignUp).decode


def _events(connection: Connection, payload: str, now_ms: int) -> None:
    """A command changed something: every process is told."""
    for event in _decode_events(payload):
        connection.tell(event)


def _post_notices(connection: Connection, payload: str, now_ms: int) -> None:
    """Those who asked to be notified of an author's posts."""
    notify_post_subscribers(connection, post_id=_decode_post_notices(payload).post_id, now_ms=now_ms)


def _sign_up(connection: Connection, payload: str, now_ms: int) -> None:
    """The admins, of a new account."""
    notify_admins_of_sign_up(connection, account_id=_decode_sign_up(payload).account_id, now_ms=now_ms)


def _link_wanted(connection: Connection, payload: str, now_ms: int) -> None:
    """Who asks for a link gets a mail, if there is such an account."""
    wanted = _decode_link_wanted(payload)
    user = user_by_login(connection, login=wanted.login)
    send_wanted(connection, wanted=wanted, user=user, now_ms=now_ms)


DELIVERIES: dict[str, Deliver] = {
    "events": _events,
    "link_wanted": _link_wanted,
    "post_notices": _post_notices,
    "sign_up": _sign_up,
}

"""The courier's action for each kind of job. Effects are in the database or published after the commit."""

from __future__ import annotations

import msgspec

from stormpetrel.courier.drain import Deliver
from stormpetrel.model.event import Event
from stormpetrel.rules.accounts import user_by_login
from stormpetrel.rules.deletion import erase_some
from stormpetrel.rules.edits import notify_boosters
from stormpetrel.rules.mail import LinkWanted, send_wanted
from stormpetrel.rules.notifications import notify_admins_of_sign_up, notify_post_subscribers
from stormpetrel.rules.polls import end_poll
from stormpetrel.rules.scheduled import post_scheduled
from stormpetrel.rules.status_subscriptions import StatusMailWanted
from stormpetrel.rules.status_subscriptions import send_wanted as send_status_mail_wanted
from stormpetrel.rules.status_updates import StatusUpdateJob, split
from stormpetrel.storage.engine.connection import Connection


class _PostNotices(msgspec.Struct, frozen=True):
    post_id: int


class _SignUp(msgspec.Struct, frozen=True):
    account_id: int


class _PollEnded(msgspec.Struct, frozen=True):
    post_id: int
    expires_at_ms: int
    after_id: int = 0


class _PostEdited(msgspec.Struct, frozen=True):
    post_id: int
    edited_at_ms: int
    after_id: int = 0


class _ScheduledPost(msgspec.Struct, frozen=True):
    scheduled_id: int
    due_at_ms: int
    max_characters: int
    domain: str


_decode_scheduled_post = msgspec.json.Decoder(_ScheduledPost).decode
_decode_poll_ended = msgspec.json.Decoder(_PollEnded).decode
_decode_post_edited = msgspec.json.Decoder(_PostEdited).decode
_decode_events = msgspec.json.Decoder(list[Event]).decode
_decode_post_notices = msgspec.json.Decoder(_PostNotices).decode
_decode_link_wanted = msgspec.json.Decoder(LinkWanted).decode
_decode_status_mail_wanted = msgspec.json.Decoder(StatusMailWanted).decode
_decode_status_update = msgspec.json.Decoder(StatusUpdateJob).decode
_decode_sign_up = msgspec.json.Decoder(_SignUp).decode


def _events(connection: Connection, payload: str, now_ms: int) -> None:
    """Publish the events of a command to every process."""
    for event in _decode_events(payload):
        connection.tell(event)


def _post_notices(connection: Connection, payload: str, now_ms: int) -> None:
    """Notify those who subscribed to an author's posts."""
    notify_post_subscribers(connection, post_id=_decode_post_notices(payload).post_id, now_ms=now_ms)


def _sign_up(connection: Connection, payload: str, now_ms: int) -> None:
    """Notify the admins of a new account."""
    notify_admins_of_sign_up(connection, account_id=_decode_sign_up(payload).account_id, now_ms=now_ms)


def _link_wanted(connection: Connection, payload: str, now_ms: int) -> None:
    """Send the requested link by mail, if the account exists."""
    wanted = _decode_link_wanted(payload)
    user = user_by_login(connection, login=wanted.login)
    send_wanted(connection, wanted=wanted, user=user, now_ms=now_ms)


def _erase_account(connection: Connection, payload: str, now_ms: int) -> None:
    """Delete a batch of a deleted account's data."""
    erase_some(connection, account_id=_decode_sign_up(payload).account_id, now_ms=now_ms)


def _poll_ended(connection: Connection, payload: str, now_ms: int) -> None:
    """Notify the author and the voters of a poll that has ended."""
    job = _decode_poll_ended(payload)
    end_poll(
        connection,
        post_id=job.post_id,
        expires_at_ms=job.expires_at_ms,
        after_id=job.after_id,
        now_ms=now_ms,
    )


def _post_edited(connection: Connection, payload: str, now_ms: int) -> None:
    """Notify those who boosted a post that was edited."""
    job = _decode_post_edited(payload)
    notify_boosters(
        connection, post_id=job.post_id, edited_at_ms=job.edited_at_ms, after_id=job.after_id, now_ms=now_ms
    )


def _scheduled_post(connection: Connection, payload: str, now_ms: int) -> None:
    """Publish a scheduled post."""
    job = _decode_scheduled_post(payload)
    post_scheduled(
        connection,
        scheduled_id=job.scheduled_id,
        due_at_ms=job.due_at_ms,
        max_characters=job.max_characters,
        domain=job.domain,
        now_ms=now_ms,
    )


def _status_mail_wanted(connection: Connection, payload: str, now_ms: int) -> None:
    """Send the mail that confirms a subscription to the status page."""
    send_status_mail_wanted(connection, wanted=_decode_status_mail_wanted(payload), now_ms=now_ms)


def _status_update(connection: Connection, payload: str, now_ms: int) -> None:
    """Queue the mails and calls of an update of the status page."""
    job = _decode_status_update(payload)
    split(connection, status_update_id=job.status_update_id, is_late=job.is_late, now_ms=now_ms)


DELIVERIES: dict[str, Deliver] = {
    "erase_account": _erase_account,
    "events": _events,
    "link_wanted": _link_wanted,
    "poll_ended": _poll_ended,
    "post_edited": _post_edited,
    "post_notices": _post_notices,
    "scheduled_post": _scheduled_post,
    "sign_up": _sign_up,
    "status_mail_wanted": _status_mail_wanted,
    "status_update": _status_update,
}

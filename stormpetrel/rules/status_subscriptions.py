"""Subscribe to the status page by mail or webhook, confirm, change and leave.

A requester learns nothing about addresses: the request's transaction writes the same rows for every address, and the
courier does the rest. An address is confirmed by a link in a mail, a webhook by its answer to a challenge.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import msgspec

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.account import clean_address, email_problem
from stormpetrel.model.ids import first_id_at
from stormpetrel.model.mail import Letter, NewLink, Notice
from stormpetrel.model.quota import (
    HOUR_S,
    STATUS_ALL,
    STATUS_MAILBOX,
    STATUS_NETWORK,
    STATUS_WEBHOOK,
    STATUS_WEBHOOK_ALL,
    STATUS_WEBHOOK_HOST,
    slot,
)
from stormpetrel.model.status_subscription import (
    StatusSubscription,
    SubscriptionKind,
    SubscriptionState,
    WebhookTarget,
    mailbox_of,
)
from stormpetrel.rules.mail import post
from stormpetrel.rules.quotas import require, spend
from stormpetrel.storage import outbox
from stormpetrel.storage import status_subscriptions as stored
from stormpetrel.storage.engine.connection import Connection

ENOUGH = "Too many subscriptions were requested from your network. Please try again later"
ENOUGH_CALLS = "This URL was called several times already. Please try again later"
ENOUGH_ON_HOST = "Your network has several webhooks on this host already. Please try again in some days"
FULL = "No more subscriptions are possible at the moment"
FULL_HOST = "This host has as many webhooks as are allowed"
NO_SUBSCRIPTION = "There is no such subscription. It was never confirmed, or it has ended"
FAILURES = 12
FAILING_MS = 3 * HOUR_S * 1000
"""A subscription is turned off after so many failures in a row, in at least this time."""
MAIL_EVERY_MS = 86_400_000
"""An address gets one mail about requests in this time. Rows count them, not a quota: those share few rows, and an
address that met another's would wait for a mail that never comes."""
REFUSALS = 5
"""A mail subscription is turned off after its mail server refused so many mails in a row for good."""
_ALL_SLOT = 1


class StatusMailWanted(msgspec.Struct, frozen=True):
    """The outbox job `status_mail_wanted`: a visitor typed an address. `token_hash` in hexadecimal.

    `mailbox_slot`: counts mails to the address's mailbox. 0, which no mailbox has, in jobs of older releases.
    """

    address: str
    channels: tuple[str, ...]
    nonce: str
    token_hash: str
    mailbox_slot: int = 0


class WebhookJob(msgspec.Struct, frozen=True):
    """The outbox jobs of one webhook. `status_update_id` 0: a challenge."""

    subscription_id: int
    status_update_id: int = 0


def ask_by_mail(
    connection: Connection,
    *,
    address: str,
    channels: Sequence[str],
    link: NewLink,
    network: int,
    most: int,
    secret: bytes,
    now_ms: int,
) -> None:
    """Queue the request for the courier, which sends the mail that confirms it. Raise Invalid, TooMany.

    `network`: the requester's slot (model/quota.py). `most`: the limit of all subscriptions. `secret`: of the
    instance, for slots.
    """
    address = clean_address(address)
    if email_problem(address) is not None or not address.isascii():
        raise Invalid(
            "This is not a valid e-mail address", fields={"target": "is not a valid e-mail address"}
        )
    _spend(connection, network, most, now_ms=now_ms)
    mailbox = slot(secret, f"status mailbox {mailbox_of(address)}")
    wanted = StatusMailWanted(address, tuple(channels), link.nonce, link.token_hash.hex(), mailbox)
    outbox.put(connection, kind="status_mail_wanted", payload=wanted, now_ms=now_ms)


def send_wanted(connection: Connection, *, wanted: StatusMailWanted, now_ms: int) -> None:
    """Send the mail that confirms a subscription, if the limits of its address allow it (run by the courier).

    An address gets one mail a day. Further addresses of a mailbox share a quota, which never stops the mail to
    the plain one: or a stranger could keep its owner out.
    """
    asked_at_ms = stored.asked_at_ms(connection, kind=SubscriptionKind.EMAIL, target=wanted.address)
    if now_ms - asked_at_ms < MAIL_EVERY_MS:
        return
    if mailbox_of(wanted.address) != wanted.address.lower() and spend(
        connection, STATUS_MAILBOX, wanted.mailbox_slot, now_ms=now_ms
    ):
        return
    known = stored.confirmed(connection, kind=SubscriptionKind.EMAIL, target=wanted.address)
    if known is not None:
        is_on = known.state is SubscriptionState.ACTIVE
        stored.set_asked(connection, id=known.id, now_ms=now_ms)
        about = Notice.STATUS_KNOWN if is_on else Notice.STATUS_CONFIRM
        post(connection, Letter(about.value, known.target, "", known.nonce), now_ms=now_ms)
        return
    stored.add(
        connection,
        kind=SubscriptionKind.EMAIL,
        target=wanted.address,
        host="",
        channels=wanted.channels,
        nonce=wanted.nonce,
        token_hash=bytes.fromhex(wanted.token_hash),
        now_ms=now_ms,
    )
    post(connection, Letter(Notice.STATUS_CONFIRM.value, wanted.address, "", wanted.nonce), now_ms=now_ms)


def ask_by_webhook(
    connection: Connection,
    *,
    target: WebhookTarget,
    channels: Sequence[str],
    link: NewLink,
    network: int,
    most: int,
    most_per_host: int,
    secret: bytes,
    now_ms: int,
) -> None:
    """Store the webhook and queue its challenge. Raise Invalid, TooMany. `secret`: of the instance, for slots."""
    _spend(connection, network, most, now_ms=now_ms)
    require(connection, STATUS_WEBHOOK_ALL, _ALL_SLOT, now_ms=now_ms, text=ENOUGH)
    require(connection, STATUS_WEBHOOK, _url_slot(secret, target.url), now_ms=now_ms, text=ENOUGH_CALLS)
    since_id = first_id_at(max(0, now_ms - HOUR_S * 1000))
    if stored.count_of_host(connection, host=target.host, since_id=since_id) >= most_per_host:
        raise Invalid(FULL_HOST)
    row = slot(secret, f"status webhook of {network} on {target.host}")
    require(connection, STATUS_WEBHOOK_HOST, row, now_ms=now_ms, text=ENOUGH_ON_HOST)
    id = stored.add(
        connection,
        kind=SubscriptionKind.WEBHOOK,
        target=target.url,
        host=target.host,
        channels=channels,
        nonce=link.nonce,
        token_hash=link.token_hash,
        now_ms=now_ms,
    )
    _queue_challenge(connection, id, now_ms=now_ms)


def _spend(connection: Connection, network: int, most: int, *, now_ms: int) -> None:
    require(connection, STATUS_NETWORK, network, now_ms=now_ms, text=ENOUGH)
    require(connection, STATUS_ALL, _ALL_SLOT, now_ms=now_ms, text=ENOUGH)
    if stored.count(connection) >= most:
        raise Invalid(FULL)


def _url_slot(secret: bytes, url: str) -> int:
    """Return the slot that counts the challenges of a URL."""
    return slot(secret, f"status webhook {url}")


def _queue_challenge(connection: Connection, id: int, *, now_ms: int) -> None:
    outbox.put(connection, kind="challenge", payload=WebhookJob(id), now_ms=now_ms, lane=outbox.LANE_WEBHOOKS)


def subscription(connection: Connection, *, token_hash: bytes) -> StatusSubscription:
    """Return the subscription of a link. Raise NotFound."""
    found = stored.by_token(connection, token_hash=token_hash)
    if found is None or not hmac.compare_digest(found[1], token_hash):
        raise NotFound(NO_SUBSCRIPTION)
    return found[0]


def save(
    connection: Connection, *, token_hash: bytes, channels: Sequence[str], secret: bytes, now_ms: int
) -> StatusSubscription:
    """Set the channels of a subscription, and confirm it. Return it. Raise NotFound, TooMany. `secret`: for slots.

    The request shows that the mail of an address is read. A webhook that is not active gets a challenge instead.
    The returned subscription is another one if the address has been confirmed by another link since.
    """
    found = subscription(connection, token_hash=token_hash)
    if found.state is SubscriptionState.ACTIVE:
        stored.set_channels(connection, id=found.id, channels=channels)
    elif found.is_webhook:
        require(connection, STATUS_WEBHOOK, _url_slot(secret, found.target), now_ms=now_ms, text=ENOUGH_CALLS)
        stored.set_channels(connection, id=found.id, channels=channels)
        _queue_challenge(connection, found.id, now_ms=now_ms)
    else:
        known = stored.confirmed(connection, kind=found.kind, target=found.target)
        if known is not None and known.id != found.id:
            stored.delete(connection, id=found.id)
            found = known
        stored.activate(connection, id=found.id, channels=channels)
    saved = stored.by_id(connection, id=found.id)
    assert saved is not None
    return saved


def leave(connection: Connection, *, token_hash: bytes) -> None:
    """End a subscription. Leaving twice is no error."""
    found = stored.by_token(connection, token_hash=token_hash)
    if found is not None and hmac.compare_digest(found[1], token_hash):
        stored.delete(connection, id=found[0].id)


def remove(connection: Connection, *, target: str) -> int:
    """Delete all subscriptions of a mail address or a URL; return how many there were."""
    kind = SubscriptionKind.WEBHOOK if "://" in target else SubscriptionKind.EMAIL
    return stored.delete_target(
        connection, kind=kind, target=target if kind is SubscriptionKind.WEBHOOK else clean_address(target)
    )


# Run by the courier


def to_challenge(connection: Connection, *, id: int) -> StatusSubscription | None:
    """Return the webhook to challenge; None if it has ended, is active, or another one of its URL is.

    Otherwise a stranger who knows the URL could replace the subscription of its owner.
    """
    found = stored.by_id(connection, id=id)
    if found is None or found.state is SubscriptionState.ACTIVE:
        return None
    known = stored.confirmed(connection, kind=found.kind, target=found.target)
    return found if known is None or known.id == id else None


def challenge_answered(connection: Connection, *, id: int) -> None:
    """Activate a webhook that answered its challenge."""
    found = to_challenge(connection, id=id)
    if found is not None:
        stored.activate(connection, id=id, channels=found.channels)


def challenge_failed(connection: Connection, *, id: int, reason: str) -> None:
    """Store the reason why a webhook is not confirmed."""
    stored.explain(connection, id=id, reason=reason)


def webhook_called(connection: Connection, *, id: int) -> None:
    """End a row of failed calls."""
    stored.note_success(connection, id=id)


def end(connection: Connection, *, id: int) -> None:
    """End a subscription whose webhook answered that it is gone (410)."""
    stored.delete(connection, id=id)


def webhook_failed(connection: Connection, *, id: int, reason: str, now_ms: int) -> None:
    """Count a failed call, and turn the webhook off after FAILURES in at least FAILING_MS."""
    failures, since_ms = stored.note_failure(connection, id=id, reason=reason, now_ms=now_ms)
    if failures >= FAILURES and now_ms - since_ms >= FAILING_MS:
        stored.turn_off(connection, id=id)


def mail_refused(connection: Connection, *, id: int, reason: str, now_ms: int) -> None:
    """Count a mail that was refused for good, and turn the subscription off after REFUSALS."""
    failures, _ = stored.note_failure(connection, id=id, reason=reason, now_ms=now_ms)
    if failures >= REFUSALS:
        stored.turn_off(connection, id=id)

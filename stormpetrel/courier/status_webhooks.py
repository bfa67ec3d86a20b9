"""Calls the webhooks that subscribed to the status page: a challenge at first, then each update as signed JSON."""

from __future__ import annotations

import hmac
import json
import secrets
import ssl
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import msgspec

from stormpetrel import __version__, clock
from stormpetrel.config import Config
from stormpetrel.courier.dispatch import Attempt, Dispatch, JobFailed, JobPostponed
from stormpetrel.courier.drain import URGENCY
from stormpetrel.courier.name_resolver import NameResolver
from stormpetrel.courier.webhook_client import CallAnswer, CallFailed, CallPostponed, call
from stormpetrel.errors import Invalid
from stormpetrel.model.incident import iso
from stormpetrel.model.mail import link_token
from stormpetrel.model.status_subscription import (
    FORMAT_VERSION,
    LEAVE_PATH,
    StatusNotice,
    StatusSubscription,
    SubscriptionState,
    signature,
    signing_key,
    webhook_target,
)
from stormpetrel.rules import status_subscriptions as rules
from stormpetrel.rules import status_updates
from stormpetrel.rules.status_subscriptions import WebhookJob
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.database import Database

AT_ONCE = 16
LONGEST_S = 30.0
CHALLENGES = 3
"""Attempts to get an answer to a challenge, within half a minute or so."""
GONE = 410

_decode = msgspec.json.Decoder(WebhookJob).decode


class _StatusWebhooks:
    """The work of the lane."""

    def __init__(self, db: Database, config: Config, secret: bytes, names: NameResolver) -> None:
        self._db = db
        self._config = config
        self._secret = secret
        self._names = names

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Reading the system's certificates takes 40 ms, and most instances have no webhook.
        return ssl.create_default_context()

    async def challenge(self, attempt: Attempt) -> None:
        """Confirm a webhook by its answer to a challenge."""
        id = _decode(attempt.job.payload).subscription_id
        found = await self._db.read(rules.to_challenge, id=id)
        if found is None:
            await attempt.finish()
            return
        expected = secrets.token_hex(16)
        try:
            answer = await self._call(found, {"type": "challenge", "challenge": expected}, "challenge")
            if not answer.is_success:
                raise CallFailed(f"the answer had the status {answer.status}")
            if not hmac.compare_digest(_challenge_in(bytes(answer.body)), expected.encode()):
                raise CallFailed("the answer did not have the challenge in it")
        except CallPostponed as error:
            raise JobPostponed(error.safe_text) from error
        except CallFailed as error:
            if attempt.job.attempts < CHALLENGES:
                raise JobFailed(error.safe_text) from error
            await attempt.finish(partial(rules.challenge_failed, id=id, reason=error.safe_text))
        else:
            await attempt.finish(partial(rules.challenge_answered, id=id))

    async def webhook(self, attempt: Attempt) -> None:
        """Send an update to a webhook."""
        job = _decode(attempt.job.payload)
        found = await self._db.read(
            status_updates.one_delivery,
            status_update_id=job.status_update_id,
            subscription_id=job.subscription_id,
        )
        if found is None or found[1].state is not SubscriptionState.ACTIVE:
            await attempt.finish()
            return
        notice, one = found
        try:
            answer = await self._call(one, update_message(notice, self._config), notice.update_id)
            if answer.status == GONE:
                await attempt.finish(partial(rules.end, id=one.id))
                return
            if not answer.is_success:
                raise CallFailed(f"the answer had the status {answer.status}")
        except CallPostponed as error:
            # Not counted: owners of other hosts could turn this webhook off, or use up the attempts of this call.
            raise JobPostponed(error.safe_text) from error
        except CallFailed as error:
            reason = error.safe_text
            await self._db.write_as(
                URGENCY, 10.0, rules.webhook_failed, id=one.id, reason=reason, now_ms=clock.now_ms()
            )
            raise JobFailed(reason) from error
        await attempt.finish(partial(rules.webhook_called, id=one.id))

    async def _call(self, one: StatusSubscription, message: Mapping[str, Any], delivery: str) -> CallAnswer:
        allows_private = self._config.status.private_webhooks
        try:
            # An operator may have changed the setting since the URL was taken.
            target = webhook_target(one.target, allows_private=allows_private)
        except Invalid as error:
            raise CallFailed(error.safe_text) from error
        leave_url = f"{self._config.base_url}{LEAVE_PATH}?token={link_token(self._secret, one.nonce)}"
        body = json.dumps({"version": FORMAT_VERSION, **message, "unsubscribe_url": leave_url}).encode()
        at_s = int(clock.now_s())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Stormpetrel/{__version__} (+{self._config.base_url})",
            "Stormpetrel-Delivery": delivery,
            "Stormpetrel-Timestamp": str(at_s),
            "Stormpetrel-Signature": signature(signing_key(self._secret, one.nonce), at_s=at_s, body=body),
        }
        return await call(
            target,
            body=body,
            headers=headers,
            tls=self._tls,
            names=self._names,
            allows_private=allows_private,
        )


def update_message(notice: StatusNotice, config: Config) -> dict[str, Any]:
    """Return the JSON of an update, without its version. Times: RFC 3339 in UTC."""
    page_url = (config.status_url or config.base_url).rstrip("/")
    incident: dict[str, Any] = {
        "id": notice.incident_id,
        "name": notice.name,
        "impact": notice.impact,
        "status": notice.status,
        "channels": list(notice.channels),
        "started_at": iso(notice.started_ms),
        "scheduled_for": iso(notice.scheduled_for_ms) if notice.scheduled_for_ms else None,
        "scheduled_until": iso(notice.scheduled_until_ms) if notice.scheduled_until_ms else None,
        "url": f"{page_url}/incidents/{notice.incident_id}",
    }
    return {
        "type": "update",
        "page": {"name": config.title, "url": page_url},
        "incident": incident,
        "update": {
            "id": notice.update_id,
            "status": notice.status,
            "body": notice.body,
            "created_at": iso(notice.at_ms),
            "automatic": notice.is_automatic,
            "no_longer_affected": list(notice.removed),
        },
    }


def _challenge_in(body: bytes) -> bytes:
    """Return the challenge in an answer: the text alone, or the field `challenge` of a JSON object."""
    text = body.strip()
    if not text.startswith(b"{"):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return b""
    found = value.get("challenge") if isinstance(value, dict) else None
    return found.encode("utf-8", "replace") if isinstance(found, str) else b""


def webhook_lane(
    db: Database, config: Config, secret: bytes, *, names: NameResolver | None = None
) -> Dispatch:
    """Return the lane that calls webhooks. `names`: resolves their hosts; None: with the system's resolver."""
    hooks = _StatusWebhooks(db, config, secret, names or NameResolver())
    works = {"challenge": hooks.challenge, "webhook": hooks.webhook}
    return Dispatch(db, outbox.LANE_WEBHOOKS, works, at_once=AT_ONCE, longest_s=LONGEST_S)

"""Subscribe to the status page, confirm, change and leave, all with plain forms.

A link's GET changes nothing: mail scanners and previews follow every link, and would otherwise confirm a subscription
without anyone reading the mail. Only `leave_at_once` takes a POST without a form of ours: mail programs send it
(RFC 8058).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormpetrel.edge.header_policy import REFERRER_WITHOUT_PATH
from stormpetrel.errors import Invalid, NotFound, Refusal, TooMany
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, html, redirect
from stormpetrel.model.access import secret_hash
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.mail import link_token
from stormpetrel.model.quota import network_of, slot
from stormpetrel.model.status_subscription import (
    MAX_URL,
    SUBSCRIPTION_PATH,
    SubscriptionState,
    chosen_channels,
    signing_key,
    webhook_target,
)
from stormpetrel.rules import status_subscriptions as rules
from stormpetrel.web.render import pages_of

FORM_PATH = "/status/subscribe"
_FIELD = "channel_"
_DONE = {"saved": "Your choice is saved.", "again": "The challenge is on its way to your webhook."}


async def show_status(request: Request) -> Response:
    """GET /status: redirect to the status page, which has an address of its own. Raise NotFound if it has none."""
    if not request.site.config.status_url:
        raise NotFound("This instance has no status page")
    return redirect(request.site.config.status_url)


async def show_form(request: Request) -> Response:
    _require_possible(request)
    return _form(request)


def _form(
    request: Request, *, typed: Mapping[str, str] | None = None, problem: Refusal | None = None
) -> Response:
    fields = typed or {}
    page = pages_of(request).page(
        request,
        "status_subscribe.html",
        status=200 if problem is None else problem.status,
        target=fields.get("target", ""),
        chosen=[name for name in CHANNEL_NAMES if f"{_FIELD}{name}" in fields],
        channel_names=CHANNEL_NAMES,
        max_target=MAX_URL,
        problem="" if problem is None else problem.safe_text,
    )
    if isinstance(problem, TooMany):
        page.headers.append((b"retry-after", str(problem.retry_after_s).encode()))
    return page


async def subscribe(request: Request) -> Response:
    """Take an address or a URL. The answer is the same for every address."""
    _require_possible(request)
    form = await request.form()
    target = form.get("target", "").strip()
    site, config = request.site, request.site.config.status
    link = site.fresh_link()
    common: dict[str, Any] = {
        "link": link,
        "network": slot(site.secret, f"network {network_of(request.address)}"),
        "most": config.max_subscriptions,
        "secret": site.secret,
        "now_ms": request.now_ms,
    }
    try:
        common["channels"] = _chosen(form)
        if "://" not in target:
            await site.database.write(rules.ask_by_mail, address=target, **common)
            return redirect("/status/subscribed")
        await site.database.write(
            rules.ask_by_webhook,
            target=webhook_target(target, allows_private=config.private_webhooks),
            most_per_host=config.webhooks_per_host,
            **common,
        )
    except (Invalid, TooMany) as error:
        return _form(request, typed=form, problem=error)
    return _secret_page(
        request,
        "status_webhook.html",
        target=target,
        key=signing_key(site.secret, link.nonce),
        link=_path(link_token(site.secret, link.nonce)),
    )


async def show_subscribed(request: Request) -> Response:
    return pages_of(request).page(request, "status_subscribed.html")


async def show(request: Request) -> Response:
    """Show the subscription of a link; only its POST confirms or changes it."""
    query = dict(request.query_pairs)
    token = query.get("token", "")
    found = await request.site.database.read(rules.subscription, token_hash=secret_hash(token))
    return _secret_page(
        request,
        "status_subscription.html",
        token=token,
        one=found,
        chosen=found.channels,
        channel_names=CHANNEL_NAMES,
        done=_DONE.get(query.get("done", ""), ""),
    )


async def save(request: Request) -> Response:
    """Set the channels, and confirm the subscription."""
    form = await request.form()
    saved = await request.site.database.write(
        rules.save,
        token_hash=secret_hash(form.get("token", "")),
        channels=_chosen(form),
        secret=request.site.secret,
        now_ms=request.now_ms,
    )
    done = "saved" if saved.state is SubscriptionState.ACTIVE else "again"
    return redirect(f"{_path(link_token(request.site.secret, saved.nonce))}&done={done}")


async def leave(request: Request) -> Response:
    token_hash = secret_hash((await request.form()).get("token", ""))
    await request.site.database.write(rules.leave, token_hash=token_hash)
    return redirect("/status/left")


async def show_left(request: Request) -> Response:
    return pages_of(request).page(request, "status_left.html")


async def show_leave(request: Request) -> Response:
    """Lead people who open the address of `leave_at_once` to the page of their subscription."""
    return redirect(_path(_token(request)))


async def leave_at_once(request: Request) -> Response:
    """End a subscription by one POST from a mail program, without cookies and forms (RFC 8058)."""
    await request.site.database.write(rules.leave, token_hash=secret_hash(_token(request)))
    return html("You are unsubscribed.\n")


def _token(request: Request) -> str:
    return "".join(sign for sign in dict(request.query_pairs).get("token", "") if sign.isalnum())[:64]


def _path(token: str) -> str:
    return f"{SUBSCRIPTION_PATH}?token={token}"


def _chosen(form: Mapping[str, str]) -> tuple[str, ...]:
    return chosen_channels(name.removeprefix(_FIELD) for name in form if name.startswith(_FIELD))


def _require_possible(request: Request) -> None:
    """Raise NotFound on an instance without subscriptions."""
    if not request.site.config.status.max_subscriptions:
        raise NotFound("This instance has no subscriptions to its status page")


def _secret_page(request: Request, template: str, **values: Any) -> Response:
    """Return a page whose URL or text contains a link's token."""
    page = pages_of(request).page(request, template, **values)
    page.headers.append(REFERRER_WITHOUT_PATH)
    return page

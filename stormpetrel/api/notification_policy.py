"""`/api/v2/notifications/policy` and `/api/v1/notifications/requests/…`: senders that an account may not know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import (
    Merged,
    Nothing,
    NotificationPolicy,
    NotificationPolicySummary,
    NotificationRequest,
)
from stormpetrel.api.json.render import renderer
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import ACCOUNTS_DEFAULT, ACCOUNTS_MOST, Id, PageQuery, ids_of, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Invalid, NotFound
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model import notification_policy as model
from stormpetrel.model.ids import time_ms
from stormpetrel.model.notification_policy import Choice
from stormpetrel.rules import notification_policy as rules

REQUESTS_MOST = 80
"""Requests that one call accepts or dismisses."""


class PolicyInput(msgspec.Struct):
    """The choices to change. `for_limited_accounts`: moderators decide, so only `drop` is accepted."""

    for_not_following: Choice | None = None
    for_not_followers: Choice | None = None
    for_new_accounts: Choice | None = None
    for_private_mentions: Choice | None = None
    for_bots: Choice | None = None
    for_limited_accounts: Choice | None = None


@answers(NotificationPolicy)
async def policy(request: Request) -> Response:
    """View the policy for notifications from unknown accounts"""
    return _policy(
        *await request.site.database.read(rules.policy, account_id=request.account_id, now_ms=request.now_ms)
    )


@answers(NotificationPolicy, takes=PolicyInput)
async def change_policy(request: Request) -> Response:
    """Change the policy for notifications from unknown accounts"""
    given = await request.input(PolicyInput)
    if given.for_limited_accounts not in (None, Choice.DROP):
        problem = "must be drop: an account that moderators silenced notifies only its followers"
        raise Invalid(
            f"Validation failed: For limited accounts {problem}", fields={"for_limited_accounts": problem}
        )
    named = msgspec.structs.asdict(given)
    del named["for_limited_accounts"]
    return _policy(
        *await request.site.database.write(
            rules.change_policy,
            account_id=request.account_id,
            choices={name: chosen for name, chosen in named.items() if chosen is not None},
            now_ms=request.now_ms,
        )
    )


def _policy(found: model.NotificationPolicy, requests: int, notifications: int) -> Response:
    return json(
        NotificationPolicy(
            for_not_following=found.for_not_following.value,
            for_not_followers=found.for_not_followers.value,
            for_new_accounts=found.for_new_accounts.value,
            for_private_mentions=found.for_private_mentions.value,
            for_bots=found.for_bots.value,
            summary=NotificationPolicySummary(
                pending_requests_count=requests, pending_notifications_count=notifications
            ),
        )
    )


@answers(list[NotificationRequest], takes=PageQuery, paged=True)
async def requests(request: Request) -> Response:
    """View the requests of filtered notifications, one per sender"""
    found = await request.site.database.read(
        rules.requests,
        account_id=request.account_id,
        page=page_of(request.query(PageQuery), default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST),
        now_ms=request.now_ms,
    )
    return paged(request, array(await _bodies(request, found)), [one.id for one in found])


@answers(NotificationRequest)
async def show(request: Request) -> Response:
    """View a request of filtered notifications"""
    found = await request.site.database.read(
        rules.request, account_id=request.account_id, request_id=request.id(), now_ms=request.now_ms
    )
    bodies = await _bodies(request, [found])
    if not bodies:
        raise NotFound
    return Response(body=bodies[0])


async def _bodies(request: Request, found: Sequence[model.NotificationRequest]) -> list[bytes]:
    render, reader_id = renderer(request), request.account_id
    accounts = await render.accounts_by_id([one.from_account_id for one in found])
    # One query for all posts: after it, each of them is in memory.
    await render.statuses([one.last_post_id for one in found if one.last_post_id], reader_id=reader_id)
    bodies = []
    for one in found:
        account = accounts.get(one.from_account_id)
        if account is None:
            continue
        last = b""
        if one.last_post_id is not None:
            last = (await render.statuses([one.last_post_id], reader_id=reader_id))[1:-1]
        bodies.append(
            b'{"id":"%d","created_at":"%b","updated_at":"%b","notifications_count":"%d","account":%b,"last_status":%b}'
            % (
                one.id,
                convert.timestamp(time_ms(one.id)).encode(),
                convert.timestamp(time_ms(one.newest_id)).encode(),
                one.count,
                account,
                last or b"null",
            )
        )
    return bodies


@answers(Nothing)
async def accept(request: Request) -> Response:
    """Accept the sender of a request: its notifications join the list, now and later"""
    return await _one(request, rules.accept)


@answers(Nothing)
async def dismiss(request: Request) -> Response:
    """Delete the notifications of a request"""
    return await _one(request, rules.dismiss)


async def _one(request: Request, rule: Callable[..., int]) -> Response:
    done = await request.site.database.write(rule, account_id=request.account_id, request_ids=[request.id()])
    if not done:
        raise NotFound
    return Response(body=b"{}")


class RequestsInput(msgspec.Struct):
    """`id`: of the requests. Mastodon.py sends each in a list of its own (`id[][]`), which Mastodon accepts."""

    id: list[Id | list[Id]] = []


@answers(Nothing, takes=RequestsInput)
async def accept_many(request: Request) -> Response:
    """Accept the senders of several requests"""
    return await _many(request, rules.accept)


@answers(Nothing, takes=RequestsInput)
async def dismiss_many(request: Request) -> Response:
    """Delete the notifications of several requests"""
    return await _many(request, rules.dismiss)


async def _many(request: Request, rule: Callable[..., int]) -> Response:
    given = (await request.input(RequestsInput)).id
    flat = chain.from_iterable(one if isinstance(one, list) else [one] for one in given)
    wanted = ids_of(flat, most=REQUESTS_MOST)
    if wanted:
        await request.site.database.write(rule, account_id=request.account_id, request_ids=wanted)
    return Response(body=b"{}")


@answers(Merged)
async def merged(request: Request) -> Response:
    """Check if accepted notifications were merged: always true, as the acceptance merges them"""
    return json(Merged(merged=True))

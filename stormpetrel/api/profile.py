"""`/api/v1/profile`: the caller's own profile as written, for an app's edit form (Mastodon 4.6)."""

from __future__ import annotations

from stormpetrel.api import accounts, featured_tags
from stormpetrel.api.json import convert, entities
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.rules import accounts as rules


async def _profile(request: Request) -> Response:
    account = await request.site.database.read(rules.account, account_id=request.account_id)
    tags = await featured_tags.shown_by(request, account.id)
    return json(convert.profile(account, featured_tags=tags, base_url=request.site.base_url))


@answers(entities.Profile)
async def show(request: Request) -> Response:
    """View the caller's own profile as written"""
    return await _profile(request)


@answers(entities.Profile, takes=accounts.CredentialsInput)
async def update(request: Request) -> Response:
    """Update the caller's own profile"""
    await accounts.change_profile(request)
    return await _profile(request)

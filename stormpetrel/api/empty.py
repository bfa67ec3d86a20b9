"""Endpoints that apps require for features that do not exist here yet: the right shape, and empty."""

from __future__ import annotations

from typing import Any

from stormpetrel.api.json import entities, instance_entities
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.http.routing import Handler


def _none_of(kind: Any, summary: str) -> Handler:
    """Return a handler that responds with an empty list of `kind`."""

    @answers(list[kind])
    async def empty(request: Request) -> Response:
        request.keep_hot("instance")
        return Response(body=b"[]")

    empty.__doc__ = summary
    return empty


@answers(dict[str, list[str]])
async def translation_languages(request: Request) -> Response:
    """View translation languages: none yet"""
    request.keep_hot("instance")
    return Response(body=b"{}")


custom_emojis = _none_of(entities.CustomEmoji, "List custom emoji: always empty")
domain_blocks = _none_of(instance_entities.DomainBlock, "List blocked servers: always empty")
domains = _none_of(str, "List blocked or known domains: always empty")
identity_proofs = _none_of(dict[str, str], "List Keybase proofs: always empty, as in Mastodon since 3.5")
trending_links = _none_of(entities.TrendingLink, "List trending links: always empty")

"""Texts that the administrators publish: rules, longer texts, announcements."""

from __future__ import annotations

import asyncio

from stormpetrel.api.json import convert
from stormpetrel.api.json.announcement_entities import Announcement
from stormpetrel.api.json.entities import Nothing
from stormpetrel.api.json.instance_entities import ExtendedDescription, Rule
from stormpetrel.api.shapes import answers
from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.http.site import Site
from stormpetrel.model.incident import Incident
from stormpetrel.model.moderation import Announcement as ModelAnnouncement
from stormpetrel.model.moderation import InstanceRule, InstanceText
from stormpetrel.model.text import render_note
from stormpetrel.rules import instance as rules_of
from stormpetrel.storage.status_history import FILE_NAME, StatusHistoryFailed, read_incidents


def rule_entities(rules: list[InstanceRule]) -> list[Rule]:
    """Return the entities of the rules in their order."""
    return [Rule(id=str(rule.id), text=rule.text, hint=rule.hint, translations={}) for rule in rules]


@answers(list[Rule])
async def rules(request: Request) -> Response:
    """View the rules of the instance"""
    found = await request.site.database.read(rules_of.rules)
    request.keep_hot("instance")
    return json(rule_entities(found))


@answers(ExtendedDescription)
async def extended_description(request: Request) -> Response:
    """View the extended description; empty and undated if none is published"""
    found = (await request.site.database.read(rules_of.texts)).get("extended_description")
    request.keep_hot("instance")
    # Do not fall back to the short description: apps show both, one below the other.
    return json(
        ExtendedDescription(updated_at=None, content="") if found is None else _entity(request, found)
    )


async def _document(request: Request, name: str) -> Response:
    return json(_entity(request, await request.site.database.read(rules_of.text, name=name)))


def _entity(request: Request, text: InstanceText) -> ExtendedDescription:
    return ExtendedDescription(
        updated_at=convert.timestamp(text.updated_at_ms),
        content=render_note(text.text, base_url=request.site.base_url),
    )


@answers(ExtendedDescription)
async def privacy_policy(request: Request) -> Response:
    """View the privacy policy; 404 if none is published"""
    return await _document(request, "privacy_policy")


@answers(ExtendedDescription)
async def terms_of_service(request: Request) -> Response:
    """View the terms of service; 404 if none are published"""
    return await _document(request, "terms_of_service")


@answers(list[Announcement])
async def announcements(request: Request) -> Response:
    """View the administrators' announcements, and open incidents of the status page"""
    found = await request.site.database.read(rules_of.announcements, reader_id=request.reader_id)
    incidents = [_of_incident(one, request.site) for one in await _incidents(request.site)]
    return json([*incidents, *(_announcement(one, request.site.base_url) for one in found)])


async def _incidents(site: Site) -> list[Incident]:
    """Return the open incidents that an operator wrote to; none if the history cannot be read."""
    try:
        found = await asyncio.to_thread(read_incidents, site.config.data_dir / FILE_NAME, only_open=True)
    except StatusHistoryFailed:
        return []
    return [one for one in found if any(not update.is_automatic for update in one.updates)]


def _announced_id(incident: Incident) -> str:
    """Return the incident's id as apps expect it, a number; those of announcements are larger."""
    return str(int(incident.id, 16))


def _of_incident(one: Incident, site: Site) -> Announcement:
    parts = [one.name, one.updates[-1].body, site.config.status_url and f"{site.config.status_url}/"]
    return Announcement(
        id=_announced_id(one),
        content=render_note("\n\n".join(filter(None, parts)), base_url=site.base_url),
        starts_at=convert.timestamp(one.scheduled_for_ms) if one.is_maintenance else None,
        ends_at=convert.timestamp(one.scheduled_until_ms) if one.is_maintenance else None,
        all_day=False,
        published_at=convert.timestamp(one.created_ms),
        updated_at=convert.timestamp(one.updated_ms),
        read=False,
        mentions=[],
        statuses=[],
        tags=[],
        emojis=[],
        reactions=[],
    )


def _announcement(one: ModelAnnouncement, base_url: str) -> Announcement:
    return Announcement(
        id=str(one.id),
        content=render_note(one.text, base_url=base_url),
        starts_at=None,
        ends_at=None,
        all_day=False,
        published_at=convert.timestamp(one.created_at_ms),
        updated_at=convert.timestamp(one.updated_at_ms),
        read=one.read,
        mentions=[],
        statuses=[],
        tags=[],
        emojis=[],
        reactions=[],
    )


@answers(Nothing)
async def dismiss(request: Request) -> Response:
    """Mark an announcement as read"""
    try:
        await request.site.database.write(
            rules_of.dismiss, account_id=request.account_id, announcement_id=request.id()
        )
    except NotFound:
        # An incident stays until it is resolved: that the reader dismissed it is not stored.
        if str(request.id()) not in {_announced_id(one) for one in await _incidents(request.site)}:
            raise
    return Response(body=b"{}")

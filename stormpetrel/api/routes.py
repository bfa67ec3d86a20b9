"""Every URL of the API, one line each. Its summary is the first line of its handler's docstring, and its types
are beside the handler (`@answers`). OAuth's own routes are listed in oauth.py and apps.py.

docs/api.md has the same table.
"""

from __future__ import annotations

from typing import Any

from stormpetrel.api import (
    accounts,
    apps,
    empty,
    instance,
    notifications,
    oauth,
    openapi,
    preferences,
    registrations,
    search,
    statuses,
    streaming,
    timelines,
)
from stormpetrel.api.shapes import shape_of
from stormpetrel.http.routing import Actor, Handler, Route

_PAGE = ("limit", "max_id", "since_id", "min_id")
_PUBLIC = (*_PAGE, "local", "remote", "only_media")
_TAG = (*_PUBLIC, "any[]", "any", "all[]", "all", "none[]", "none")
_POSTED = (*_PAGE, "only_media", "exclude_replies", "exclude_reblogs", "pinned", "tagged")


def _route(method: str, path: str, handler: Handler, **more: Any) -> Route:
    shape = shape_of(handler)
    summary = (handler.__doc__ or "").strip().partition("\n")[0]
    return Route(
        method=method,
        path=path,
        handler=handler,
        summary=summary,
        takes=shape.takes,
        gives=shape.gives,
        paged=shape.paged,
        streams=shape.streams,
        **more,
    )


def _open(
    path: str, handler: Handler, scope: str | None = None, *, hot: tuple[str, ...] | None = None
) -> Route:
    """A GET for everybody. Who sends a token all the same needs the scope, if there is one."""
    return _route("GET", path, handler, scope=scope, hot=hot)


def _get(path: str, handler: Handler, scope: str) -> Route:
    """A GET for accounts."""
    return _route("GET", path, handler, scope=scope, actor=Actor.ACCOUNT)


def _post(path: str, handler: Handler, scope: str, *, actor: Actor = Actor.ACCOUNT) -> Route:
    """A POST by accounts."""
    return _route("POST", path, handler, scope=scope, actor=actor)


def _patch(path: str, handler: Handler, scope: str) -> Route:
    """A PATCH by accounts."""
    return _route("PATCH", path, handler, scope=scope, actor=Actor.ACCOUNT)


def _delete(path: str, handler: Handler, scope: str) -> Route:
    """A DELETE by accounts."""
    return _route("DELETE", path, handler, scope=scope, actor=Actor.ACCOUNT)


_A = "/api/v1/accounts"
_S = "/api/v1/statuses"
_N = "/api/v1/notifications"
_I = "/api/v1/instance"
_STREAMING = "/api/v1/streaming"

SOCKETS = {_STREAMING: streaming.socket}
"""WebSockets by path."""

ROUTES: tuple[Route, ...] = (
    # The instance
    _open("/api/v1/instance", instance.v1, hot=()),
    _open("/api/v2/instance", instance.v2, hot=()),
    _open(f"{_I}/peers", empty.domains, hot=()),
    _open(f"{_I}/activity", empty.activity, hot=()),
    _open(f"{_I}/rules", empty.rules, hot=()),
    _open(f"{_I}/domain_blocks", empty.domain_blocks, hot=()),
    _open(f"{_I}/extended_description", instance.extended_description, hot=()),
    _open(f"{_I}/languages", instance.languages, hot=()),
    _open(f"{_I}/translation_languages", empty.translation_languages, hot=()),
    _open(f"{_I}/privacy_policy", instance.no_document),
    _open(f"{_I}/terms_of_service", instance.no_document),
    _open("/api/v1/custom_emojis", empty.custom_emojis, hot=()),
    _get("/api/v1/announcements", empty.announcements, "read"),
    _open("/.well-known/nodeinfo", instance.nodeinfo_links, hot=()),
    _open("/nodeinfo/2.0", instance.nodeinfo, hot=()),
    _open("/.well-known/webfinger", instance.webfinger),
    _open("/.well-known/host-meta", instance.host_meta, hot=()),
    _open("/api/openapi.json", openapi.show, hot=()),
    # Applications and their tokens
    *oauth.ROUTES,
    *apps.ROUTES,
    # One's own account
    _post(f"{_A}", registrations.create, "write:accounts", actor=Actor.APPLICATION),
    _get(f"{_A}/verify_credentials", accounts.verify_credentials, "profile"),
    _patch(f"{_A}/update_credentials", accounts.update_credentials, "write:accounts"),
    _get("/api/v1/preferences", preferences.show, "read:accounts"),
    _get("/api/v1/favourites", timelines.favourites, "read:favourites"),
    _get("/api/v1/bookmarks", timelines.bookmarks, "read:bookmarks"),
    _get("/api/v1/blocks", accounts.blocked, "read:blocks"),
    _get("/api/v1/mutes", accounts.muted, "read:mutes"),
    _get("/api/v1/domain_blocks", empty.domains, "read:blocks"),
    _get("/api/v1/follow_requests", accounts.follow_requests, "read:follows"),
    _post("/api/v1/follow_requests/{id}/authorize", accounts.authorize_follow, "write:follows"),
    _post("/api/v1/follow_requests/{id}/reject", accounts.reject_follow, "write:follows"),
    # Accounts
    _open(f"{_A}", accounts.several, "read:accounts"),
    _open(f"{_A}/lookup", accounts.lookup, "read:accounts", hot=("acct",)),
    _get(f"{_A}/search", accounts.search, "read:accounts"),
    _get(f"{_A}/relationships", accounts.relationships, "read:follows"),
    _get(f"{_A}/familiar_followers", accounts.familiar_followers, "read:follows"),
    _open(f"{_A}/{{id}}", accounts.show, "read:accounts", hot=()),
    _open(f"{_A}/{{id}}/statuses", accounts.statuses, "read:statuses", hot=_POSTED),
    _open(f"{_A}/{{id}}/followers", accounts.followers, "read:accounts"),
    _open(f"{_A}/{{id}}/following", accounts.following, "read:accounts"),
    _open(f"{_A}/{{id}}/featured_tags", empty.featured_tags, "read:accounts", hot=()),
    _open(f"{_A}/{{id}}/endorsements", empty.endorsements, "read:accounts", hot=()),
    _get(f"{_A}/{{id}}/lists", empty.lists, "read:lists"),
    _post(f"{_A}/{{id}}/follow", accounts.follow, "write:follows"),
    _post(f"{_A}/{{id}}/unfollow", accounts.unfollow, "write:follows"),
    _post(f"{_A}/{{id}}/remove_from_followers", accounts.remove_from_followers, "write:follows"),
    _post(f"{_A}/{{id}}/block", accounts.block, "write:blocks"),
    _post(f"{_A}/{{id}}/unblock", accounts.unblock, "write:blocks"),
    _post(f"{_A}/{{id}}/mute", accounts.mute, "write:mutes"),
    _post(f"{_A}/{{id}}/unmute", accounts.unmute, "write:mutes"),
    _open("/api/v1/directory", accounts.directory, hot=("limit", "offset")),
    # Statuses
    _post(f"{_S}", statuses.create, "write:statuses"),
    _open(f"{_S}", statuses.several, "read:statuses"),
    _open(f"{_S}/{{id}}", statuses.show, "read:statuses", hot=()),
    _delete(f"{_S}/{{id}}", statuses.delete, "write:statuses"),
    _open(f"{_S}/{{id}}/context", statuses.context, "read:statuses", hot=()),
    _get(f"{_S}/{{id}}/source", statuses.source, "read:statuses"),
    _open(f"{_S}/{{id}}/favourited_by", statuses.favourited_by, "read:accounts"),
    _open(f"{_S}/{{id}}/reblogged_by", statuses.reblogged_by, "read:accounts"),
    _post(f"{_S}/{{id}}/favourite", statuses.favourite, "write:favourites"),
    _post(f"{_S}/{{id}}/unfavourite", statuses.unfavourite, "write:favourites"),
    _post(f"{_S}/{{id}}/reblog", statuses.reblog, "write:statuses"),
    _post(f"{_S}/{{id}}/unreblog", statuses.unreblog, "write:statuses"),
    _post(f"{_S}/{{id}}/bookmark", statuses.bookmark, "write:bookmarks"),
    _post(f"{_S}/{{id}}/unbookmark", statuses.unbookmark, "write:bookmarks"),
    _get("/api/v1/scheduled_statuses", empty.scheduled_statuses, "read:statuses"),
    # Timelines
    _get("/api/v1/timelines/home", timelines.home, "read:statuses"),
    _open("/api/v1/timelines/public", timelines.public, "read:statuses", hot=_PUBLIC),
    _open("/api/v1/timelines/tag/{name}", timelines.tag, "read:statuses", hot=_TAG),
    _get("/api/v1/conversations", empty.conversations, "read:statuses"),
    _get("/api/v1/lists", empty.lists, "read:lists"),
    _get("/api/v1/markers", notifications.markers, "read:statuses"),
    _post("/api/v1/markers", notifications.set_markers, "write:statuses"),
    # Streaming, as server-sent events
    _open(f"{_STREAMING}/health", streaming.health),
    _get(f"{_STREAMING}/user", streaming.user, "read:statuses"),
    _get(f"{_STREAMING}/user/notification", streaming.notification, "read:notifications"),
    _open(f"{_STREAMING}/public", streaming.public),
    _open(f"{_STREAMING}/public/local", streaming.local),
    _open(f"{_STREAMING}/public/remote", streaming.remote),
    _open(f"{_STREAMING}/public/media", streaming.media),
    _open(f"{_STREAMING}/public/local/media", streaming.local_media),
    _open(f"{_STREAMING}/hashtag", streaming.hashtag),
    _open(f"{_STREAMING}/hashtag/local", streaming.local_hashtag),
    _get(f"{_STREAMING}/direct", streaming.direct, "read:statuses"),
    # Notifications
    _get(f"{_N}", notifications.index, "read:notifications"),
    _get(f"{_N}/unread_count", notifications.unread_count, "read:notifications"),
    _get(f"{_N}/{{id}}", notifications.show, "read:notifications"),
    _post(f"{_N}/{{id}}/dismiss", notifications.dismiss, "write:notifications"),
    _post(f"{_N}/clear", notifications.clear, "write:notifications"),
    _get(f"{_N}/requests", empty.requests, "read:notifications"),
    _get("/api/v1/notifications/policy", notifications.policy, "read:notifications"),
    _get("/api/v2/notifications/policy", notifications.policy, "read:notifications"),
    # Finding
    _open("/api/v2/search", search.search, "read:search"),
    _open("/api/v1/tags/{name}", search.show_tag),
    _open("/api/v1/trends", empty.tags, hot=()),
    _open("/api/v1/trends/tags", empty.tags, hot=()),
    _open("/api/v1/trends/statuses", empty.statuses, hot=()),
    _open("/api/v1/trends/links", empty.links, hot=()),
    _get("/api/v1/suggestions", empty.endorsements, "read"),
    _get("/api/v2/suggestions", empty.suggestions, "read"),
    _get("/api/v1/followed_tags", empty.tags, "read:follows"),
    _get("/api/v1/featured_tags", empty.featured_tags, "read:accounts"),
    _get("/api/v1/featured_tags/suggestions", empty.tags, "read:accounts"),
    _get("/api/v1/endorsements", empty.endorsements, "read:accounts"),
    _get("/api/v1/filters", empty.filters, "read:filters"),
    _get("/api/v2/filters", empty.filters, "read:filters"),
)

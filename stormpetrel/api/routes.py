"""Every URL of the API, one line each. The summary is the first line of the handler's docstring, and the
types are declared next to the handler (`@answers`).

docs/api.md has the same table.
"""

from __future__ import annotations

from typing import Any

from stormpetrel.api import (
    account_notes,
    accounts,
    apps,
    conversations,
    edits,
    emails,
    empty,
    featured_tags,
    filters,
    instance,
    instance_texts,
    lists,
    media,
    notification_groups,
    notification_policy,
    notifications,
    oauth,
    oembed,
    openapi,
    polls,
    preferences,
    profile,
    registrations,
    relationships,
    reports,
    scheduled_statuses,
    search,
    statuses,
    streaming,
    suggestions,
    tags,
    timelines,
    trends,
)
from stormpetrel.api.shapes import shape_of
from stormpetrel.http.routing import Actor, BodySize, Handler, Route
from stormpetrel.readers.facts import Fact
from stormpetrel.shield.paths import APPS, SEARCH, SIGN_UP, TAG, TOKEN

_PAGE = ("limit", "max_id", "since_id", "min_id")
_PUBLIC = (*_PAGE, "local", "remote", "only_media")
_TAG = (*_PUBLIC, "any[]", "any", "all[]", "all", "none[]", "none")
_POSTED = (*_PAGE, "only_media", "exclude_replies", "exclude_reblogs", "pinned", "tagged")

# The facts of a reader that answers with posts show, and those with notifications.
_POSTS = (Fact.REACTIONS, Fact.FILTERS)
_NOTIFIED = (Fact.NOTIFICATIONS, Fact.RELATIONS, Fact.REMOVALS)


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


def _open(path: str, handler: Handler, scope: str | None = None, **more: Any) -> Route:
    """Return a GET route for any client. A request with a token needs the scope, if there is one."""
    return _route("GET", path, handler, scope=scope, **more)


def _get(path: str, handler: Handler, scope: str, **more: Any) -> Route:
    """Return a GET route for accounts."""
    return _route("GET", path, handler, scope=scope, actor=Actor.ACCOUNT, **more)


def _post(path: str, handler: Handler, scope: str, *, actor: Actor = Actor.ACCOUNT, **more: Any) -> Route:
    """Return a POST route, by default for accounts."""
    return _route("POST", path, handler, scope=scope, actor=actor, **more)


def _put(path: str, handler: Handler, scope: str, **more: Any) -> Route:
    """Return a PUT route for accounts."""
    return _route("PUT", path, handler, scope=scope, actor=Actor.ACCOUNT, **more)


def _patch(path: str, handler: Handler, scope: str, **more: Any) -> Route:
    """Return a PATCH route for accounts."""
    return _route("PATCH", path, handler, scope=scope, actor=Actor.ACCOUNT, **more)


def _delete(path: str, handler: Handler, scope: str) -> Route:
    """Return a DELETE route for accounts."""
    return _route("DELETE", path, handler, scope=scope, actor=Actor.ACCOUNT)


_A = "/api/v1/accounts"
_S = "/api/v1/statuses"
_N = "/api/v1/notifications"
_G = "/api/v2/notifications"
_I = "/api/v1/instance"
_L = "/api/v1/lists"
_F = "/api/v2/filters"
_STREAMING = "/api/v1/streaming"

SOCKETS = {_STREAMING: streaming.socket}
"""WebSockets by path."""

ROUTES: tuple[Route, ...] = (
    # The instance
    _open("/api/v1/instance", instance.v1, hot=(), finished=(Fact.INSTANCE,)),
    _open("/api/v2/instance", instance.v2, hot=(), finished=(Fact.INSTANCE,)),
    _open(f"{_I}/peers", empty.domains, hot=()),
    _open(f"{_I}/activity", instance.activity, hot=()),
    _open(f"{_I}/rules", instance_texts.rules, hot=()),
    _open(f"{_I}/domain_blocks", empty.domain_blocks, hot=()),
    _open(f"{_I}/extended_description", instance_texts.extended_description, hot=()),
    _open(f"{_I}/languages", instance.languages, hot=()),
    _open(f"{_I}/translation_languages", empty.translation_languages, hot=()),
    _open(f"{_I}/privacy_policy", instance_texts.privacy_policy, refuses=(404,)),
    _open(f"{_I}/terms_of_service", instance_texts.terms_of_service, refuses=(404,)),
    _open("/api/v1/custom_emojis", empty.custom_emojis, hot=()),
    _get("/api/v1/announcements", instance_texts.announcements, "read"),
    _post("/api/v1/announcements/{id}/dismiss", instance_texts.dismiss, "write:accounts"),
    _open("/.well-known/nodeinfo", instance.nodeinfo_links, hot=()),
    _open("/nodeinfo/2.0", instance.nodeinfo, hot=()),
    _open("/.well-known/webfinger", instance.webfinger, refuses=(404,), media_type="application/jrd+json"),
    _open("/.well-known/host-meta", instance.host_meta, hot=(), media_type="application/xrd+xml"),
    _open("/api/openapi.json", openapi.show_document(lambda: ROUTES), hot=()),
    _open("/api/oembed", oembed.show, hot=("url", "maxwidth", "maxheight", "format"), refuses=(404,)),
    # Files
    _post("/api/v1/media", media.upload, "write:media", body=BodySize.FILES),
    _route(
        "POST",
        "/api/v2/media",
        media.upload_soon,
        scope="write:media",
        actor=Actor.ACCOUNT,
        statuses=(200, 202),
        body=BodySize.FILES,
    ),
    _route(
        "GET",
        "/api/v1/media/{id}",
        media.show,
        scope="write:media",
        actor=Actor.ACCOUNT,
        statuses=(200, 206),
    ),
    _put("/api/v1/media/{id}", media.update, "write:media", body=BodySize.PICTURES),
    _delete("/api/v1/media/{id}", media.delete, "write:media"),
    _get("/api/v1/profile", profile.show, "profile"),
    _patch("/api/v1/profile", profile.update, "write:accounts", body=BodySize.PICTURES),
    _put("/api/v1/profile", profile.update, "write:accounts", body=BodySize.PICTURES),
    _delete("/api/v1/profile/avatar", media.delete_avatar, "write:accounts"),
    _delete("/api/v1/profile/header", media.delete_header, "write:accounts"),
    # Apps and OAuth
    _route("POST", "/oauth/token", oauth.token, refuses=(401,), kind=TOKEN),
    _route("POST", "/oauth/revoke", oauth.revoke, refuses=(401, 403)),
    _get("/oauth/userinfo", oauth.userinfo, "profile"),
    _post("/oauth/userinfo", oauth.userinfo, "profile"),
    _open("/.well-known/oauth-authorization-server", oauth.authorization_server, hot=()),
    _route("POST", "/api/v1/apps", apps.create, kind=APPS),
    _route("GET", "/api/v1/apps/verify_credentials", apps.verify_credentials, actor=Actor.APPLICATION),
    # The caller's own account
    _post(f"{_A}", registrations.create, "write:accounts", actor=Actor.APPLICATION, kind=SIGN_UP),
    _post("/api/v1/emails/confirmations", emails.confirmations, "write:accounts", unconfirmed=True),
    _get("/api/v1/emails/check_confirmation", emails.check_confirmation, "read:accounts", unconfirmed=True),
    _get(f"{_A}/verify_credentials", accounts.verify_credentials, "profile", finished=(Fact.RELATIONS,)),
    _patch(f"{_A}/update_credentials", accounts.update_credentials, "write:accounts", body=BodySize.PICTURES),
    _get("/api/v1/preferences", preferences.show, "read:accounts", finished=()),
    _get("/api/v1/favourites", timelines.favourites, "read:favourites"),
    _get("/api/v1/bookmarks", timelines.bookmarks, "read:bookmarks"),
    _get("/api/v1/blocks", relationships.blocked, "read:blocks"),
    _get("/api/v1/mutes", relationships.muted, "read:mutes"),
    _get("/api/v1/domain_blocks", empty.domains, "read:blocks"),
    _get("/api/v1/follow_requests", relationships.follow_requests, "read:follows"),
    _post("/api/v1/follow_requests/{id}/authorize", relationships.authorize_follow, "write:follows"),
    _post("/api/v1/follow_requests/{id}/reject", relationships.reject_follow, "write:follows"),
    # Accounts
    _open(f"{_A}", accounts.several, "read:accounts"),
    _open(f"{_A}/lookup", accounts.lookup, "read:accounts", hot=("acct",), refuses=(404,), finished=()),
    _get(f"{_A}/search", accounts.search, "read:accounts", kind=SEARCH),
    _get(f"{_A}/relationships", relationships.relationships, "read:follows", finished=(Fact.RELATIONS,)),
    _get(f"{_A}/{{id}}/identity_proofs", empty.identity_proofs, "read:accounts"),
    _get(f"{_A}/familiar_followers", relationships.familiar_followers, "read:follows"),
    _open(f"{_A}/{{id}}", accounts.show, "read:accounts", hot=(), finished=()),
    _open(
        f"{_A}/{{id}}/statuses",
        accounts.statuses,
        "read:statuses",
        hot=_POSTED,
        finished=(Fact.RELATIONS, *_POSTS),
    ),
    _open(f"{_A}/{{id}}/followers", accounts.followers, "read:accounts"),
    _open(f"{_A}/{{id}}/following", accounts.following, "read:accounts"),
    _open(f"{_A}/{{id}}/featured_tags", featured_tags.of_account, "read:accounts"),
    _open(f"{_A}/{{id}}/endorsements", account_notes.endorsements_of, "read:accounts"),
    _get(f"{_A}/{{id}}/lists", lists.with_account, "read:lists"),
    _post(f"{_A}/{{id}}/follow", relationships.follow, "write:follows"),
    _post(f"{_A}/{{id}}/unfollow", relationships.unfollow, "write:follows"),
    _post(f"{_A}/{{id}}/remove_from_followers", relationships.remove_from_followers, "write:follows"),
    _post(f"{_A}/{{id}}/block", relationships.block, "write:blocks"),
    _post(f"{_A}/{{id}}/unblock", relationships.unblock, "write:blocks"),
    _post(f"{_A}/{{id}}/mute", relationships.mute, "write:mutes"),
    _post(f"{_A}/{{id}}/unmute", relationships.unmute, "write:mutes"),
    _post(f"{_A}/{{id}}/note", account_notes.note, "write:accounts"),
    _post(f"{_A}/{{id}}/pin", account_notes.endorse, "write:accounts"),
    _post(f"{_A}/{{id}}/unpin", account_notes.unendorse, "write:accounts"),
    _post(f"{_A}/{{id}}/endorse", account_notes.endorse, "write:accounts"),
    _post(f"{_A}/{{id}}/unendorse", account_notes.unendorse, "write:accounts"),
    _open("/api/v1/directory", accounts.directory, hot=("limit", "offset")),
    _post("/api/v1/reports", reports.create, "write:reports", refuses=(404,)),
    # Statuses
    _post(f"{_S}", statuses.create, "write:statuses"),
    _open(f"{_S}", statuses.several, "read:statuses"),
    _open(f"{_S}/{{id}}", statuses.show, "read:statuses", hot=(), finished=(Fact.RELATIONS, *_POSTS)),
    _delete(f"{_S}/{{id}}", statuses.delete, "write:statuses"),
    _open(f"{_S}/{{id}}/context", statuses.context, "read:statuses", hot=()),
    _get(f"{_S}/{{id}}/source", edits.source, "read:statuses"),
    _put(f"{_S}/{{id}}", edits.update, "write:statuses"),
    _open(f"{_S}/{{id}}/history", edits.history, "read:statuses"),
    _post(f"{_S}/{{id}}/pin", statuses.pin, "write:accounts"),
    _post(f"{_S}/{{id}}/unpin", statuses.unpin, "write:accounts"),
    _post(f"{_S}/{{id}}/mute", statuses.mute, "write:mutes"),
    _post(f"{_S}/{{id}}/unmute", statuses.unmute, "write:mutes"),
    _open("/api/v1/polls/{id}", polls.show, "read:statuses"),
    _post("/api/v1/polls/{id}/votes", polls.vote, "write:statuses"),
    _open(f"{_S}/{{id}}/favourited_by", statuses.favourited_by, "read:accounts"),
    _open(f"{_S}/{{id}}/reblogged_by", statuses.reblogged_by, "read:accounts"),
    _post(f"{_S}/{{id}}/favourite", statuses.favourite, "write:favourites"),
    _post(f"{_S}/{{id}}/unfavourite", statuses.unfavourite, "write:favourites"),
    _post(f"{_S}/{{id}}/reblog", statuses.reblog, "write:statuses"),
    _post(f"{_S}/{{id}}/unreblog", statuses.unreblog, "write:statuses"),
    _post(f"{_S}/{{id}}/bookmark", statuses.bookmark, "write:bookmarks"),
    _post(f"{_S}/{{id}}/unbookmark", statuses.unbookmark, "write:bookmarks"),
    _get("/api/v1/scheduled_statuses", scheduled_statuses.index, "read:statuses"),
    _get("/api/v1/scheduled_statuses/{id}", scheduled_statuses.show, "read:statuses"),
    _put("/api/v1/scheduled_statuses/{id}", scheduled_statuses.update, "write:statuses"),
    _delete("/api/v1/scheduled_statuses/{id}", scheduled_statuses.delete, "write:statuses"),
    # Timelines
    _get("/api/v1/timelines/home", timelines.home, "read:statuses", finished=_POSTS, reads_home=True),
    _open("/api/v1/timelines/public", timelines.public, "read:statuses", hot=_PUBLIC),
    _open("/api/v1/timelines/tag/{name}", timelines.tag, "read:statuses", hot=_TAG, kind=TAG),
    _get("/api/v1/conversations", conversations.index, "read:statuses"),
    _delete("/api/v1/conversations/{id}", conversations.remove, "write:conversations"),
    _post("/api/v1/conversations/{id}/read", conversations.read, "write:conversations"),
    _post("/api/v1/conversations/{id}/unread", conversations.unread, "write:conversations"),
    _get("/api/v1/timelines/list/{id}", lists.timeline, "read:lists"),
    _get(f"{_L}", lists.index, "read:lists"),
    _post(f"{_L}", lists.create, "write:lists"),
    _get(f"{_L}/{{id}}", lists.show, "read:lists"),
    _put(f"{_L}/{{id}}", lists.update, "write:lists"),
    _delete(f"{_L}/{{id}}", lists.delete, "write:lists"),
    _get(f"{_L}/{{id}}/accounts", lists.members, "read:lists"),
    _post(f"{_L}/{{id}}/accounts", lists.add_members, "write:lists"),
    _delete(f"{_L}/{{id}}/accounts", lists.remove_members, "write:lists"),
    _get("/api/v1/markers", notifications.markers, "read:statuses", finished=(Fact.MARKERS,)),
    _post("/api/v1/markers", notifications.set_markers, "write:statuses"),
    # Streaming, as server-sent events
    _open(f"{_STREAMING}/health", streaming.health, media_type="text/plain"),
    _get(f"{_STREAMING}/user", streaming.user, "read:statuses"),
    _get(f"{_STREAMING}/user/notification", streaming.notification, "read:notifications"),
    _open(f"{_STREAMING}/public", streaming.public),
    _open(f"{_STREAMING}/public/local", streaming.local),
    _open(f"{_STREAMING}/public/remote", streaming.remote),
    _open(f"{_STREAMING}/public/media", streaming.media),
    _open(f"{_STREAMING}/public/local/media", streaming.local_media),
    _open(f"{_STREAMING}/hashtag", streaming.hashtag),
    _open(f"{_STREAMING}/hashtag/local", streaming.local_hashtag),
    _get(f"{_STREAMING}/list", streaming.members, "read:statuses"),
    _get(f"{_STREAMING}/direct", streaming.direct, "read:statuses"),
    # Notifications
    _get(f"{_N}", notifications.index, "read:notifications", finished=(*_NOTIFIED, *_POSTS)),
    _get(
        f"{_N}/unread_count",
        notifications.unread_count,
        "read:notifications",
        finished=(*_NOTIFIED, Fact.MARKERS),
    ),
    _get(f"{_N}/{{id}}", notifications.show, "read:notifications"),
    _post(f"{_N}/{{id}}/dismiss", notifications.dismiss, "write:notifications"),
    _post(f"{_N}/clear", notifications.clear, "write:notifications"),
    _get(f"{_N}/requests", notification_policy.requests, "read:notifications"),
    _get(f"{_N}/requests/merged", notification_policy.merged, "read:notifications"),
    _post(f"{_N}/requests/accept", notification_policy.accept_many, "write:notifications"),
    _post(f"{_N}/requests/dismiss", notification_policy.dismiss_many, "write:notifications"),
    _get(f"{_N}/requests/{{id}}", notification_policy.show, "read:notifications"),
    _post(f"{_N}/requests/{{id}}/accept", notification_policy.accept, "write:notifications"),
    _post(f"{_N}/requests/{{id}}/dismiss", notification_policy.dismiss, "write:notifications"),
    _get(f"{_G}", notification_groups.index, "read:notifications", finished=(*_NOTIFIED, *_POSTS)),
    _get(
        f"{_G}/unread_count",
        notification_groups.unread_count,
        "read:notifications",
        finished=(*_NOTIFIED, Fact.MARKERS),
    ),
    _get(f"{_G}/{{group_key}}", notification_groups.show, "read:notifications"),
    _post(f"{_G}/{{group_key}}/dismiss", notification_groups.dismiss, "write:notifications"),
    _get(f"{_G}/{{group_key}}/accounts", notification_groups.accounts, "read:notifications"),
    _get(f"{_N}/policy", notification_policy.policy, "read:notifications"),
    _get(f"{_G}/policy", notification_policy.policy, "read:notifications"),
    _patch(f"{_G}/policy", notification_policy.change_policy, "write:notifications"),
    _put(f"{_G}/policy", notification_policy.change_policy, "write:notifications"),
    # Search and discovery
    _open("/api/v2/search", search.search, "read:search", kind=SEARCH),
    _open("/api/v1/tags/{name}", tags.show),
    _post("/api/v1/tags/{name}/follow", tags.follow, "write:follows"),
    _post("/api/v1/tags/{name}/unfollow", tags.unfollow, "write:follows"),
    _post("/api/v1/tags/{name}/feature", tags.feature, "write:accounts"),
    _post("/api/v1/tags/{name}/unfeature", tags.unfeature, "write:accounts"),
    _open("/api/v1/trends", trends.tags, hot=("limit", "offset")),
    _open("/api/v1/trends/tags", trends.tags, hot=("limit", "offset")),
    _open("/api/v1/trends/statuses", trends.statuses, hot=("limit", "offset")),
    _open("/api/v1/trends/links", empty.trending_links, hot=("limit", "offset")),
    _get("/api/v1/suggestions", suggestions.v1_index, "read"),
    _delete("/api/v1/suggestions/{id}", suggestions.dismiss, "write:accounts"),
    _get("/api/v2/suggestions", suggestions.index, "read"),
    _get("/api/v1/followed_tags", tags.followed, "read:follows"),
    _get("/api/v1/featured_tags", featured_tags.index, "read:accounts"),
    _post("/api/v1/featured_tags", featured_tags.create, "write:accounts"),
    _get("/api/v1/featured_tags/suggestions", featured_tags.suggestions, "read:accounts"),
    _delete("/api/v1/featured_tags/{id}", featured_tags.delete, "write:accounts"),
    _get("/api/v1/endorsements", account_notes.endorsements, "read:accounts"),
    # Filters
    _get("/api/v1/filters", filters.v1_index, "read:filters"),
    _post("/api/v1/filters", filters.v1_create, "write:filters", body=BodySize.KEYWORDS),
    _get("/api/v1/filters/{id}", filters.v1_show, "read:filters"),
    _put("/api/v1/filters/{id}", filters.v1_update, "write:filters", body=BodySize.KEYWORDS),
    _delete("/api/v1/filters/{id}", filters.v1_delete, "write:filters"),
    _get(f"{_F}", filters.index, "read:filters"),
    _post(f"{_F}", filters.create, "write:filters", body=BodySize.KEYWORDS),
    _get(f"{_F}/{{id}}", filters.show, "read:filters"),
    _put(f"{_F}/{{id}}", filters.update, "write:filters", body=BodySize.KEYWORDS),
    _delete(f"{_F}/{{id}}", filters.delete, "write:filters"),
    _get(f"{_F}/{{id}}/keywords", filters.keywords, "read:filters"),
    _post(f"{_F}/{{id}}/keywords", filters.add_keyword, "write:filters", body=BodySize.KEYWORDS),
    _get(f"{_F}/keywords/{{id}}", filters.show_keyword, "read:filters"),
    _put(f"{_F}/keywords/{{id}}", filters.update_keyword, "write:filters", body=BodySize.KEYWORDS),
    _delete(f"{_F}/keywords/{{id}}", filters.delete_keyword, "write:filters"),
    _get(f"{_F}/{{id}}/statuses", filters.statuses, "read:filters"),
    _post(f"{_F}/{{id}}/statuses", filters.add_status, "write:filters", body=BodySize.KEYWORDS),
    _get(f"{_F}/statuses/{{id}}", filters.show_status, "read:filters"),
    _delete(f"{_F}/statuses/{{id}}", filters.delete_status, "write:filters"),
)

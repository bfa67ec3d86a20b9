"""Every method of Mastodon's client API that its public documentation (4.6) describes, with the reason for
each missing one. docs/methods.md compares it with the route table; a test keeps both in step.

A line without a reason is a method that exists here. `{…}` is any one segment, whatever its name.
"""

from __future__ import annotations

_FEDERATION = "no federation yet"
_QUOTES = "quote posts are not supported: a post that quotes another is refused"
_COLLECTIONS = "new in 4.6; use lists and endorsements instead"
_YEARLY = "no yearly reviews"
_TRANSLATION = "no translation service"
_ADMIN_API = "moderation has web pages and commands, but no API"
_ADDRESSES = "the shield judges addresses; there are no block lists"
_PUSH = "web push is not supported yet"

METHODS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "accounts",
        (
            ("POST /api/v1/accounts", ""),
            ("GET /api/v1/accounts/verify_credentials", ""),
            ("PATCH /api/v1/accounts/update_credentials", ""),
            ("GET /api/v1/accounts", ""),
            ("GET /api/v1/accounts/{id}", ""),
            ("GET /api/v1/accounts/{id}/statuses", ""),
            ("GET /api/v1/accounts/{id}/followers", ""),
            ("GET /api/v1/accounts/{id}/following", ""),
            ("GET /api/v1/accounts/{id}/featured_tags", ""),
            ("GET /api/v1/accounts/{id}/lists", ""),
            ("GET /api/v1/accounts/{id}/endorsements", ""),
            ("POST /api/v1/accounts/{id}/follow", ""),
            ("POST /api/v1/accounts/{id}/unfollow", ""),
            ("POST /api/v1/accounts/{id}/remove_from_followers", ""),
            ("POST /api/v1/accounts/{id}/block", ""),
            ("POST /api/v1/accounts/{id}/unblock", ""),
            ("POST /api/v1/accounts/{id}/mute", ""),
            ("POST /api/v1/accounts/{id}/unmute", ""),
            ("POST /api/v1/accounts/{id}/endorse", ""),
            ("POST /api/v1/accounts/{id}/unendorse", ""),
            ("POST /api/v1/accounts/{id}/pin", ""),
            ("POST /api/v1/accounts/{id}/unpin", ""),
            ("POST /api/v1/accounts/{id}/note", ""),
            ("GET /api/v1/accounts/relationships", ""),
            ("GET /api/v1/accounts/familiar_followers", ""),
            ("GET /api/v1/accounts/search", ""),
            ("GET /api/v1/accounts/lookup", ""),
            ("GET /api/v1/accounts/{id}/identity_proofs", ""),
        ),
    ),
    (
        "profile, bookmarks, favourites, mutes, blocks, preferences",
        (
            ("GET /api/v1/profile", ""),
            ("PATCH /api/v1/profile", ""),
            ("DELETE /api/v1/profile/avatar", ""),
            ("DELETE /api/v1/profile/header", ""),
            ("GET /api/v1/bookmarks", ""),
            ("GET /api/v1/favourites", ""),
            ("GET /api/v1/mutes", ""),
            ("GET /api/v1/blocks", ""),
            ("GET /api/v1/domain_blocks", ""),
            ("POST /api/v1/domain_blocks", _FEDERATION),
            ("DELETE /api/v1/domain_blocks", _FEDERATION),
            ("GET /api/v1/preferences", ""),
        ),
    ),
    (
        "filters",
        (
            ("GET /api/v2/filters", ""),
            ("GET /api/v2/filters/{id}", ""),
            ("POST /api/v2/filters", ""),
            ("PUT /api/v2/filters/{id}", ""),
            ("DELETE /api/v2/filters/{id}", ""),
            ("GET /api/v2/filters/{id}/keywords", ""),
            ("POST /api/v2/filters/{id}/keywords", ""),
            ("GET /api/v2/filters/keywords/{id}", ""),
            ("PUT /api/v2/filters/keywords/{id}", ""),
            ("DELETE /api/v2/filters/keywords/{id}", ""),
            ("GET /api/v2/filters/{id}/statuses", ""),
            ("POST /api/v2/filters/{id}/statuses", ""),
            ("GET /api/v2/filters/statuses/{id}", ""),
            ("DELETE /api/v2/filters/statuses/{id}", ""),
            ("GET /api/v1/filters", ""),
            ("GET /api/v1/filters/{id}", ""),
            ("POST /api/v1/filters", ""),
            ("PUT /api/v1/filters/{id}", ""),
            ("DELETE /api/v1/filters/{id}", ""),
        ),
    ),
    (
        "follow requests, endorsements, tags, suggestions, directory",
        (
            ("GET /api/v1/follow_requests", ""),
            ("POST /api/v1/follow_requests/{id}/authorize", ""),
            ("POST /api/v1/follow_requests/{id}/reject", ""),
            ("GET /api/v1/endorsements", ""),
            ("GET /api/v1/featured_tags", ""),
            ("POST /api/v1/featured_tags", ""),
            ("DELETE /api/v1/featured_tags/{id}", ""),
            ("GET /api/v1/featured_tags/suggestions", ""),
            ("GET /api/v1/followed_tags", ""),
            ("GET /api/v1/tags/{id}", ""),
            ("POST /api/v1/tags/{id}/follow", ""),
            ("POST /api/v1/tags/{id}/unfollow", ""),
            ("POST /api/v1/tags/{id}/feature", ""),
            ("POST /api/v1/tags/{id}/unfeature", ""),
            ("GET /api/v1/suggestions", ""),
            ("GET /api/v2/suggestions", ""),
            ("DELETE /api/v1/suggestions/{id}", ""),
            ("GET /api/v1/directory", ""),
        ),
    ),
    (
        "apps, OAuth, e-mail",
        (
            ("POST /api/v1/apps", ""),
            ("GET /api/v1/apps/verify_credentials", ""),
            ("GET /oauth/authorize", ""),
            ("POST /oauth/token", ""),
            ("POST /oauth/revoke", ""),
            ("GET /oauth/userinfo", ""),
            ("GET /.well-known/oauth-authorization-server", ""),
            ("POST /api/v1/emails/confirmations", ""),
            ("GET /api/v1/emails/check_confirmation", ""),
        ),
    ),
    (
        "statuses, media, polls, scheduled statuses",
        (
            ("POST /api/v1/statuses", ""),
            ("GET /api/v1/statuses", ""),
            ("GET /api/v1/statuses/{id}", ""),
            ("DELETE /api/v1/statuses/{id}", ""),
            ("PUT /api/v1/statuses/{id}", ""),
            ("GET /api/v1/statuses/{id}/context", ""),
            ("GET /api/v1/statuses/{id}/history", ""),
            ("GET /api/v1/statuses/{id}/source", ""),
            ("GET /api/v1/statuses/{id}/reblogged_by", ""),
            ("GET /api/v1/statuses/{id}/favourited_by", ""),
            ("POST /api/v1/statuses/{id}/favourite", ""),
            ("POST /api/v1/statuses/{id}/unfavourite", ""),
            ("POST /api/v1/statuses/{id}/reblog", ""),
            ("POST /api/v1/statuses/{id}/unreblog", ""),
            ("POST /api/v1/statuses/{id}/bookmark", ""),
            ("POST /api/v1/statuses/{id}/unbookmark", ""),
            ("POST /api/v1/statuses/{id}/mute", ""),
            ("POST /api/v1/statuses/{id}/unmute", ""),
            ("POST /api/v1/statuses/{id}/pin", ""),
            ("POST /api/v1/statuses/{id}/unpin", ""),
            ("POST /api/v1/statuses/{id}/translate", _TRANSLATION),
            ("GET /api/v1/statuses/{id}/card", "removed in Mastodon 3.0: the card is in the status"),
            ("GET /api/v1/statuses/{id}/quotes", _QUOTES),
            ("POST /api/v1/statuses/{id}/quotes/{quote}/revoke", _QUOTES),
            ("PUT /api/v1/statuses/{id}/interaction_policy", _QUOTES),
            ("POST /api/v1/media", ""),
            ("POST /api/v2/media", ""),
            ("GET /api/v1/media/{id}", ""),
            ("PUT /api/v1/media/{id}", ""),
            ("DELETE /api/v1/media/{id}", ""),
            ("GET /api/v1/polls/{id}", ""),
            ("POST /api/v1/polls/{id}/votes", ""),
            ("GET /api/v1/scheduled_statuses", ""),
            ("GET /api/v1/scheduled_statuses/{id}", ""),
            ("PUT /api/v1/scheduled_statuses/{id}", ""),
            ("DELETE /api/v1/scheduled_statuses/{id}", ""),
        ),
    ),
    (
        "timelines, conversations, lists, markers",
        (
            ("GET /api/v1/timelines/public", ""),
            ("GET /api/v1/timelines/tag/{name}", ""),
            ("GET /api/v1/timelines/home", ""),
            ("GET /api/v1/timelines/list/{id}", ""),
            ("GET /api/v1/timelines/link", "links are not counted"),
            ("GET /api/v1/timelines/direct", "removed in Mastodon 3.0: use conversations instead"),
            ("GET /api/v1/conversations", ""),
            ("DELETE /api/v1/conversations/{id}", ""),
            ("POST /api/v1/conversations/{id}/read", ""),
            ("GET /api/v1/lists", ""),
            ("GET /api/v1/lists/{id}", ""),
            ("POST /api/v1/lists", ""),
            ("PUT /api/v1/lists/{id}", ""),
            ("DELETE /api/v1/lists/{id}", ""),
            ("GET /api/v1/lists/{id}/accounts", ""),
            ("POST /api/v1/lists/{id}/accounts", ""),
            ("DELETE /api/v1/lists/{id}/accounts", ""),
            ("GET /api/v1/markers", ""),
            ("POST /api/v1/markers", ""),
        ),
    ),
    (
        "streaming",
        (
            ("GET /api/v1/streaming/health", ""),
            ("GET /api/v1/streaming", ""),
            ("GET /api/v1/streaming/user", ""),
            ("GET /api/v1/streaming/user/notification", ""),
            ("GET /api/v1/streaming/public", ""),
            ("GET /api/v1/streaming/public/local", ""),
            ("GET /api/v1/streaming/public/remote", ""),
            ("GET /api/v1/streaming/hashtag", ""),
            ("GET /api/v1/streaming/hashtag/local", ""),
            ("GET /api/v1/streaming/list", ""),
            ("GET /api/v1/streaming/direct", ""),
        ),
    ),
    (
        "notifications, push",
        (
            ("GET /api/v1/notifications", ""),
            ("GET /api/v1/notifications/{id}", ""),
            ("POST /api/v1/notifications/clear", ""),
            ("POST /api/v1/notifications/{id}/dismiss", ""),
            ("GET /api/v1/notifications/unread_count", ""),
            ("GET /api/v2/notifications/policy", ""),
            ("PATCH /api/v2/notifications/policy", ""),
            ("GET /api/v1/notifications/requests", ""),
            ("GET /api/v1/notifications/requests/{id}", ""),
            ("POST /api/v1/notifications/requests/{id}/accept", ""),
            ("POST /api/v1/notifications/requests/{id}/dismiss", ""),
            ("POST /api/v1/notifications/requests/accept", ""),
            ("POST /api/v1/notifications/requests/dismiss", ""),
            ("GET /api/v1/notifications/requests/merged", ""),
            ("GET /api/v2/notifications", ""),
            ("GET /api/v2/notifications/{group_key}", ""),
            ("POST /api/v2/notifications/{group_key}/dismiss", ""),
            ("GET /api/v2/notifications/{group_key}/accounts", ""),
            ("GET /api/v2/notifications/unread_count", ""),
            ("POST /api/v1/push/subscription", _PUSH),
            ("GET /api/v1/push/subscription", _PUSH),
            ("PUT /api/v1/push/subscription", _PUSH),
            ("DELETE /api/v1/push/subscription", _PUSH),
        ),
    ),
    (
        "search, trends, instance, announcements, reports, oEmbed",
        (
            ("GET /api/v2/search", ""),
            ("GET /api/v1/search", "removed in Mastodon 3.0: use `/api/v2/search`"),
            ("GET /api/v1/trends/tags", ""),
            ("GET /api/v1/trends/statuses", ""),
            ("GET /api/v1/trends/links", ""),
            ("GET /api/v2/instance", ""),
            ("GET /api/v1/instance", ""),
            ("GET /api/v1/instance/peers", ""),
            ("GET /api/v1/instance/activity", ""),
            ("GET /api/v1/instance/rules", ""),
            ("GET /api/v1/instance/domain_blocks", ""),
            ("GET /api/v1/instance/extended_description", ""),
            ("GET /api/v1/instance/privacy_policy", ""),
            ("GET /api/v1/instance/terms_of_service", ""),
            ("GET /api/v1/instance/terms_of_service/{date}", "only the current text is stored"),
            ("GET /api/v1/instance/translation_languages", ""),
            ("GET /api/v1/custom_emojis", ""),
            ("GET /api/v1/announcements", ""),
            ("POST /api/v1/announcements/{id}/dismiss", ""),
            ("PUT /api/v1/announcements/{id}/reactions/{name}", "announcements have no reactions"),
            (
                "DELETE /api/v1/announcements/{id}/reactions/{name}",
                "announcements have no reactions",
            ),
            ("POST /api/v1/reports", ""),
            ("GET /api/oembed", ""),
            ("GET /health", ""),
            ("GET /api/v1/async_refreshes/{id}", "no asynchronous refreshes"),
        ),
    ),
    (
        "annual reports, collections",
        (
            ("GET /api/v1/annual_reports", _YEARLY),
            ("GET /api/v1/annual_reports/{year}", _YEARLY),
            ("GET /api/v1/annual_reports/{year}/state", _YEARLY),
            ("POST /api/v1/annual_reports/{year}/read", _YEARLY),
            ("POST /api/v1/annual_reports/{year}/generate", _YEARLY),
            ("POST /api/v1/collections", _COLLECTIONS),
            ("GET /api/v1/collections/{id}", _COLLECTIONS),
            ("PATCH /api/v1/collections/{id}", _COLLECTIONS),
            ("DELETE /api/v1/collections/{id}", _COLLECTIONS),
            ("POST /api/v1/collections/{id}/items", _COLLECTIONS),
            ("DELETE /api/v1/collections/{id}/items/{item}", _COLLECTIONS),
            ("POST /api/v1/collections/{id}/items/{item}/revoke", _COLLECTIONS),
            ("GET /api/v1/accounts/{id}/collections", _COLLECTIONS),
            ("GET /api/v1/accounts/{id}/in_collections", _COLLECTIONS),
        ),
    ),
    (
        "admin",
        (
            *(
                (f"{method} /api/v1/admin/accounts{rest}", _ADMIN_API)
                for method, rest in (
                    ("GET", ""),
                    ("GET", "/{id}"),
                    ("DELETE", "/{id}"),
                    ("POST", "/{id}/action"),
                    *(
                        ("POST", f"/{{id}}/{act}")
                        for act in ("approve", "reject", "enable", "unsilence", "unsuspend", "unsensitive")
                    ),
                )
            ),
            ("GET /api/v2/admin/accounts", _ADMIN_API),
            *(
                (f"{method} /api/v1/admin/reports{rest}", _ADMIN_API)
                for method, rest in (
                    ("GET", ""),
                    ("GET", "/{id}"),
                    ("PUT", "/{id}"),
                    *(
                        ("POST", f"/{{id}}/{act}")
                        for act in ("assign_to_self", "unassign", "resolve", "reopen")
                    ),
                )
            ),
            *(
                (f"GET /api/v1/admin/trends/{what}", "trends are counted automatically, without approval")
                for what in ("links", "statuses", "tags")
            ),
            *(
                (
                    f"POST /api/v1/admin/trends/{what}/{{id}}/{act}",
                    "trends are counted automatically, without approval",
                )
                for what in ("links", "statuses", "tags")
                for act in ("approve", "reject")
            ),
            *(
                (f"{method} /api/v1/admin/{what}{rest}", why)
                for what, why in (
                    ("domain_allows", _FEDERATION),
                    ("domain_blocks", _FEDERATION),
                    ("email_domain_blocks", _ADMIN_API),
                    ("canonical_email_blocks", _ADMIN_API),
                    ("ip_blocks", _ADDRESSES),
                )
                for method, rest in (("GET", ""), ("GET", "/{id}"), ("POST", ""), ("DELETE", "/{id}"))
            ),
            ("PUT /api/v1/admin/domain_blocks/{id}", _FEDERATION),
            ("PUT /api/v1/admin/ip_blocks/{id}", _ADDRESSES),
            ("POST /api/v1/admin/canonical_email_blocks/test", _ADMIN_API),
            *(
                (f"POST /api/v1/admin/{what}", "usage figures are in the metrics")
                for what in ("dimensions", "measures", "retention")
            ),
        ),
    ),
)


def key(method: str) -> str:
    """Return a method without the names of its placeholders, for comparison."""
    return "/".join("{}" if part.startswith("{") else part for part in method.split("/"))

"""Events: published on the bus after the commit, so that every process drops or extends its cached data.

An event carries no secret and nothing that must not be lost: losing one only makes caches stale.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class PostCreated(msgspec.Struct, frozen=True, tag="post"):
    """A new post or boost. `boost_of_id` 0: it is not a boost; the same for the other ids."""

    post_id: int
    author_id: int
    visibility: int
    in_reply_to_id: int = 0
    in_reply_to_account_id: int = 0
    boost_of_id: int = 0
    boost_author_id: int = 0
    mentioned_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    language: str = ""
    author_silenced: bool = False


class PostChanged(msgspec.Struct, frozen=True, tag="changed"):
    """The counts or the text of the post changed."""

    post_id: int
    author_id: int


class PostEdited(msgspec.Struct, frozen=True, tag="edited"):
    """The author changed text, media or poll of a post.

    Notifies the readers of timelines that contain it; PostChanged, published with it, invalidates cached data
    of the post. `tags` and `languages` hold those before and after the edit.
    """

    post_id: int
    author_id: int
    visibility: int
    in_reply_to_account_id: int = 0
    mentioned_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


class Reacted(msgspec.Struct, frozen=True, tag="reacted"):
    """The account's flags of the post changed: favourited, boosted, bookmarked, pinned, voted.

    `post_id` 0: flags of any post may have changed, because a whole thread was muted.
    """

    account_id: int
    post_id: int


class PostDeleted(msgspec.Struct, frozen=True, tag="deleted"):
    """The post and every boost of it are gone. `boosts` holds (boost id, booster id).

    `visibility` and `mentioned_ids` limit who may learn of it; the default is followers (2). `hidden`: by
    moderators; the author still sees the post, but not the boosts.
    """

    post_id: int
    author_id: int
    tags: tuple[str, ...] = ()
    in_reply_to_id: int = 0
    boost_of_id: int = 0
    boosts: tuple[tuple[int, int], ...] = ()
    visibility: int = 2
    mentioned_ids: tuple[int, ...] = ()
    hidden: bool = False


class AccountChanged(msgspec.Struct, frozen=True, tag="account"):
    """Profile or counts changed; `hidden`: it must disappear at once (suspended, deleted)."""

    account_id: int
    hidden: bool = False


class RelationshipChanged(msgspec.Struct, frozen=True, tag="relationship"):
    """A follow, a request to follow, a block, a mute, a note or an endorsement between the two changed.

    Cached home lists of both are invalid.
    """

    account_id: int
    other_id: int


class Notified(msgspec.Struct, frozen=True, tag="notified"):
    """The account has a new notification."""

    account_id: int
    notification_id: int


class NotificationsRemoved(msgspec.Struct, frozen=True, tag="notifications_removed"):
    """Notifications of the account were removed: it dismissed them, or what they tell of was undone."""

    account_id: int


class MarkersMoved(msgspec.Struct, frozen=True, tag="markers"):
    """The account has read further in a timeline or its notifications."""

    account_id: int


class InstanceChanged(msgspec.Struct, frozen=True, tag="instance"):
    """Rules or texts of the instance changed."""


class ConversationChanged(msgspec.Struct, frozen=True, tag="conversation"):
    """The last post of the account's conversation changed, or it was read. `post_id`: a post just added to it."""

    account_id: int
    thread_id: int
    post_id: int = 0


class ListChanged(msgspec.Struct, frozen=True, tag="list"):
    """Members or settings of the account's list changed, or it was deleted."""

    account_id: int
    list_id: int


class FiltersChanged(msgspec.Struct, frozen=True, tag="filters"):
    """The account's filters changed."""

    account_id: int


class FollowedTagsChanged(msgspec.Struct, frozen=True, tag="followed_tags"):
    """The account followed or unfollowed a hashtag: its cached home list is invalid."""

    account_id: int


class AccessChanged(msgspec.Struct, frozen=True, tag="access"):
    """A token was revoked, or all access of an account changed. Empty hash: every token of the account."""

    account_id: int
    token_hash: bytes = b""


class OutboxFilled(msgspec.Struct, frozen=True, tag="outbox"):
    """There is new work in the outbox: the courier need not wait for its next poll."""


class ShieldRuled(msgspec.Struct, frozen=True, tag="shield_rule"):
    """An operator's rule for the shield, or its end (verdict "none"). Times are in seconds since 1970."""

    verdict: str
    kind: str
    value: str
    expires_epoch_s: float
    reason: str
    set_at_epoch_s: float


class ShieldPaused(msgspec.Struct, frozen=True, tag="shield_pause"):
    """The operator paused denies and demotions until `until_epoch_s`; 0: they are not paused."""

    until_epoch_s: float
    set_at_epoch_s: float


class AllChanged(msgspec.Struct, frozen=True, tag="all"):
    """Events were lost: drop all cached data."""


Event = (
    PostCreated
    | PostChanged
    | PostEdited
    | Reacted
    | PostDeleted
    | AccountChanged
    | RelationshipChanged
    | Notified
    | NotificationsRemoved
    | MarkersMoved
    | InstanceChanged
    | ConversationChanged
    | ListChanged
    | FiltersChanged
    | FollowedTagsChanged
    | AccessChanged
    | OutboxFilled
    | ShieldRuled
    | ShieldPaused
    | AllChanged
)

HARMLESS = frozenset(
    {
        AccessChanged,
        AccountChanged,
        AllChanged,
        ConversationChanged,
        FiltersChanged,
        FollowedTagsChanged,
        InstanceChanged,
        ListChanged,
        MarkersMoved,
        NotificationsRemoved,
        Notified,
        OutboxFilled,
        PostChanged,
        PostCreated,
        Reacted,
        RelationshipChanged,
    }
)
"""Events that make nothing wrong if their change was never committed: the others then read again what did not change,
or look for a post that does not exist. After a deletion, for example, they would miss a post that does."""


def if_committed(events: Sequence[Event]) -> list[Event]:
    """Return the events to publish if it is unknown whether their change was committed.

    [AllChanged()] if one of them would do harm should it not have been.
    """
    return list(events) if all(type(event) in HARMLESS for event in events) else [AllChanged()]

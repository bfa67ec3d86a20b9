"""What just changed: told on the bus after the commit, so that every process drops or extends what it holds
in memory. An event carries no secret and nothing that must not be lost: losing one costs freshness only."""

from __future__ import annotations

import msgspec


class PostCreated(msgspec.Struct, frozen=True, tag="post"):
    """A post or a boost that now exists. `boost_of_id` 0: it is no boost; the same for the other ids."""

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
    """Its counts or its text changed."""

    post_id: int
    author_id: int


class PostEdited(msgspec.Struct, frozen=True, tag="edited"):
    """Its text, media or poll were changed by its author. Who sees it in a timeline is told so; PostChanged, which
    is told besides, is about what is kept of it. `tags` and `languages` are those before and after."""

    post_id: int
    author_id: int
    visibility: int
    in_reply_to_account_id: int = 0
    mentioned_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


class Reacted(msgspec.Struct, frozen=True, tag="reacted"):
    """What the account did with the post changed: favourited, boosted, bookmarked, pinned, voted. `post_id` 0: with
    any post; a whole thread was muted."""

    account_id: int
    post_id: int


class PostDeleted(msgspec.Struct, frozen=True, tag="deleted"):
    """The post and every boost of it are gone. `boosts` holds (boost id, who boosted).

    `visibility` and `mentioned_ids` say who may hear of it: followers (2) where nothing is said. `hidden`: by
    moderators; its author still has it, and not the boosts.
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
    """Follow, block or mute between the two changed: neither's home list can be trusted."""

    account_id: int
    other_id: int


class Notified(msgspec.Struct, frozen=True, tag="notified"):
    """The account has a new notification."""

    account_id: int
    notification_id: int


class ConversationChanged(msgspec.Struct, frozen=True, tag="conversation"):
    """The account's conversation has another last post, or was read. `post_id`: a post that has just come into it."""

    account_id: int
    thread_id: int
    post_id: int = 0


class ListChanged(msgspec.Struct, frozen=True, tag="list"):
    """Members or settings of the account's list changed, or it is gone."""

    account_id: int
    list_id: int


class FiltersChanged(msgspec.Struct, frozen=True, tag="filters"):
    """The account's filters of what it reads changed."""

    account_id: int


class FollowedTagsChanged(msgspec.Struct, frozen=True, tag="followed_tags"):
    """The account follows a hashtag, or follows one no longer: its home list cannot be trusted."""

    account_id: int


class AccessChanged(msgspec.Struct, frozen=True, tag="access"):
    """A token was revoked, or all access of an account changed. Empty hash: every token of the account."""

    account_id: int
    token_hash: bytes = b""


class OutboxFilled(msgspec.Struct, frozen=True, tag="outbox"):
    """There is new work in the outbox: the courier need not wait for its next look."""


class ShieldRuled(msgspec.Struct, frozen=True, tag="shield_rule"):
    """An operator's rule for the shield, or its end (verdict "none"). Times are in seconds since 1970."""

    verdict: str
    kind: str
    value: str
    expires_epoch_s: float
    reason: str
    set_at_epoch_s: float


class ShieldPaused(msgspec.Struct, frozen=True, tag="shield_pause"):
    """Until when the operator has paused denies and demotions; 0 for not at all."""

    until_epoch_s: float
    set_at_epoch_s: float


class AllChanged(msgspec.Struct, frozen=True, tag="all"):
    """Events were lost: drop everything held in memory."""


Event = (
    PostCreated
    | PostChanged
    | PostEdited
    | Reacted
    | PostDeleted
    | AccountChanged
    | RelationshipChanged
    | Notified
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

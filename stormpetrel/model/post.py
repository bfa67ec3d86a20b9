"""Posts: what is said, to whom. A boost is a post that only points at another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from stormpetrel.model.media import Media

MAX_SPOILER = 200
MAX_MENTIONS = 50
MAX_TAGS = 50


class Visibility(IntEnum):
    """Who may see a post; a larger number is a smaller circle."""

    PUBLIC = 0
    UNLISTED = 1
    FOLLOWERS = 2
    DIRECT = 3


@dataclass(frozen=True, slots=True)
class Mention:
    """Somebody who is addressed in a post."""

    account_id: int
    username: str


@dataclass(frozen=True, slots=True)
class Post:
    """A post as stored. For a boost only `id`, `author_id`, `boost_of_id`, `visibility` and the time say anything.

    `text` is as written; `application` is (name, website) of the app that it was posted with, if any.
    """

    id: int
    author_id: int
    text: str
    spoiler_text: str
    visibility: Visibility
    sensitive: bool
    language: str
    in_reply_to_id: int | None
    in_reply_to_account_id: int | None
    boost_of_id: int | None
    application: tuple[str, str] | None
    replies_count: int
    boosts_count: int
    favourites_count: int
    created_at_ms: int
    mentions: tuple[Mention, ...] = ()
    tags: tuple[str, ...] = ()
    hidden: bool = False  # by moderators
    media: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to post; `rules.posts.create_post` checks it. None: the author's default."""

    text: str
    spoiler_text: str = ""
    visibility: Visibility | None = None
    sensitive: bool | None = None
    language: str | None = None
    in_reply_to_id: int | None = None
    application_id: int | None = None
    media_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Flags:
    """What one reader did with a post."""

    favourited: bool = False
    boosted: bool = False
    bookmarked: bool = False


NO_FLAGS = Flags()


@dataclass(frozen=True, slots=True)
class Thread:
    """Ids around a post: ancestors oldest first; descendants in reading order (a reply after what it answers)."""

    ancestor_ids: tuple[int, ...]
    descendant_ids: tuple[int, ...]

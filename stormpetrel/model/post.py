"""Posts: their content and audience. A boost is a post that only refers to another."""

from __future__ import annotations

from enum import IntEnum

import msgspec
from msgspec.structs import replace

from stormpetrel.model.media import Media
from stormpetrel.model.poll import Poll, PollDraft

MAX_SPOILER = 200
MAX_MENTIONS = 50
MAX_TAGS = 50


class Visibility(IntEnum):
    """Who may see a post; a larger number means a smaller audience."""

    PUBLIC = 0
    UNLISTED = 1
    FOLLOWERS = 2
    DIRECT = 3


class Mention(msgspec.Struct, frozen=True):
    """An account mentioned in a post."""

    account_id: int
    username: str


class Post(msgspec.Struct, frozen=True):
    """A post as stored. For a boost only `id`, `author_id`, `boost_of_id`, `visibility` and the time are set.

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
    edited_at_ms: int = 0  # 0: never
    thread_id: int | None = None  # None: the post begins a thread
    poll: Poll | None = None


class Draft(msgspec.Struct, frozen=True):
    """A post to create; `rules.posts.create_post` checks it. None: the author's default.

    `allowed_mentions`: the accounts that the text may mention; None for all.
    """

    text: str
    spoiler_text: str = ""
    visibility: Visibility | None = None
    sensitive: bool | None = None
    language: str | None = None
    in_reply_to_id: int | None = None
    application_id: int | None = None
    media_ids: tuple[int, ...] = ()
    poll: PollDraft | None = None
    allowed_mentions: tuple[int, ...] | None = None


class Scheduled(msgspec.Struct, frozen=True):
    """A draft to post later."""

    id: int
    account_id: int
    draft: Draft
    due_at_ms: int


class Version(msgspec.Struct, frozen=True):
    """A post as it was, or is, between two edits. `poll_options`: titles, none without a poll.

    `media`: (id, description) of its attachments.
    """

    text: str
    spoiler_text: str
    sensitive: bool
    poll_options: tuple[str, ...]
    written_at_ms: int
    media: tuple[tuple[int, str], ...] = ()

    def shown_media(self, post: Post) -> list[Media]:
        """Return the media that `post` still has, described as they were then.

        Media removed since are left out.
        """
        still = {media.id: media for media in post.media}
        return [
            replace(still[media_id], description=description)
            for media_id, description in self.media
            if media_id in still
        ]


class Flags(msgspec.Struct, frozen=True):
    """The state of a post for one reader. `votes`: the reader's votes in its poll, bit n for option n.

    `muted`: the reader muted its thread. `pinned` is used for the reader's own posts only.
    """

    favourited: bool = False
    boosted: bool = False
    bookmarked: bool = False
    muted: bool = False
    pinned: bool = False
    votes: int = 0


NO_FLAGS = Flags()


class Thread(msgspec.Struct, frozen=True):
    """Ids around a post: ancestors oldest first; descendants in reading order (a reply after its parent)."""

    ancestor_ids: tuple[int, ...]
    descendant_ids: tuple[int, ...]

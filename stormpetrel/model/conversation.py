"""Conversations: the direct posts of a thread, as one of its accounts sees them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversation:
    """One account's view of one conversation.

    `id`: the post that began the thread. `place`: the id of the newest post in it, by which lists of
    conversations are ordered and paged. `last_post_id`: the newest post that the account is shown; an older
    one if the newest was hidden or its author is blocked or muted. `participant_ids`: the other accounts of
    that post; the account itself if there are none.
    """

    id: int
    account_id: int
    place: int
    last_post_id: int
    participant_ids: tuple[int, ...]
    unread: bool

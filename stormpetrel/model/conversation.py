"""Conversations: the direct posts of a thread, as one of those who are in it has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversation:
    """One account's view of one conversation.

    `id`: the post that began the thread. `place`: what lists of conversations are ordered and paged by, the id of
    the newest post in it. `last_post_id`: the newest that the account is shown, which is older where the newest is
    by somebody whom it blocks or mutes, or was hidden. `participant_ids`: who else that post is between; the
    account itself where it is between nobody.
    """

    id: int
    account_id: int
    place: int
    last_post_id: int
    participant_ids: tuple[int, ...]
    unread: bool

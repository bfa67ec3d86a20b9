"""Polls: a question with a few answers, open for a limited time."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

MIN_OPTIONS = 2
MAX_OPTIONS = 4
MAX_OPTION_CHARACTERS = 50
MIN_DURATION_S = 5 * 60
MAX_DURATION_S = 2_629_746
"""A month as in Mastodon: the twelfth part of a mean year."""


class Option(msgspec.Struct, frozen=True):
    """One answer, and how often it was chosen."""

    title: str
    votes_count: int


class Poll(msgspec.Struct, frozen=True):
    """The poll of a post; its id is the post's. `hide_totals`: the results are hidden until it ends."""

    post_id: int
    author_id: int
    multiple: bool
    hide_totals: bool
    expires_at_ms: int
    voters_count: int
    options: tuple[Option, ...]

    @property
    def votes_count(self) -> int:
        """Return the number of votes; with several choices, more than the number of voters."""
        return sum(option.votes_count for option in self.options)

    def is_over(self, now_ms: int) -> bool:
        """Return True if the poll has ended."""
        return now_ms >= self.expires_at_ms

    def is_open_book(self, now_ms: int) -> bool:
        """Return True if the results are visible."""
        return not self.hide_totals or self.is_over(now_ms)


class PollDraft(msgspec.Struct, frozen=True):
    """A poll to add to a post."""

    options: tuple[str, ...]
    duration_s: int
    multiple: bool = False
    hide_totals: bool = False


def bits_of(positions: Iterable[int]) -> int:
    """Return a set of positions as one number: bit n stands for position n."""
    bits = 0
    for position in positions:
        bits |= 1 << position
    return bits


def positions_in(bits: int) -> list[int]:
    """Return the positions that `bits_of` was given, ascending."""
    return [position for position in range(bits.bit_length()) if bits >> position & 1]

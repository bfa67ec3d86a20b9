"""Which posts belong in a home timeline: a table of the one rule."""

from __future__ import annotations

import pytest

from stormpetrel.model.post import Visibility
from stormpetrel.model.timeline import GONE, Item, Taste

READER, FRIEND, QUIET, STRANGER, MUTED, MUTED_FRIEND = 1, 2, 3, 4, 5, 6
TASTE = Taste(
    READER,
    # QUIET is followed without their boosts.
    {FRIEND: True, QUIET: False, MUTED_FRIEND: True},
    {MUTED, MUTED_FRIEND},
)
PUBLIC, UNLISTED, FOLLOWERS, DIRECT = Visibility


@pytest.mark.parametrize(
    ("why", "item", "taken"),
    [
        ("one's own", Item(9, READER, PUBLIC), True),
        ("one's own direct message", Item(9, READER, DIRECT), True),
        ("one's own reply to a stranger", Item(9, READER, PUBLIC, STRANGER), True),
        ("one's own boost", Item(9, READER, PUBLIC, boost_author_id=STRANGER), True),
        ("one's own boost of somebody suspended", Item(9, READER, PUBLIC, boost_author_id=GONE), False),
        ("a friend's", Item(9, FRIEND, PUBLIC), True),
        ("a friend's, unlisted", Item(9, FRIEND, UNLISTED), True),
        ("a friend's, for followers", Item(9, FRIEND, FOLLOWERS), True),
        ("a friend's message to others", Item(9, FRIEND, DIRECT), False),
        ("a friend's message to the reader", Item(9, FRIEND, DIRECT, mentions_reader=True), True),
        ("a stranger's", Item(9, STRANGER, PUBLIC), False),
        ("a stranger's message to the reader", Item(9, STRANGER, DIRECT, mentions_reader=True), False),
        ("a muted stranger's", Item(9, MUTED, PUBLIC), False),
        ("a muted friend's", Item(9, MUTED_FRIEND, PUBLIC), False),
        ("a reply to oneself", Item(9, FRIEND, PUBLIC, FRIEND), True),
        ("a reply to the reader", Item(9, FRIEND, PUBLIC, READER), True),
        ("a reply to another friend", Item(9, FRIEND, PUBLIC, QUIET), True),
        ("a reply to a stranger", Item(9, FRIEND, PUBLIC, STRANGER), False),
        ("a reply to a muted friend", Item(9, FRIEND, PUBLIC, MUTED_FRIEND), False),
        (
            "a message to the reader, in answer to a stranger",
            Item(9, FRIEND, DIRECT, STRANGER, 0, True),
            False,
        ),
        ("a boost", Item(9, FRIEND, PUBLIC, boost_author_id=STRANGER), True),
        ("a boost of the reader's", Item(9, FRIEND, PUBLIC, boost_author_id=READER), True),
        ("a boost of a muted one's", Item(9, FRIEND, PUBLIC, boost_author_id=MUTED), False),
        ("a boost of somebody suspended", Item(9, FRIEND, PUBLIC, boost_author_id=GONE), False),
        ("a boost by whose boosts are off", Item(9, QUIET, PUBLIC, boost_author_id=FRIEND), False),
        ("a post by whose boosts are off", Item(9, QUIET, PUBLIC), True),
    ],
)
def test_what_belongs_in_a_home_timeline(why: str, item: Item, taken: bool) -> None:
    assert TASTE.takes(item) is taken, why

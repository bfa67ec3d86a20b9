"""Which posts belong in a home timeline: a table of the one rule."""

from __future__ import annotations

import pytest

from stormpetrel.model.post import Visibility
from stormpetrel.model.timeline import GONE, HomeFilter, TimelineItem

READER, FRIEND, QUIET, STRANGER, MUTED, MUTED_FRIEND = 1, 2, 3, 4, 5, 6
HOME_FILTER = HomeFilter(
    READER,
    # QUIET is followed without their boosts.
    {FRIEND: True, QUIET: False, MUTED_FRIEND: True},
    {MUTED, MUTED_FRIEND},
)
PUBLIC, UNLISTED, FOLLOWERS, DIRECT = Visibility


@pytest.mark.parametrize(
    ("why", "item", "taken"),
    [
        ("one's own", TimelineItem(9, READER, PUBLIC), True),
        ("one's own direct message", TimelineItem(9, READER, DIRECT), True),
        ("one's own reply to a stranger", TimelineItem(9, READER, PUBLIC, STRANGER), True),
        ("one's own boost", TimelineItem(9, READER, PUBLIC, boost_author_id=STRANGER), True),
        (
            "one's own boost of somebody suspended",
            TimelineItem(9, READER, PUBLIC, boost_author_id=GONE),
            False,
        ),
        ("a friend's", TimelineItem(9, FRIEND, PUBLIC), True),
        ("a friend's, unlisted", TimelineItem(9, FRIEND, UNLISTED), True),
        ("a friend's, for followers", TimelineItem(9, FRIEND, FOLLOWERS), True),
        ("a friend's message to others", TimelineItem(9, FRIEND, DIRECT), False),
        ("a friend's message to the reader", TimelineItem(9, FRIEND, DIRECT, mentions_reader=True), True),
        ("a stranger's", TimelineItem(9, STRANGER, PUBLIC), False),
        (
            "a stranger's message to the reader",
            TimelineItem(9, STRANGER, DIRECT, mentions_reader=True),
            False,
        ),
        ("a muted stranger's", TimelineItem(9, MUTED, PUBLIC), False),
        ("a muted friend's", TimelineItem(9, MUTED_FRIEND, PUBLIC), False),
        ("a reply to oneself", TimelineItem(9, FRIEND, PUBLIC, FRIEND), True),
        ("a reply to the reader", TimelineItem(9, FRIEND, PUBLIC, READER), True),
        ("a reply to another friend", TimelineItem(9, FRIEND, PUBLIC, QUIET), True),
        ("a reply to a stranger", TimelineItem(9, FRIEND, PUBLIC, STRANGER), False),
        ("a reply to a muted friend", TimelineItem(9, FRIEND, PUBLIC, MUTED_FRIEND), False),
        (
            "a message to the reader, in answer to a stranger",
            TimelineItem(9, FRIEND, DIRECT, STRANGER, 0, True),
            False,
        ),
        ("a boost", TimelineItem(9, FRIEND, PUBLIC, boost_author_id=STRANGER), True),
        ("a boost of the reader's", TimelineItem(9, FRIEND, PUBLIC, boost_author_id=READER), True),
        ("a boost of a muted one's", TimelineItem(9, FRIEND, PUBLIC, boost_author_id=MUTED), False),
        ("a boost of somebody suspended", TimelineItem(9, FRIEND, PUBLIC, boost_author_id=GONE), False),
        ("a boost by whose boosts are off", TimelineItem(9, QUIET, PUBLIC, boost_author_id=FRIEND), False),
        ("a post by whose boosts are off", TimelineItem(9, QUIET, PUBLIC), True),
    ],
)
def test_what_belongs_in_a_home_timeline(why: str, item: TimelineItem, taken: bool) -> None:
    assert HOME_FILTER.includes(item) is taken, why

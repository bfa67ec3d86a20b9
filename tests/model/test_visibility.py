"""Who may see a post: all combinations of facts, against an independent statement of the rule."""

from __future__ import annotations

import itertools

import pytest

from stormpetrel.model.post import Visibility
from stormpetrel.model.visibility import Facts, may_see

AUTHOR, READER = 1, 2
FLAGS = list(itertools.product((False, True), repeat=5))


def facts(visibility: Visibility, flags: tuple[bool, ...]) -> Facts:
    active, follows, blocked, mentioned, hidden = flags
    return Facts(9, AUTHOR, visibility, active, follows, blocked, mentioned, hidden)


@pytest.mark.parametrize("visibility", list(Visibility))
@pytest.mark.parametrize("flags", FLAGS)
def test_a_reader_sees_what_is_for_them_and_only_of_who_is_there(
    visibility: Visibility, flags: tuple[bool, ...]
) -> None:
    active, follows, blocked, mentioned, _ = flags
    circle = {
        Visibility.PUBLIC: True,
        Visibility.UNLISTED: True,
        Visibility.FOLLOWERS: follows or mentioned,
        Visibility.DIRECT: mentioned,
    }
    expected = active and not blocked and circle[visibility]
    assert may_see(facts(visibility, flags), reader_id=READER) is expected


@pytest.mark.parametrize("visibility", list(Visibility))
def test_a_visitor_sees_what_is_for_everybody(visibility: Visibility) -> None:
    nobody = (True, False, False, False, False)
    open_to_all = visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
    assert may_see(facts(visibility, nobody), reader_id=None) is open_to_all
    assert not may_see(facts(visibility, (False, False, False, False, False)), reader_id=None)


@pytest.mark.parametrize("visibility", list(Visibility))
@pytest.mark.parametrize("flags", FLAGS)
def test_the_author_sees_it_whatever_it_is_unless_suspended(
    visibility: Visibility, flags: tuple[bool, ...]
) -> None:
    assert may_see(facts(visibility, flags), reader_id=AUTHOR) is flags[0]

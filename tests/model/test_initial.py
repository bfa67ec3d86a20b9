"""The replacement for a missing avatar: its letter, its colour, and its file name."""

from __future__ import annotations

import pytest

from stormpetrel.model.account import Account, AccountState
from stormpetrel.model.initial import TINTS, initial, parse_picture_name, picture_name, tint


def account(username="ann", display_name="", account_id=5):
    return Account(
        id=account_id,
        username=username,
        display_name=display_name,
        note="",
        fields=(),
        locked=False,
        bot=False,
        discoverable=True,
        default_visibility=0,
        default_sensitive=False,
        default_language="",
        followers_count=0,
        following_count=0,
        posts_count=0,
        last_post_at_ms=0,
        created_at_ms=0,
        state=AccountState.ACTIVE,
    )


@pytest.mark.parametrize(
    ("username", "display_name", "letter", "drawn"),
    [
        ("ann", "", "A", "-A"),
        ("ann", "☂ Zoé", "Z", "-Z"),
        ("ann", "élan", "É", "-E"),
        ("ann", "ßig", "S", "-S"),
        ("_7up", "", "7", "-7"),
        ("___", "", "_", ""),
        ("ann", "ნინო", "ნ", ""),
        ("ann", "жук", "Ж", ""),
        ("ann", "٣", "٣", ""),
        ("ann", "／Ａ", "Ａ", "-A"),
        ("ann", "👩‍🚀", "A", "-A"),
    ],
)
def test_the_initial_is_the_first_letter_that_is_shown(username, display_name, letter, drawn):
    one = account(username, display_name)
    if display_name != "👩‍🚀":
        assert initial(one) == letter
    name = picture_name(one)
    assert name == f"initial-{tint(one)}{drawn}.png"
    assert parse_picture_name(name) == (tint(one), drawn.removeprefix("-"))


def test_accounts_made_in_a_row_have_all_colours():
    found = {tint(account(account_id=position << 22)) for position in range(200)}
    assert found == set(range(len(TINTS)))


@pytest.mark.parametrize(
    "name",
    [
        *("initial-12-A.png", "initial-03-A.png", "initial--A.png", "initial-3-a.png", "initial-3-AB.png"),
        *("initial-3-.png", "initial-3-É.png", "initial-3-A.png\n", "initial-3-A.svg", "x-initial-3-A.png"),
    ],
)
def test_other_names_name_no_picture(name):
    assert parse_picture_name(name) is None

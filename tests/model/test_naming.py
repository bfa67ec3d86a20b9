"""Which accounts are behind the hot pages of an attack."""

from __future__ import annotations

import pytest

from stormpetrel.model.naming import hot_accounts


def test_a_profile_its_feed_and_its_posts_belong_to_one_account() -> None:
    pages = {"/@Ana": 30, "/@ana/feed.atom": 5, "/@ana/115": 15, "/": 50}
    assert hot_accounts(pages, requests=100) == {"ana": pytest.approx(0.5)}


def test_accounts_with_a_small_part_of_the_requests_are_not_asked() -> None:
    assert hot_accounts({"/@ana": 9, "/@ben": 10, "/@cleo": 60}, requests=100) == {
        "cleo": pytest.approx(0.6),
        "ben": pytest.approx(0.1),
    }


def test_at_most_three_accounts_are_asked() -> None:
    pages = {f"/@person{n}": 10 + n for n in range(6)}
    assert list(hot_accounts(pages, requests=100)) == ["person5", "person4", "person3"]


@pytest.mark.parametrize("path", ["/@", "/@ana@elsewhere.example", "/@<b>", "/tags/ana", "/@" + "a" * 31])
def test_other_paths_belong_to_no_account(path) -> None:
    assert hot_accounts({path: 100}, requests=100) == {}


def test_without_requests_none_is_asked() -> None:
    assert hot_accounts({"/@ana": 1}, requests=0) == {}

"""The targets of "Older" and "Newer"."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.page import Page
from stormpetrel.web.paging import Pager, pager

REQUEST = SimpleNamespace(path="/tags/é")
BASE = "/tags/%C3%A9"
FULL = [9, 8, 7]


@pytest.mark.parametrize(
    ("page", "ids", "expected"),
    [
        (Page(3), FULL, Pager(f"{BASE}?max_id=7", None, first=True)),
        (Page(3), [9], Pager(None, None, first=True)),
        (Page(3), [], Pager(None, None, first=True)),
        (Page(3, max_id=10), FULL, Pager(f"{BASE}?max_id=7", f"{BASE}?min_id=9", first=False)),
        (Page(3, max_id=10), [9], Pager(None, f"{BASE}?min_id=9", first=False)),
        (Page(3, max_id=2), [], Pager(None, BASE, first=False)),
        (Page(3, MAX_ID, min_id=6), FULL, Pager(f"{BASE}?max_id=7", f"{BASE}?min_id=9", first=False)),
        (Page(3, MAX_ID, min_id=8), [9], Pager(f"{BASE}?max_id=9", None, first=False)),
    ],
)
def test_the_links_around_a_page(page, ids, expected):
    assert pager(REQUEST, page, ids) == expected

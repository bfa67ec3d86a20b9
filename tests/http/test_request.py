"""What a request remembers of itself."""

from __future__ import annotations

import contextlib
import traceback
import weakref

import pytest

from stormpetrel.errors import Malformed
from stormpetrel.http.request import Request


class WatchedRequest(Request):
    """A request whose end a test can see."""

    __slots__ = ("__weakref__",)


def asked(query: bytes) -> WatchedRequest:
    scope = {"method": "GET", "path": "/", "query_string": query}
    return WatchedRequest(scope, None, site=None, facts=None, now_ms=0, at_s=0.0)


def refusal(request: Request) -> tuple[str, int]:
    """Return the text of the refusal of the query, and how many places its traceback has."""
    with pytest.raises(Malformed) as refused:
        request.query_pairs  # noqa: B018  # the property raises
    return refused.value.safe_text, len(traceback.extract_tb(refused.value.__traceback__))


def test_a_query_that_cannot_be_read_is_refused_in_the_same_way_each_time():
    request = asked(b"a=%ff")
    assert {refusal(request) for _ in range(4)} == {("The parameters are not valid UTF-8", 2)}


def test_a_request_whose_query_cannot_be_read_ends_with_its_last_user():
    def refused() -> weakref.ref[WatchedRequest]:
        request = asked(b"a=%ff")
        for _ in range(2):
            with contextlib.suppress(Malformed):
                request.query_pairs  # noqa: B018  # the property raises
        return weakref.ref(request)

    assert refused()() is None

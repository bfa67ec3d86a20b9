"""Times, dates, and the shapes that strict decoders insist on."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.api.json import convert
from stormpetrel.errors import Invalid
from stormpetrel.model.account import Account, AccountState, Field
from stormpetrel.model.notification import Kind
from stormpetrel.model.post import Mention, Post, Visibility

BASE = "https://petrel.example"


@given(st.integers(0, 4_000_000_000_000))
def test_a_timestamp_has_milliseconds_and_a_z(time_ms):
    text = convert.timestamp(time_ms)
    assert len(text) == 24
    assert text.endswith("Z")
    parsed = datetime.fromisoformat(text)
    assert round(parsed.timestamp() * 1000) == time_ms
    assert convert.date(time_ms) == parsed.astimezone(UTC).strftime("%Y-%m-%d")


def test_every_visibility_and_kind_of_notification_has_a_name_of_the_api():
    assert set(convert.VISIBILITY_NAMES) == set(Visibility)
    assert set(convert.KIND_NAMES) == set(Kind)
    assert convert.visibility("private") is Visibility.FOLLOWERS
    assert convert.visibility("") is None
    with pytest.raises(Invalid, match="visibility"):
        convert.visibility("everybody")


def an_account(**change):
    values = {
        "id": 5,
        "username": "Ann",
        "display_name": "",
        "note": "<script>",
        "fields": (Field("Web", "https://example.org/?a=1&b=2"),),
        "locked": False,
        "bot": False,
        "discoverable": True,
        "default_visibility": 0,
        "default_sensitive": False,
        "default_language": "",
        "followers_count": 1,
        "following_count": 2,
        "posts_count": 3,
        "last_post_at_ms": 0,
        "created_at_ms": 1_767_315_845_678,
        "state": AccountState.ACTIVE,
    }
    return Account(**(values | change))


def test_an_account_is_html_where_the_api_wants_html():
    account = convert.account(an_account(), base_url=BASE)
    assert account.note == "<p>&lt;script&gt;</p>"
    assert "a=1&amp;b=2" in account.fields[0].value
    assert account.last_status_at is None
    assert account.created_at == "2026-01-02T00:00:00.000Z"
    assert account.url == f"{BASE}/@Ann"
    active = convert.account(an_account(last_post_at_ms=1_767_315_845_678), base_url=BASE)
    assert active.last_status_at == "2026-01-02"


def test_ones_own_account_has_the_source_as_written():
    own = convert.credential_account(
        an_account(default_visibility=2, default_language="de"),
        base_url=BASE,
        role="admin",
        follow_requests_count=4,
    )
    body = msgspec.json.decode(msgspec.json.encode(own))
    assert body["source"]["note"] == "<script>"
    assert body["source"]["privacy"] == "private"
    assert body["source"]["language"] == "de"
    assert body["source"]["follow_requests_count"] == 4
    assert body["role"]["name"] == "Admin"


def a_post(**change):
    values = {
        "id": 7,
        "author_id": 5,
        "text": "Hello @bob #Tag",
        "spoiler_text": "",
        "visibility": Visibility.PUBLIC,
        "sensitive": False,
        "language": "",
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "boost_of_id": None,
        "application": ("App", ""),
        "replies_count": 0,
        "boosts_count": 0,
        "favourites_count": 0,
        "created_at_ms": 1_767_315_845_678,
        "mentions": (Mention(6, "bob"),),
        "tags": ("tag",),
    }
    return Post(**(values | change))


def test_no_text_can_look_like_the_mark_for_the_account():
    status = convert.status(a_post(text="a\0b", spoiler_text="\0"), author="Ann", base_url=BASE)
    assert msgspec.json.encode(status).count(convert.RAW_ACCOUNT) == 1
    boost = convert.status(a_post(text="", boost_of_id=3), author="Ann", base_url=BASE)
    assert msgspec.json.encode(boost).count(convert.RAW_ACCOUNT) == 2


def test_ids_are_text_and_arrays_are_there():
    body = msgspec.json.encode(convert.status(a_post(), author="Ann", base_url=BASE))
    status = msgspec.json.decode(body.replace(convert.RAW_ACCOUNT, b"null"))
    assert status["id"] == "7"
    assert status["mentions"] == [
        {"id": "6", "username": "bob", "url": f"{BASE}/@bob", "acct": "bob"},
    ]
    assert status["tags"] == [{"name": "tag", "url": f"{BASE}/tags/tag"}]
    assert status["application"] == {"name": "App", "website": None}
    for name in ("media_attachments", "emojis"):
        assert status[name] == []
    for name in ("favourited", "reblogged", "muted", "bookmarked", "filtered", "pinned", "text"):
        assert name not in status

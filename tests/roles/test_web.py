"""Each write is visible at once, on any worker, whatever that worker has cached.

Each look is a new connection, which the kernel gives to either of the two workers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from stormpetrel.edge.cache import HotCache
from stormpetrel.edge.finished import FinishedAnswers
from stormpetrel.freshness import Freshness
from stormpetrel.model.event import (
    AccessChanged,
    AccountChanged,
    AllChanged,
    Notified,
    OutboxFilled,
    PostChanged,
    PostCreated,
    PostDeleted,
    RelationshipChanged,
)
from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.roles import web as module
from stormpetrel.roles.web import Memory
from stormpetrel.rules import access, moderation
from stormpetrel.shield.identify import TokenEntry, TokenTable
from stormpetrel.storage.engine.database import Database
from tests.people import Person, Place
from tests.store import Store

LOOKS = 12
"""New connections per look. All of them reach the same worker once in 2,048 times."""
COMMAND_S = 20.0
"""The longest time that an event of another process may take on a busy machine. It is usually a moment."""


def looks(place: Place, path: str, *, by: Person | None = None) -> list[httpx.Response]:
    """Return the answers to the same request on many new connections."""
    client = by.http if by else place.visitor
    return [client.get(path, headers={"connection": "close"}) for _ in range(LOOKS)]


def everywhere(
    place: Place, path: str, value: Callable[[Any], Any], expected: Any, *, by: Person | None = None
) -> None:
    """Assert that every worker's answer has that value."""
    assert [value(answer.json()) for answer in looks(place, path, by=by)] == [expected] * LOOKS


def statuses_everywhere(place: Place, path: str, expected: int) -> None:
    assert [answer.status_code for answer in looks(place, path)] == [expected] * LOOKS


def eventually(place: Place, path: str, status: int) -> None:
    """Wait for the effect of another program, until every worker answers with the status, and then always."""
    deadline_s = time.monotonic() + COMMAND_S
    while {answer.status_code for answer in looks(place, path)} != {status}:
        assert time.monotonic() < deadline_s, f"{path} is not {status} everywhere"
    statuses_everywhere(place, path, status)


def shown_before_long(place: Place, path: str, text: str) -> None:
    """Wait until every worker shows the text: public lists are up to a second old."""
    deadline_s = time.monotonic() + COMMAND_S
    while not all(text in answer.text for answer in looks(place, path)):
        assert time.monotonic() < deadline_s, f"{path} does not show {text!r}"


def test_counts_and_profile_are_new_on_every_worker(place: Place) -> None:
    author, fan = place.person(), place.person()
    path = f"/api/v1/accounts/{author.id}"
    for by in (None, fan):
        everywhere(place, path, lambda one: one["statuses_count"], 0, by=by)
    for number in range(1, 4):
        author.post(f"post {number}")
        for by in (None, fan):
            everywhere(place, path, lambda one: one["statuses_count"], number, by=by)
    fan.follow(author)
    everywhere(place, path, lambda one: one["followers_count"], 1)
    everywhere(place, f"/api/v1/accounts/{fan.id}", lambda one: one["following_count"], 1)
    changed = author.http.patch("/api/v1/accounts/update_credentials", data={"display_name": "Renamed"})
    assert changed.status_code == 200
    everywhere(place, path, lambda one: one["display_name"], "Renamed")
    everywhere(
        place,
        f"{path}/statuses",
        lambda all_of: {one["account"]["display_name"] for one in all_of},
        {"Renamed"},
    )
    assert all("Renamed" in answer.text for answer in looks(place, f"/@{author.username}"))


def test_a_post_is_in_every_home_and_profile_at_once(place: Place) -> None:
    author, fan = place.person(), place.person()
    fan.follow(author)
    home = "/api/v1/timelines/home"
    everywhere(place, home, len, 0, by=fan)
    everywhere(place, f"/api/v1/accounts/{author.id}/statuses", len, 0)
    for number in range(1, 4):
        status = author.post(f"number {number}")
        everywhere(place, home, lambda all_of: all_of[0]["id"], status["id"], by=fan)
        everywhere(place, f"/api/v1/accounts/{author.id}/statuses", len, number)
        assert all(f"number {number}" in answer.text for answer in looks(place, f"/@{author.username}"))
    fan.do(f"/api/v1/accounts/{author.id}/unfollow")
    everywhere(place, home, len, 0, by=fan)


def test_what_one_does_with_a_post_is_seen_everywhere_by_both(place: Place) -> None:
    author, fan = place.person(), place.person()
    status = author.post("like me")
    path = f"/api/v1/statuses/{status['id']}"
    for by in (None, author, fan):
        everywhere(place, path, lambda one: one["favourites_count"], 0, by=by)
    for verb, count, flag in (("favourite", 1, True), ("unfavourite", 0, False), ("favourite", 1, True)):
        fan.do(f"{path}/{verb}")
        everywhere(place, path, lambda one: one["favourites_count"], count)
        everywhere(place, path, lambda one: one["favourited"], flag, by=fan)
        everywhere(place, path, lambda one: one["favourited"], False, by=author)
    for verb, flag in (("bookmark", True), ("unbookmark", False)):
        fan.do(f"{path}/{verb}")
        everywhere(place, path, lambda one: one["bookmarked"], flag, by=fan)
    for verb, flag in (("reblog", True), ("unreblog", False)):
        fan.do(f"{path}/{verb}")
        everywhere(place, path, lambda one: one["reblogged"], flag, by=fan)
        everywhere(place, path, lambda one: one["reblogs_count"], int(flag))


def test_a_reply_is_in_the_thread_at_once(place: Place) -> None:
    author, other = place.person(), place.person()
    root = author.post("root")
    path = f"/api/v1/statuses/{root['id']}"
    everywhere(place, f"{path}/context", lambda one: len(one["descendants"]), 0)
    reply = other.post("reply", in_reply_to_id=root["id"])
    everywhere(
        place, f"{path}/context", lambda one: [item["id"] for item in one["descendants"]], [reply["id"]]
    )
    everywhere(place, path, lambda one: one["replies_count"], 1)
    assert all("reply" in answer.text for answer in looks(place, f"/@{author.username}/{root['id']}"))


def test_a_deleted_post_is_gone_from_every_page_that_was_kept(place: Place) -> None:
    author, fan = place.person(), place.person()
    status = author.post("to be gone #goner")
    boost = fan.do(f"/api/v1/statuses/{status['id']}/reblog")
    reply = fan.post("an answer", in_reply_to_id=status["id"])
    post_paths = (f"/api/v1/statuses/{status['id']}", f"/@{author.username}/{status['id']}")
    list_paths = (
        "/public",
        "/tags/goner",
        f"/@{author.username}",
        f"/@{fan.username}",
        "/api/v1/timelines/public",
        f"/@{fan.username}/{reply['id']}",
        f"/api/v1/statuses/{reply['id']}/context",
    )
    for path in (*post_paths, *list_paths):
        shown_before_long(place, path, "to be gone")
    assert author.http.delete(f"/api/v1/statuses/{status['id']}").status_code == 200
    for path in (*post_paths, f"/api/v1/statuses/{boost['id']}"):
        statuses_everywhere(place, path, 404)
    for path in list_paths:
        assert not any("to be gone" in answer.text for answer in looks(place, path)), path


def test_a_suspension_from_the_command_line_reaches_every_kept_page_and_token(place: Place) -> None:
    suspect, friend = place.person("suspect"), place.person()
    status = suspect.post("soon unheard")
    friend.post("reply", in_reply_to_id=status["id"])
    paths = (
        f"/@{suspect.username}",
        f"/@{suspect.username}/{status['id']}",
        f"/api/v1/accounts/{suspect.id}",
        f"/api/v1/statuses/{status['id']}",
    )
    for path in paths:
        statuses_everywhere(place, path, 200)
    shown_before_long(place, "/public", "soon unheard")
    browser = place.browser_session(suspect)
    assert browser.get("/notifications").status_code == 200
    place.instance.run_cli("user", "suspend", suspect.username)
    for path in paths:
        eventually(place, path, 404)
    assert not any("soon unheard" in answer.text for answer in looks(place, "/public"))
    refused = looks(place, "/api/v1/accounts/verify_credentials", by=suspect)
    assert {answer.status_code for answer in refused} == {401}
    assert browser.get("/notifications").status_code == 303
    place.instance.run_cli("user", "unsuspend", suspect.username)
    for path in paths:
        eventually(place, path, 200)


# What each event invalidates, without any server -----------------------------------------------------------


class Told:
    """Stands in for a cache, and records the events that it receives."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def apply(self, event: object, *, source: str = "") -> None:
        self.events.append(event)


class Noted(HotCache):
    """The real cache, which records the tags that it is asked to drop."""

    def __init__(self) -> None:
        super().__init__(capacity_bytes=1 << 20, ttl_s=1.0, grace_s=300.0)
        self.noted: set[str] = set()

    def invalidate(self, tag: str) -> None:
        self.noted.add(f"renew {tag}")
        super().invalidate(tag)

    def purge(self, tag: str) -> None:
        self.noted.add(f"drop {tag}")
        super().purge(tag)

    def purge_all(self) -> None:
        self.noted.add("drop everything")
        super().purge_all()


class Held(SimpleNamespace):
    """The caches of a worker (http/site.py), all of them empty and recording."""

    def __init__(self) -> None:
        super().__init__(
            **{name: Told() for name in ("home", "flags", "filters", "api", "pages", "streaming")},
            cache=Noted(),
            tokens=TokenTable(),
            access_freshness=Freshness(),
            finished=FinishedAnswers(),
        )

    def told(self, *events: Any) -> Held:
        memory = Memory()
        memory.site = self  # type: ignore[assignment]  # the parts that handle events
        memory.apply(list(events))
        return self


GONE = PostDeleted(1, 2, tags=("a", "b"), in_reply_to_id=3, boosts=((4, 5),))


@pytest.mark.parametrize(
    ("event", "noted"),
    [
        (PostCreated(1, 2, 0), {"renew account:2"}),
        (PostCreated(1, 2, 0, in_reply_to_id=3, tags=("a",)), {"renew account:2", "renew post:3"}),
        (PostChanged(1, 2), {"renew post:1"}),
        (
            GONE,
            {
                *("drop post:1", "drop account:2", "drop account:5", "drop public"),
                *("drop tag:a", "drop tag:b", "renew post:3"),
            },
        ),
        (AccountChanged(2), {"renew account:2"}),
        (AccountChanged(2, hidden=True), {"drop everything"}),
        (AllChanged(), {"drop everything"}),
        (RelationshipChanged(1, 2), set()),
        (Notified(1, 2), set()),
        (AccessChanged(1), set()),
        (OutboxFilled(), set()),
    ],
)
def test_what_an_event_makes_stale(event: Any, noted: set[str]) -> None:
    held = Held().told(event)
    assert held.cache.noted == noted
    assert all(
        holder.events == [event] for holder in (held.home, held.flags, held.filters, held.api, held.pages)
    )


def test_which_credentials_an_event_ends() -> None:
    def known(*events: Any) -> tuple[set[bytes], bool]:
        held = Held()
        for token_hash, account_id in ((b"a", 1), (b"b", 1), (b"c", 2)):
            held.tokens.put(token_hash, TokenEntry(account_id, 0, 0.0, None))
        before = held.access_freshness.begin()
        held.told(*events)
        known_still = {one for one in (b"a", b"b", b"c") if held.tokens.get(one, 0.0)}
        return known_still, held.access_freshness.is_current(before)

    assert known(PostCreated(1, 1, 0), AccountChanged(1, hidden=True)) == ({b"a", b"b", b"c"}, True)
    assert known(AccessChanged(1, b"a")) == ({b"b", b"c"}, False)
    assert known(AccessChanged(1)) == ({b"c"}, False)
    assert known(AllChanged()) == (set(), False)


def test_a_worker_knows_the_tokens_of_active_members_from_its_first_request_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 2)
    monkeypatch.setattr(module, "WARM_TOKENS", 3)
    people = [store.person() for _ in range(6)]
    for number, person in enumerate(people):
        store.do(
            access.create_token,
            account_id=person,
            application_id=None,
            scopes=("read",),
            token_hash=bytes([number]) * 32,
            now_ms=store.now_ms,
        )
    store.do(moderation.suspend, COMMAND_LINE, account_id=people[5], reason="x", now_ms=store.now_ms)
    tokens = TokenTable()

    async def body() -> None:
        database = Database(store.url)
        await database.open()
        try:
            await module._load_tokens(
                SimpleNamespace(database=database, tokens=tokens, access_freshness=Freshness())  # type: ignore[arg-type]
            )
        finally:
            await database.close()

    asyncio.run(body())
    found = [tokens.get(bytes([number]) * 32, 0.0) for number in range(6)]
    assert [entry and entry.account_id for entry in found] == [*people[:5], None]
    # The newest count as looked up; the others queue as their account until they are.
    now_s = time.monotonic()
    assert [entry is not None and entry.is_fresh(now_s) for entry in found] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]

"""Members' answers from memory (edge/finished.py) in a server: never older than earlier answers to their reader.

Each path is requested several times, so that later answers may come from memory. They are compared with the answer
of the application, which a parameter without a meaning brings about: no other request has the same.
"""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormpetrel.model.access import new_token, secret_hash
from stormpetrel.model.account import Role
from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.rules import access, instance, moderation
from tests.people import Person, Place, now_ms
from tests.plain_client import PlainAnswer, PlainClient
from tests.waiting import eventually

STEPS = 12
TRIES = 10
_nonces = itertools.count()


def is_from_memory(answer: httpx.Response | PlainAnswer) -> bool:
    """Only the application gives an answer an id."""
    return "x-request-id" not in answer.headers


@dataclass
class Reader:
    """An account with several tokens and connections, which lead to several workers."""

    person: Person
    clients: list[PlainClient] = field(default_factory=list)

    @classmethod
    def of(cls, place: Place, name: str) -> Reader:
        person = place.person(name)
        tokens = [person.token, person.token, place.token(person.id)]
        return cls(person, [place.plain_client(token) for token in tokens])


@dataclass
class Company:
    """Three accounts, what they did, and how many answers came from memory."""

    place: Place
    readers: list[Reader]
    chance: random.Random
    posts: list[tuple[int, str]] = field(default_factory=list)
    from_memory: int = 0

    def do(self, who: int, path: str, *, method: str = "POST", **body: Any) -> PlainAnswer:
        answer = self.chance.choice(self.readers[who].clients).request(method, path, json=body)
        assert answer.status_code < 500, answer.text
        return answer

    def post(self, who: int, **more: Any) -> None:
        text = {"status": f"Hello {next(_nonces)} #tag", **more}
        answer = self.do(who, "/api/v1/statuses", **text)
        if answer.status_code == 200:
            self.posts.append((who, answer.json()["id"]))

    def a_post(self) -> tuple[int, str]:
        return self.chance.choice(self.posts)

    def id(self, who: int) -> int:
        return self.readers[who].person.id

    def paths(self) -> list[str]:
        ids = [self.id(who) for who in range(3)]
        _, post = self.a_post()
        name = self.chance.choice(self.readers).person.username
        return [
            "/api/v1/accounts/verify_credentials",
            "/api/v1/preferences",
            "/api/v1/markers?timeline[]=home&timeline[]=notifications",
            "/api/v1/timelines/home",
            f"/api/v1/timelines/home?since_id={post}",
            f"/api/v1/timelines/home?limit=2&max_id={post}",
            "/api/v1/notifications",
            f"/api/v1/notifications?since_id={post}",
            "/api/v1/notifications/unread_count",
            "/api/v2/notifications",
            "/api/v2/notifications/unread_count",
            f"/api/v1/accounts/lookup?acct={name}",
            f"/api/v1/accounts/{self.chance.choice(ids)}",
            f"/api/v1/accounts/{self.chance.choice(ids)}/statuses",
            f"/api/v1/accounts/{self.chance.choice(ids)}/statuses?exclude_replies=true",
            f"/api/v1/statuses/{post}",
            "/api/v1/accounts/relationships?" + "&".join(f"id[]={one}" for one in ids),
        ]

    def by_application(self, who: int, path: str) -> tuple[int, bytes]:
        nonce = f"{'&' if '?' in path else '?'}nonce={next(_nonces)}"
        answer = self.chance.choice(self.readers[who].clients).get(path + nonce)
        return answer.status_code, answer.content

    def check(self, who: int, path: str) -> None:
        """Compare the answers on several connections, perhaps from memory, with the application's."""
        before = self.by_application(who, path)
        for _ in range(TRIES):
            found = [client.get(path) for client in self.readers[who].clients]
            after = self.by_application(who, path)
            self.from_memory += sum(map(is_from_memory, found))
            # The courier may have notified the reader meanwhile: then either answer is right.
            if before == after:
                assert [(answer.status_code, answer.content) for answer in found] == [after] * len(found), (
                    path
                )
                return
            before = after
        raise AssertionError(f"{path} changes without end")


def _edit(company: Company, who: int, other: int) -> None:
    owner, post = company.a_post()
    company.do(owner, f"/api/v1/statuses/{post}", method="PUT", status=f"Edited {next(_nonces)}")


def _delete(company: Company, who: int, other: int) -> None:
    owner, post = company.a_post()
    company.do(owner, f"/api/v1/statuses/{post}", method="DELETE")
    if len(company.posts) > 1:
        company.posts.remove((owner, post))


def _mark(company: Company, who: int, other: int) -> None:
    _, post = company.a_post()
    company.do(who, "/api/v1/markers", home={"last_read_id": post}, notifications={"last_read_id": post})


def _dismiss(company: Company, who: int, other: int) -> None:
    found = company.readers[who].person.get("/api/v1/notifications")
    if found:
        company.do(who, f"/api/v1/notifications/{found[0]['id']}/dismiss")


def _mention(company: Company, who: int, other: int) -> None:
    name = company.readers[other].person.username
    company.post(who, status=f"@{name} hello {next(_nonces)}", visibility="direct")


Action = Callable[[Company, int, int], object]


def on_post(action: str) -> Action:
    return lambda company, who, other: company.do(who, f"/api/v1/statuses/{company.a_post()[1]}/{action}")


def on_account(action: str, **body: Any) -> Action:
    return lambda company, who, other: company.do(
        who, f"/api/v1/accounts/{company.id(other)}/{action}", **body
    )


def on_request(action: str) -> Action:
    return lambda company, who, other: company.do(
        who, f"/api/v1/follow_requests/{company.id(other)}/{action}"
    )


def _vote(company: Company, who: int, other: int) -> None:
    company.do(who, f"/api/v1/polls/{company.a_post()[1]}/votes", choices=[0])


def _change(company: Company, who: int, other: int) -> None:
    company.do(
        who,
        "/api/v1/accounts/update_credentials",
        method="PATCH",
        display_name=f"N {next(_nonces)}",
        locked=company.chance.random() < 0.5,
        source={"privacy": company.chance.choice(["public", "private"])},
    )


def _filter(company: Company, who: int, other: int) -> None:
    words = [{"keyword": "hello"}]
    company.do(who, "/api/v2/filters", title="x", context=["home"], keywords_attributes=words)


ACTIONS: dict[str, Action] = {
    "post": lambda company, who, other: company.post(who),
    "post to followers": lambda company, who, other: company.post(who, visibility="private"),
    "poll": lambda company, who, other: company.post(who, poll={"options": ["a", "b"], "expires_in": 300}),
    "reply": lambda company, who, other: company.post(who, in_reply_to_id=company.a_post()[1]),
    "mention": _mention,
    "edit": _edit,
    "delete": _delete,
    "mark as read": _mark,
    "dismiss": _dismiss,
    "clear": lambda company, who, other: company.do(who, "/api/v1/notifications/clear"),
    "vote": _vote,
    "change the profile": _change,
    "filter": _filter,
    "note": on_account("note", comment="a note"),
    "follow for notifications": on_account("follow", notify=True, reblogs=False),
    "accept": on_request("authorize"),
    "reject": on_request("reject"),
    **{
        action: on_post(action)
        for action in (
            *("favourite", "unfavourite", "reblog", "unreblog", "bookmark", "unbookmark"),
            *("mute", "unmute", "pin", "unpin"),
        )
    },
    **{
        f"{action} an account": on_account(action)
        for action in (
            *("follow", "unfollow", "block", "unblock", "mute", "unmute"),
            *("remove_from_followers", "endorse", "unendorse"),
        )
    },
}


def test_no_answer_from_memory_differs_from_the_application_s_after_any_write(place: Place) -> None:
    readers = [Reader.of(place, name) for name in ("ada", "bob", "eve")]
    hits = 0

    @settings(max_examples=5, derandomize=True, deadline=None, database=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(sorted(ACTIONS)), st.sampled_from([(0, 1), (1, 0), (1, 2), (2, 0)])),
            min_size=STEPS,
            max_size=STEPS,
        ),
        st.randoms(use_true_random=False),
    )
    def run(steps: list[tuple[str, tuple[int, int]]], chance: random.Random) -> None:
        nonlocal hits
        company = Company(place, readers, chance)
        company.post(0)
        company.post(1)
        for action, (who, other) in steps:
            # Warm the answers that the action may make stale.
            paths = chance.sample(company.paths(), 3)
            for path in paths:
                for reader in (who, other):
                    company.check(reader, path)
            ACTIONS[action](company, who, other)
            for path in paths:
                for reader in (who, other):
                    company.check(reader, path)
        hits += company.from_memory

    run()
    assert hits > 200


def test_each_kind_of_write_shows_in_the_next_request_of_its_author_and_of_the_account_it_concerns(
    place: Place,
) -> None:
    readers = [Reader.of(place, name) for name in ("ada", "bob", "eve")]
    company = Company(place, readers, random.Random(1))
    company.post(0, poll={"options": ["a", "b"], "expires_in": 300})
    company.do(1, f"/api/v1/accounts/{company.id(0)}/follow")
    first, paths = company.posts[:], company.paths()
    # Deleting comes last: until then all actions are about the first post, which only its author can pin.
    others = [action for action in ACTIONS if action not in ("pin", "unpin", "delete")]
    writes = [(action, 1) for action in others] + [
        (action, 0) for action in ("pin", "unpin", "post", "delete")
    ]
    for action, who in writes:
        company.posts[:] = first
        ACTIONS[action](company, who, 1 - who)
        company.posts[:] = first
        for path in paths:
            for reader in (0, 1):
                company.check(reader, path)
    assert company.from_memory > 1_000


def test_a_poll_of_home_is_answered_from_memory_until_a_followed_account_posts(place: Place) -> None:
    reader, author, stranger = (place.person(name) for name in ("reader", "author", "stranger"))
    reader.follow(author)
    newest = author.post("first")["id"]
    path = f"/api/v1/timelines/home?since_id={newest}"
    with place.client(reader.token) as client:
        for _ in range(2):
            assert client.get(path).json() == []
        again = client.get(path)
        assert again.json() == []
        assert is_from_memory(again)
        stranger.post("not for this home")
        assert is_from_memory(client.get(path))
        second = author.post("second")["id"]
        after = client.get(path)
        assert not is_from_memory(after)
        assert [status["id"] for status in after.json()] == [second]


def test_an_answer_with_posts_ends_when_a_poll_in_it_does(place: Place) -> None:
    reader = place.person("reader")
    reader.post("A poll", poll={"options": ["a", "b"], "expires_in": 300})
    with place.client(reader.token) as client:
        for _ in range(2):
            client.get("/api/v1/timelines/home")
        answer = client.get("/api/v1/timelines/home")
        assert is_from_memory(answer)
        assert answer.json()[0]["poll"]["expired"] is False


def warmed(place: Place, token: str, paths: tuple[str, ...]) -> list[httpx.Client]:
    """Return connections to several workers, which all have the answers of the token in memory."""
    clients = [place.client(token) for _ in range(4)]
    for path in paths:
        for client in clients * 3:
            assert client.get(path).status_code == 200
        assert any(is_from_memory(client.get(path)) for client in clients)
    return clients


PATHS = ("/api/v1/accounts/verify_credentials", "/api/v1/timelines/home")


def test_a_revoked_token_gets_nothing_from_memory_in_the_next_request(place: Place) -> None:
    reader = place.person("reader")
    form = {"client_name": "App", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": "read"}
    app = place.visitor.post("/api/v1/apps", json=form).json()
    token = new_token(lambda: secrets.token_urlsafe(32))
    place.write(
        access.create_token,
        account_id=reader.id,
        application_id=int(app["id"]),
        scopes=("read",),
        token_hash=secret_hash(token),
        now_ms=now_ms(),
    )
    clients = warmed(place, token, PATHS)
    others = warmed(place, reader.token, PATHS)
    credentials = {key: app[key] for key in ("client_id", "client_secret")}
    assert place.visitor.post("/oauth/revoke", json={**credentials, "token": token}).status_code == 200
    for path in PATHS:
        assert [client.get(path).status_code for client in clients] == [401] * 4
        # The account's other app is still signed in.
        assert [client.get(path).status_code for client in others] == [200] * 4


@pytest.mark.parametrize("end", ["suspended", "signed out"])
def test_an_account_that_lost_its_access_gets_nothing_from_memory(place: Place, end: str) -> None:
    reader = place.person("reader")
    clients = warmed(place, reader.token, PATHS)
    if end == "suspended":
        suspend = partial(moderation.suspend, reason="a test", now_ms=now_ms())
        place.write(suspend, COMMAND_LINE, account_id=reader.id)
    else:
        place.write(access.revoke_all, account_id=reader.id)
    for client in clients:
        eventually(lambda client=client: client.get(PATHS[0]).status_code, lambda status: status == 401)
    for path in PATHS:
        assert [client.get(path).status_code for client in clients] == [401] * 4


def test_a_new_role_shows_in_the_account_s_own_answer(place: Place) -> None:
    reader = place.person("reader")
    (client, *_) = warmed(place, reader.token, PATHS)
    set_role = partial(moderation.set_role, role=Role.MODERATOR, reason="a test", now_ms=now_ms())
    place.write(set_role, COMMAND_LINE, account_id=reader.id)
    eventually(lambda: client.get(PATHS[0]).json()["role"]["name"], lambda name: name == "Moderator")


def test_a_rule_of_the_instance_shows_in_the_answers_of_its_admin(place: Place) -> None:
    admin = place.person("admin", role=Role.ADMIN)
    path = "/api/v1/instance/"
    assert all(rule["text"] != "Be kind" for rule in admin.get("/api/v1/instance")["rules"])
    place.write(instance.add_rule, COMMAND_LINE, text="Be kind", hint="", now_ms=now_ms())
    eventually(lambda: [rule["text"] for rule in admin.get(path)["rules"]], lambda texts: "Be kind" in texts)

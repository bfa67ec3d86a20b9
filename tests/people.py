"""A running instance and accounts on it. Each test creates its own accounts, so one instance serves a whole
file.

`place` (conftest.py) is a `Place`: the real `serve`, once on SQLite and once on PostgreSQL.
"""

from __future__ import annotations

import itertools
import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from stormpetrel.model.access import new_token, secret_hash
from stormpetrel.model.account import Role
from stormpetrel.model.ids import IdMaker
from stormpetrel.process.cpu_worker import hash_password_now
from stormpetrel.rules import access, accounts
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import Connection, connect, transaction
from stormpetrel.storage.engine.slots import Slot, take_slot
from tests.instance import Instance
from tests.plain_client import PlainClient

P = ParamSpec("P")
T = TypeVar("T")

PASSWORD = "correct horse battery"
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP. By default each httpx.Client reads the machine's certificates, for 40 ms."""
_numbers = itertools.count(1)


@cache
def password_hash() -> str:
    """Return the hash of PASSWORD. It is computed once, because that takes 20 ms."""
    return hash_password_now(PASSWORD)


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass
class Person:
    """A member with a token. `http` uses the API as this member."""

    place: Place
    id: int
    username: str
    email: str
    token: str
    http: httpx.Client = field(repr=False)

    def post(self, text: str, **more: Any) -> dict[str, Any]:
        """Post through the API and return the status."""
        answer = self.http.post("/api/v1/statuses", json={"status": text, **more})
        assert answer.status_code == 200, answer.text
        status: dict[str, Any] = answer.json()
        return status

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of a GET that must succeed."""
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def do(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of a POST that must succeed."""
        answer = self.http.post(path, json=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def follow(self, other: Person) -> None:
        """Follow through the API."""
        self.do(f"/api/v1/accounts/{other.id}/follow")


@dataclass
class Place:
    """A running instance. `visitor` is a client without credentials."""

    instance: Instance
    database_url: str
    base_url: str
    visitor: httpx.Client
    clients: list[httpx.Client | PlainClient] = field(default_factory=list, repr=False)
    written_at_ms: int = 0
    _opened: tuple[Connection, Slot] | None = field(default=None, repr=False)

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a new client, closed with the place. With a token it acts for the token's account."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # Ignore the environment's proxies for loopback.
        made = httpx.Client(
            base_url=self.base_url, headers=headers, trust_env=False, timeout=20, verify=NO_CERTIFICATES
        )
        self.clients.append(made)
        return made

    def plain_client(self, token: str) -> PlainClient:
        """Return a new client for very many requests, closed with the place, that acts for the token's account."""
        made = PlainClient(self.base_url, {"Authorization": f"Bearer {token}"})
        self.clients.append(made)
        return made

    def write(self, rule: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a rule in the database and notify the running server, as the command line does."""
        connection = self._connection()
        try:
            with transaction(connection):
                result = rule(connection, *args, **kwargs)
                if connection.events:
                    outbox.put_events(connection, list(connection.events), now_ms=now_ms())
            self.written_at_ms = now_ms()
            return result
        except BaseException:
            # Perhaps the database was stopped: the next write connects again.
            self.disconnect()
            raise

    def _connection(self) -> Connection:
        # Kept between writes: connecting to PostgreSQL takes 25 ms, a write 3.
        if self._opened is None:
            slot = take_slot(self.database_url)
            ids = IdMaker(slot.number)
            # An earlier connection may have used this slot in this millisecond.
            ids.go_on_after(self.written_at_ms)
            self._opened = connect(self.database_url, ids=ids), slot
        return self._opened[0]

    def disconnect(self) -> None:
        """Close the connection of `write` and release its slot."""
        if self._opened is not None:
            (connection, slot), self._opened = self._opened, None
            connection.close()
            slot.release()

    def person(
        self, name: str = "person", *, scopes: str = "read write follow push", role: Role = Role.MEMBER
    ) -> Person:
        """Create a member with a unique name that begins with `name`."""
        username = f"{name}_{next(_numbers)}"
        email = f"{username}@example.org"
        account = self.write(
            accounts.sign_up,
            username=username,
            email=email,
            password_hash=password_hash(),
            reason="",
            locale="en",
            registration="open",
            now_ms=now_ms(),
            role=role,
            by_operator=True,
        )
        token = self.token(account.id, scopes=scopes)
        return Person(self, account.id, username, email, token, self.client(token))

    def token(self, account_id: int | None, *, scopes: str = "read write follow push") -> str:
        """Create an access token of the account."""
        token = new_token(lambda: secrets.token_urlsafe(32))
        self.write(
            access.create_token,
            account_id=account_id,
            application_id=None,
            scopes=tuple(scopes.split()),
            token_hash=secret_hash(token),
            now_ms=now_ms(),
        )
        return token

    def browser_session(self, person: Person) -> httpx.Client:
        """Return a client that signed in through the pages, with its cookies."""
        client = self.client()
        form = client.get("/auth/sign_in")
        answer = client.post(
            "/auth/sign_in",
            data={"user[email]": person.email, "user[password]": PASSWORD, "csrf": csrf_of(form.text)},
        )
        assert answer.status_code == 303, answer.text
        return client


def csrf_of(html: str) -> str:
    """Return the value of a page's first form field named csrf."""
    before, found, after = html.partition('name="csrf" value="')
    assert found, f"no csrf field in: {before[:2000]}"
    return after.partition('"')[0]


@contextmanager
def place_of(instance: Instance, database_url: str) -> Iterator[Place]:
    """Yield the running instance as a `Place`."""
    with httpx.Client(
        base_url=instance.base_url, trust_env=False, timeout=20, verify=NO_CERTIFICATES
    ) as visitor:
        place = Place(instance, database_url, instance.base_url, visitor)
        try:
            yield place
        finally:
            place.disconnect()
            for client in place.clients:
                client.close()

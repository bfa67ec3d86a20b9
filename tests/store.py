"""A database with accounts, for tests of rules: no server, no HTTP, and the time is an argument."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from stormpetrel.model.account import ProfileChange
from stormpetrel.model.event import Event
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.rules import accounts, posts
from stormpetrel.storage.engine.connection import Connection, connect, transaction
from stormpetrel.storage.engine.statement import Statement

P = ParamSpec("P")
T = TypeVar("T")

START_MS = 1_790_000_000_000


class Store:
    """One connection. Time stands still unless a test moves `now_ms`. `events` are those of the last `do`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = connect(url, ids=IdMaker(1))
        self.now_ms = START_MS
        self.events: list[Event] = []
        self._numbers = itertools.count(1)

    def do(self, rule: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a rule in its own transaction."""
        with transaction(self.connection) as connection:
            result = rule(connection, *args, **kwargs)
            self.events = list(connection.events)
        return result

    def person(self, name: str = "person", **change: Any) -> int:
        """Create a member and return the account id."""
        username = f"{name}{next(self._numbers)}"
        account = self.do(
            accounts.sign_up,
            username=username,
            email=f"{username}@example.org",
            password_hash="-",
            reason="",
            locale="en",
            registration="open",
            now_ms=self.now_ms,
            by_operator=True,
        )
        if change:
            self.do(
                accounts.update_profile,
                account_id=account.id,
                change=ProfileChange(**change),
                now_ms=self.now_ms,
            )
        return account.id

    def name(self, account_id: int) -> str:
        """Return the username of an account."""
        return accounts.account(self.connection, account_id=account_id).username

    def post(self, author_id: int, text: str = "hello", **draft: Any) -> int:
        """Create a public post a millisecond after the previous one, and return its id."""
        self.now_ms += 1
        draft.setdefault("visibility", Visibility.PUBLIC)
        return self.do(
            posts.create_post,
            author_id=author_id,
            draft=Draft(text=text, **draft),
            max_characters=500,
            domain="here.example",
            now_ms=self.now_ms,
        ).post_id

    def plan(self, statement: Statement, *, without: Sequence[str] = (), **values: Any) -> list[str]:
        """Return the steps of a query's plan. `without`: ways that PostgreSQL avoids if it can ("sort"): it reads
        small tables otherwise than large ones.
        """
        raw = self.connection.raw
        if self.connection.dialect == "sqlite":
            return [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", values)]
        for way in without:
            raw.execute(f"SET enable_{way} = off".encode())
        return [row[0] for row in raw.execute(b"EXPLAIN " + statement.postgresql_bytes, values)]


@contextmanager
def store_at(url: str) -> Iterator[Store]:
    """Yield a store at a migrated database."""
    store = Store(url)
    try:
        yield store
    finally:
        store.connection.close()

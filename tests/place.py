"""A site that runs in this process, its database beside it, and people who come to it with browsers and apps."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from stormpetrel.heavy import hash_password_now
from stormpetrel.model.access import secret_hash
from stormpetrel.model.account import Role
from stormpetrel.model.ids import IdMaker
from stormpetrel.rules import access, accounts
from stormpetrel.storage.connection import connect, transaction
from tests.forms import send
from tests.webapp import running_site

PASSWORD = "a few words in a row"
SESSION_COOKIE = "stormpetrel_session"


class Place:
    """`change` and what builds on it write to the database directly, as the command line does."""

    def __init__(self, base_url: str, database_url: str) -> None:
        self.base_url = base_url
        self.database_url = database_url
        self._ids = IdMaker(63)

    def browser(self) -> httpx.Client:
        """A browser with an empty cookie jar; it follows no redirect by itself."""
        return httpx.Client(base_url=self.base_url, trust_env=False)

    def app(self, token: str) -> httpx.Client:
        """A client that sends this token."""
        return httpx.Client(
            base_url=self.base_url, trust_env=False, headers={"authorization": f"Bearer {token}"}
        )

    def change(self, rule: Callable[..., Any], **values: Any) -> Any:
        """What `rule(connection, **values)` gives, in a transaction of its own."""
        connection = connect(self.database_url, ids=self._ids)
        try:
            with transaction(connection):
                return rule(connection, **values)
        finally:
            connection.close()

    def add_person(
        self,
        name: str = "Nino",
        *,
        role: Role = Role.MEMBER,
        registration: str = "open",
        reason: str = "because",
    ) -> int:
        """The id of a new account, whose password is PASSWORD."""
        account = self.change(
            accounts.sign_up,
            username=name,
            email=f"{name}@example.org",
            password_hash=hash_password_now(PASSWORD),
            reason=reason,
            locale="en",
            registration=registration,
            now_ms=time.time_ns() // 1_000_000,
            role=role,
        )
        return int(account.id)

    def add_token(self, account_id: int, *scopes: str) -> str:
        """A token as `stormpetrel token` makes it."""
        token = secrets.token_urlsafe(32)
        self.change(
            access.create_token,
            account_id=account_id,
            application_id=None,
            scopes=scopes,
            token_hash=secret_hash(token),
            now_ms=time.time_ns() // 1_000_000,
        )
        return token


@contextlib.contextmanager
def running_place(database_url: str, directory: Path, **settings: object) -> Iterator[Place]:
    """A running site; `settings` are configuration keys: `registration="approval"`."""
    with running_site(database_url, directory, **settings) as base_url:
        yield Place(base_url, database_url)


def sign_in(
    browser: httpx.Client, login: str = "Nino", password: str = PASSWORD, *, after: str = ""
) -> httpx.Response:
    """Fills in the form; the answer to it."""
    page = browser.get("/auth/sign_in", params={"next": after} if after else None)
    return send(browser, page, "/auth/sign_in", {"user[email]": login, "user[password]": password})


def signed_in_as(browser: httpx.Client) -> str | None:
    """Whose pages the browser sees; None for a visitor's."""
    location = browser.get("/profile").headers["location"]
    return location.removeprefix("/@") if location.startswith("/@") else None

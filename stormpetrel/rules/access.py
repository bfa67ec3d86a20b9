"""Credentials: which account a credential speaks for, and how app tokens and browser sessions begin and end.

This module sees hashes only, never secrets: the caller that hands out a random secret creates it.
Applications, and the consent that leads to a token, are in rules/applications.py.
"""

from __future__ import annotations

from stormpetrel.errors import Forbidden, NotFound
from stormpetrel.model.access import SCOPES, Access, Application, Authorised, SignedIn
from stormpetrel.model.account import AccountState
from stormpetrel.model.event import AccessChanged
from stormpetrel.model.ids import first_id_at, time_ms
from stormpetrel.model.quota import APP_TOKENS, YOUNG_WAYS_IN
from stormpetrel.rules import quotas
from stormpetrel.storage import access as stored
from stormpetrel.storage.applications import (
    add_application,
    application_by_client_id,
    delete_codes_of,
)
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

UNCONFIRMED = "Your login is missing a confirmed e-mail address"
"""Mastodon's wording, which apps show."""

TOO_MANY_WAYS_IN = (
    "Too many browsers and apps just signed in to this account. Please try again in a few minutes"
)
SESSION_AGE_S = 30 * 86_400
"""A browser stays signed in for this long."""

COMMAND_LINE_CLIENT_ID = "command-line"
"""The built-in application of the tokens that an operator creates with `stormpetrel token`."""


@hot
def access_by_token(connection: Connection, *, token_hash: bytes) -> Access | None:
    """Return the permissions of the token with this hash, or None.

    Also return None while its account is suspended or waits for approval. `account_id` is None for an
    application's own token.
    """
    return stored.access_by_token_hash(connection, token_hash=token_hash)


@hot
def access_by_session(connection: Connection, *, session_id: int, now_ms: int) -> Access | None:
    """Return the permissions of a signed-in browser (every scope), or None if its session has ended.

    A session older than SESSION_AGE_S has ended. Also return None while its account is suspended.
    """
    if time_ms(session_id) + SESSION_AGE_S * 1000 <= now_ms:
        return None
    return stored.access_by_session_id(connection, session_id=session_id)


def create_token(
    connection: Connection,
    *,
    account_id: int | None,
    application_id: int | None,
    scopes: tuple[str, ...],
    token_hash: bytes,
    now_ms: int,
) -> int:
    """Store a new token and return its id.

    `application_id` None: the built-in application of the command line. `account_id` None: the application's
    own token, for client credentials. `scopes` must have been parsed (model/access.py).

    Raise Forbidden when the account does not exist, is suspended or waits for approval. An unconfirmed
    account may have a token, which allows little until it is confirmed (http/application.py).
    """
    if account_id is not None:
        _require_active(connection, account_id=account_id, also_unconfirmed=True)
    if application_id is None:
        application_id = _command_line_application(connection, now_ms=now_ms)
    token_id = connection.new_id(now_ms)
    stored.add_token(
        connection,
        token_id=token_id,
        token_hash=token_hash,
        application_id=application_id,
        account_id=account_id,
        scopes=scopes,
        now_ms=now_ms,
    )
    return token_id


def revoke_token(connection: Connection, *, application_id: int, token_hash: bytes, network: int) -> None:
    """End a token of this application; a token that does not exist has ended already (RFC 7009 §2.2).

    Give an application's own token back to the quota of `network`, because it no longer takes space: the
    watch creates and ends one every few seconds. Raise Forbidden for a token of another application.
    """
    owner = stored.token_owner(connection, token_hash=token_hash)
    if owner is None:
        return
    if owner[0] != application_id:
        raise Forbidden("You are not authorized to revoke this token")
    stored.delete_token(connection, token_hash=token_hash, application_id=application_id)
    if owner[1] is None:
        quotas.give_back(connection, [(APP_TOKENS, network)])
    connection.tell(AccessChanged(account_id=owner[1] or 0, token_hash=token_hash))


def start_session(
    connection: Connection,
    *,
    account_id: int,
    now_ms: int,
    instead_of: int | None = None,
    browser: str = "",
    network: int = 0,
) -> int:
    """Start a session, after a correct password or a sign-up, and return its id.

    `instead_of`: this browser's previous session, which ends. `browser`: its display name. `network`: the
    network that the request came from (model/quota.py). Raise Forbidden unless the account is active, TooMany
    when it is young and has used up its quota.
    """
    _require_active(connection, account_id=account_id)
    quotas.require_young(connection, YOUNG_WAYS_IN, account_id, now_ms=now_ms, text=TOO_MANY_WAYS_IN)
    # Expired sessions are never looked up. Delete them here, in the order of their key.
    stored.delete_sessions_before(connection, before_id=first_id_at(now_ms - SESSION_AGE_S * 1000))
    if instead_of is not None:
        end_session(connection, session_id=instead_of)
    session_id = connection.new_id(now_ms)
    stored.add_session(
        connection,
        session_id=session_id,
        account_id=account_id,
        now_ms=now_ms,
        browser=browser,
        network=network,
    )
    return session_id


def end_session(connection: Connection, *, session_id: int) -> None:
    """Sign one browser out."""
    account_id = stored.session_owner(connection, session_id=session_id)
    if account_id is not None:
        stored.delete_session(connection, session_id=session_id)
        connection.tell(AccessChanged(account_id=account_id))


MAX_LISTED = 200


def ways_in(
    connection: Connection, *, account_id: int, now_ms: int
) -> tuple[list[SignedIn], list[Authorised]]:
    """Return the browsers and apps that are signed in to the account, newest first, MAX_LISTED of each."""
    return (
        stored.sessions_of(
            connection,
            account_id=account_id,
            since_id=first_id_at(now_ms - SESSION_AGE_S * 1000),
            count=MAX_LISTED,
        ),
        stored.apps_of(connection, account_id=account_id, count=MAX_LISTED),
    )


def end_own_session(connection: Connection, *, account_id: int, session_id: int) -> None:
    """Sign out one of the account's own browsers. Raise NotFound for a session of another account."""
    if stored.session_owner(connection, session_id=session_id) != account_id:
        raise NotFound
    end_session(connection, session_id=session_id)


def revoke_app(connection: Connection, *, account_id: int, application_id: int) -> None:
    """End the application's access to the account. Raise NotFound when it has none."""
    if not stored.delete_tokens_of_app(connection, account_id=account_id, application_id=application_id):
        raise NotFound
    # Unused codes of this application end too, together with the account's other unused codes.
    delete_codes_of(connection, account_id=account_id)
    connection.tell(AccessChanged(account_id=account_id))


def end_sessions(connection: Connection, *, account_id: int) -> None:
    """Sign out every browser of the account; its apps stay signed in."""
    stored.delete_sessions_of(connection, account_id=account_id)
    connection.tell(AccessChanged(account_id=account_id))


def revoke_all(connection: Connection, *, account_id: int) -> None:
    """End every session, token and unused code of the account: browsers and apps have to sign in again."""
    stored.delete_sessions_of(connection, account_id=account_id)
    stored.delete_tokens_of(connection, account_id=account_id)
    delete_codes_of(connection, account_id=account_id)
    connection.tell(AccessChanged(account_id=account_id))


def _require_active(connection: Connection, *, account_id: int, also_unconfirmed: bool = False) -> None:
    state = stored.account_state(connection, account_id=account_id)
    if state == AccountState.UNCONFIRMED:
        if also_unconfirmed:
            return
        raise Forbidden(UNCONFIRMED)
    if state == AccountState.PENDING:
        raise Forbidden("This account is waiting for approval")
    if state != AccountState.ACTIVE:
        raise Forbidden("This account is suspended")


def _command_line_application(connection: Connection, *, now_ms: int) -> int:
    """Return the id of the built-in application; create it on first use.

    No secret has an empty hash, so no client can authenticate as it, and it has no redirect address.
    """
    found = application_by_client_id(connection, client_id=COMMAND_LINE_CLIENT_ID)
    if found is None:
        application = Application(
            id=connection.new_id(now_ms),
            client_id=COMMAND_LINE_CLIENT_ID,
            client_secret_hash=b"",
            name="Command line",
            website="",
            redirect_uris=(),
            scopes=SCOPES,
            created_at_ms=now_ms,
        )
        add_application(connection, application)
        found = application_by_client_id(connection, client_id=COMMAND_LINE_CLIENT_ID)
        assert found is not None
    return found.id

"""Queries about tokens and sessions, the two credentials of a request."""

from __future__ import annotations

from stormpetrel.model.access import SCOPES, Access, Authorised, SignedIn, expand
from stormpetrel.model.account import Role
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.statement import sql

# A suspended or not yet approved account has no access; an application's own token has no account. An app
# that signed a person up has its token before the address is confirmed, to ask whether it is by now.
_BY_TOKEN = sql(
    """
    SELECT t.id, t.account_id, t.application_id, t.scopes, t.created_at_ms, u.role, a.state, app.name
    FROM tokens t
    LEFT JOIN applications app ON app.id = t.application_id
    LEFT JOIN accounts a ON a.id = t.account_id
    LEFT JOIN users u ON u.account_id = t.account_id
    WHERE t.token_hash = :token_hash
      AND (t.account_id IS NULL OR (a.state IN ('active', 'unconfirmed') AND u.role IS NOT NULL))
    """
)

_BY_SESSION = sql(
    """
    SELECT s.id, s.account_id, s.created_at_ms, u.role
    FROM sessions s
    JOIN accounts a ON a.id = s.account_id
    JOIN users u ON u.account_id = s.account_id
    WHERE s.id = :session_id AND a.state = 'active'
    """
)

_ADD_TOKEN = sql(
    """
    INSERT INTO tokens (id, token_hash, application_id, account_id, scopes, created_at_ms)
    VALUES (:id, :token_hash, :application_id, :account_id, :scopes, :now_ms)
    """
)
# Of active accounts alone: until its address is confirmed, an account counts as a stranger.
_NEWEST_TOKENS = sql(
    """
    SELECT t.id, t.account_id, t.application_id, t.scopes, t.created_at_ms, u.role, a.state, app.name, t.token_hash
    FROM tokens t
    JOIN accounts a ON a.id = t.account_id AND a.state = 'active'
    JOIN users u ON u.account_id = t.account_id
    LEFT JOIN applications app ON app.id = t.application_id
    WHERE t.id < :below_id ORDER BY t.id DESC LIMIT :count
    """
)
_TOKEN_OWNER = sql("SELECT application_id, account_id FROM tokens WHERE token_hash = :token_hash")
_DELETE_TOKEN = sql("DELETE FROM tokens WHERE token_hash = :token_hash AND application_id = :application_id")
_DELETE_TOKENS_OF = sql("DELETE FROM tokens WHERE account_id = :account_id")

_ADD_SESSION = sql(
    "INSERT INTO sessions (id, account_id, created_at_ms, browser, network) "
    "VALUES (:id, :account_id, :now_ms, :browser, :network)"
)
_SESSION_FROM = sql("SELECT 1 FROM sessions WHERE account_id = :account_id AND network = :network LIMIT 1")
_SESSION_OWNER = sql("SELECT account_id FROM sessions WHERE id = :session_id")
_DELETE_SESSION = sql("DELETE FROM sessions WHERE id = :session_id")
_DELETE_SESSIONS_OF = sql("DELETE FROM sessions WHERE account_id = :account_id")
_DELETE_SESSIONS_BEFORE = sql("DELETE FROM sessions WHERE id < :before_id")

_SESSIONS_OF = sql(
    "SELECT id, browser, created_at_ms FROM sessions WHERE account_id = :account_id AND id >= :since_id "
    "ORDER BY id DESC LIMIT :count"
)
_APPS_OF = sql(
    """SELECT app.id, app.name, app.website, min(t.created_at_ms), max(t.created_at_ms)
    FROM tokens t JOIN applications app ON app.id = t.application_id
    WHERE t.account_id = :account_id GROUP BY app.id, app.name, app.website
    ORDER BY max(t.created_at_ms) DESC, app.id LIMIT :count"""
)
_DELETE_TOKENS_OF_APP = sql(
    "DELETE FROM tokens WHERE account_id = :account_id AND application_id = :application_id"
)
_ACCOUNT_STATE = sql("SELECT state FROM accounts WHERE id = :account_id")

_EVERY_SCOPE = frozenset(SCOPES)


def access_by_token_hash(connection: Connection, *, token_hash: bytes) -> Access | None:
    """Return the token's access; None if there is none, or if its account has no access (any more)."""
    row = connection.one(_BY_TOKEN, token_hash=token_hash)
    return None if row is None else _access(row)


def _access(row: Row) -> Access:
    """Return the access of a row of _BY_TOKEN or _NEWEST_TOKENS."""
    scopes = tuple(row[3].split())
    return Access(
        token_id=row[0],
        account_id=row[1],
        application_id=row[2],
        scopes=scopes,
        allowed=expand(scopes),
        created_at_ms=row[4],
        role=row[5] or Role.MEMBER.value,
        confirmed=row[6] != "unconfirmed",
        application=row[7] or "",
    )


def access_by_session_id(connection: Connection, *, session_id: int) -> Access | None:
    """Return the session's access, with every scope; None if the session has ended."""
    row = connection.one(_BY_SESSION, session_id=session_id)
    if row is None:
        return None
    return Access(
        token_id=0,
        account_id=row[1],
        application_id=None,
        scopes=SCOPES,
        allowed=_EVERY_SCOPE,
        created_at_ms=row[2],
        role=row[3],
        session_id=row[0],
    )


def add_token(
    connection: Connection,
    *,
    token_id: int,
    token_hash: bytes,
    application_id: int,
    account_id: int | None,
    scopes: tuple[str, ...],
    now_ms: int,
) -> None:
    """Store a token."""
    connection.run(
        _ADD_TOKEN,
        id=token_id,
        token_hash=token_hash,
        application_id=application_id,
        account_id=account_id,
        scopes=" ".join(scopes),
        now_ms=now_ms,
    )


def newest_tokens(connection: Connection, *, below_id: int, count: int) -> list[tuple[bytes, Access]]:
    """Return SHA-256 and access of active accounts' tokens with a smaller id, newest first."""
    rows = connection.all(_NEWEST_TOKENS, below_id=below_id, count=count)
    return [(row[8], _access(row)) for row in rows]


def token_owner(connection: Connection, *, token_hash: bytes) -> tuple[int, int | None] | None:
    """Return (application id, account id or None) of a token; None if there is no such token."""
    row = connection.one(_TOKEN_OWNER, token_hash=token_hash)
    return None if row is None else (row[0], row[1])


def delete_token(connection: Connection, *, token_hash: bytes, application_id: int) -> None:
    """Delete a token of that application."""
    connection.run(_DELETE_TOKEN, token_hash=token_hash, application_id=application_id)


def delete_tokens_of(connection: Connection, *, account_id: int) -> None:
    """Delete all tokens of the account."""
    connection.run(_DELETE_TOKENS_OF, account_id=account_id)


def add_session(
    connection: Connection,
    *,
    session_id: int,
    account_id: int,
    now_ms: int,
    browser: str = "",
    network: int = 0,
) -> None:
    """Store a session."""
    connection.run(
        _ADD_SESSION,
        id=session_id,
        account_id=account_id,
        now_ms=now_ms,
        browser=browser,
        network=network,
    )


def has_session_from(connection: Connection, *, account_id: int, network: int) -> bool:
    """Return whether the account has a session that began in that network."""
    return connection.one(_SESSION_FROM, account_id=account_id, network=network) is not None


def session_owner(connection: Connection, *, session_id: int) -> int | None:
    """Return the account of a session; None if it has ended."""
    row = connection.one(_SESSION_OWNER, session_id=session_id)
    return None if row is None else int(row[0])


def delete_session(connection: Connection, *, session_id: int) -> None:
    """Delete one session."""
    connection.run(_DELETE_SESSION, session_id=session_id)


def delete_sessions_of(connection: Connection, *, account_id: int) -> None:
    """Delete all sessions of the account."""
    connection.run(_DELETE_SESSIONS_OF, account_id=account_id)


def delete_sessions_before(connection: Connection, *, before_id: int) -> None:
    """Delete sessions with a smaller id, that is, older ones: ids carry the time."""
    connection.run(_DELETE_SESSIONS_BEFORE, before_id=before_id)


def account_state(connection: Connection, *, account_id: int) -> str | None:
    """Return the account's state; None if there is no such account."""
    row = connection.one(_ACCOUNT_STATE, account_id=account_id)
    return None if row is None else str(row[0])


def sessions_of(connection: Connection, *, account_id: int, since_id: int, count: int) -> list[SignedIn]:
    """Return the browsers that signed in since then, newest first."""
    rows = connection.all(_SESSIONS_OF, account_id=account_id, since_id=since_id, count=count)
    return [SignedIn(*row) for row in rows]


def apps_of(connection: Connection, *, account_id: int, count: int) -> list[Authorised]:
    """Return the applications with a token of the account, last authorised first."""
    return [Authorised(*row) for row in connection.all(_APPS_OF, account_id=account_id, count=count)]


def delete_tokens_of_app(connection: Connection, *, account_id: int, application_id: int) -> int:
    """Delete the application's tokens of the account; return how many there were."""
    return connection.run(_DELETE_TOKENS_OF_APP, account_id=account_id, application_id=application_id)

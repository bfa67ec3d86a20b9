"""Queries about OAuth applications, and the codes that they get by users' consent."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.access import Application
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.statement import sql

_COLUMNS = "id, client_id, client_secret_hash, name, website, redirect_uris, scopes, created_at_ms"

_BY_ID = sql(f"SELECT {_COLUMNS} FROM applications WHERE id = :application_id")
_BY_CLIENT_ID = sql(f"SELECT {_COLUMNS} FROM applications WHERE client_id = :client_id")
# No index: only a command asks this, a few times in an attack.
_COUNT_NAMED = sql("SELECT count(*) FROM applications WHERE name = :name")
# Two processes may need a built-in application for the first time at once; one of them makes it.
_ADD = sql(
    """
    INSERT INTO applications
        (id, client_id, client_secret_hash, name, website, redirect_uris, scopes, created_at_ms)
    VALUES (:id, :client_id, :client_secret_hash, :name, :website, :redirect_uris, :scopes, :now_ms)
    ON CONFLICT (client_id) DO NOTHING
    """
)

_ADD_CODE = sql(
    """
    INSERT INTO oauth_codes
        (code_hash, application_id, account_id, redirect_uri, scopes, code_challenge, expires_at_ms)
    VALUES
        (:code_hash, :application_id, :account_id, :redirect_uri, :scopes, :code_challenge, :expires_at_ms)
    """
)
# Read and deleted in one statement: of two requests with the same code, only one gets the row.
_TAKE_CODE = sql(
    """
    DELETE FROM oauth_codes WHERE code_hash = :code_hash
    RETURNING application_id, account_id, redirect_uri, scopes, code_challenge, expires_at_ms
    """
)
_SPEND_CODE = sql(
    "INSERT INTO oauth_spent_codes (code_hash, token_id, expires_at_ms) "
    "VALUES (:code_hash, :token_id, :expires_at_ms)"
)
_END_TOKEN_OF_CODE = sql(
    "DELETE FROM tokens WHERE id = (SELECT token_id FROM oauth_spent_codes WHERE code_hash = :code_hash) "
    "RETURNING account_id, token_hash"
)
_DELETE_CODES_OF = sql("DELETE FROM oauth_codes WHERE account_id = :account_id")


@dataclass(frozen=True, slots=True)
class Code:
    """A user's consent. `code_challenge` is empty if the application asked without PKCE."""

    application_id: int
    account_id: int
    redirect_uri: str
    scopes: tuple[str, ...]
    code_challenge: str
    expires_at_ms: int


def application_by_id(connection: Connection, *, application_id: int) -> Application | None:
    """Return the application, or None."""
    row = connection.one(_BY_ID, application_id=application_id)
    return None if row is None else _application(row)


def application_by_client_id(connection: Connection, *, client_id: str) -> Application | None:
    """Return the application, or None."""
    row = connection.one(_BY_CLIENT_ID, client_id=client_id)
    return None if row is None else _application(row)


def count_named(connection: Connection, *, name: str) -> int:
    """Return how many applications have this name."""
    row = connection.one(_COUNT_NAMED, name=name)
    assert row is not None
    return int(row[0])


def add_application(connection: Connection, application: Application) -> None:
    """Store an application; do nothing if its `client_id` exists."""
    connection.run(
        _ADD,
        id=application.id,
        client_id=application.client_id,
        client_secret_hash=application.client_secret_hash,
        name=application.name,
        website=application.website,
        redirect_uris="\n".join(application.redirect_uris),
        scopes=" ".join(application.scopes),
        now_ms=application.created_at_ms,
    )


def add_code(connection: Connection, code: Code, *, code_hash: bytes) -> None:
    """Store a code by its hash."""
    connection.run(
        _ADD_CODE,
        code_hash=code_hash,
        application_id=code.application_id,
        account_id=code.account_id,
        redirect_uri=code.redirect_uri,
        scopes=" ".join(code.scopes),
        code_challenge=code.code_challenge,
        expires_at_ms=code.expires_at_ms,
    )


def take_code(connection: Connection, *, code_hash: bytes) -> Code | None:
    """Return the code and delete it; None if there is none."""
    row = connection.one(_TAKE_CODE, code_hash=code_hash)
    if row is None:
        return None
    return Code(row[0], row[1], row[2], tuple(row[3].split()), row[4], row[5])


def spend_code(connection: Connection, *, code_hash: bytes, token_id: int, expires_at_ms: int) -> None:
    """Remember until `expires_at_ms` which token the code gave."""
    connection.run(_SPEND_CODE, code_hash=code_hash, token_id=token_id, expires_at_ms=expires_at_ms)


def end_token_of_code(connection: Connection, *, code_hash: bytes) -> tuple[int | None, bytes] | None:
    """Delete the token that a spent code gave; return (its account, its hash), or None if there is none."""
    row = connection.one(_END_TOKEN_OF_CODE, code_hash=code_hash)
    return None if row is None else (row[0], bytes(row[1]))


def delete_codes_of(connection: Connection, *, account_id: int) -> None:
    """Delete the account's unused codes."""
    connection.run(_DELETE_CODES_OF, account_id=account_id)


def _application(row: Row) -> Application:
    return Application(
        id=row[0],
        client_id=row[1],
        client_secret_hash=bytes(row[2]),
        name=row[3],
        website=row[4],
        redirect_uris=tuple(row[5].splitlines()),
        scopes=tuple(row[6].split()),
        created_at_ms=row[7],
    )

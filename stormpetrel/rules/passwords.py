"""The consequences of a changed password."""

from __future__ import annotations

from stormpetrel.rules.access import end_sessions, revoke_all, start_session
from stormpetrel.rules.accounts import set_password
from stormpetrel.rules.mail import password_changed
from stormpetrel.storage.engine.connection import Connection


def change_password(
    connection: Connection,
    *,
    account_id: int,
    password_hash: str,
    revoke_apps: bool,
    now_ms: int,
    browser: str = "",
    network: int = 0,
) -> int:
    """Set the password and return the id of a new session for the browser that asked.

    Every other session ends, and with `revoke_apps` every token. The caller must have
    checked the old password.
    """
    set_password(connection, account_id=account_id, password_hash=password_hash)
    password_changed(connection, account_id=account_id, now_ms=now_ms)
    if revoke_apps:
        revoke_all(connection, account_id=account_id)
    else:
        # Apps never saw the password: their tokens stay valid, unless the user wants to revoke them too.
        end_sessions(connection, account_id=account_id)
    return start_session(connection, account_id=account_id, now_ms=now_ms, browser=browser, network=network)

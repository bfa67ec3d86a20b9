"""Tokens and sessions: the accounts that they authenticate, and when they end."""

from __future__ import annotations

import pytest

from stormpetrel.errors import Forbidden
from stormpetrel.model.access import SCOPES, secret_hash
from stormpetrel.model.account import Role
from stormpetrel.model.event import AccessChanged
from stormpetrel.model.ids import IdMaker
from stormpetrel.rules import access, accounts, applications, passwords
from stormpetrel.storage.engine.connection import connect, transaction

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def connection(database_url):
    opened = connect(database_url, ids=IdMaker(1))
    with transaction(opened):
        yield opened
    opened.close()


def add_account(connection, name, *, role=Role.MEMBER, registration="open"):
    return accounts.sign_up(
        connection,
        username=name,
        email=f"{name}@example.org",
        password_hash="$argon2id$…",
        reason="because",
        locale="en",
        registration=registration,
        now_ms=NOW_MS,
        role=role,
    ).id


def add_application(connection, name="App", scopes="read write"):
    return applications.register(
        connection,
        name=name,
        redirect_uris=["https://app.example/back"],
        scopes=scopes,
        website="",
        client_id=f"client-{name}",
        client_secret_hash=secret_hash("secret"),
        now_ms=NOW_MS,
    )


def add_token(connection, account_id, text, *, application_id=None, scopes=("read",)):
    return access.create_token(
        connection,
        account_id=account_id,
        application_id=application_id,
        scopes=scopes,
        token_hash=secret_hash(text),
        now_ms=NOW_MS,
    )


def by_token(connection, text):
    return access.access_by_token(connection, token_hash=secret_hash(text))


def by_session(connection, session_id):
    return access.access_by_session(connection, session_id=session_id, now_ms=NOW_MS)


def test_a_token_speaks_for_its_account_and_allows_what_its_scopes_imply(connection):
    nino = add_account(connection, "Nino", role=Role.ADMIN)
    application = add_application(connection)
    token_id = add_token(connection, nino, "t", application_id=application.id, scopes=("read", "write:media"))
    found = by_token(connection, "t")
    assert found is not None
    assert (found.token_id, found.account_id, found.application_id) == (token_id, nino, application.id)
    assert (found.scopes, found.role, found.session_id) == (("read", "write:media"), "admin", None)
    assert found.created_at_ms == NOW_MS
    assert {"read:statuses", "profile", "write:media"} <= found.allowed
    assert "write:statuses" not in found.allowed


def test_an_unknown_token_speaks_for_nobody(connection):
    assert by_token(connection, "never made") is None


def test_an_applications_own_token_has_no_account(connection):
    application = add_application(connection)
    add_token(connection, None, "t", application_id=application.id)
    found = by_token(connection, "t")
    assert found is not None
    assert (found.account_id, found.application_id, found.role) == (None, application.id, "member")


def test_the_command_lines_application_is_made_once_and_nobody_can_sign_in_as_it(connection):
    nino = add_account(connection, "Nino")
    add_token(connection, nino, "one", scopes=("read", "follow"))
    add_token(connection, nino, "two")
    first, second = by_token(connection, "one"), by_token(connection, "two")
    assert first is not None
    assert second is not None
    assert first.application_id == second.application_id
    for secret in ("", "secret", "\0"):
        with pytest.raises(applications.OAuthRefusal) as refused:
            applications.authenticate(
                connection, client_id=access.COMMAND_LINE_CLIENT_ID, client_secret=secret
            )
        assert refused.value.error == "invalid_client"


def test_a_suspended_account_has_no_access_and_gets_none(connection):
    nino = add_account(connection, "Nino")
    add_token(connection, nino, "t")
    session_id = access.start_session(connection, account_id=nino, now_ms=NOW_MS)
    accounts.suspend(connection, account_id=nino)
    assert by_token(connection, "t") is None
    assert by_session(connection, session_id) is None
    with pytest.raises(Forbidden, match="suspended"):
        add_token(connection, nino, "another")
    with pytest.raises(Forbidden, match="suspended"):
        access.start_session(connection, account_id=nino, now_ms=NOW_MS)


def test_an_account_that_waits_for_approval_has_no_access_and_gets_none(connection):
    nino = add_account(connection, "Nino", registration="approval")
    with pytest.raises(Forbidden, match="approval"):
        add_token(connection, nino, "t")
    with pytest.raises(Forbidden, match="approval"):
        access.start_session(connection, account_id=nino, now_ms=NOW_MS)
    accounts.approve(connection, account_id=nino)
    session_id = access.start_session(connection, account_id=nino, now_ms=NOW_MS)
    assert by_session(connection, session_id) is not None


def test_nobody_gets_a_token_for_an_account_that_does_not_exist(connection):
    with pytest.raises(Forbidden):
        add_token(connection, 12345, "t")


def test_an_application_ends_its_own_token_and_others_are_told(connection):
    nino = add_account(connection, "Nino")
    application = add_application(connection)
    add_token(connection, nino, "t", application_id=application.id)
    connection.events.clear()
    access.revoke_token(connection, application_id=application.id, token_hash=secret_hash("t"), network=1)
    assert by_token(connection, "t") is None
    assert connection.events == [AccessChanged(account_id=nino, token_hash=secret_hash("t"))]


def test_ending_a_token_that_has_ended_is_no_error(connection):
    application = add_application(connection)
    connection.events.clear()
    access.revoke_token(connection, application_id=application.id, token_hash=secret_hash("gone"), network=1)
    assert connection.events == []


def test_an_application_cannot_end_another_ones_token(connection):
    nino = add_account(connection, "Nino")
    owner, stranger = add_application(connection, "Owner"), add_application(connection, "Stranger")
    add_token(connection, nino, "t", application_id=owner.id)
    with pytest.raises(Forbidden):
        access.revoke_token(connection, application_id=stranger.id, token_hash=secret_hash("t"), network=1)
    assert by_token(connection, "t") is not None


def test_a_session_allows_everything_until_it_ends(connection):
    nino = add_account(connection, "Nino")
    session_id = access.start_session(connection, account_id=nino, now_ms=NOW_MS)
    found = by_session(connection, session_id)
    assert found is not None
    assert (found.account_id, found.session_id, found.application_id) == (nino, session_id, None)
    assert found.allowed == frozenset(SCOPES)
    connection.events.clear()
    access.end_session(connection, session_id=session_id)
    assert by_session(connection, session_id) is None
    assert connection.events == [AccessChanged(account_id=nino)]


def test_a_session_is_over_after_thirty_days(connection):
    nino = add_account(connection, "Nino")
    session_id = access.start_session(connection, account_id=nino, now_ms=NOW_MS)
    almost_ms, over_ms = NOW_MS + 30 * DAY_MS - 1, NOW_MS + 30 * DAY_MS
    assert access.access_by_session(connection, session_id=session_id, now_ms=almost_ms) is not None
    assert access.access_by_session(connection, session_id=session_id, now_ms=over_ms) is None


def test_old_sessions_are_cleared_away_when_somebody_signs_in(connection):
    nino = add_account(connection, "Nino")
    old = access.start_session(connection, account_id=nino, now_ms=NOW_MS)
    kept = access.start_session(connection, account_id=nino, now_ms=NOW_MS + 10 * DAY_MS)
    access.start_session(connection, account_id=nino, now_ms=NOW_MS + 31 * DAY_MS)
    assert by_session(connection, old) is None
    assert by_session(connection, kept) is not None


def test_a_browser_that_signs_in_again_has_one_session(connection):
    nino, maia = add_account(connection, "Nino"), add_account(connection, "Maia")
    first = access.start_session(connection, account_id=nino, now_ms=NOW_MS)
    second = access.start_session(connection, account_id=maia, now_ms=NOW_MS, instead_of=first)
    assert by_session(connection, first) is None
    found = by_session(connection, second)
    assert found is not None
    assert found.account_id == maia


def test_revoking_all_ends_everything_of_the_account_and_nothing_of_others(connection):
    nino, maia = add_account(connection, "Nino"), add_account(connection, "Maia")
    application = add_application(connection)
    add_token(connection, nino, "nino")
    add_token(connection, maia, "maia")
    sessions = [access.start_session(connection, account_id=one, now_ms=NOW_MS) for one in (nino, maia)]
    consent = applications.Consent("https://app.example/back", ("read",), "")
    for one in (nino, maia):
        applications.create_code(
            connection,
            application_id=application.id,
            account_id=one,
            consent=consent,
            code_hash=secret_hash(f"code {one}"),
            now_ms=NOW_MS,
        )
    connection.events.clear()
    access.revoke_all(connection, account_id=nino)
    assert by_token(connection, "nino") is None
    assert by_session(connection, sessions[0]) is None
    assert by_token(connection, "maia") is not None
    assert by_session(connection, sessions[1]) is not None
    assert connection.events == [AccessChanged(account_id=nino)]
    granted = [
        applications.exchange_code(
            connection,
            application_id=application.id,
            code_hash=secret_hash(f"code {one}"),
            redirect_uri="https://app.example/back",
            code_verifier="",
            token_hash=secret_hash(f"new {one}"),
            now_ms=NOW_MS,
        )
        for one in (nino, maia)
    ]
    assert granted == [None, applications.Granted(maia, ("read",))]


@pytest.mark.parametrize("revoke_apps", [False, True])
def test_a_new_password_signs_every_browser_out_and_apps_if_wanted(connection, revoke_apps):
    nino = add_account(connection, "Nino")
    add_token(connection, nino, "app")
    old = access.start_session(connection, account_id=nino, now_ms=NOW_MS)
    new = passwords.change_password(
        connection, account_id=nino, password_hash="$argon2id$new", revoke_apps=revoke_apps, now_ms=NOW_MS
    )
    assert accounts.user(connection, account_id=nino).password_hash == "$argon2id$new"
    assert by_session(connection, old) is None
    assert by_session(connection, new) is not None
    assert (by_token(connection, "app") is None) is revoke_apps

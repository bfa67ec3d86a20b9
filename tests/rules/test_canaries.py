"""The canaries' application: created once, found again, and without more rights than a visitor."""

from __future__ import annotations

from stormpetrel.model.access import secret_hash
from stormpetrel.rules.access import access_by_token
from stormpetrel.rules.applications import authenticate
from stormpetrel.rules.canaries import credentials, register
from stormpetrel.storage.engine.statement import Statement
from tests.store import Store

SECRET = b"a secret that is long enough"
NOW_MS = 1_900_000_000_000
COUNTS = "SELECT (SELECT count(*) FROM applications), (SELECT count(*) FROM tokens)"


def test_it_is_made_once_and_its_token_speaks_for_nobody(store: Store) -> None:
    known = credentials(SECRET)
    for _ in range(3):
        store.do(register, known=known, now_ms=NOW_MS)
    assert store.do(lambda connection: connection.one(Statement(COUNTS, COUNTS))) == (1, 1)
    access = store.do(access_by_token, token_hash=secret_hash(known.token))
    assert (access.account_id, access.scopes) == (None, ("read",))
    found = store.do(authenticate, client_id=known.client_id, client_secret=known.client_secret)
    assert (found.name, found.redirect_uris, found.scopes) == ("Canaries", (), ("read",))


def test_every_start_has_the_same_credentials_and_every_instance_its_own() -> None:
    assert credentials(SECRET) == credentials(SECRET)
    ours, others = credentials(SECRET), credentials(SECRET + b"!")
    mine = {ours.client_id, ours.client_secret, ours.token}
    assert len(mine) == 3
    assert not mine & {others.client_id, others.client_secret, others.token}


def test_what_was_cleared_away_is_made_again(store: Store) -> None:
    known = credentials(SECRET)
    store.do(register, known=known, now_ms=NOW_MS)
    for table in ("tokens", "applications"):
        text = f"DELETE FROM {table}"
        store.do(lambda connection, text=text: connection.run(Statement(text, text)))
    store.do(register, known=known, now_ms=NOW_MS)
    assert store.do(access_by_token, token_hash=secret_hash(known.token)) is not None

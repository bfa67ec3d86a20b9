import pytest

from stormpetrel.model.access import secret_hash
from tests.cli.conftest import rows

NINO = ("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")


@pytest.fixture
def nino(run, place):
    run(*NINO)


def test_a_token_is_alone_on_the_last_line_and_only_its_hash_is_stored(run, either_place):
    run(*NINO)
    done = run("token", "nino", "--scopes", "read write")
    token = done.out.splitlines()[-1]
    assert len(token) >= 40
    assert not set(token) & set(" \t:")
    [(hashed, scopes)] = rows(either_place, "SELECT token_hash, scopes FROM tokens")
    assert bytes(hashed) == secret_hash(token)
    assert scopes == "read write"


def test_every_token_is_another_one(run, nino):
    assert run("token", "Nino").out != run("token", "Nino").out


def test_a_token_as_json(run, nino, place):
    answer = run("token", "NINO", "--json").json
    assert answer["username"] == "Nino"
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == "read write follow push"
    assert rows(place, "SELECT account_id FROM tokens") == [(int(answer["account_id"]),)]


def test_scopes_may_be_fine_ones_and_joined_with_plus_signs(run, nino):
    answer = run("token", "Nino", "--json", "--scopes", "read:statuses+write:media").json
    assert answer["scope"] == "read:statuses write:media"


@pytest.mark.parametrize(
    ("scopes", "complaint"),
    [
        ("read wrote", "unknown scope 'wrote' (did you mean write?)"),
        ("everything-there-is", "unknown scope 'everything-there-is' (there are: profile, read, "),
        (" ", '--scopes must name at least one scope, such as "read write"'),
    ],
)
def test_a_scope_that_does_not_exist_is_said(run, nino, place, scopes, complaint):
    assert run("token", "Nino", "--scopes", scopes, expect=2).complaint.startswith(complaint)
    assert rows(place, "SELECT count(*) FROM tokens") == [(0,)]


def test_a_token_for_nobody_is_refused(run, place):
    complaint = run("token", "Nobody", expect=2).complaint
    assert complaint == "there is no account 'Nobody' (see stormpetrel user list)"

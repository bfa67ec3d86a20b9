"""The phones that `sms` commands name."""

from __future__ import annotations

import pytest

from tests.cli.conftest import rows

NUMBER = "+995599123456"


@pytest.mark.parametrize("command", ["show", "unlink", "unlock"])
@pytest.mark.parametrize(
    ("phone", "complaint"),
    [
        ("Nina", "there is no account 'Nina' (see stormpetrel user list)"),
        ("Nino", "Nino has no phone"),
        ("12345", "'12345': "),
    ],
)
def test_a_phone_that_there_is_not_is_refused_by_name(run, place, command, phone, complaint):
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
    assert run("sms", command, phone, expect=2).complaint.startswith(complaint)
    assert rows(place, "SELECT act FROM audit_log") == []


def test_a_number_of_another_secret_is_refused(run, place, data_dir):
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
    run("sms", "link", "Nino", NUMBER)
    secret = data_dir / "secret.key"
    secret.chmod(0o600)
    secret.write_text("0" * 64 + "\n")
    complaint = run("sms", "show", "Nino", expect=2).complaint
    assert complaint == "the phone of Nino: the number was encrypted with another secret key"

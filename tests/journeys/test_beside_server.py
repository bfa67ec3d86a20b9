"""The command line beside a running server: every change takes effect at once, without a restart."""

import json
import time
import urllib.error
import urllib.request

import pytest

from tests.instance import running_instance

WAIT_S = 10.0
ADD = ("--email", "CapitalNino@example.org", "--password", "long enough")


@pytest.fixture
def instance(tmp_path, database_url):
    with running_instance(tmp_path / "place", database_url, web_workers=2) as running:
        yield running


def ask(instance, path, token=None):
    """Return (status, JSON) of a GET."""
    request = urllib.request.Request(instance.base_url + path)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def wait_for(instance, path, token, status):
    """Wait until 8 answers in a row have the status, so that both workers have probably answered."""
    deadline_s = time.monotonic() + WAIT_S
    in_a_row = 0
    while in_a_row < 8:
        got = ask(instance, path, token)[0]
        in_a_row = in_a_row + 1 if got == status else 0
        assert time.monotonic() < deadline_s, f"{path} answers {got}, not {status}:\n{instance.log}"


def test_people_and_tokens_come_and_go_while_the_server_runs(instance):
    own = "/api/v1/accounts/verify_credentials"
    instance.run_cli("user", "add", "CapitalNino", *ADD)
    token = instance.run_cli("token", "capitalnino", "--scopes", "read write").stdout.splitlines()[-1]

    # A token is valid as soon as it is printed.
    status, account = ask(instance, own, token)
    assert (status, account["username"], account["acct"]) == (200, "CapitalNino", "CapitalNino")
    assert ask(instance, "/api/v1/accounts/lookup?acct=CAPITALNINO")[1]["username"] == "CapitalNino"

    # Every worker rejects a suspended account, and accepts it again after unsuspend.
    instance.run_cli("user", "suspend", "CapitalNino")
    wait_for(instance, own, token, 401)
    instance.run_cli("user", "unsuspend", "CapitalNino")
    token = instance.run_cli("token", "CapitalNino").stdout.splitlines()[-1]
    wait_for(instance, own, token, 200)

    # `seed` adds a community to the existing data.
    seed = (
        "seed",
        "--users",
        "20",
        "--posts",
        "50",
        "--follows",
        "3",
        "--seed",
        "1",
        "--reader",
        "Lena",
        "--json",
    )
    written = json.loads(instance.run_cli(*seed).stdout)
    assert written["rows"]["posts"] == 50
    reader = instance.run_cli("token", "Lena").stdout.splitlines()[-1]
    status, home = ask(instance, "/api/v1/timelines/home?limit=40", reader)
    assert status == 200
    assert home
    assert ask(instance, own, token)[0] == 200

    # `check` recognises its own server by the ports.
    checks = {one["subject"]: one for one in json.loads(instance.run_cli("check", "--json").stdout)["checks"]}
    for role in ("web", "status", "sms", "courier"):
        assert checks[f"port of {role}"]["text"].endswith("served by a running Stormpetrel")


def test_a_second_server_says_that_the_first_one_runs(instance):
    done = instance.run_cli("serve", expect_exit=3)
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("stormpetrel: ")

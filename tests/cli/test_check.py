import http.server
import socket
import threading

import pytest

from stormpetrel.cli.store import now_ms
from stormpetrel.model.ids import first_id_at
from stormpetrel.storage.engine.connection import connect
from tests.edge.place import a_place
from tests.ports import reserved_ports


@pytest.fixture
def ports(run, monkeypatch):
    """Yield four free ports, set in the configuration."""
    with reserved_ports(4) as numbers:
        for role, number in zip(("WEB", "STATUS", "SMS", "COURIER"), numbers, strict=True):
            monkeypatch.setenv(f"STORMPETREL_{role}_PORT", str(number))
        yield numbers


@pytest.fixture
def checks(run, ports):
    """Return a function that runs `check` and returns its findings: subject → (verdict, text, to do)."""

    def look(*, expect=0):
        answer = run("check", "--json", expect=expect).json
        assert answer["ok"] == (expect == 0)
        return {one["subject"]: (one["verdict"], one["text"], one["todo"]) for one in answer["checks"]}

    return look


def test_a_new_place_works_and_lacks_only_an_admin_and_a_public_address(
    run, either_place, checks, monkeypatch
):
    verdicts = {subject: verdict for subject, (verdict, *_) in checks().items()}
    assert {subject for subject, verdict in verdicts.items() if verdict != "ok"} <= {
        "administrators",
        "public_url",
        "open files",
    }
    run("user", "add", "Ida", "--email", "ida@example.org", "--password", "long enough", "--admin")
    monkeypatch.setenv("STORMPETREL_PUBLIC_URL", "https://skerrymouth.example")
    found = checks()
    assert "administrators" not in found
    assert found["public_url"] == ("ok", "https://skerrymouth.example", "")
    assert found["contact_email"][0] == "warn"


def test_a_status_page_at_the_address_of_the_web_is_warned_of(run, place, checks, monkeypatch):
    monkeypatch.setenv("STORMPETREL_PUBLIC_URL", "https://skerry.example")
    monkeypatch.setenv("STORMPETREL_STATUS_PUBLIC_URL", "https://Skerry.example/")
    verdict, text, todo = checks()["status.public_url"]
    assert (verdict, text.partition(" ")[0]) == ("warn", "https://Skerry.example/")
    assert "its own host name" in todo
    monkeypatch.setenv("STORMPETREL_STATUS_PUBLIC_URL", "https://status.skerry.example")
    assert "status.public_url" not in checks()


def test_each_line_says_how_it_stands_and_what_to_do(run, place, ports):
    lines = run("check").out.splitlines()
    assert any(line.startswith("ok    database: ") for line in lines)
    position = lines.index("warn  administrators: none")
    assert lines[position + 1] == "      → stormpetrel user add NAME --email E --admin"


def test_nothing_there_fails_and_names_init(run, data_dir, checks):
    found = checks(expect=1)
    assert found["data directory"][0] == found["secret key"][0] == found["database"][0] == "fail"
    assert "stormpetrel init" in found["data directory"][2]
    assert "stormpetrel init" in found["database"][2]
    # The keys of [media] are correct. `init` creates the directory with the rest.
    assert found["media store"][2] == "run stormpetrel init"
    assert not data_dir.exists()


def test_a_database_that_cannot_be_reached_fails_and_no_password_is_shown(run, place, checks, monkeypatch):
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", "postgresql://ida:hush@127.0.0.1:1/place")
    verdict, text, todo = checks(expect=1)["database"]
    assert (verdict, "hush" in text, todo) == ("fail", False, "start the database, or check database.url")


def test_what_others_can_read_is_said(place, checks, data_dir):
    (data_dir / "secret.key").chmod(0o644)
    data_dir.chmod(0o755)
    found = checks(expect=1)
    assert found["secret key"][0] == "fail"
    assert "can be read by other users (0644)" in found["secret key"][1]
    assert found["data directory"][0] == "warn"
    # `check` changes nothing.
    assert (data_dir / "secret.key").stat().st_mode & 0o777 == 0o644


def test_a_short_secret_fails(place, checks, monkeypatch):
    monkeypatch.setenv("STORMPETREL_SECRET_KEY", "hunter2")
    verdict, text, _ = checks(expect=1)["secret key"]
    assert verdict == "fail"
    assert "hunter2" not in text


def test_a_port_of_another_program_fails(place, checks, ports):
    with socket.create_server(("127.0.0.1", ports[1]), reuse_port=True):
        verdict, text, todo = checks(expect=1)["port of status"]
    assert (verdict, text) == ("fail", f"127.0.0.1:{ports[1]} is in use by another program")
    assert "status.port" in todo


class Healthy(http.server.BaseHTTPRequestHandler):
    """Answers health checks as each of our roles does."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status":"ok"}')

    def log_message(self, *_):
        pass


class Listening(http.server.ThreadingHTTPServer):
    allow_reuse_port = True


def test_a_port_that_a_running_server_has_is_fine(place, checks, ports):
    with Listening(("127.0.0.1", ports[0]), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            verdict, text, _ = checks()["port of web"]
        finally:
            server.shutdown()
            thread.join()
    assert (verdict, text) == ("ok", f"127.0.0.1:{ports[0]}, served by a running Stormpetrel")


def test_two_roles_on_one_port_fail(place, checks, ports, monkeypatch):
    monkeypatch.setenv("STORMPETREL_SMS_PORT", str(ports[0]))
    assert checks(expect=1)["port of sms"][:2] == ("fail", f"{ports[0]} is also the port of web")


def test_an_address_of_another_machine_fails(place, checks, monkeypatch):
    monkeypatch.setenv("STORMPETREL_STATUS_HOST", "192.0.2.1")
    assert checks(expect=1)["port of status"][0] == "fail"


def test_approval_without_anybody_who_approves_fails(run, place, checks, monkeypatch):
    monkeypatch.setenv("STORMPETREL_REGISTRATION", "approval")
    assert checks(expect=1)["registration"][0] == "fail"
    run("user", "add", "Ida", "--email", "ida@example.org", "--password", "long enough", "--admin")
    assert checks()["registration"][0] == "ok"


def test_closed_and_nobody_in_it_fails(place, checks, monkeypatch):
    monkeypatch.setenv("STORMPETREL_REGISTRATION", "closed")
    assert checks(expect=1)["registration"][1] == "closed, and there are no accounts"


def test_a_clock_that_went_back_fails(run, place, checks):
    run("seed", "--users", "1", "--posts", "1", "--follows", "0", "--seed", "1")
    connection = connect(place)
    tomorrow = first_id_at(now_ms() + 86_400_000)
    connection.raw.execute(f"UPDATE posts SET id = {tomorrow}")
    connection.close()
    assert checks(expect=1)["clock"][0] == "fail"


def test_valkey_is_asked(place, checks, monkeypatch):
    monkeypatch.setenv("STORMPETREL_VALKEY_URL", "redis://127.0.0.1:1/0")
    assert checks(expect=1)["valkey"][0] == "fail"


def test_valkey_that_answers_is_fine(place, checks, monkeypatch, valkey_url):
    monkeypatch.setenv("STORMPETREL_VALKEY_URL", valkey_url)
    assert checks()["valkey"] == ("ok", "answers", "")


def test_whom_to_believe_behind_a_proxy_is_said_when_there_must_be_one(run, place, checks, monkeypatch):
    assert "proxies" not in checks()
    monkeypatch.setenv("STORMPETREL_PUBLIC_URL", "https://skerrymouth.example")
    verdict, text, todo = checks()["proxies"]
    assert (verdict, "share one place" in text, "edge.trusted_proxies" in todo) == ("warn", True, True)
    monkeypatch.setenv("STORMPETREL_EDGE_TRUSTED_PROXIES", "127.0.0.1")
    assert checks()["proxies"] == ("ok", "X-Forwarded-For is trusted from 127.0.0.1", "")
    monkeypatch.setenv("STORMPETREL_EDGE_PROXY_PROTOCOL", "true")
    for own in ("127.0.0.1", "localhost", "0.0.0.0"):
        monkeypatch.setenv("STORMPETREL_WEB_HOST", own)
        verdict, text, todo = checks()["proxies"]
        assert (verdict, "needs a PROXY header" in text, "127.0.0.2" in todo) == ("warn", True, True)
    monkeypatch.setenv("STORMPETREL_EDGE_TRUSTED_PROXIES", "127.0.0.2")
    assert checks()["proxies"] == ("ok", "the PROXY protocol is trusted from 127.0.0.2", "")
    monkeypatch.setenv("STORMPETREL_EDGE_TRUSTED_PROXIES", "127.0.0.1/8")
    assert "did you mean 127.0.0.0/8?" in run("check", expect=2).err


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.1"])
def test_a_server_that_wants_the_proxy_protocol_is_recognised_as_ours(
    run, place, checks, ports, monkeypatch, trusted
):
    with a_place(edge={"trusted_proxies": trusted, "proxy_protocol": True}) as running:
        monkeypatch.setenv("STORMPETREL_WEB_PORT", str(running.port))
        monkeypatch.setenv("STORMPETREL_EDGE_TRUSTED_PROXIES", trusted)
        monkeypatch.setenv("STORMPETREL_EDGE_PROXY_PROTOCOL", "true")
        assert checks()["port of web"][0] == "ok"
        assert running.server.counts.closed["proxy-header"] == 0

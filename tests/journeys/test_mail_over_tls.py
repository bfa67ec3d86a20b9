"""Mail to real servers with TLS, implicit or after STARTTLS, and to servers that only claim to speak TLS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from stormpetrel.courier import mailer
from stormpetrel.courier.mailer import MailFailed, send
from stormpetrel.courier.post_office import mail_lane
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage.engine.connection import connect
from tests.courier.test_mailer import (
    DEAD,
    SECRET,
    WAITING,
    Mailbox,
    config,
    fill,
    in_loop,
    message,
    raw_server,
    silent,
)
from tests.parts import require
from tests.ports import reserved_ports

# aiosmtpd does not recognise implicit TLS as TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

SECURITIES = ("starttls", "tls")
NAME, PASSWORD = "birds", "hush-hush"


@pytest.fixture
def store(sqlite_url):
    """Yield an outbox on SQLite. The differences between stores are tested elsewhere."""
    connection = connect(sqlite_url, ids=IdMaker(63))
    yield connection
    connection.close()


@dataclass(frozen=True)
class Identity:
    """A self-signed certificate and its key."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


def identity_of(directory: Path, names: str) -> Identity:
    require("openssl")
    made = Identity(directory / "certificate.pem", directory / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=a mail server"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", f"subjectAltName={names}", "-keyout", made.key, "-out", made.certificate),
        ],
        check=True,
        capture_output=True,
    )
    return made


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """Return the identity of the tests' server."""
    return identity_of(tmp_path_factory.mktemp("ours"), "DNS:localhost,IP:127.0.0.1")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Return the identity of a server with another name."""
    return identity_of(tmp_path_factory.mktemp("elsewhere"), "DNS:elsewhere.example")


class TlsMailbox(Mailbox):
    """Stores the accepted mails, whether each came over TLS, and the names and passwords that were tried."""

    def __init__(self):
        super().__init__()
        self.over_tls = []
        self.tried = []

    async def handle_DATA(self, server, session, envelope):
        self.over_tls.append(server.transport.get_extra_info("ssl_object") is not None)
        return await super().handle_DATA(server, session, envelope)

    def authenticate(self, server, session, envelope, mechanism, data):
        self.tried.append((data.login, data.password))
        is_right = (data.login, data.password) == (NAME.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)


@contextlib.contextmanager
def tls_server(identity, security, *, with_password=False):
    """Run a real mail server with that certificate. Yield its port and its mailbox."""
    mailbox = TlsMailbox()
    context = identity.context()
    settings = (
        {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    )
    if with_password:
        settings |= {
            "authenticator": mailbox.authenticate,
            "auth_required": True,
            "auth_require_tls": security == "starttls",
        }
    with reserved_ports(1) as (port,):
        controller = Controller(mailbox, hostname="127.0.0.1", port=port, **settings)
        controller.start()
        try:
            yield port, mailbox
        finally:
            controller.stop()


def settings_for(port, tmp_path, security, identity, **more):
    ca_file = "" if identity is None else str(identity.certificate)
    return config(port, tmp_path, **{"security": security, "ca_file": ca_file, "timeout_s": 10.0} | more)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("security", SECURITIES)
def test_a_mail_arrives_over_tls(ours, tmp_path, security, host):
    with tls_server(ours, security) as (port, mailbox):
        settings = settings_for(port, tmp_path, security, ours, host=host)
        assert send(settings, message(settings), name="1") == f"{host}:{port} accepted it"
    assert mailbox.over_tls == [True]
    assert mailbox.kept[0].rcpt_tos == ["nino@example.org"]


@pytest.mark.parametrize("security", SECURITIES)
def test_name_and_password_are_given_and_a_wrong_one_is_for_the_operator_to_correct(ours, tmp_path, security):
    with tls_server(ours, security, with_password=True) as (port, mailbox):
        right = settings_for(port, tmp_path, security, ours, username=NAME, password=PASSWORD)
        send(right, message(right), name="1")
        wrong = settings_for(port, tmp_path, security, ours, username=NAME, password="guessed")
        with pytest.raises(MailFailed, match=r"rejected mail\.username and mail\.password: 535") as failed:
            send(wrong, message(wrong), name="1")
    assert not failed.value.for_good
    assert len(mailbox.kept) == 1
    assert mailbox.over_tls == [True]
    assert (NAME.encode(), PASSWORD.encode()) in mailbox.tried


@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize(
    ("trusts", "shows", "said"),
    [
        (None, "ours", "self-signed certificate"),
        ("elsewhere", "ours", "self-signed certificate"),
        ("elsewhere", "elsewhere", "certificate is not valid for '127.0.0.1'"),
    ],
    ids=["unknown", "of another authority", "of another name"],
)
def test_a_wrong_certificate_is_refused_before_anything_is_said(
    request, sqlite_url, store, tmp_path, caplog, security, trusts, shows, said
):
    trusted = None if trusts is None else request.getfixturevalue(trusts)
    fill(store, 1)
    with tls_server(request.getfixturevalue(shows), security, with_password=True) as (port, mailbox):
        settings = settings_for(port, tmp_path, security, trusted, username=NAME, password=PASSWORD)
        with caplog.at_level(logging.WARNING, logger="stormpetrel"):
            assert in_loop(sqlite_url, lambda lane: lane.once(), settings) is True
    assert (mailbox.kept, mailbox.tried) == ([], [])
    # The operator can read the error, and the mail is not lost.
    expected = f"the certificate of 127.0.0.1:{port} is not trusted: "
    ((attempts, why, _),) = store.all(WAITING)
    assert attempts == 1
    assert why.startswith(expected)
    assert said in why
    assert store.all(DEAD) == []
    (line,) = [record for record in caplog.records if record.name == "stormpetrel.courier.dispatch"]
    assert line.levelname == "WARNING"
    assert why in line.getMessage()


def test_a_mail_that_waited_for_a_better_certificate_is_sent_then(
    sqlite_url, store, tmp_path, ours, elsewhere
):
    fill(store, 1)

    async def twice(lane):
        await lane.once()
        (row,) = store.all(WAITING)
        lane.clock_ms = lambda: row[2]
        lane.works = mail_lane(lane.db, with_ours, SECRET).works
        await lane.once()

    with tls_server(elsewhere, "tls") as (port, _), tls_server(ours, "tls") as (better, mailbox):
        with_ours = settings_for(better, tmp_path, "tls", ours)
        in_loop(sqlite_url, twice, settings_for(port, tmp_path, "tls", ours))
    assert len(mailbox.kept) == 1
    assert store.all(WAITING) == []


@pytest.mark.parametrize("security", SECURITIES)
def test_a_file_of_authorities_that_is_none_is_said(ours, tmp_path, security):
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with tls_server(ours, security) as (port, mailbox):
        for ca_file in (broken, tmp_path / "missing.pem"):
            settings = settings_for(port, tmp_path, security, None, ca_file=str(ca_file))
            with pytest.raises(MailFailed, match=f"127.0.0.1:{port}: ") as failed:
                send(settings, message(settings), name="1")
            assert not failed.value.for_good
    assert mailbox.kept == []


def after_starttls(talk):
    """Return a server that offers STARTTLS and then runs `talk`."""

    def talks(peer, ended):
        peer.sendall(b"220 hello\r\n")
        lines = peer.makefile("rb")
        for line in lines:
            if line.upper().startswith(b"STARTTLS"):
                break
            peer.sendall(b"250-hello\r\n250 STARTTLS\r\n")
        talk(peer, ended)

    return talks


def trickles_a_record(peer, ended):
    """Send the beginning of a TLS record, then a byte of it now and then."""
    peer.sendall(b"\x16\x03\x03\x40\x00")
    while not ended.wait(0.02):
        peer.sendall(b"\x02")


def no_tls(peer, ended):
    peer.sendall(b"220 hello, I speak no TLS\r\n")
    ended.wait(30)


def hangs_up(peer, ended):
    peer.shutdown(socket.SHUT_RDWR)


def ready(talk):
    def talks(peer, ended):
        peer.sendall(b"220 go on\r\n")
        talk(peer, ended)

    return talks


def injects(peer, ended):
    """Send plain-text answers ahead of TLS, as an attacker on the path would."""
    peer.sendall(b"220 go on\r\n250-hello\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 fine\r\n")
    ended.wait(30)


@pytest.mark.parametrize(
    ("security", "talk"),
    [
        *(("tls", talk) for talk in (silent, trickles_a_record, no_tls, hangs_up)),
        *(
            ("starttls", after_starttls(talk))
            for talk in (
                silent,
                ready(silent),
                ready(trickles_a_record),
                ready(no_tls),
                ready(hangs_up),
                injects,
            )
        ),
    ],
    ids=[
        *(f"tls-{name}" for name in ("silent", "trickles", "plain", "hangs-up")),
        *(f"starttls-{name}" for name in ("no-answer", "silent", "trickles", "plain", "hangs-up", "injects")),
    ],
)
def test_a_server_that_does_not_finish_the_handshake_makes_the_mail_fail_for_now(
    tmp_path, monkeypatch, ours, security, talk
):
    monkeypatch.setattr(mailer, "CONVERSATION_S", 1.0)
    with raw_server(talk) as port:
        settings = settings_for(
            port, tmp_path, security, ours, timeout_s=0.3, username=NAME, password=PASSWORD
        )
        with pytest.raises(MailFailed, match=f"127.0.0.1:{port}") as failed:
            send(settings, message(settings), name="1")
    assert not failed.value.for_good


def test_a_server_that_offers_no_starttls_is_told_nothing(tmp_path):
    heard = []

    def plain(peer, ended):
        peer.sendall(b"220 hello\r\n")
        for line in peer.makefile("rb"):
            heard.append(line)
            peer.sendall(b"250 fine\r\n")

    with raw_server(plain) as port:
        settings = settings_for(port, tmp_path, "starttls", None, timeout_s=5.0)
        with pytest.raises(MailFailed, match="STARTTLS"):
            send(settings, message(settings), name="1")
    assert not any(b"MAIL" in line or b"nino" in line for line in heard)


def copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


def passed_on(peer, port):
    """Relay all bytes between the peer and the server at the port, both ways, until the peer hangs up."""
    with socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=copy, args=(server, peer), daemon=True)
        back.start()
        copy(peer, server)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        back.join(10)


@pytest.mark.parametrize("security", SECURITIES)
def test_a_handshake_that_hangs_holds_up_no_other_mail(sqlite_url, store, tmp_path, ours, security):
    fill(store, 2)
    hang = silent if security == "tls" else after_starttls(ready(silent))
    came = iter(range(100))

    async def work(lane):
        stop = asyncio.Event()
        running = asyncio.create_task(lane.run(stop))
        while lane.drained.done < 1 or lane.drained.retried < 1:
            await asyncio.sleep(0.01)
        stop.set()
        await running

    with tls_server(ours, security) as (real_port, mailbox):

        def talk(peer, ended):
            # The first connection hangs, no matter which mail it carries.
            if next(came) == 0:
                hang(peer, ended)
            else:
                passed_on(peer, real_port)

        with raw_server(talk) as port:
            in_loop(sqlite_url, work, settings_for(port, tmp_path, security, ours, timeout_s=1.0))
    assert mailbox.over_tls == [True]
    ((attempts, why, _),) = store.all(WAITING)
    assert attempts == 1
    assert f"127.0.0.1:{port}" in why

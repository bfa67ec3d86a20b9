"""Mail servers that refuse, stall, lie and flood: an attempt ends in time, and no other work waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import threading

import pytest
import uvloop
from aiosmtpd.controller import Controller

from stormpetrel.config import Config, MailConfig
from stormpetrel.courier import mailer
from stormpetrel.courier.letters import write
from stormpetrel.courier.mailer import MailFailed, send
from stormpetrel.courier.post_office import AT_ONCE, mail_lane
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.mail import Letter
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import sql
from tests.ports import reserved_ports

SECRET = b"s" * 32
LETTER = Letter("reset", "nino@example.org", "Nino", "nonce")
NOW_MS = 1_700_000_000_000
WAITING = sql("SELECT attempts, last_error, due_at_ms FROM outbox ORDER BY id")
DEAD = sql("SELECT last_error FROM outbox_dead ORDER BY id")


def config(port, tmp_path, **mail):
    settings = {"transport": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "timeout_s": 0.3}
    return dataclasses.replace(
        Config(), data_dir=tmp_path, title="Skerrymouth", mail=MailConfig(**(settings | mail))
    )


def message(settings, name="1.stormpetrel"):
    return write(LETTER, config=settings, secret=SECRET, name=name)


@contextlib.contextmanager
def raw_server(talk):
    """Run a server that calls `talk(socket, ended)` in a thread for each connection. Yield its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    threads = []

    def one(peer):
        with peer, contextlib.suppress(OSError):
            talk(peer, ended)

    def accept():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=one, args=(peer,), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [acceptor, *threads]:
            thread.join(10)


def silent(peer, ended):
    ended.wait(30)


def trickles(peer, ended):
    while not ended.wait(0.05):
        peer.sendall(b"2")


def endless_line(peer, ended):
    while not ended.is_set():
        peer.sendall(b"2" * 65_536)


def endless_banner(peer, ended):
    while not ended.is_set():
        peer.sendall(b"220-and another thing\r\n" * 1000)


def slow_banner(peer, ended):
    while not ended.wait(0.05):
        peer.sendall(b"220-and another thing\r\n")


def nonsense(peer, ended):
    peer.sendall(b"\x00\xff\x16\x03 HTTP/1.1 200 OK\r\n\r\n")
    ended.wait(30)


def hangs_up(peer, ended):
    return


def converse(peer, answers):
    """Answer each command by its first word. An answer of None hangs up."""
    peer.sendall(b"220 hello\r\n")
    lines = peer.makefile("rb")
    for line in lines:
        word = line.split()[0].upper() if line.split() else b""
        answer = answers.get(word, b"250 fine\r\n")
        if answer is None:
            return
        peer.sendall(answer)
        if word == b"DATA" and answer.startswith(b"354"):
            if answers.get("drop"):
                lines.readline()
                return
            for text in lines:
                if text == b".\r\n":
                    break
            peer.sendall(answers.get("end", b"250 taken\r\n"))


def drops_in_data(peer, ended):
    converse(peer, {b"DATA": b"354 go on\r\n", "drop": True})


@pytest.mark.parametrize(
    "talk",
    [
        silent,
        trickles,
        endless_line,
        endless_banner,
        slow_banner,
        nonsense,
        hangs_up,
        drops_in_data,
    ],
)
def test_a_server_that_does_not_do_its_work_makes_the_mail_fail_for_now(talk, tmp_path, monkeypatch):
    monkeypatch.setattr(mailer, "CONVERSATION_S", 1.0)
    with raw_server(talk) as port:
        settings = config(port, tmp_path)
        with pytest.raises(MailFailed) as failed:
            send(settings, message(settings), name="1")
    assert not failed.value.for_good
    assert f"127.0.0.1:{port}" in failed.value.safe_text


@pytest.mark.parametrize(
    ("answers", "for_good"),
    [
        ({b"RCPT": b"550 no such person\r\n"}, True),
        ({b"RCPT": b"450 mailbox busy\r\n"}, False),
        ({b"MAIL": b"451 later\r\n"}, False),
        ({b"DATA": b"354 go on\r\n", "end": b"554 that is spam\r\n"}, True),
        ({b"DATA": b"354 go on\r\n", "end": b"452 disk full\r\n"}, False),
        ({b"EHLO": b"421 closing\r\n", b"HELO": b"421 closing\r\n"}, False),
    ],
)
def test_what_a_server_refuses_for_good_is_not_tried_again(answers, for_good, tmp_path):
    with raw_server(lambda peer, ended: converse(peer, answers)) as port:
        settings = config(port, tmp_path, timeout_s=5.0)
        with pytest.raises(MailFailed) as failed:
            send(settings, message(settings), name="1")
    assert failed.value.for_good is for_good


def test_nobody_there_is_said_with_the_address(tmp_path):
    with reserved_ports(1) as (port,):
        settings = config(port, tmp_path)
        with pytest.raises(MailFailed) as failed:
            send(settings, message(settings), name="1")
    assert f"127.0.0.1:{port}" in failed.value.safe_text


def test_a_password_is_never_sent_where_no_tls_is_offered(tmp_path):
    heard = []

    def talk(peer, ended):
        peer.sendall(b"220 hello\r\n")
        for line in peer.makefile("rb"):
            heard.append(line)
            peer.sendall(b"250 fine\r\n")

    with raw_server(talk) as port:
        settings = config(
            port, tmp_path, security="starttls", username="u", password="hush-hush", timeout_s=5.0
        )
        with pytest.raises(MailFailed, match="STARTTLS"):
            send(settings, message(settings), name="1")
    assert not any(b"AUTH" in line or b"hush" in line for line in heard)


class Mailbox:
    """Stores the mails that a real server accepted."""

    def __init__(self):
        self.kept = []

    async def handle_DATA(self, server, session, envelope):
        self.kept.append(envelope)
        return "250 taken"


@contextlib.contextmanager
def real_server():
    mailbox = Mailbox()
    with reserved_ports(1) as (port,):
        controller = Controller(mailbox, hostname="127.0.0.1", port=port)
        controller.start()
        try:
            yield port, mailbox
        finally:
            controller.stop()


def test_a_real_server_gets_the_mail_from_and_to_whom_it_should(tmp_path):
    with real_server() as (port, mailbox):
        settings = config(port, tmp_path, timeout_s=5.0)
        assert send(settings, message(settings), name="1") == f"127.0.0.1:{port} accepted it"
    (taken,) = mailbox.kept
    assert (taken.mail_from, taken.rcpt_tos) == ("stormpetrel@127.0.0.1", ["nino@example.org"])
    assert b"Message-ID: <1.stormpetrel@127.0.0.1>\r\n" in taken.content


def in_loop(url, work, settings):
    async def main():
        db = Database(url)
        await db.open()
        try:
            return await work(dataclasses.replace(mail_lane(db, settings, SECRET), clock_ms=lambda: NOW_MS))
        finally:
            await db.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


@pytest.fixture
def store(database_url):
    connection = connect(database_url, ids=IdMaker(63))
    yield connection
    connection.close()


def fill(store, count, kind="mail"):
    with transaction(store):
        for _ in range(count):
            outbox.put(store, kind=kind, payload=LETTER, now_ms=NOW_MS, lane=outbox.LANE_MAIL)


def test_a_mail_of_the_outbox_is_sent_and_then_gone(database_url, store, tmp_path):
    fill(store, 1)
    with real_server() as (port, mailbox):
        assert in_loop(database_url, lambda lane: lane.once(), config(port, tmp_path, timeout_s=5.0)) is True
    assert len(mailbox.kept) == 1
    assert store.all(WAITING) == []
    assert not in_loop(database_url, lambda lane: lane.once(), config(port, tmp_path))


def test_a_mail_that_fails_waits_longer_each_time_and_says_why(database_url, store, tmp_path):
    fill(store, 1)
    with reserved_ports(1) as (port,):
        in_loop(database_url, lambda lane: lane.once(), config(port, tmp_path))
    ((attempts, why, due_at_ms),) = store.all(WAITING)
    assert attempts == 1
    assert f"127.0.0.1:{port}" in why
    assert due_at_ms >= NOW_MS + 5_000


def test_a_mail_that_is_refused_for_good_is_kept_among_the_dead(database_url, store, tmp_path):
    fill(store, 1)
    fill(store, 1, kind="from-the-future")
    with raw_server(lambda peer, ended: converse(peer, {b"RCPT": b"550 nobody\r\n"})) as port:

        async def both(lane):
            await lane.once()
            await lane.once()

        in_loop(database_url, both, config(port, tmp_path, timeout_s=5.0))
    assert store.all(WAITING) == []
    refused, unknown = (why for (why,) in store.all(DEAD))
    assert "550" in refused
    assert unknown == "unknown kind of job in this release"


def test_a_server_that_hangs_holds_up_neither_other_mails_nor_other_jobs(database_url, store, tmp_path):
    fill(store, AT_ONCE)
    with transaction(store):
        outbox.put(store, kind="events", payload=[], now_ms=NOW_MS)
    came = threading.Semaphore(0)

    def hangs(peer, ended):
        came.release()
        ended.wait(30)

    async def work(lane):
        stop = asyncio.Event()
        running = asyncio.create_task(lane.run(stop))
        for _ in range(AT_ONCE):
            # All mails are at the server at once: a hanging mail occupies only its own slot.
            assert await asyncio.to_thread(came.acquire, timeout=20)
        jobs = await lane.db.write_as(2, 10.0, outbox.lease, now_ms=NOW_MS, lease_ms=1000, count=10)
        stop.set()
        await running
        return jobs

    with raw_server(hangs) as port:
        settings = config(port, tmp_path, timeout_s=0.5)
        jobs = in_loop(database_url, work, settings)
    assert [job.kind for job in jobs] == ["events"]


def test_the_courier_ends_though_a_mail_hangs(database_url, store, tmp_path, monkeypatch):
    from stormpetrel.courier import dispatch

    monkeypatch.setattr(dispatch, "STOP_S", 0.2)
    fill(store, 1)
    came = threading.Event()

    def hangs(peer, ended):
        came.set()
        ended.wait(60)

    async def work(lane):
        stop = asyncio.Event()
        running = asyncio.create_task(lane.run(stop))
        assert await asyncio.to_thread(came.wait, 20)
        stop.set()
        await running

    with raw_server(hangs) as port:
        in_loop(database_url, work, config(port, tmp_path, timeout_s=60.0))
    # The job is still leased. Another courier takes it when the lease expires.
    assert [row[0] for row in store.all(WAITING)] == [1]


def test_time_is_what_bounds_a_conversation_not_the_number_of_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(mailer, "CONVERSATION_S", 0.5)

    def patient(peer, ended):
        while not ended.wait(0.1):
            peer.sendall(b"220-\r\n")

    with raw_server(patient) as port:
        settings = config(port, tmp_path, timeout_s=100.0)
        with pytest.raises(MailFailed):
            send(settings, message(settings), name="1")

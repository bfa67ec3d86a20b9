"""Workers and commands at the watch's socket: both sides with real sockets."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import os
import socket
import stat
import struct
import threading
import time

import pytest

from stormpetrel import clock
from stormpetrel.control import wire
from stormpetrel.control.asking import WatchSilent, ask, order
from stormpetrel.control.messages import (
    AskPause,
    AskRule,
    AskStatus,
    AskWhy,
    Done,
    Failed,
    StatusMessage,
    TextCounts,
    Why,
)
from stormpetrel.control.reporter import LEAST_PERIOD_S, REPORT_EVERY_S, until_next_s
from stormpetrel.errors import EnvironmentFailure, SetupError
from stormpetrel.shield.reports import IdentityRefusal, Offender, OperatorEntry
from stormpetrel.watch.cluster_state import ClusterState
from stormpetrel.watch.journal_writer import JournalWriter
from tests.watch.reporting import a_report
from tests.watch.watching import Worker, a_control_server, a_watch, asked

FAR_S = 4_000_000_000.0
"""The year 2096: directions of these tests are in force at any time of the clock."""


def test_a_deny_of_a_trusted_proxy_or_of_the_operators_address_has_to_be_forced(tmp_path):
    async def body():
        proxies = (ipaddress.ip_network("192.0.2.80"),)
        async with a_control_server(tmp_path, ClusterState(), proxies=proxies):
            until_s = clock.now_s() + 60
            for value, session in (("192.0.2.0/24", ""), ("127.0.0.1", ""), ("198.51.100.7", "198.51.100.7")):
                entry = OperatorEntry("address", value, until_s, "scans")
                refused = await asked(tmp_path, AskRule("deny", entry, session))
                assert isinstance(refused, Failed)
                assert "deny --force denies it all the same" in refused.text
                assert await asked(tmp_path, AskRule("allow", entry, session)) == Done(0, kept=True)
                forced = AskRule("deny", entry, session, is_forced=True)
                assert await asked(tmp_path, forced) == Done(0, kept=True)

    asyncio.run(body())


def test_a_worker_reports_and_is_directed(tmp_path):
    async def body():
        report = a_report(offenders=(Offender("account:1", 0.5, 9, 0, 0),), running=3)
        async with a_watch(tmp_path, {"192.0.2.0/24": 20_000}) as cluster:
            worker = Worker(tmp_path, report=report)
            first = await worker.until(lambda told: True)
            assert first.known_prefixes == (("192.0.2.0/24", 20_000),)
            while not cluster.totals.reports:
                await asyncio.sleep(0.005)
            status = await asked(tmp_path, AskStatus())
            assert isinstance(status, StatusMessage)
            (seen,) = status.workers
            assert (seen.name, seen.pid, seen.running) == ("web-0", os.getpid(), 3)
            assert [one.identity for one in status.offenders] == ["account:1"]
            await worker.end()

    asyncio.run(body())


def test_the_guard_is_never_told_of_the_network_of_a_provider_of_text_messages(tmp_path):
    async def body():
        async with a_control_server(tmp_path, ClusterState()) as server:
            with wire.short_path(tmp_path) as path:
                _, writer = await asyncio.open_unix_connection(path)
            writer.write(wire.framed(TextCounts(0, received=1, networks=("1.2.3.0/24",))))
            await writer.drain()
            while not server.guard.plan.is_safe("1.2.3.4"):
                await asyncio.sleep(0.005)
            assert not server.guard.plan.is_safe("1.2.4.4")
            writer.close()

    asyncio.run(body())


def test_networks_that_the_guard_must_not_list_are_remembered_by_the_next_watch(tmp_path):
    async def body():
        async with a_control_server(tmp_path, ClusterState()) as server:
            with wire.short_path(tmp_path) as path:
                _, writer = await asyncio.open_unix_connection(path)
            writer.write(wire.framed(TextCounts(0, received=1, networks=("1.2.3.0/24",))))
            await writer.drain()
            worker = Worker(tmp_path, report=a_report(sheltered=("1.2.5.0/24",)))
            while not (server.guard.plan.is_safe("1.2.3.4") and server.guard.plan.is_safe("1.2.5.4")):
                await asyncio.sleep(0.005)
            await server._books.flush(now_ms=clock.now_ms(), at_s=0.0)
            await worker.end()
            writer.close()
        books = JournalWriter(tmp_path)
        found = await books.remembered(now_ms=clock.now_ms())
        await books.close()
        async with a_control_server(
            tmp_path, ClusterState(), shelters=[prefix for prefix, _ in found.shelters]
        ) as server:
            plan = server.guard.plan
            assert [plan.is_safe(one) for one in ("1.2.3.4", "1.2.5.4", "1.2.4.4")] == [True, True, False]

    asyncio.run(body())


def test_what_an_operator_says_reaches_every_worker_at_once_and_can_be_taken_back(tmp_path):
    async def body():
        async with a_watch(tmp_path):
            workers = [Worker(tmp_path, name) for name in ("web-0", "web-1")]
            for worker in workers:
                await worker.until(lambda told: True)
            entry = OperatorEntry("address", "192.0.2.7/24", FAR_S - 1, "scans")
            assert isinstance(await asked(tmp_path, AskRule("deny", entry)), Failed)  # too long
            entry = OperatorEntry("address", "192.0.2.7/24", 0.0, "scans")
            assert isinstance(await asked(tmp_path, AskRule("deny", entry)), Failed)  # already expired
            entry = OperatorEntry("address", "192.0.2.7/24", time.time() + 60, "scans")
            assert await asked(tmp_path, AskRule("deny", entry)) == Done(2, True)
            for worker in workers:
                told = await worker.until(lambda told: told.denied)
                assert (told.denied[0].kind, told.denied[0].value) == ("address", "192.0.2.0/24")
            assert await asked(tmp_path, AskRule("none", entry)) == Done(2, True)
            assert isinstance(await asked(tmp_path, AskRule("none", entry)), Failed)
            assert isinstance(await asked(tmp_path, AskRule("bless", entry)), Failed)
            for worker in workers:
                await worker.until(lambda told: not told.denied)
            until_s = time.time() + 60
            assert await asked(tmp_path, AskPause(until_s)) == Done(2, True)
            assert isinstance(await asked(tmp_path, AskPause(FAR_S)), Failed)
            await workers[0].until(lambda told: told.paused_until_epoch_s == until_s)
            for worker in workers:
                await worker.end()

    asyncio.run(body())


def test_why_asks_the_workers_and_remembers_refusals(tmp_path):
    async def body():
        refusal = IdentityRefusal(1_900.0, "account:1", "Tusky", "apps", "queue/full")
        async with a_watch(tmp_path) as cluster:
            cluster.collateral.add([refusal])
            worker = Worker(tmp_path)
            await worker.until(lambda told: True)
            entry = OperatorEntry("application", "Tusky", time.time() + 60, "an app for the press")
            await asked(tmp_path, AskRule("allow", entry))
            why = await asked(
                tmp_path,
                AskWhy((("account", "1"), ("application", "Tusky")), ("account:1",), created_epoch_s=5.0),
            )
            assert isinstance(why, Why)
            assert (why.lane, why.limit, why.remaining, why.is_demoted) == ("K1", 100, 60, False)
            assert (why.allowed, why.denied) == (entry, None)
            assert (why.refusals, why.refused_count) == ((refusal,), 1)
            assert [(look.identity, look.created_epoch_s) for look in worker.looks] == [("account:1", 5.0)]
            of_app = await asked(tmp_path, AskWhy((), application="Tusky"))
            assert (of_app.refusals, of_app.lane) == ((refusal,), "")
            await worker.end()

    asyncio.run(body())


def test_all_workers_report_at_the_same_moments_and_never_after_too_short_a_time():
    for at_s in (100.0, 100.001, 100.4, 100.7, 100.75, 100.9, 100.999, 101.0):
        wait_s = until_next_s(at_s)
        assert (at_s + wait_s) % REPORT_EVERY_S == pytest.approx(0.0, abs=1e-9)
        assert LEAST_PERIOD_S <= wait_s < REPORT_EVERY_S + LEAST_PERIOD_S


def test_a_worker_comes_back_to_a_watch_that_was_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr("stormpetrel.control.wire.RETRY_S", 0.01)

    async def body():
        worker = Worker(tmp_path)  # the watch is not running yet
        async with a_watch(tmp_path):
            first = await worker.until(lambda told: True)
        async with a_watch(tmp_path):
            again = await worker.until(lambda told: told.version != first.version)
            assert again.version > first.version
        await worker.end()

    asyncio.run(body())


def test_a_watch_that_is_about_to_begin_is_reached_soon_and_a_missing_one_is_asked_each_second():
    pauses_s = list(itertools.islice(wire.retry_pauses_s(), 8))
    assert [pytest.approx(pause_s, rel=0.26) for pause_s in (0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1)] == pauses_s


def test_a_worker_whose_report_fails_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("stormpetrel.control.wire.RETRY_S", 0.01)

    async def body():
        async with a_watch(tmp_path) as cluster:
            worker = Worker(tmp_path)
            fails = iter([True, False])
            original = worker.reporter._report

            def report():
                if next(fails, False):
                    raise RuntimeError("a report that fails on purpose")
                return original()

            worker.reporter._report = report
            while not cluster.totals.reports:
                await asyncio.sleep(0.005)
            await worker.end()

    asyncio.run(body())


def test_only_the_owner_may_use_the_socket(tmp_path):
    sock = wire.listen(tmp_path)
    try:
        assert stat.S_IMODE(os.stat(tmp_path / wire.FILE_NAME).st_mode) == 0o600
        assert wire.is_owner(sock)
    finally:
        sock.close()


def test_a_data_directory_may_have_any_length(tmp_path):
    directory = tmp_path / ("a" * 120) / ("b" * 120)
    directory.mkdir(parents=True)

    async def body():
        async with a_watch(directory):
            assert isinstance(await asked(directory, AskStatus()), StatusMessage)

    asyncio.run(body())


def test_what_a_watch_that_was_killed_left_behind_is_replaced(tmp_path):
    wire.listen(tmp_path).close()
    with pytest.raises(EnvironmentFailure, match="is not running"):
        ask(tmp_path, AskStatus())

    async def body():
        async with a_watch(tmp_path):
            assert isinstance(await asked(tmp_path, AskStatus()), StatusMessage)

    asyncio.run(body())


def test_without_a_watch_a_command_is_told_so(tmp_path):
    for directory in (tmp_path, tmp_path / "not there"):
        with pytest.raises(EnvironmentFailure, match="is not running"):
            ask(directory, AskStatus())


def test_nonsense_ends_its_own_connection_only(tmp_path):
    async def body():
        async with a_watch(tmp_path) as cluster:
            worker = Worker(tmp_path)
            await worker.until(lambda told: True)
            for nonsense in (
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                struct.pack(">I", wire.MAX_MESSAGE_BYTES + 1),
                struct.pack(">I", 3) + b"\xff\xff\xff",
                struct.pack(">I", 100) + b"half",
                wire.framed({"type": "hello", "name": 5, "pid": "x"}),
                wire.framed({"type": "hello", "name": "web-9", "pid": 1}) + wire.framed({"type": "report"}),
            ):
                await asyncio.to_thread(send_and_read_to_the_end, tmp_path, nonsense)
            assert isinstance(await asked(tmp_path, AskStatus()), StatusMessage)
            assert not worker.task.done()
            assert [one.name for one in cluster.workers(at_s=asyncio.get_running_loop().time())] == ["web-0"]
            await worker.end()

    asyncio.run(body())


def send_and_read_to_the_end(directory, data):
    with wire.short_path(directory) as path, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            pass


RULE = OperatorEntry("address", "192.0.2.0/24", FAR_S, "scans")


def test_an_order_in_force_is_known_although_the_disk_holds_its_answer_up(tmp_path):
    async def body():
        soon_s = clock.now_s() + 600
        rule = OperatorEntry("address", "192.0.2.7/24", soon_s, "scans")
        later = OperatorEntry("address", "192.0.2.0/24", soon_s + 60, "scans")
        async with a_control_server(tmp_path, ClusterState()) as server:
            disk = threading.Event()
            server._books.thread.submit(disk.wait)
            try:
                for wanted in (
                    AskRule("deny", rule),
                    AskRule("deny", later),
                    AskRule("none", later),
                    AskRule("allow", rule),
                    AskRule("none", rule),
                    AskPause(soon_s),
                    AskPause(0.0),
                ):
                    assert await asyncio.to_thread(order, tmp_path, wanted, timeout_s=0.2) is None
            finally:
                disk.set()
            assert await asyncio.to_thread(order, tmp_path, AskRule("deny", rule)) == Done(0, kept=True)
            with pytest.raises(SetupError, match="the rule must end in the future"):
                await asyncio.to_thread(order, tmp_path, AskRule("deny", RULE))

    asyncio.run(body())


def test_an_order_to_a_watch_that_answers_nothing_may_be_in_force(tmp_path):
    sock = wire.listen(tmp_path)
    try:
        with pytest.raises(WatchSilent, match="has the order and has not answered"):
            order(tmp_path, AskRule("deny", RULE), timeout_s=0.1)
        with pytest.raises(WatchSilent, match="did not answer within"):
            ask(tmp_path, AskStatus(), timeout_s=0.1)
    finally:
        sock.close()

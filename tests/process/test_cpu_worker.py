"""Password hashing in its own process: right and wrong passwords, order, overload, and the child's death."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
import uvloop

from stormpetrel.errors import Busy, Invalid
from stormpetrel.process.cpu_worker import (
    CLASSES,
    DRAWING,
    DUMMY_HASH,
    IN_FLIGHT_PER_WORKER,
    MAX_PASSWORD_BYTES,
    NEWEST_FIRST,
    WAITING_PER_CLASS,
    Heavy,
    HeavyHub,
    _Job,
    _perform,
    _Queues,
    hash_password_now,
    run_child,
    verify_password_now,
)
from stormpetrel.shield.classify import K1_COLD, K2, K3_NEAR, LANES


def test_a_password_belongs_to_its_own_hash_only():
    hashed = hash_password_now("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password_now(hashed, "correct horse")
    assert not verify_password_now(hashed, "correct horsE")
    assert hash_password_now("correct horse") != hashed


@pytest.mark.parametrize(
    "text", ["", "x", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$$", "$é$", DUMMY_HASH]
)
def test_what_is_no_hash_belongs_to_no_password(text):
    assert not verify_password_now(text, "anything")
    assert not verify_password_now(text, "")


@pytest.mark.parametrize("password", ["x" * (MAX_PASSWORD_BYTES + 1), "\ud800"])
def test_a_password_nobody_can_have_is_refused(password):
    with pytest.raises(Invalid) as raised:
        hash_password_now(password)
    assert "password" in raised.value.fields
    assert not verify_password_now(DUMMY_HASH, password)


class Child:
    """The heavy child as the supervisor runs it."""

    def __init__(self, hub):
        self.hub = hub
        self.start()

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                run_child(self.hub.child.values())
            finally:
                os._exit(0)

    def send(self, number):
        os.kill(self.pid, number)

    def end(self, number=signal.SIGTERM):
        # A stopped process reacts only to SIGKILL.
        self.send(number)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def hub():
    hub = HeavyHub(["web-0", "web-1"])
    yield hub
    hub.close_all_but(None)


@pytest.fixture
def child(hub):
    child = Child(hub)
    yield child
    child.end(signal.SIGKILL)


def in_loop(hub, work, name="web-0"):
    """Run `work(heavy)` in its own event loop."""

    async def main():
        heavy = Heavy(hub.workers[name])
        heavy.attach(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(60):
                return await work(heavy)
        finally:
            heavy.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def test_the_child_hashes_and_verifies(hub, child):
    async def work(heavy):
        hashed = await heavy.hash_password("söme pässword", urgency=1)
        return (
            await heavy.verify_password(hashed, "söme pässword", urgency=1),
            await heavy.verify_password(hashed, "some password", urgency=1),
            await heavy.verify_password("nonsense", "x", urgency=0),
            await heavy.verify_password(DUMMY_HASH, "x", urgency=1),
            await heavy.verify_password(hashed, "x" * 100_000, urgency=1),
        )

    assert in_loop(hub, work) == (True, False, False, False, False)


def test_a_password_too_long_is_invalid_before_the_child_hears_of_it(hub):
    async def work(heavy):
        with pytest.raises(Invalid):
            await heavy.hash_password("x" * (MAX_PASSWORD_BYTES + 1), urgency=1)

    in_loop(hub, work)


def test_two_workers_get_their_own_answers(hub, child):
    async def work(heavy):
        other = Heavy(hub.workers["web-1"])
        other.attach(asyncio.get_running_loop())
        hashed = await heavy.hash_password("a", urgency=1)
        answers = await asyncio.gather(
            *(
                worker.verify_password(hashed, password, urgency=1)
                for _ in range(5)
                for worker, password in ((heavy, "a"), (other, "b"))
            )
        )
        other.close()
        return answers

    assert in_loop(hub, work) == [True, False] * 5


def test_overload_is_busy_at_once_and_what_was_taken_is_done(hub, child):
    async def work(heavy):
        child.send(signal.SIGSTOP)
        calls = [
            asyncio.ensure_future(heavy.verify_password("nonsense", "x", urgency=2))
            for _ in range(WAITING_PER_CLASS + 10)
        ]
        await asyncio.sleep(0)
        child.send(signal.SIGCONT)
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = in_loop(hub, work)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Busy)]
    assert len(refused) >= 1
    assert all(outcome.retry_after_s >= 1 for outcome in refused)
    assert outcomes.count(False) + len(refused) == len(outcomes)
    assert outcomes.count(False) >= WAITING_PER_CLASS


def test_a_worker_with_too_many_calls_of_its_own_is_busy_without_asking(hub):
    async def work(heavy):
        calls = [
            asyncio.ensure_future(heavy.verify_password("h", "p", urgency=1))
            for _ in range(IN_FLIGHT_PER_WORKER)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await heavy.verify_password("h", "p", urgency=1)
        heavy.close()
        return await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(outcome, Busy) for outcome in in_loop(hub, work))


def test_the_more_urgent_class_is_served_first_and_a_full_class_takes_no_room_from_others():
    queues = _Queues()
    for number in range(WAITING_PER_CLASS):
        assert queues.put(_Job(number, "k", 2, 0.0, []), None) is None
    refused = queues.put(_Job(1000, "k", 2, 0.0, []), None)
    assert refused is not None
    assert refused[0].id == 1000
    assert queues.put(_Job(2000, "k", 0, 0.0, []), None) is None
    assert queues.put(_Job(3000, "k", 1, 0.0, []), None) is None
    assert [queues.get()[0].id for _ in range(3)] == [2000, 3000, 0]
    assert len(queues) == WAITING_PER_CLASS - 1


def test_among_strangers_the_newest_is_served_first_and_the_oldest_is_dropped_when_there_is_no_room():
    queues = _Queues()
    for number in range(WAITING_PER_CLASS):
        assert queues.put(_Job(number, "k", K3_NEAR, 0.0, []), "end") is None
    dropped = queues.put(_Job(1000, "k", K3_NEAR, 0.0, []), "end")
    assert dropped is not None
    assert dropped[0].id == 0
    assert [queues.get()[0].id for _ in range(2)] == [1000, WAITING_PER_CLASS - 1]


def test_each_lane_of_the_shield_has_a_class_of_its_own_and_pictures_come_last():
    assert len(LANES) == DRAWING == CLASSES - 1
    assert K2 < NEWEST_FIRST == K3_NEAR
    # Reading a home gives this process no work.
    newest_first = {number for number, lane in enumerate(LANES) if lane.newest_first} - {K1_COLD}
    assert newest_first == set(range(NEWEST_FIRST, len(LANES)))


def test_a_job_past_its_deadline_is_not_begun():
    hashed = hash_password_now("x")
    late = _Job(1, "verify_password", 1, time.monotonic() - 1, [hashed, "x"])
    assert _perform(late, _Queues()).outcome == "busy"
    in_time = _Job(2, "verify_password", 1, time.monotonic() + 60, [hashed, "x"])
    assert _perform(in_time, _Queues()).result is True


def test_a_job_that_fails_says_what_kind_of_error_and_nothing_of_its_arguments(caplog):
    answer = _perform(_Job(1, "verify_password", 1, time.monotonic() + 60, [5, "geheim"]), _Queues())
    assert answer.outcome == "failed"
    unknown = _perform(_Job(2, "no such kind", 1, time.monotonic() + 60, ["geheim"]), _Queues())
    assert unknown.outcome == "failed"
    assert "geheim" not in caplog.text + str(answer) + str(unknown)


def test_calls_in_flight_are_busy_when_the_child_dies_and_the_same_sockets_serve_its_successor(hub, child):
    async def work(heavy):
        hashed = await heavy.hash_password("x", urgency=1)
        child.send(signal.SIGSTOP)
        calls = [asyncio.ensure_future(heavy.verify_password(hashed, "x", urgency=1)) for _ in range(8)]
        await asyncio.sleep(0)
        assert child.end(signal.SIGKILL) == -signal.SIGKILL
        hub.announce_death()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        between = asyncio.ensure_future(heavy.verify_password(hashed, "x", urgency=1))
        await asyncio.sleep(0)
        child.start()
        return outcomes, await between, await heavy.verify_password(hashed, "y", urgency=1)

    outcomes, between, after = in_loop(hub, work)
    assert all(isinstance(outcome, Busy) for outcome in outcomes)
    assert between is True
    assert after is False


def test_a_worker_that_took_anothers_place_gets_none_of_its_answers(hub, child):
    async def dies(heavy):
        hashed = await heavy.hash_password("x", urgency=1)
        child.send(signal.SIGSTOP)
        # The answer comes only after this worker has ended.
        call = asyncio.ensure_future(heavy.verify_password(hashed, "x", urgency=1))
        await asyncio.sleep(0)
        assert not call.done()
        return hashed

    hashed = in_loop(hub, dies)
    child.send(signal.SIGCONT)

    async def successor(heavy):
        return await heavy.verify_password(hashed, "wrong", urgency=1)

    assert in_loop(hub, successor) is False


def test_sigterm_ends_the_child_cleanly(hub):
    child = Child(hub)
    try:
        in_loop(hub, lambda heavy: heavy.verify_password("x", "x", urgency=1))
    except BaseException:
        child.end(signal.SIGKILL)  # a child that lives on would hold the output of the tests open
        raise
    assert child.end() == 0

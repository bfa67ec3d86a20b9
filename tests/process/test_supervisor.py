"""The supervisor's own rules, with children that behave as the test directs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stormpetrel.process.supervisor import backoff_s

PROGRAM = """
import os, signal, sys, time
from stormpetrel.process import log
from stormpetrel.process import supervisor
log.configure("info", role="supervisor")
supervisor.DRAIN_S = 0.3

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getppid(), signal.SIGTERM)
    while True:
        time.sleep(1)

def obedient():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.sigwait({signal.SIGTERM})

ready = os.pipe()

def last():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.write(ready[1], b".")
    signal.sigwait({signal.SIGTERM})
    print("last one told", flush=True)

def child(name, main, **more):
    return supervisor.Child(name, main=main, on_death=lambda: print(name, "died", flush=True), **more)

supervisor.block_signals()
"""


def run(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_pauses_double_up_to_five_seconds_and_the_first_restart_has_none():
    assert [backoff_s(deaths) for deaths in range(10)] == pytest.approx(
        [0, 0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    )
    assert backoff_s(10**9) == 5.0


def test_one_that_does_not_end_in_time_is_killed_and_named():
    done = run(
        """
supervisor.supervise([child("stubborn", stubborn)], on_started=lambda: None,
    before_drain=lambda: print("draining", flush=True))
"""
    )
    assert done.stdout == "draining\n"
    assert "killed because they did not stop in time: stubborn" in done.stderr


def test_one_that_serves_others_is_told_after_they_have_gone():
    done = run(
        """
def leaves_word():
    os.read(ready[0], 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.kill(os.getppid(), signal.SIGTERM)
    signal.sigwait({signal.SIGTERM})
    print("others gone", flush=True)

supervisor.supervise([child("last", last, serves_others=True), child("other", leaves_word)],
    on_started=lambda: None, before_drain=lambda: None)
"""
    )
    assert done.stdout == "others gone\nlast one told\n"


def test_an_error_in_a_child_is_logged_with_its_traceback_and_it_starts_again():
    done = run(
        """
pipe = os.pipe()
os.set_blocking(pipe[0], False)

def fails():
    try:
        os.read(pipe[0], 1)
    except BlockingIOError:
        os.write(pipe[1], b"the next one is the second")
        raise ValueError("a bug")
    os.kill(os.getppid(), signal.SIGTERM)
    obedient()

supervisor.supervise([child("fails", fails)], on_started=lambda: None, before_drain=lambda: None)
"""
    )
    assert done.stdout == "fails died\n"
    assert "ValueError: a bug" in done.stderr
    assert "fails died (exit 1); restarting in 0.0 s" in done.stderr


def test_a_process_is_loaded_once_while_those_before_it_run(tmp_path):
    done = run(
        """
def loaded():
    os.read(ready[0], 1)
    print("loaded while the first one runs", flush=True)

def second():
    is_first = not os.path.exists(flag)
    os.close(os.open(flag, os.O_CREAT))
    if is_first:
        os._exit(1)
    os.kill(os.getppid(), signal.SIGTERM)
    obedient()

flag = os.path.join(sys.argv[1], "started")
supervisor.supervise([child("first", last), child("second", second, load=loaded)],
    on_started=lambda: print("started", flush=True), before_drain=lambda: None)
""",
        str(tmp_path),
    )
    assert done.stdout.splitlines()[:3] == ["loaded while the first one runs", "started", "second died"]


def test_a_process_that_cannot_be_loaded_ends_those_before_it():
    done = run(
        """
def missing():
    os.read(ready[0], 1)
    raise ImportError("a file is missing")

first = child("first", last)
try:
    supervisor.supervise([first, child("second", obedient, load=missing)],
        on_started=lambda: print("started"), before_drain=lambda: None)
except ImportError as error:
    print(error, first.pid)
"""
    )
    # The first one may still print its last words before it is killed.
    assert done.stdout.splitlines()[-1] == "a file is missing 0"

"""Ways to break a running instance so that some channels fail and the others do not, for the status page's proofs.

Each is a context manager: it breaks the instance when it begins and mends it when it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.instance import Instance
from tests.processes import children, named

TIMEOUT_S = 10.0
WEB = frozenset({"Web pages", "Apps", "Posting", "Live updates", "Sign-in", "Media", "Feeds"})


@dataclass(frozen=True)
class Break:
    """`channels`: those that fail. `begin`: the context manager."""

    name: str
    channels: frozenset[str]
    begin: Callable[[Instance], AbstractContextManager[None]]


@contextlib.contextmanager
def stopped(instance: Instance, prefix: str) -> Iterator[None]:
    """Stop processes as a debugger does: they neither answer nor refuse."""
    pids = named(instance.pid, prefix)
    assert pids, prefix
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def locked_database(instance: Instance) -> Iterator[None]:
    """Hold the lock that every write needs."""
    raw = sqlite3.connect(instance.directory / "stormpetrel.db", isolation_level=None, timeout=20)
    raw.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        raw.execute("ROLLBACK")
        raw.close()


@contextlib.contextmanager
def full_disk(instance: Instance) -> Iterator[None]:
    """Let no file of the web workers grow."""
    pids = named(instance.pid, "petrel-web-")
    limits = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    for pid, limit in zip(pids, limits, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        yield
    finally:
        for pid, limit in zip(pids, limits, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


@contextlib.contextmanager
def lost_media_folder(instance: Instance) -> Iterator[None]:
    """Replace the folder of the media by a file."""
    folder = Path(instance.environ["STORMPETREL_DATA_DIR"]) / "media"
    aside = folder.with_name("media.aside")
    if folder.exists():
        folder.rename(aside)
    folder.write_bytes(b"")
    try:
        yield
    finally:
        folder.unlink()
        if aside.exists():
            aside.rename(folder)


@contextlib.contextmanager
def lost_table(instance: Instance, table: str) -> Iterator[None]:
    """Rename a table, so that all that reads it fails."""

    def rename(old: str, new: str) -> None:
        raw = sqlite3.connect(instance.directory / "stormpetrel.db", isolation_level=None, timeout=20)
        # Other tables, triggers and indexes go on to name it as before.
        raw.execute("PRAGMA legacy_alter_table = ON")
        raw.execute(f"ALTER TABLE {old} RENAME TO {new}")
        raw.close()

    rename(table, f"{table}_aside")
    try:
        yield
    finally:
        rename(f"{table}_aside", table)


@contextlib.contextmanager
def in_use(use: Callable[[], object]) -> Iterator[None]:
    """Use the instance ten times a second meanwhile, as a person or an app would, whatever it answers."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.1):
            use()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def cut_provider(instance: Instance) -> Iterator[None]:
    """Let no text out."""
    instance.run_cli("sms", "pause", "drop")
    try:
        yield
    finally:
        instance.run_cli("sms", "resume", "drop")


BREAKS = (
    Break("all web workers are stopped", WEB, lambda instance: stopped(instance, "petrel-web-")),
    Break(
        "the process for passwords is stopped", frozenset({"Sign-in"}), lambda i: stopped(i, "petrel-heavy")
    ),
    Break("the role sms is stopped", frozenset({"SMS in", "SMS out"}), lambda i: stopped(i, "petrel-sms")),
    Break("the database is locked", frozenset({"Posting", "Sign-in", "SMS out"}), locked_database),
    Break("the disk of the web is full", frozenset({"Posting", "Sign-in"}), full_disk),
    Break("the store of media is lost", frozenset({"Media"}), lost_media_folder),
    Break("the index of hashtags is lost", frozenset({"Feeds"}), lambda i: lost_table(i, "tags")),
    Break("the provider is cut off", frozenset({"SMS out"}), cut_provider),
)


@contextlib.contextmanager
def all_others_stopped(instance: Instance) -> Iterator[None]:
    """Stop every process but the watch, also the supervisor."""
    pids = [pid for pid, name in children(instance.pid).items() if not name.startswith("petrel-watch")]
    for pid in (instance.pid, *pids):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in (*pids, instance.pid):
            os.kill(pid, signal.SIGCONT)


def fetch(url: str) -> tuple[int, bytes]:
    """Return status and body of a GET that ignores the environment's proxies."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def channels_not_green(instance: Instance) -> dict[str, str]:
    """Return the channels that the status page does not show as operational, with their states."""
    body = fetch(f"{instance.status_url}/api/v2/components.json")[1]
    found = {one["name"]: one["status"] for one in json.loads(body)["components"]}
    return {name: state for name, state in found.items() if state != "operational"}

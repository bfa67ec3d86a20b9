"""Read the running processes from /proc (proc(5)).

A process may end between any two reads: every function here then leaves it out, and raises no error. A zombie
counts as ended.
"""

import os
from collections.abc import Iterator
from pathlib import Path

DECODER = "stormpetrel.media.decode"


def is_running(pid: int) -> bool:
    """Return True if the process is alive."""
    return _state(pid) not in ("", "Z")


def children(of_pid: int) -> dict[int, str]:
    """Return pid → name of the live processes that any thread of `of_pid` started."""
    found = {}
    for pid in _child_pids(of_pid):
        name = _read(f"/proc/{pid}/comm").decode().strip()
        if name and is_running(pid):
            found[pid] = name
    return found


def named(of_pid: int, prefix: str) -> list[int]:
    """Return the pids of the children of `of_pid` whose names begin with `prefix`: petrel-web-,
    petrel-courier.
    """
    return [pid for pid, name in children(of_pid).items() if name.startswith(prefix)]


def decoders(of_pid: int | None = None) -> list[int]:
    """Return the pids of the media decoders that `of_pid` (by default this process) runs."""
    pids = _child_pids(of_pid or os.getpid())
    return [pid for pid in pids if DECODER.encode() in _read(f"/proc/{pid}/cmdline") and is_running(pid)]


def _child_pids(of_pid: int) -> Iterator[int]:
    for children_of_thread in Path(f"/proc/{of_pid}/task").glob("*/children"):
        yield from map(int, _read(children_of_thread).split())


def _state(pid: int) -> str:
    """Return the state, field 3 of proc(5), counted from the end of the name, which may contain blanks and
    brackets.
    """
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return fields[0].decode() if fields else ""


def _read(path: str | Path) -> bytes:
    """Return the file's bytes, or b"" if the process is gone: open() then fails with ENOENT, read() with
    ESRCH.
    """
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""

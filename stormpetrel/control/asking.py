"""The side of commands and pages of the control socket: one question, one answer; orders, and what became of them."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from stormpetrel.control import wire
from stormpetrel.control.entries import canonical_value
from stormpetrel.control.messages import (
    Answer,
    Ask,
    AskPause,
    AskRule,
    AskStatus,
    Done,
    Failed,
    StatusMessage,
    decode_answer,
)
from stormpetrel.errors import EnvironmentFailure, SetupError

TIMEOUT_S = 5.0


class WatchDown(EnvironmentFailure):
    """No watch runs in the data directory."""


class WatchSilent(EnvironmentFailure):
    """The watch has the question, and did not answer in time: an order may be in force, or will be soon."""


def order(data_dir: Path, wanted: AskRule | AskPause, *, timeout_s: float = TIMEOUT_S) -> Done | None:
    """Return the watch's answer to an order; None if it is in force although the watch did not answer in time.

    The watch puts an order in force first, and answers when the order is in the journal: with a slow disk, late.
    Raise as `ask` does, SetupError if the watch refuses, and WatchSilent if nothing more is known.
    """
    try:
        answer = ask(data_dir, wanted, timeout_s=timeout_s)
    except WatchSilent:
        try:
            status = ask(data_dir, AskStatus(), timeout_s=timeout_s)
        except WatchSilent:
            status = None
        if isinstance(status, StatusMessage) and _is_in_force(wanted, status):
            return None
        raise WatchSilent(
            "the watch role has the order and has not answered: it is busy, and the order may be in force soon "
            "(stormpetrel shield status shows it)"
        ) from None
    if isinstance(answer, Failed):
        raise SetupError(answer.text)
    assert isinstance(answer, Done)
    return answer


def _is_in_force(wanted: AskRule | AskPause, status: StatusMessage) -> bool:
    if isinstance(wanted, AskPause):
        return status.paused_until_epoch_s == wanted.until_epoch_s
    entry = wanted.entry
    key = (entry.kind, canonical_value(entry.kind, entry.value))
    if wanted.verdict == "none":
        return all(key != (one.kind, one.value) for one in (*status.allowed, *status.denied))
    shown = status.allowed if wanted.verdict == "allow" else status.denied
    # The end is part of it: an older rule about the same client is not this one.
    return any((*key, entry.expires_epoch_s) == (one.kind, one.value, one.expires_epoch_s) for one in shown)


def ask(data_dir: Path, question: Ask, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Return the watch's answer. Raise WatchDown if none runs, WatchSilent if it does not answer in time, and
    EnvironmentFailure if it cannot be asked."""
    down = f"the watch role is not running in {data_dir} (stormpetrel serve starts it)"
    try:
        with (
            wire.short_path(data_dir) as path,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock,
        ):
            sock.settimeout(timeout_s)
            sock.connect(path)
            if not wire.is_owner(sock):
                raise EnvironmentFailure(f"{data_dir / wire.FILE_NAME} belongs to a server of another user")
            sock.sendall(wire.framed(question))
            answer: Answer = decode_answer(wire.receive_blocking(sock))
            return answer
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise WatchDown(down) from error
    except PermissionError as error:
        raise EnvironmentFailure(f"{data_dir / wire.FILE_NAME} may be used by its owner only") from error
    except TimeoutError as error:
        raise WatchSilent(f"the watch role did not answer within {timeout_s:.0f} s") from error
    except (OSError, wire.BrokenMessage, msgspec.DecodeError) as error:
        raise EnvironmentFailure(f"cannot reach the watch role: {error}") from error

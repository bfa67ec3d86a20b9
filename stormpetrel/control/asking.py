"""The command's side of the control socket: one question, one answer."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from stormpetrel.control import wire
from stormpetrel.control.messages import Answer, Ask, decode_answer
from stormpetrel.errors import EnvironmentFailure

TIMEOUT_S = 5.0


class WatchDown(EnvironmentFailure):
    """No watch runs in the data directory."""


def ask(data_dir: Path, question: Ask) -> Answer:
    """Return the watch's answer. Raise WatchDown if there is none, EnvironmentFailure if it does not answer."""
    down = f"the watch role is not running in {data_dir} (stormpetrel serve starts it)"
    try:
        with (
            wire.short_path(data_dir) as path,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock,
        ):
            sock.settimeout(TIMEOUT_S)
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
        raise EnvironmentFailure(f"the watch role did not answer within {TIMEOUT_S:.0f} s") from error
    except (OSError, wire.BrokenMessage, msgspec.DecodeError) as error:
        raise EnvironmentFailure(f"cannot reach the watch role: {error}") from error

"""A program in a terminal. Tests check the text that a user would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

COLUMNS, LINES = 120, 40
PATIENCE_S = 30.0


class Screen:
    """A terminal of 120 by 40 characters that runs a program. `output`: its bytes so far."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.output = b""
        self.end, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        # The size is the terminal's: pytest-xdist sets COLUMNS for its own output.
        environ = {name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            env=environ | {"TERM": "xterm"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    def look(self, seconds: float = 0.1) -> str:
        """Process the program's output for `seconds` and return the text of the screen."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if not select.select([self.end], [], [], left_s)[0]:
                break
            try:
                data = os.read(self.end, 65_536)
            except OSError:  # the program has exited
                break
            self.output += data
            self.stream.feed(data)
        return "\n".join(self.screen.display)

    def until(self, text: str) -> str:
        """Wait until `text` is on the screen."""
        end_s = time.monotonic() + PATIENCE_S
        while text not in (shown := self.look()):
            assert self.process.poll() is None, f"the program ended: {shown}"
            assert time.monotonic() < end_s, f"no {text!r} on the screen:\n{shown}"
        return shown

    def code(self) -> int:
        """Wait until the program ends and return its code. Reads meanwhile: a full terminal stops a program."""
        end_s = time.monotonic() + PATIENCE_S
        while (code := self.process.poll()) is None:
            assert time.monotonic() < end_s, f"the program does not end: {self.look()}"
            self.look()
        return code

    def type_until(self, keys: str, text: str) -> None:
        """Type `keys` until `text` is on the screen: a program may ignore a key while it waits."""
        end_s = time.monotonic() + PATIENCE_S
        while text not in self.look():
            assert time.monotonic() < end_s, f"no {text!r} on the screen"
            self.type(keys)
            retry_s = time.monotonic() + 5
            while text not in self.look() and time.monotonic() < retry_s:
                pass

    def type(self, keys: str) -> None:
        os.write(self.end, keys.encode())

    def is_as_before(self) -> bool:
        """Return True if the terminal shows typed keys and waits for Enter, as before the program."""
        flags: int = termios.tcgetattr(self.end)[3]
        return bool(flags & termios.ICANON and flags & termios.ECHO)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.end)

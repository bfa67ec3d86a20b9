"""Guesses at one account's password from many addresses at a steady rate, with bare (cheap) sockets."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlencode

ADDRESSES = 3000


@dataclass
class Outcome:
    """`statuses` counts the answers by status. Status 0 stands for no answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0


def address(number: int, networks: int) -> str:
    """Return the loopback address number `number`, in one of `networks` /24s."""
    network = number % networks
    return f"127.{50 + network // 250}.{network % 250}.{1 + (number // networks) % 250}"


async def flood(
    port: int,
    login: str,
    *,
    form: dict[str, str],
    cookie: str,
    per_s: float,
    seconds: float,
    networks: int = ADDRESSES,
) -> Outcome:
    """Send wrong passwords for `login`. `form` and `cookie` come from a sign-in page."""
    outcome = Outcome()
    started_s = time.monotonic()

    async def guess(number: int) -> None:
        body = urlencode(form | {"user[email]": login, "user[password]": f"wrong password {number}"}).encode()
        head = (
            f"POST /auth/sign_in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(address(number % ADDRESSES, networks), 0)
            )
            writer.write(head + body)
            answer = await asyncio.wait_for(reader.read(64), 20)
            outcome.statuses[int(answer.split(b" ", 2)[1]) if answer else 0] += 1
            writer.close()
        except (OSError, TimeoutError):
            outcome.statuses[0] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(int(per_s * seconds)):
            await asyncio.sleep(max(0.0, started_s + number / per_s - time.monotonic()))
            group.create_task(guess(number))
    outcome.seconds = time.monotonic() - started_s
    return outcome

"""`serve` with a small web worker instead of the real one, for tests of the supervisor.

    python tests/standin_server.py ROLE…      serves these roles with the configuration of the environment

GET /pid answers with the worker's process id, /slow starts its answer and ends it a second later, /publish?N
sends N to the other workers, /note?N keeps N as if it was being committed, /heard answers with the events that this
worker received, /hash checks that the heavy child verifies a password, /stuck blocks the event loop forever, /die
ends the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from stormpetrel.config_loader import load
from stormpetrel.errors import Busy
from stormpetrel.model.event import NotificationsRemoved, PostChanged
from stormpetrel.process.cpu_worker import hash_password_now
from stormpetrel.roles.serve import ROLES, serve

SLOW_S = 1.0


async def web(*, config, sock, bus, heavy, stop, secret):
    heard = []
    bus.on_events = lambda events: heard.extend(type(event).__name__ for event in events)
    open_requests = set()

    async def respond(path, argument):
        if path == "/pid":
            return str(os.getpid())
        if path == "/slow":
            await asyncio.sleep(SLOW_S)
            return "slow but whole"
        if path == "/publish":
            bus.publish([PostChanged(int(argument), 1)])
            return "told"
        if path == "/note":
            bus.pending.note([NotificationsRemoved(int(argument))])
            return str(os.getpid())
        if path == "/heard":
            bus.drain()
            return f"{os.getpid()} {' '.join(heard)}"
        if path == "/hash":
            try:
                return str(await heavy.verify_password(hash_password_now("x"), "x", urgency=1))
            except Busy:
                return "busy"
        if path == "/secret":
            return secret.hex()
        if path == "/stuck":
            (config.data_dir / "stuck").touch()
            time.sleep(1000)
        if path == "/die":
            os._exit(7)
        return '{"status":"ok"}'

    async def client(reader, writer):
        open_requests.add(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path, _, argument = head.split()[1].decode().partition("?")
            body = (await respond(path, argument)).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            open_requests.discard(asyncio.current_task())

    server = await asyncio.start_server(client, sock=sock, backlog=4096)
    await stop.wait()
    server.close()
    if open_requests:
        await asyncio.wait(open_requests)


if __name__ == "__main__":
    sys.exit(serve(load(), roles=frozenset(sys.argv[1:] or ROLES), web=web))

"""More handles on a listening socket while connections queue on it, with real sockets and a loop that is busy."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time

import uvloop

from stormpetrel.edge.accepting import AGAIN_S, CALM_S, FEWEST, LONG, MOST, Acceptor, queued


class Greeter(asyncio.Protocol):
    """Says hello."""

    def connection_made(self, transport):
        transport.write(b"hello")
        transport.close()


def listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(256)
    sock.setblocking(False)
    return sock


def connected(address, count: int) -> list[socket.socket]:
    return [socket.create_connection(address, 5) for _ in range(count)]


def test_the_kernel_tells_how_many_connections_wait():
    with listening() as sock:
        clients = connected(sock.getsockname(), 5)
        assert queued(sock) == 5
        for client in clients:
            client.close()
    assert queued(sock) == 0  # closed


def test_handles_are_added_while_connections_queue_and_closed_in_calm():
    async def place() -> list[int]:
        sock = listening()
        acceptor = Acceptor(asyncio.get_running_loop(), Greeter, sock)
        await acceptor.open()
        counts = [len(acceptor)]
        # The loop is busy meanwhile, so all of them queue.
        clients = connected(sock.getsockname(), LONG)
        acceptor.turn(100.0)
        await asyncio.sleep(0)
        counts.append(len(acceptor))
        clients += connected(sock.getsockname(), 3 * LONG)
        acceptor.turn(100.1)
        acceptor.turn(100.1)
        for client in clients:
            client.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(client, 10) == b"hello"
            client.close()
        counts.append(len(acceptor))
        for at_s in (100.2, 100.1 + CALM_S - 0.01, 100.1 + CALM_S):
            acceptor.turn(at_s)
            counts.append(len(acceptor))
        # Those that are left accept, and open again when they must.
        await asyncio.sleep(0.05)
        again = connected(sock.getsockname(), 2 * LONG)
        acceptor.turn(200.0)
        for client in again:
            client.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(client, 10) == b"hello"
            client.close()
        counts.append(len(acceptor))
        acceptor.close()
        await acceptor.wait_closed()
        return counts

    assert uvloop.run(place()) == [FEWEST, FEWEST, MOST, MOST, MOST, FEWEST, MOST]


def test_closing_while_handles_are_added_leaves_none():
    async def place() -> tuple[str, int]:
        sock = listening()
        address = sock.getsockname()
        acceptor = Acceptor(asyncio.get_running_loop(), Greeter, sock)
        await acceptor.open()
        clients = connected(address, 2 * LONG)
        acceptor.turn(100.0)
        acceptor.close()
        await acceptor.wait_closed()
        await asyncio.sleep(0.05)
        for client in clients:
            client.close()
        try:
            socket.create_connection(address, 1).close()
        except ConnectionRefusedError:
            return address
        raise AssertionError("something still listens")

    started_s = time.monotonic()
    uvloop.run(place())
    assert time.monotonic() - started_s < 30


def test_without_file_descriptors_it_goes_on_with_fewer_handles_and_tries_again():
    async def place() -> list[int]:
        sock = listening()
        acceptor = Acceptor(asyncio.get_running_loop(), Greeter, sock)
        await acceptor.open()
        counts = []
        clients = connected(sock.getsockname(), 3 * LONG)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 3, hard))
        try:
            acceptor.turn(100.0)
            await asyncio.sleep(0)
            counts.append(len(acceptor))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        clients += connected(sock.getsockname(), 2 * LONG)
        acceptor.turn(100.5)
        counts.append(len(acceptor))
        acceptor.turn(100.0 + AGAIN_S)
        await asyncio.sleep(0)
        counts.append(len(acceptor))
        answers = set()
        # A connection that was accepted while there was no descriptor for it is closed.
        for client in clients:
            client.setblocking(False)
            answers.add(await asyncio.get_running_loop().sock_recv(client, 10))
            client.close()
        acceptor.turn(100.0 + AGAIN_S + CALM_S)
        counts.append(len(acceptor))
        acceptor.close()
        await acceptor.wait_closed()
        assert answers <= {b"hello", b""}
        return counts

    fewer, later, again, calm = uvloop.run(place())
    assert FEWEST <= fewer < FEWEST + 4
    assert later == fewer
    assert (again, calm) == (MOST, FEWEST)

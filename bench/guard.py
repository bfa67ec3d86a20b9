"""A flood of new connections from listed sources, with and without the guard, between two network namespaces.

    python bench/guard.py [--rate 5000] [--rounds 3] [--seconds 5] [--quick] [--json]

For root, with nftables. One worker on core 0 refuses each request of 5,000 sources by its ceiling; the generator is
on core 1. `server` and `guard` (with its nft): CPU of these processes, in percent of a core. `kernel`: the time to
drop a packet of a listed source, beyond that of a packet for another machine, by raw frames, times the rate.
With the guard, a thirtieth of the sources is listed again each second, as in the first half-minute of an attack.
`server_us`: for each accepted connection. `watch`: the time to choose among as many sources, in the worst second.
Target: at most 10 % of a core together at 5,000 a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peers

from stormpetrel.control import wire
from stormpetrel.control.guard_messages import FILE_NAME, GuardList, decode_report
from stormpetrel.shield.reports import StrangerSource
from stormpetrel.watch.guard_plan import STRIKES, GuardInputs, GuardPlan

SERVER, CLIENTS, PORT = "45.91.0.1", "45.91.0.2", 8080
CEILING = {"requests_per_5min": 1}
"""The first request of each source is admitted, the others are refused."""
SOURCES = 5_000
LASTS_S = 30
GIVES_UP_S = 0.5
FRAMES = 100_000
BIND_ADDRESS_NO_PORT = 24
REQUEST = b"GET /api/v1/timelines/home HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"


def source(number: int) -> str:
    """Return the address of a source: few in each /24, so that the watch lists addresses and not networks."""
    return f"45.90.{1 + number // 25}.{number % 25 + 1}"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send a small answer, for the few admitted requests."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


# In the clients' namespace ---------------------------------------------------------------------------------


def flood(rate: float, seconds: float) -> dict[str, int]:
    """Open `rate` connections a second, whatever becomes of them; return the counts."""
    counts = {"opened": 0}
    poll = select.epoll()
    open_sockets: dict[int, tuple[socket.socket, float]] = {}
    began_s = time.monotonic()
    while (now_s := time.monotonic()) < began_s + seconds:
        while counts["opened"] < (now_s - began_s) * rate:
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source(counts["opened"] % SOURCES), 0))
            with contextlib.suppress(BlockingIOError):
                sock.connect((SERVER, PORT))
            open_sockets[sock.fileno()] = (sock, now_s)
            poll.register(sock.fileno(), select.EPOLLOUT)
            counts["opened"] += 1
        for handle, event in poll.poll(0.005):
            sock, _ = open_sockets[handle]
            try:
                if event & select.EPOLLOUT:
                    sock.send(REQUEST)
                    poll.modify(handle, select.EPOLLIN)
                    continue
                sock.recv(4096)
            except OSError:
                pass
            del open_sockets[handle]
            sock.close()
        for handle, (sock, opened_s) in list(open_sockets.items()):
            if now_s - opened_s < GIVES_UP_S:
                break
            del open_sockets[handle]
            sock.close()
    return counts


def frames(destination: str) -> float:
    """Return the CPU seconds that it takes to send FRAMES attempts to connect to an Ethernet address."""
    syn = struct.pack("!HHIIBBHHH", 40_000, PORT, 1, 0, 5 << 4, 2, 65_535, 0, 0)
    packets = []
    for number in range(SOURCES):
        head = struct.pack(
            "!BBHHHBBH4s4s",
            0x45,
            0,
            40,
            1,
            0,
            64,
            6,
            0,
            socket.inet_aton(source(number)),
            socket.inet_aton(SERVER),
        )
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xFFFF) + (total >> 16)
        check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        head = head[:10] + struct.pack("!H", check) + head[12:]
        packets.append(bytes.fromhex(destination.replace(":", "")) + b"\x02\0\0\0\0\x09\x08\0" + head + syn)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind(("cable", 0))
    began_s = time.process_time()
    for number in range(FRAMES):
        sock.send(packets[number % SOURCES])
    return time.process_time() - began_s


# The machines ----------------------------------------------------------------------------------------------


def inside(pid: int, *arguments: object) -> list[str]:
    """Return the command that runs a program in the network namespace of a process."""
    return ["nsenter", "-t", str(pid), "-n", "--", *map(str, arguments)]


@contextlib.contextmanager
def namespace() -> Iterator[int]:
    """Yield the pid of a process in a network namespace of its own."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()


@contextlib.contextmanager
def machines() -> Iterator[tuple[int, int]]:
    """Yield the namespaces of a server and of its clients, with a cable between them."""
    with namespace() as server, namespace() as clients:
        # The sources are behind a router, as on the Internet: the kernel keeps few neighbours.
        for pid, commands in (
            (
                server,
                (
                    f"link add cable type veth peer name cable netns {clients}",
                    f"address add {SERVER}/24 dev cable",
                    "link set cable up",
                    f"route add 45.90.0.0/16 via {CLIENTS}",
                ),
            ),
            (clients, (f"address add {CLIENTS}/24 dev cable", "link set lo up", "link set cable up")),
        ):
            for command in commands:
                subprocess.run(inside(pid, "ip", *command.split()), check=True)
        batch = "".join(f"address add {source(number)}/32 dev lo\n" for number in range(SOURCES))
        subprocess.run(inside(clients, "ip", "-batch", "-"), input=batch, text=True, check=True)
        yield server, clients


@contextlib.contextmanager
def served(server: int) -> Iterator[int]:
    """Run a worker in the server's namespace; yield its pid."""
    process = subprocess.Popen(
        inside(server, sys.executable, __file__, "--serve", PORT), stdout=subprocess.PIPE
    )
    try:
        time.sleep(2)
        peers.pin(process.pid, 0)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


class Guard:
    """A guard in the server's namespace, and the watch's side of its socket."""

    def __init__(self, server: int, folder: Path) -> None:
        self._listener = wire.listen(folder, FILE_NAME)
        self._listener.settimeout(20)
        command = ["-m", "stormpetrel", "guard", "--socket", folder / FILE_NAME, "--port", PORT]
        self.process = subprocess.Popen(inside(server, sys.executable, *command), stderr=subprocess.DEVNULL)
        self._sock, _ = self._listener.accept()

    def say(self, numbers: range) -> None:
        """List these sources; those that are listed, again."""
        listed = tuple((source(number % SOURCES), LASTS_S) for number in numbers)
        self._sock.sendall(wire.framed(GuardList(listed, tuple(name for name, _ in listed))))
        decode_report(wire.receive_blocking(self._sock))

    def cpu_s(self) -> float:
        """Return the CPU seconds of the guard and the nft processes that it ran."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / peers.TICKS_PER_S

    def close(self) -> None:
        """End the guard."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self._sock.close()
        self._listener.close()


def accepted(server: int) -> int:
    """Return how many connections the server's kernel has accepted."""
    text = subprocess.run(
        inside(server, "cat", "/proc/net/snmp"), capture_output=True, text=True, check=True
    ).stdout
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("PassiveOpens")])


def flooding(clients: int, rate: float, seconds: float) -> subprocess.Popen[str]:
    """Start the generator in the clients' namespace."""
    arguments = [sys.executable, __file__, "--flood", rate, "--seconds", seconds]
    process = subprocess.Popen(inside(clients, *arguments), stdout=subprocess.PIPE, text=True)
    peers.pin(process.pid, 1)
    return process


def run_once(
    server: int, clients: int, options: argparse.Namespace, folder: Path, *, has_guard: bool
) -> dict[str, float]:
    """Return the figures of a flood, in percent of a core."""
    with served(server) as pid, contextlib.ExitStack() as stack:
        guard = None
        if has_guard:
            guard = Guard(server, folder)
            stack.callback(guard.close)
            guard.say(range(SOURCES))
            time.sleep(1)
        accepted_before = accepted(server)
        before_s, guard_before_s = peers.cpu_s(pid), guard.cpu_s() if guard else 0.0
        began_s = time.monotonic()
        generator = flooding(clients, options.rate, options.seconds)
        step, again = SOURCES // LASTS_S, 0
        while guard is not None and generator.poll() is None:
            guard.say(range(SOURCES + again, SOURCES + again + step))
            again += step
            time.sleep(1)
        text, _ = generator.communicate(timeout=60)
        passed_s = time.monotonic() - began_s
        counts = json.loads(text)
        used_s, taken = peers.cpu_s(pid) - before_s, accepted(server) - accepted_before
        return {
            "opened_per_s": counts["opened"] / options.seconds,
            "accepted_per_s": taken / options.seconds,
            "server_us": used_s / max(taken, 1) * 1e6 if not has_guard else 0.0,
            "server": 100 * used_s / passed_s,
            "guard": 100 * ((guard.cpu_s() - guard_before_s) if guard else 0.0) / passed_s,
        }


def drop_us(server: int, clients: int, folder: Path, *, rounds: int) -> float:
    """Return the microseconds of the kernel to drop a packet of a listed source, the least of some rounds."""
    link = subprocess.run(
        inside(server, "ip", "-j", "link", "show", "cable"), capture_output=True, text=True, check=True
    )
    own = json.loads(link.stdout)[0]["address"]
    guard = Guard(server, folder)
    best = {own: float("inf"), "02:00:00:00:00:77": float("inf")}
    try:
        guard.say(range(SOURCES))
        for _ in range(rounds):
            for destination in best:
                command = inside(clients, sys.executable, __file__, "--frames", destination)
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                best[destination] = min(best[destination], float(done.stdout))
    finally:
        guard.close()
    return (best[own] - best["02:00:00:00:00:77"]) / FRAMES * 1e6


def planning_ms() -> float:
    """Return the milliseconds of the watch to choose among SOURCES, the most of the seconds up to their listing."""
    plan = GuardPlan(is_known=lambda _: False)
    inputs = GuardInputs([StrangerSource(source(number), 5, 9) for number in range(SOURCES)])
    longest_s = 0.0
    for at in range(STRIKES + 1):
        began_s = time.thread_time()
        plan.second(inputs, at_s=float(at))
        longest_s = max(longest_s, time.thread_time() - began_s)
    return longest_s * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="one round of two seconds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--flood", type=float, metavar="RATE", help=argparse.SUPPRESS)
    parser.add_argument("--frames", metavar="ADDRESS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 2.0
    if options.serve:
        peers.serve(app, port=options.serve, host=SERVER, shield=CEILING)
        return
    if options.flood:
        print(json.dumps(flood(options.flood, options.seconds)))
        return
    if options.frames:
        peers.pin(os.getpid(), 1)
        print(frames(options.frames))
        return
    if os.geteuid() != 0:
        print("bench/guard.py needs root, for network namespaces")
        return
    with machines() as (server, clients), tempfile.TemporaryDirectory() as folder:
        kernel_us = drop_us(server, clients, Path(folder), rounds=max(3, options.rounds))
        runs: dict[str, list[dict[str, float]]] = {"without the guard": [], "with the guard": []}
        for _ in range(options.rounds):
            for way, found in runs.items():
                has_guard = way == "with the guard"
                found.append(run_once(server, clients, options, Path(folder), has_guard=has_guard))
    rows: list[dict[str, Any]] = []
    for way, found in runs.items():
        row: dict[str, Any] = {"way": way}
        row |= {name: peers.spread([run[name] for run in found]) for name in found[0]}
        row["kernel"] = kernel_us * options.rate / 1e6 * 100 if way == "with the guard" else 0.0
        row["watch"] = planning_ms() / 10 if way == "with the guard" else 0.0
        rows.append(row)
    peers.show(rows, as_json=options.json)
    print(f"A dropped packet takes the kernel {kernel_us:.2f} µs.")


if __name__ == "__main__":
    main()

"""A member's app while 20 connections of strangers send the most expensive bodies: latency and blame.

    python bench/dear_bodies.py [--seconds 20] [--connections 20] [--quick] [--json]

One web worker on core 0, the watch beside it, SQLite; the senders and the member on the other core. The
member reads home and posts, 20 requests a second. For comparison: the same member alone. Targets: p99 50 ms,
no refusal, and the senders' address first in the watch's list of the most expensive clients.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import places

SENDER = "127.0.0.9"
PER_S = 20.0
BODY_BYTES = 65_000


def _bodies() -> list[bytes]:
    form, jsons = b"application/x-www-form-urlencoded", b"application/json"
    texts = (
        (b"/api/v1/apps", form, b"client_name=" + b"%41" * (BODY_BYTES // 3 - 20)),
        (b"/oauth/token", form, b"%25" * (BODY_BYTES // 3)),
        (b"/api/v1/apps", jsons, b'{"client_name":[' + b"[]," * 3000 + b"0]}"),
        (b"/api/v1/apps", jsons, b'{"client_name":[' + b"1.2345678901234567e-300," * 2600 + b"0]}"),
        (b"/auth/sign_in", form, b"a=" + b"%E0%B8%81" * (BODY_BYTES // 9 - 10)),
    )
    return [
        b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: " + kind
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        for path, kind, body in texts
    ]  # fmt: skip


@dataclass(slots=True)
class CanaryRecord:
    """Measurements of the member's requests."""

    requests: int
    refused: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    sent: int = 0
    sent_mbit_per_s: float = 0.0
    blamed: str = ""


async def _send(port: int, body: bytes, ends_s: float) -> int:
    sent = 0
    while time.monotonic() < ends_s:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(SENDER, 0))
        except OSError:
            await asyncio.sleep(0.05)
            continue
        try:
            while time.monotonic() < ends_s:
                writer.write(body)
                await asyncio.wait_for(writer.drain(), 5)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                sent += 1
                length = next(
                    (
                        int(line[15:])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length:")
                    ),
                    0,
                )
                await reader.readexactly(length)
        except (OSError, EOFError, TimeoutError):
            pass
        finally:
            writer.close()
    return sent


async def _member(port: int, token: str, seconds: float) -> CanaryRecord:
    waits: list[float] = []
    refused = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began_s = time.monotonic()
    number = 0
    while (now_s := time.monotonic()) < began_s + seconds:
        number += 1
        if number % 10:
            request = (
                "GET /api/v1/timelines/home?limit=20 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {token}\r\n\r\n"
            )
        else:
            body = json.dumps({"status": f"post {number} of {began_s}"})
            request = (
                "POST /api/v1/statuses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            )
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        waits.append(time.monotonic() - now_s)
        refused += not head.startswith(b"HTTP/1.1 200")
        await asyncio.sleep(max(0.0, began_s + number / PER_S - time.monotonic()))
    writer.close()
    cuts = statistics.quantiles(waits, n=100)
    return CanaryRecord(len(waits), refused, cuts[49] * 1000, cuts[98] * 1000, max(waits) * 1000)


async def _run(place: places.Place, token: str, seconds: float, connections: int) -> CanaryRecord:
    bodies = _bodies()
    ends_s = time.monotonic() + seconds
    senders = [
        asyncio.create_task(_send(place.port, bodies[n % len(bodies)], ends_s)) for n in range(connections)
    ]
    member = asyncio.create_task(_member(place.port, token, seconds))
    blamed = ""
    if connections:
        await asyncio.sleep(seconds * 0.7)
        command = [*places.STORMPETREL, "shield", "status", "--json"]
        told = await asyncio.to_thread(
            lambda: subprocess.run(command, env=place.environ, capture_output=True, text=True, check=False)
        )
        offenders = json.loads(told.stdout).get("offenders", []) if told.stdout else []
        blamed = ", ".join(f"{one['identity']} {one['cpu_s']:.2f} s" for one in offenders[:2])
    seen = await member
    seen.sent = sum(await asyncio.gather(*senders))
    seen.sent_mbit_per_s = seen.sent * BODY_BYTES * 8 / seconds / 1e6
    seen.blamed = blamed
    return seen


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    seconds = 5.0 if options.quick else options.seconds
    with tempfile.TemporaryDirectory() as directory:
        seeding = [*places.seed(500, 10_000, 30), "--reader", "reader", "--reader-follows", "100"]
        with places.place(Path(directory), seeding, only_web=False) as place:
            token = place.token("reader")
            alone = asyncio.run(_run(place, token, seconds / 2, 0))
            among = asyncio.run(_run(place, token, seconds, options.connections))
    if options.json:
        print(json.dumps({"alone": asdict(alone), "among": asdict(among)}))
        return
    print(
        f"{'':24} {'requests':>8} {'refused':>7} {'p50 ms':>7} {'p99 ms':>7} {'worst':>7} {'Mbit/s':>7}  blamed"
    )
    for name, one in (("alone", alone), (f"among {options.connections} senders", among)):
        print(
            f"{name:24} {one.requests:8} {one.refused:7} {one.p50_ms:7.1f} {one.p99_ms:7.1f} {one.worst_ms:7.1f} "
            f"{one.sent_mbit_per_s:7.1f}  {one.blamed}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

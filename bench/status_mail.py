"""How soon an update reaches 10,000 subscribers by mail, and what it costs the courier.

    python bench/status_mail.py [--subscribers 10000] [--rounds 3] [--quick] [--json]

An instance with every role sends to a mail server in a process of its own, which offers PIPELINING and stores nothing
but the number of mails to each address. From the command that opens an incident to the last mail; CPU time of the
processes from /proc. Target: 60 s, and 5 % of a core in that time (3 s of CPU).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stormpetrel.model.ids import IdMaker  # noqa: E402
from stormpetrel.model.mail import new_link  # noqa: E402
from stormpetrel.model.status_subscription import SubscriptionKind  # noqa: E402
from stormpetrel.storage import status_subscriptions  # noqa: E402
from stormpetrel.storage.engine.connection import connect, transaction  # noqa: E402
from tests.instance import Instance, running_instance  # noqa: E402

LONGEST_S = 120.0
TARGET_S, TARGET_CPU_S = 60.0, 3.0
TICKS = os.sysconf("SC_CLK_TCK")


class Sink(asyncio.Protocol):
    """One connection: answers a whole pipelined group at once. `counts`: mails by recipient."""

    counts: ClassVar[dict[bytes, int]] = {}

    def connection_made(self, transport):
        self.transport = transport
        self.kept, self.is_data, self.recipient = b"", False, b""
        transport.write(b"220 sink\r\n")

    def data_received(self, data):
        self.kept += data
        answers = []
        while True:
            end = b"\r\n.\r\n" if self.is_data else b"\r\n"
            found = self.kept.find(end)
            if found < 0:
                break
            line, self.kept = self.kept[:found], self.kept[found + len(end) :]
            answers.append(self.answer(line))
        self.transport.write(b"".join(answers))

    def answer(self, line):
        if self.is_data:
            self.is_data = False
            self.counts[self.recipient] = self.counts.get(self.recipient, 0) + 1
            return b"250 accepted\r\n"
        word = line[:4].upper()
        if word == b"DATA":
            self.is_data = True
            return b"354 go on\r\n"
        if word == b"RCPT":
            self.recipient = line
        return b"250-sink\r\n250 PIPELINING\r\n" if word == b"EHLO" else b"250 fine\r\n"


def run_sink(pipe: Connection) -> None:
    """Run the mail server; answer each message of the pipe with (mails, recipients), and forget them on "reset"."""

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Sink, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])

        def asked():
            if pipe.recv() == "reset":
                Sink.counts.clear()
            pipe.send((sum(Sink.counts.values()), len(Sink.counts)))

        loop.add_reader(pipe.fileno(), asked)
        await asyncio.Event().wait()

    asyncio.run(main())


def subscribe(url: str, count: int) -> None:
    """Store active subscriptions."""
    connection = connect(url, ids=IdMaker(63))
    now_ms = time.time_ns() // 1_000_000
    with transaction(connection):
        for number in range(count):
            link = new_link(b"x" * 32, f"{number}")
            id = status_subscriptions.add(
                connection,
                kind=SubscriptionKind.EMAIL,
                target=f"subscriber-{number}@example.org",
                host="",
                channels=(),
                nonce=link.nonce,
                token_hash=link.token_hash,
                now_ms=now_ms,
            )
            status_subscriptions.activate(connection, id=id, channels=())
    connection.close()


def pids(instance: Instance) -> dict[str, int]:
    """Return the processes of the instance by name."""
    children = Path(f"/proc/{instance.pid}/task/{instance.pid}/children").read_text().split()
    return {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in children}


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def one_round(instance: Instance, pipe: Connection, count: int) -> dict[str, float]:
    """Open an incident; return seconds, CPU seconds of courier and watch, and mails that came twice."""
    pipe.send("reset")
    pipe.recv()
    processes = pids(instance)
    courier, watch = processes["petrel-courier"], processes["petrel-watch"]
    before = cpu_s(courier), cpu_s(watch)
    began_s = time.monotonic()
    text = "Some apps get errors. We are looking into it, and tell you more within half an hour."
    instance.run_cli("incident", "start", "Apps get errors", "--text", text, "--channel", "apps")
    recipients = 0
    while recipients < count and time.monotonic() - began_s < LONGEST_S:
        time.sleep(0.05)
        pipe.send("")
        mails, recipients = pipe.recv()
    took_s = time.monotonic() - began_s
    time.sleep(1.0)
    return {
        "seconds": took_s,
        "courier_cpu_s": cpu_s(courier) - before[0],
        "watch_cpu_s": cpu_s(watch) - before[1],
        "missing": count - recipients,
        "twice": mails - recipients,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of 1,000")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count, rounds = (1000, 1) if options.quick else (options.subscribers, options.rounds)
    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.get_context("spawn").Process(target=run_sink, args=(theirs,), daemon=True)
    sink.start()
    mail = {"mail_transport": "smtp", "mail_host": "127.0.0.1", "mail_port": ours.recv()}
    mail |= {"mail_security": "none", "mail_confirm": "off", "web_workers": 1}
    found = []
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        url = f"sqlite:///{place / 'stormpetrel.db'}"
        with running_instance(place, url, **mail) as instance:
            subscribe(url, count)
            time.sleep(2.0)
            for _ in range(rounds):
                found.append(one_round(instance, ours, count))
    sink.terminate()
    if options.json:
        print(json.dumps({"subscribers": count, "rounds": found}))
        return
    print(f"{count} subscribers, {rounds} rounds, min / median / max; load {os.getloadavg()[0]:.1f}")
    for name in found[0]:
        values = [one[name] for one in found]
        print(f"  {name}: {min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f}")
    print(f"target: {TARGET_S:.0f} s, {TARGET_CPU_S:.1f} s of CPU for 10,000")


if __name__ == "__main__":
    main()

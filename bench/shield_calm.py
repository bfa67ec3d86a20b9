"""What the shield costs an ordinary request in calm: mode `full` beside `off`, and how little an edge alone costs.

    python bench/shield_calm.py [--rounds 7] [--seconds 3] [--quick] [--json]

Two whole instances on SQLite, one web worker each on core 0, wrk on core 1, 4 keep-alive connections (as
many as have a slot: with more it would not be calm); an app reads its home timeline with a token, full and off
in turn. Then the same with an application that does nothing: there the edge and the shield are all there is,
so the difference is the shield's own time. The ratio is of CPU time per request, of each round's pair. Target:
at most 1.05 for the ordinary request.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import peers
import places

MODES = ("off", "full")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """As little as an application can do."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def rounds_of(
    targets: dict[str, tuple[str, int, list[str]]], *, rounds: int, seconds: float
) -> dict[str, list[peers.Run]]:
    """Runs by mode, in turn; a round that begins with one mode is followed by one that ends with it."""
    runs: dict[str, list[peers.Run]] = {mode: [] for mode in targets}
    for number in range(rounds):
        for mode in list(targets) if number % 2 else list(targets)[::-1]:
            url, pid, headers = targets[mode]
            runs[mode].append(peers.wrk(url, pid=pid, seconds=seconds, headers=headers, connections=4))
    return runs


def row(what: str, runs: dict[str, list[peers.Run]]) -> dict[str, Any]:
    """What full costs of off, pair by pair."""
    pairs = list(zip(runs["full"], runs["off"], strict=True))
    return {
        "what": what,
        "full_cpu_us": peers.spread([run.cpu_us for run in runs["full"]]),
        "off_cpu_us": peers.spread([run.cpu_us for run in runs["off"]]),
        "full_of_off": peers.spread([full.cpu_us / off.cpu_us for full, off in pairs]),
        "errors": sum(run.refused for pair in pairs for run in pair),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--quick", action="store_true", help="a smaller place, one short round")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("mode", nargs="?", default="full", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unlimited = {"requests_per_5min": 1_000_000_000}
    if options.serve:
        peers.serve(
            app,
            port=options.serve,
            hot_key=lambda path, query: None,
            shield={"mode": options.mode, **unlimited},
        )
        return
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    users, posts = (200, 2_000) if options.quick else (500, 10_000)
    rows = []
    with tempfile.TemporaryDirectory(prefix="petrel-calm-") as directory:
        reader = ["--reader", "reader", "--reader-follows", "100"]
        commands = [*places.seed(users, posts, 50), *reader]
        with (
            places.place(Path(directory) / "off", commands, shield_mode="off") as off,
            places.place(
                Path(directory) / "full",
                commands,
                shield_mode="full",
                shield_requests_per_5min=str(unlimited["requests_per_5min"]),
            ) as full,
        ):
            targets = {}
            for mode, place in (("off", off), ("full", full)):
                headers = [f"Authorization: Bearer {place.token('reader')}"]
                url = f"http://127.0.0.1:{place.port}/api/v1/timelines/home"
                targets[mode] = (url, place.workers()[0], headers)
            runs = rounds_of(targets, rounds=options.rounds, seconds=options.seconds)
            rows.append(row("an app's home timeline", runs))
    with (
        peers.edge(script=__file__, arguments=["off"]) as (off_port, off_pid),
        peers.edge(script=__file__, arguments=["full"]) as (full_port, full_pid),
    ):
        targets = {
            "off": (f"http://127.0.0.1:{off_port}/api/v1/x", off_pid, []),
            "full": (f"http://127.0.0.1:{full_port}/api/v1/x", full_pid, []),
        }
        runs = rounds_of(targets, rounds=options.rounds, seconds=options.seconds)
        rows.append(row("an application that does nothing", runs))
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()

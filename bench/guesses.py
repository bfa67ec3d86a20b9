"""Guesses at one account from 3,000 addresses, and how soon its owner can sign in meanwhile.

    python bench/guesses.py [--seconds 60] [--per-s 120] [--quick] [--json]

`serve` with two web workers. The guesses come from 3,000 networks of loopback; the owner, whose browser is
known, signs in once a second from another. Targets: the owner signs in at the first try within a second, and
at most 100 guesses are checked in an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import places

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx

from tests.forms import form_to, send, sign_in
from tests.guessing import Outcome, flood

NAME, PASSWORD = "Owner", "seven quiet harbours"


def sign_ins(base_url: str, until: asyncio.Event, browser: httpx.Client) -> tuple[list[float], list[int]]:
    """Sign in and out once a second until `until`; return the duration of each in ms, and its status."""
    took_ms: list[float] = []
    statuses: list[int] = []
    while not until.is_set():
        page = browser.get("/auth/sign_in")
        typed = {"user[email]": NAME, "user[password]": PASSWORD}
        began_s = time.perf_counter()
        statuses.append(send(browser, page, "/auth/sign_in", typed).status_code)
        took_ms.append((time.perf_counter() - began_s) * 1000)
        if statuses[-1] == 303:
            send(browser, browser.get("/about"), "/auth/sign_out")
        time.sleep(1.0)
    return took_ms, statuses


async def measure(port: int, *, per_s: float, seconds: float) -> dict[str, Any]:
    """Run the flood and the owner's sign-ins beside it."""
    base_url = f"http://127.0.0.1:{port}"
    with (
        httpx.Client(base_url=base_url, trust_env=False, timeout=20) as owner,
        httpx.Client(base_url=base_url, trust_env=False, timeout=20) as shown,
    ):
        sign_in(owner, NAME, PASSWORD)
        send(owner, owner.get("/about"), "/auth/sign_out")
        form = form_to(shown.get("/auth/sign_in"), "/auth/sign_in").fields
        cookie = "; ".join(f"{name}={value}" for name, value in shown.cookies.items())
        ended = asyncio.Event()
        owners = asyncio.create_task(asyncio.to_thread(sign_ins, base_url, ended, owner))
        outcome: Outcome = await flood(port, NAME, form=form, cookie=cookie, per_s=per_s, seconds=seconds)
        ended.set()
        took_ms, statuses = await owners
    return {
        "guesses": outcome.statuses.total(),
        "checked": outcome.statuses[422],
        "refused": outcome.statuses[429] + outcome.statuses[503],
        "owner_sign_ins": len(statuses),
        "owner_at_first_try": statuses.count(303),
        "owner_median_ms": round(sorted(took_ms)[len(took_ms) // 2]),
        "owner_longest_ms": round(max(took_ms)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--per-s", type=float, default=120.0)
    parser.add_argument("--quick", action="store_true", help="for eight seconds")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    add = ["user", "add", NAME, "--email", "owner@example.org", "--password", PASSWORD]
    with (
        tempfile.TemporaryDirectory() as directory,
        places.place(Path(directory), add, workers=2) as place,
    ):
        result = asyncio.run(
            measure(place.port, per_s=args.per_s, seconds=8.0 if args.quick else args.seconds)
        )
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:20} {value}")


if __name__ == "__main__":
    main()

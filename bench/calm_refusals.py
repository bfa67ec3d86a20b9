"""Requests in calm: is any of a million refused?

    python bench/calm_refusals.py [--requests 1000000] [--quick] [--json]

2,000 accounts on SQLite, two web workers and all other roles, the shield as configured by default. wrk sends from 16
connections: 600 members poll and read their homes and notifications with their tokens, and pages and profiles without
one. A request counts as refused if its status is 400 or more; the watch's own count of refusals stands beside it.
Target: 0 refused.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import peers
import places
from burst import refusals_counted, tokens_of

MEMBERS = 600
CONNECTIONS = 16
SECONDS = 20
DEFAULT_CEILING = "15000"
REPORT_S = 3.0
"""Workers report to the watch each second; after this long, all they counted is in its metrics."""


def script(tokens: list[str], names: list[str]) -> str:
    """Return the script for wrk: 10 requests in turn, the next member for each that has a token."""
    quoted = [", ".join(f'"{one}"' for one in many) for many in (tokens, names)]
    return f"""
local tokens, names, number = {{ {quoted[0]} }}, {{ {quoted[1]} }}, 0
local paths = {{
  "/api/v1/timelines/home", "/api/v1/timelines/home?limit=40", "/api/v1/notifications", "/api/v1/timelines/home",
  "/api/v1/accounts/verify_credentials", "/api/v1/timelines/public", "/api/v1/markers?timeline[]=home",
}}
request = function()
  number = number + 1
  local kind = number % 10
  if kind < 2 then return wrk.format("GET", "/") end
  if kind == 2 then return wrk.format("GET", "/@" .. names[number % #names + 1]) end
  local headers = {{ ["Authorization"] = "Bearer " .. tokens[math.floor(number / 10) % #tokens + 1] }}
  return wrk.format("GET", paths[kind - 2], headers)
end
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="10,000 requests")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wanted, seconds = (10_000, 2) if options.quick else (options.requests, SECONDS)
    with (
        tempfile.TemporaryDirectory(prefix="petrel-calm-") as directory,
        places.place(
            Path(directory),
            places.seed(2_000, 20_000, 50),
            workers=2,
            only_web=False,
            shield_requests_per_5min=DEFAULT_CEILING,
        ) as place,
    ):
        listed = json.loads(place.get("/api/v1/directory?limit=40"))
        members = tokens_of(
            f"sqlite:///{directory}/stormpetrel.db", MEMBERS, now_ms=time.time_ns() // 1_000_000
        )
        lua = script([token for _, token in members], [one["username"] for one in listed])
        sent = refused = 0
        began_s = time.monotonic()
        while sent < wanted:
            run = peers.wrk(
                f"http://127.0.0.1:{place.port}/",
                pid=place.pid,
                seconds=seconds,
                connections=CONNECTIONS,
                core=None,
                script=lua,
            )
            sent += round(run.requests_per_s * seconds)
            refused += run.refused
        took_s = time.monotonic() - began_s
        time.sleep(REPORT_S)
        counted = sum(refusals_counted(place).values())
    row = {"requests": sent, "per s": sent / took_s, "refused": refused, "refusals counted": counted}
    peers.show([row], as_json=options.json)
    if refused or counted:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""The figures of the spool that `stormpetrel sms status` prints and the operator's page shows."""

from __future__ import annotations

import sqlite3
from typing import Any

from stormpetrel.config import SmsConfig
from stormpetrel.storage.sms_spool import inbox, outbox, state
from stormpetrel.storage.sms_spool.money import day_of, micros, money, of_day

LANES = {
    1: "Security answers and STOP",
    2: "Direct messages, mentions and answers",
    3: "Followed posts",
    4: "Digests",
}


def figures(db: sqlite3.Connection, config: SmsConfig, *, now_ms: int) -> dict[str, Any]:
    """Return routes, inbox, outbox by lane, and money; amounts are decimal text."""
    states = state.route_states(db, now_ms=now_ms)
    stored, waiting, dropped = inbox.counts(db)
    lanes = outbox.lanes(db)
    spent, reserved = of_day(db, day=day_of(now_ms))
    return {
        "routes": [
            {
                "name": route.name,
                "provider": route.provider,
                "state": states.get(route.name, "down") if route.enabled else "down",
            }
            for route in config.routes
        ],
        "inbox": {"stored": stored, "waiting": waiting, "dropped": dropped},
        "outbox": {
            "waiting": sum(count for count, _ in lanes.values()),
            "sent": outbox.sent_count(db),
            "lanes": {
                str(lane): {
                    "queued": lanes[lane][0] if lane in lanes else 0,
                    "oldest_s": max(0, now_ms - lanes[lane][1]) // 1000 if lane in lanes else 0,
                }
                for lane in LANES
            },
        },
        "money": {
            "currency": config.currency,
            "spent_today": money(spent),
            "reserved": money(reserved),
            "cap_day": money(micros(config.cap_day)),
            "cap_month": money(micros(config.cap_month)),
        },
    }

"""The state of the guard in words, for commands and the control room."""

from __future__ import annotations

import time

from stormpetrel.control.messages import GuardState


def guard_text(guard: GuardState | None) -> str:
    """Return for example "blocks 12 sources in the kernel (340 packets dropped a second)"."""
    if guard is None or not guard.is_running:
        return "not running"
    if guard.problem:
        return f"fails: {guard.problem}"
    if guard.off_because:
        until_s = guard.off_until_epoch_s
        until = time.strftime(" until %H:%M:%S UTC", time.gmtime(until_s)) if until_s else ""
        return f"blocks nothing{until}: {guard.off_because}"
    sources = "1 source" if guard.listed == 1 else f"{guard.listed:,} sources"
    refused = f"; it refused {guard.refused:,} entries" if guard.refused else ""
    return f"blocks {sources} in the kernel ({guard.packets_per_s:,.0f} packets dropped a second){refused}"

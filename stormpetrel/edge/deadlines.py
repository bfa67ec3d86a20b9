"""The deadline of each state of a connection."""

from __future__ import annotations

from stormpetrel.config import EdgeConfig
from stormpetrel.edge.state import BODY, FLIGHT, HEAD, STREAM, UPLOAD, ConnectionState
from stormpetrel.edge.streams import HEARTBEAT_S
from stormpetrel.edge.wheel import NEVER
from stormpetrel.shield.classify import K3_FAR, LANES

LINGER_S = 2.0
MIN_UPLOAD_BYTES_PER_S = 32_768
"""The body deadline of an upload is extended by its size at this rate."""


def deadline_s(state: ConnectionState, config: EdgeConfig, now: float, body_end_s: float) -> float:
    """Return the time at which a state that is entered, or has made progress, ends: NEVER if only an event ends it.

    `body_end_s`: the end of the time for the whole body.
    """
    if state is BODY or state is UPLOAD:
        return min(body_end_s, now + config.body_stall_s)
    if state is HEAD:
        return now + config.header_timeout_s
    if state is STREAM:
        return now + HEARTBEAT_S
    if state is FLIGHT:
        return now + LANES[K3_FAR].deadline_s
    return NEVER


def body_end_s(config: EdgeConfig, now: float, *, length: int, limit: int) -> float:
    """Return the time at which a whole body must have come. `length`: its declared size; 0 for unknown.

    `limit`: its largest size. A body may be larger than `max_body_bytes` only if it is an upload.
    """
    upload_s = (length or limit) / MIN_UPLOAD_BYTES_PER_S if limit > config.max_body_bytes else 0.0
    return now + config.body_timeout_s + upload_s

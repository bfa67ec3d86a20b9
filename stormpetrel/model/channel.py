"""The channels of the service, by which people use it, and the states that the status page gives them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

CHANNEL_NAMES = {
    "web": "Web pages",
    "apps": "Apps",
    "posting": "Posting",
    "streaming": "Live updates",
    "sign_in": "Sign-in",
    "media": "Media",
    "feeds": "Feeds",
    "sms_in": "SMS in",
    "sms_out": "SMS out",
}
"""The channels by their key, in the order of the page."""


class ChannelState(StrEnum):
    """The state of a channel, in the words of common status pages, and `unknown` without a measurement."""

    OPERATIONAL = "operational"
    DEGRADED = "degraded_performance"
    PARTIAL = "partial_outage"
    MAJOR = "major_outage"
    MAINTENANCE = "under_maintenance"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """Return the state as people read it."""
        return self.value.replace("_", " ").capitalize()


_RANKS = (
    ChannelState.OPERATIONAL,
    ChannelState.MAINTENANCE,
    ChannelState.UNKNOWN,
    ChannelState.DEGRADED,
    ChannelState.PARTIAL,
    ChannelState.MAJOR,
)


def worst(states: Iterable[ChannelState]) -> ChannelState:
    """Return the worst of the states; OPERATIONAL for none."""
    return max(states, key=_RANKS.index, default=ChannelState.OPERATIONAL)

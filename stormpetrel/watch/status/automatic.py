"""Opens, follows and resolves an incident by itself when channels leave operational. A pure step, once a second.

It tells the measurements, in fixed words, and never a cause or a culprit. One automatic incident is open at a time:
further channels join it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState, worst
from stormpetrel.model.incident import Incident, IncidentUpdate
from stormpetrel.watch.status.channels import ChannelStatus
from stormpetrel.watch.status.incidents import with_update

OPENS_AFTER_S = 60.0
RESOLVES_AFTER_S = 60.0
UPDATE_EVERY_S = 30.0
"""One update names all changes of state since the one before."""
TROUBLED = (ChannelState.DEGRADED, ChannelState.PARTIAL, ChannelState.MAJOR)
_IMPACT = {ChannelState.DEGRADED: "minor", ChannelState.PARTIAL: "major", ChannelState.MAJOR: "critical"}
_IMPACTS = ("minor", "major", "critical")


@dataclass(slots=True)
class AutomaticIncident:
    """The open automatic incident, if any, and the states that its last update told. `new_id` makes ids."""

    new_id: Callable[[], str]
    current: Incident | None = None
    _told: dict[str, ChannelState] = field(default_factory=dict)

    def second(self, statuses: Iterable[ChannelStatus], *, now_epoch_s: float) -> Incident | None:
        """Return the incident if this second changed it."""
        now_ms = int(now_epoch_s * 1000)
        by_channel = {one.channel: one for one in statuses}
        lasting = [
            one for one in by_channel.values() if one.state in TROUBLED and _has_lasted(one, now_epoch_s)
        ]
        if self.current is None:
            return self._open(lasting, now_ms=now_ms) if lasting else None
        current = self.current
        joined = [one for one in lasting if one.channel not in current.channels]
        affected = [one for name, one in by_channel.items() if name in current.channels] + joined
        if not self._told:
            # The watch was restarted: the file has the incident, but not the states that it told.
            self._told = {one.channel: one.state for one in affected}
        if not any(one.state in TROUBLED for one in affected):
            return self._calm(current, affected, now_epoch_s=now_epoch_s)
        moved = [one for one in affected if self._told.get(one.channel) is not one.state]
        is_soon = now_ms - current.updated_ms < UPDATE_EVERY_S * 1000
        if not moved or (is_soon and not joined):
            return None
        channels = tuple(
            name for name in CHANNEL_NAMES if name in current.channels or name in by_channel_of(joined)
        )
        impacts = [current.impact, _IMPACT.get(worst(one.state for one in affected), "minor")]
        current = replace(
            current,
            channels=channels,
            impact=max(impacts, key=_rank),
            name=current.name if not joined else _name(channels),
        )
        return self._take(current, "investigating", _sentences(moved), affected, now_ms=now_ms)

    def _open(self, lasting: Sequence[ChannelStatus], *, now_ms: int) -> Incident:
        channels = tuple(name for name in CHANNEL_NAMES if name in by_channel_of(lasting))
        self.current = incident = Incident(
            self.new_id(),
            _name(channels),
            _IMPACT[worst(one.state for one in lasting)],
            channels,
            int(min(one.troubled_epoch_s for one in lasting) * 1000),
            (IncidentUpdate(self.new_id(), "investigating", _sentences(lasting), now_ms, is_automatic=True),),
            is_automatic=True,
        )
        self._told = {one.channel: one.state for one in lasting}
        return incident

    def _calm(
        self, current: Incident, affected: Sequence[ChannelStatus], *, now_epoch_s: float
    ) -> Incident | None:
        """Return the incident if it is monitored or resolved from now on; None if it stays as it is."""
        now_ms = int(now_epoch_s * 1000)
        if any(one.state is not ChannelState.OPERATIONAL for one in affected):
            # Unknown, or under maintenance: neither a trouble nor an end of it.
            return None
        since_s = max(one.since_epoch_s for one in affected)
        if current.status != "monitoring":
            text = f"{_names(by_channel_of(affected))}: operational since {_clock(since_s)}."
            return self._take(current, "monitoring", text, affected, now_ms=now_ms)
        if now_epoch_s - since_s < RESOLVES_AFTER_S:
            return None
        lasted_s = max(0.0, since_s - current.started_ms / 1000)
        text = f"All affected channels are operational since {_clock(since_s)}, after {_span(lasted_s)}."
        resolved = self._take(current, "resolved", text, affected, now_ms=now_ms)
        self.current = None
        self._told = {}
        return resolved

    def _take(
        self, incident: Incident, status: str, body: str, affected: Sequence[ChannelStatus], *, now_ms: int
    ) -> Incident:
        self.current = with_update(
            incident, status, body, now_ms=now_ms, new_id=self.new_id, is_automatic=True
        )
        self._told = {one.channel: one.state for one in affected}
        return self.current


def by_channel_of(statuses: Iterable[ChannelStatus]) -> tuple[str, ...]:
    """Return the channels of the statuses."""
    return tuple(one.channel for one in statuses)


def _has_lasted(one: ChannelStatus, now_epoch_s: float) -> bool:
    return bool(one.troubled_epoch_s) and now_epoch_s - one.troubled_epoch_s >= OPENS_AFTER_S


def _rank(impact: str) -> int:
    return _IMPACTS.index(impact) if impact in _IMPACTS else -1


def _sentences(statuses: Iterable[ChannelStatus]) -> str:
    return "\n".join(_sentence(one) for one in statuses)


def _sentence(one: ChannelStatus) -> str:
    text = f"{CHANNEL_NAMES[one.channel]}: {one.state.words.lower()} since {_clock(one.since_epoch_s)}."
    if one.reason:
        text += f" {one.reason}"
    if one.hurt:
        text += f" Apps affected: {', '.join(one.hurt)}."
    return text


def _name(channels: Sequence[str]) -> str:
    return f"Problems with {_names(channels)}"


def _names(channels: Sequence[str]) -> str:
    names = [CHANNEL_NAMES[channel] for channel in channels]
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _clock(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%H:%M:%S UTC")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7_200 else f"{seconds / 3600:.1f} hours"

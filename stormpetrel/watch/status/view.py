"""What the documents of the status page show, and how they write times. Frozen: one view makes all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from stormpetrel.config import Config
from stormpetrel.model.channel import ChannelState, worst
from stormpetrel.model.incident import Incident
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.status.board import StatusBoard
from stormpetrel.watch.status.channels import ChannelStatus
from stormpetrel.watch.status.history import DAY_S

TIMES_EVERY_MINUTES = 30
_INDICATORS = ("none", "maintenance", "minor", "major", "critical")
"""The overall states of common status pages, and the impacts of incidents, the worst last."""


@dataclass(frozen=True, slots=True)
class ChannelPast:
    """A channel's last 90 days. `states`: by day, today last; None where nothing was measured. `uptime`: 0 to 1.

    `times_ms`: mean response times of the last 24 hours, by half hour.
    """

    states: Sequence[ChannelState | None]
    uptime: float | None
    times_ms: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class PublicReport:
    """The public edition of an insight report. `forms`: its bodies by form, "html" and others.

    `number`: of the attack, which began at `from_ms`. `summary`: its first sentence.
    """

    number: int
    from_ms: int
    summary: str
    forms: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class StatusView:
    """The data of the status page at one moment.

    `page_url`: its public address, without a slash at the end. `incidents`: all, those that started last first.
    `past`: of the channels that are measured here. `suffix`: the end of the names of pages other than the first:
    ".html" in an export, otherwise "". `subscribe_url`: of the form of subscribers, "" if there is none. `reports`:
    those that were published.
    """

    title: str
    domain: str
    web_url: str
    page_url: str
    now_epoch_s: float
    channels: Sequence[ChannelStatus]
    past: dict[str, ChannelPast]
    incidents: Sequence[Incident]
    attack: Attack
    suffix: str = ""
    subscribe_url: str = ""
    reports: Sequence[PublicReport] = ()

    @property
    def page_id(self) -> str:
        """Return the id of the page, the same for good."""
        return hashlib.blake2b(self.domain.encode(), digest_size=6).hexdigest()

    @property
    def updated_ms(self) -> int:
        """Return when anything on the page was measured or written last."""
        times = [int(one.measured_epoch_s * 1000) for one in self.channels]
        times += [one.updated_ms for one in self.incidents[:20]]
        return max(times, default=0) or int(self.now_epoch_s * 1000)

    @property
    def indicator(self) -> tuple[str, str]:
        """Return the overall state as common status pages name it: indicator and description.

        An incident that operators opened counts too: they may know what no canary can measure.
        """
        measured = self._measured_indicator()
        impacts = [one.impact for one in self.open_incidents() if not one.is_automatic]
        impact = max(impacts, key=_INDICATORS.index, default="none")
        if _INDICATORS.index(impact) > _INDICATORS.index(measured[0]):
            return impact, "An incident is open"
        return measured

    def _measured_indicator(self) -> tuple[str, str]:
        states = [one.state for one in self.channels if one.is_measured]
        state = worst(states)
        if state is ChannelState.MAJOR:
            if states.count(state) * 2 > len(states):
                return "critical", "Major outage"
            return "major", "Partial outage"
        return {
            ChannelState.OPERATIONAL: ("none", "All systems operational"),
            ChannelState.MAINTENANCE: ("maintenance", "Maintenance in progress"),
            ChannelState.UNKNOWN: ("minor", "Some states are unknown"),
            ChannelState.DEGRADED: ("minor", "Degraded performance"),
            ChannelState.PARTIAL: ("major", "Partial outage"),
        }[state]

    @property
    def takes_subscriptions(self) -> bool:
        """Return True if the form of subscribers works: it needs the web role and the database."""
        needed = [one.state for one in self.channels if one.channel in ("web", "posting")]
        return ChannelState.MAJOR not in needed

    def open_incidents(self) -> list[Incident]:
        """Return the incidents that are not resolved."""
        return [one for one in self.incidents if one.is_open and not one.is_maintenance]

    def maintenance(self) -> list[Incident]:
        """Return the maintenance that is not completed, the next first."""
        found = [one for one in self.incidents if one.is_open and one.is_maintenance]
        return sorted(found, key=lambda one: one.scheduled_for_ms)


def view_of(
    config: Config,
    board: StatusBoard,
    *,
    attack: Attack,
    now_epoch_s: float,
    reports: Sequence[PublicReport] = (),
) -> StatusView:
    """Return the view of the board now."""
    today, minute = int(now_epoch_s // DAY_S), int(now_epoch_s // 60)
    history = board.history
    return StatusView(
        title=config.title,
        domain=config.domain,
        web_url=config.base_url,
        page_url=(config.status_url or config.base_url).rstrip("/"),
        now_epoch_s=now_epoch_s,
        channels=tuple(board.statuses.values()),
        past={
            channel: ChannelPast(
                history.states(channel, today=today),
                history.uptime(channel, today=today),
                history.times(channel, since_minute=minute - 1440, every=TIMES_EVERY_MINUTES),
            )
            for channel in board.statuses
        },
        incidents=sorted(board.incidents.values(), key=lambda one: -one.started_ms),
        attack=attack,
        subscribe_url=f"{config.base_url}/status/subscribe" if config.status.max_subscriptions else "",
        reports=reports,
    )


def clock(epoch_s: float) -> str:
    """Return a time of day as the pages write it."""
    return f"{datetime.fromtimestamp(epoch_s, UTC):%H:%M:%S}"

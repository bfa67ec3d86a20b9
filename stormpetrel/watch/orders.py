"""What the operator ordered, and the directions that workers get: whole snapshots that run out by themselves."""

from __future__ import annotations

from stormpetrel.control.entries import MAX_ENTRIES
from stormpetrel.errors import SetupError
from stormpetrel.shield.reports import Directions, Entry, Offender

EXPIRY_S = 10.0
"""Directions hold so long. They are sent each second: when the watch dies, its rules die with it."""
LONGEST_PAUSE_S = 86_400.0


class Orders:
    """Allows, denies and the pause that are in force. `version` rises with every snapshot."""

    def __init__(self) -> None:
        self.paused_until_epoch_s = 0.0
        self.version = 0
        self._entries: dict[tuple[str, str], tuple[str, Entry]] = {}

    def put(self, verdict: str, entry: Entry) -> None:
        """`verdict`: allow or deny. Replaces what was said of the same before. Raises SetupError when full."""
        key = (entry.kind, entry.value)
        if key not in self._entries and len(self._entries) >= MAX_ENTRIES:
            raise SetupError(f"there are {MAX_ENTRIES} entries already; take some back first")
        self._entries[key] = (verdict, entry)

    def take_back(self, kind: str, value: str) -> bool:
        """Whether anything was said of it."""
        return self._entries.pop((kind, value), None) is not None

    def forget_expired(self, *, now_epoch_s: float) -> None:
        """What has had its time is not in force any more."""
        self._entries = {
            key: found for key, found in self._entries.items() if found[1].expires_epoch_s > now_epoch_s
        }

    def said(self, verdict: str) -> tuple[Entry, ...]:
        """Every allow, or every deny."""
        return tuple(entry for found, entry in self._entries.values() if found == verdict)

    def directions(
        self,
        *,
        now_epoch_s: float,
        offenders: tuple[Offender, ...],
        onset_epoch_s: float,
        known_prefixes: tuple[tuple[str, int], ...] = (),
    ) -> Directions:
        """A new snapshot."""
        self.forget_expired(now_epoch_s=now_epoch_s)
        # The clock, so that a watch that was restarted goes on above what its predecessor said.
        self.version = max(self.version + 1, int(now_epoch_s * 1000))
        return Directions(
            version=self.version,
            expires_epoch_s=now_epoch_s + EXPIRY_S,
            allowed=self.said("allow"),
            denied=self.said("deny"),
            paused_until_epoch_s=self.paused_until_epoch_s,
            offenders=offenders,
            onset_epoch_s=onset_epoch_s,
            known_prefixes=known_prefixes,
        )

"""The operator's orders, and the directions for workers: complete snapshots that expire by themselves."""

from __future__ import annotations

from stormpetrel.errors import SetupError
from stormpetrel.shield.entries import MAX_ENTRIES, InvalidEntry, checked
from stormpetrel.shield.reports import Directions, Offender, OperatorEntry

EXPIRY_S = 10.0
"""How long directions hold. They are sent each second: when the watch dies, its rules expire."""
LONGEST_PAUSE_S = 86_400.0


class OperatorRules:
    """The allows, denies and the pause in force. `version` rises with every snapshot."""

    def __init__(self) -> None:
        self.paused_until_epoch_s = 0.0
        self.paused_at_epoch_s = 0.0
        """When the pause was last ordered or ended; 0 for never."""
        self.version = 0
        # By kind and value: the verdict ("none" for a withdrawn rule), the entry, and when it was ordered.
        self._entries: dict[tuple[str, str], tuple[str, OperatorEntry, float]] = {}

    def put(self, verdict: str, entry: OperatorEntry, *, set_at_epoch_s: float = 0.0) -> None:
        """Replace the rule about the same thing. `verdict`: allow or deny.

        Raise SetupError when there are too many.
        """
        key = (entry.kind, entry.value)
        if key not in self._entries and len(self._entries) >= MAX_ENTRIES:
            raise SetupError(f"there are already {MAX_ENTRIES} rules; remove some first")
        self._entries[key] = (verdict, entry, set_at_epoch_s)

    def take_back(self, kind: str, value: str, *, set_at_epoch_s: float = 0.0) -> OperatorEntry | None:
        """End a rule and return it; None when there is none."""
        found = self._entries.get((kind, value))
        if found is None or found[0] == "none":
            return None
        self._entries[kind, value] = ("none", found[1], set_at_epoch_s)
        return found[1]

    def pause(self, until_epoch_s: float, *, set_at_epoch_s: float) -> None:
        """Pause denies and demotions until then; 0 ends a pause."""
        self.paused_until_epoch_s, self.paused_at_epoch_s = until_epoch_s, set_at_epoch_s

    def merge(self, verdict: str, entry: OperatorEntry, *, set_at_epoch_s: float) -> bool:
        """Adopt another machine's order if later than the known one; return True if anything changed."""
        try:
            entry = checked(entry, now_epoch_s=set_at_epoch_s)
        except InvalidEntry:
            return False
        known = self._entries.get((entry.kind, entry.value))
        if known is not None and known[2] >= set_at_epoch_s:
            return False
        if known is None and len(self._entries) >= MAX_ENTRIES:
            return False
        self._entries[entry.kind, entry.value] = (verdict, entry, set_at_epoch_s)
        return verdict != "none" or (known is not None and known[0] != "none")

    def merge_pause(self, until_epoch_s: float, *, set_at_epoch_s: float) -> bool:
        """Adopt another machine's pause if it was ordered later; return True if anything changed."""
        if set_at_epoch_s <= self.paused_at_epoch_s:
            return False
        changed = until_epoch_s != self.paused_until_epoch_s
        self.pause(until_epoch_s, set_at_epoch_s=set_at_epoch_s)
        return changed

    def known(self) -> tuple[tuple[str, OperatorEntry, float], ...]:
        """Return every rule and every remembered withdrawal, each with the time of its order."""
        return tuple(self._entries.values())

    def forget_expired(self, *, now_epoch_s: float) -> None:
        """Drop expired rules."""
        self._entries = {
            key: found for key, found in self._entries.items() if found[1].expires_epoch_s > now_epoch_s
        }

    def said(self, verdict: str) -> tuple[OperatorEntry, ...]:
        """Return every allow, or every deny."""
        return tuple(entry for found, entry, _ in self._entries.values() if found == verdict)

    def directions(
        self,
        *,
        now_epoch_s: float,
        offenders: tuple[Offender, ...],
        onset_epoch_s: float,
        is_calm: bool = False,
        known_prefixes: tuple[tuple[str, int], ...] = (),
        wants_sources: bool = False,
    ) -> Directions:
        """Return a new snapshot."""
        self.forget_expired(now_epoch_s=now_epoch_s)
        # From the clock, so that a restarted watch continues above its predecessor's versions.
        self.version = max(self.version + 1, int(now_epoch_s * 1000))
        return Directions(
            version=self.version,
            expires_epoch_s=now_epoch_s + EXPIRY_S,
            allowed=self.said("allow"),
            denied=self.said("deny"),
            paused_until_epoch_s=self.paused_until_epoch_s,
            offenders=offenders,
            onset_epoch_s=onset_epoch_s,
            is_calm=is_calm,
            known_prefixes=known_prefixes,
            wants_sources=wants_sources,
        )

"""Phases in plain words, for the journal and for the pages of operators."""

from __future__ import annotations

from stormpetrel.insight.vectors import words_of
from stormpetrel.model.attack import AttackPhase

_VERDICTS = {
    "calm": "usual traffic",
    "crowd": "many people at once",
    "attack": "attack",
    "mixed": "attack, and many people at once",
    "unknown": "unusual traffic, not yet decided whether an attack",
}
MANY_NETWORKS = 100


def sentence(phase: AttackPhase) -> str:
    """Return a phase in one line: "attack: expensive reads (80 %), from about 900 networks"."""
    said = _VERDICTS[phase.verdict]
    if phase.verdict == "calm":
        return said
    if phase.vectors:
        named = ", ".join(f"{words_of(one.name).title} ({one.share:.0%})" for one in phase.vectors[:3])
        said = f"{said}: {named.replace('%', ' %')}"
    if phase.networks > 1 and phase.verdict != "unknown":
        about = phase.networks if phase.networks < MANY_NETWORKS else round(phase.networks, -2)
        said = f"{said}, from about {about:,} networks"
    return said

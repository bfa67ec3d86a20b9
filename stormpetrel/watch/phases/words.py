"""Phases in plain words, for the journal and for the pages of operators."""

from __future__ import annotations

from stormpetrel.model.attack import UNKNOWN_VECTOR, AttackPhase

MEANS = {
    "page_flood": "a flood of page views by programs",
    "few_sources": "many requests from few addresses",
    "expensive_reads": "expensive reads",
    "sign_in_flood": "sign-in attempts for many accounts",
    "account_guessing": "password guesses for one account",
    "shared_addresses": "a flood from addresses that members share",
    "stolen_credentials": "very many requests with few credentials",
    "forged_credentials": "forged credentials",
    "sms_pumping": "text messages from new numbers",
    "slow_connections": "connections that are kept open without progress",
    "streams": "streams opened in great number",
    "write_flood": "a flood of posts and other writes",
    "connection_churn": "connections that are opened and dropped",
    "provocation": "requests that claim the address of others",
    "expensive_bodies": "large bodies that are expensive to decode",
    "store_filling": "new accounts and applications in great number",
    "feeds_and_search": "feeds and searches from many networks",
    UNKNOWN_VECTOR: "means without a name",
}
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
        named = ", ".join(f"{MEANS[one.name]} ({one.share:.0%})" for one in phase.vectors[:3])
        said = f"{said}: {named.replace('%', ' %')}"
    if phase.networks > 1 and phase.verdict != "unknown":
        about = phase.networks if phase.networks < MANY_NETWORKS else round(phase.networks, -2)
        said = f"{said}, from about {about:,} networks"
    return said

"""Look up what a worker's shield knows of one identity now, for `stormpetrel shield why`."""

from __future__ import annotations

from stormpetrel.control.messages import Look, Standing
from stormpetrel.shield.agents import parts_of
from stormpetrel.shield.classify import (
    DEMOTED,
    ESTABLISHED,
    KNOWN,
    LANES,
    NEAR,
    classify,
)
from stormpetrel.shield.decide import Shield
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.prefixes import prefix_of


def standing(shield: Shield, look: Look, *, at_s: float, epoch_s: float) -> Standing:
    """Return the class of the identity's reads and the rest of its ceiling; change nothing."""
    kind, _, value = look.identity.partition(":")
    identity: Identity
    if kind == "account" and _is_number(value):
        identity = Identity("account", int(value))
    elif kind == "address":
        identity = Identity("address", value)
    else:
        # An application's own token counts as one of its address's strangers, and the
        # address is not known here.
        return Standing(look.number, "", 0, 0, is_demoted=False)
    is_demoted = any(shield.usage.is_demoted(part, at_s) for part in parts_of(identity))
    limit = shield.gate.ceiling.rate_limit(identity, at_s, epoch_s=epoch_s)
    return Standing(
        look.number,
        LANES[classify(_flags(shield, look, identity, is_demoted=is_demoted, epoch_s=epoch_s)).lane].name,
        limit.limit if limit is not None else 0,
        limit.remaining if limit is not None else 0,
        is_demoted=is_demoted,
    )


def _flags(shield: Shield, look: Look, identity: Identity, *, is_demoted: bool, epoch_s: float) -> int:
    flags = DEMOTED if is_demoted else 0
    if identity.kind == "address":
        if shield.prefixes.is_known(prefix_of(str(identity.value)), epoch_s=epoch_s):
            flags |= NEAR
        return flags
    is_older = not shield.cutoff_epoch_s or look.created_epoch_s < shield.cutoff_epoch_s
    return flags | KNOWN | (ESTABLISHED if is_older else 0)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()

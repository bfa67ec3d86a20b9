"""Orders: the directions of `watch`, indexed for look-ups. A full snapshot with its own expiry.

A deny matches no credential older than the onset of the attack, and never the operator, by credential or by
address: even a careless deny cannot shut out earlier users.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.shield.entries import canonical_value
from stormpetrel.shield.identify import Visit
from stormpetrel.shield.reports import Directions, OperatorEntry

REMEMBERED = 4096
OPERATOR_ADDRESSES = 64
NO_DIRECTIONS = Directions(version=0, expires_epoch_s=0.0)

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Side:
    """One side, allow or deny: entries by kind, and results for the latest addresses."""

    def __init__(self, entries: Iterable[OperatorEntry]) -> None:
        self.tokens: list[tuple[str, OperatorEntry]] = []
        self.accounts: dict[int, OperatorEntry] = {}
        self.applications: dict[str, OperatorEntry] = {}
        self.networks: list[tuple[_Network, OperatorEntry]] = []
        self._found: dict[str, OperatorEntry | None] = {}
        self.is_empty = True
        for entry in entries:
            self._add(entry)

    def _add(self, entry: OperatorEntry) -> None:
        value = canonical_value(entry.kind, entry.value)
        self.is_empty = False
        if entry.kind == "token":
            self.tokens.append((value, entry))
        elif entry.kind == "account":
            self.accounts[int(value)] = entry
        elif entry.kind == "application":
            self.applications[value] = entry
        else:
            self.networks.append((ipaddress.ip_network(value), entry))

    def of_credential(self, visit: Visit, account_id: int | None, application: str) -> OperatorEntry | None:
        """Return the entry that names the token, the account or the application."""
        if account_id is not None and account_id in self.accounts:
            return self.accounts[account_id]
        if application and application in self.applications:
            return self.applications[application]
        if self.tokens and visit.token_hash is not None:
            digest = visit.token_hash.hex()
            return next((entry for value, entry in self.tokens if digest.startswith(value)), None)
        return None

    def of_address(self, address: str) -> OperatorEntry | None:
        """Return the entry whose network contains the address."""
        if not self.networks:
            return None
        if address in self._found:
            return self._found[address]
        if len(self._found) >= REMEMBERED:
            self._found.clear()
        found = self._found[address] = self._look_up(address)
        return found

    def _look_up(self, address: str) -> OperatorEntry | None:
        try:
            at: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(
                address.partition("%")[0]
            )
        except ValueError:
            return None
        if isinstance(at, ipaddress.IPv6Address) and at.ipv4_mapped is not None:
            at = at.ipv4_mapped
        return next(
            (entry for network, entry in self.networks if network.version == at.version and at in network),
            None,
        )


class Overrides:
    """The directions in force, and the operator's recent addresses."""

    def __init__(self) -> None:
        self.directions = NO_DIRECTIONS
        self._allowed = _Side(())
        self._denied = _Side(())
        # A set, each address stored as its own value.
        self._operators: BoundedTable[str, str] = BoundedTable(OPERATOR_ADDRESSES, evicts=Eviction.OLDEST)
        self.any_allowed = False
        self.any_denied = False

    def take(self, directions: Directions) -> bool:
        """Replace the directions; False if these are older. InvalidEntry, with no change, if one is invalid."""
        if directions.version < self.directions.version:
            return False
        allowed, denied = _Side(directions.allowed), _Side(directions.denied)
        self.directions, self._allowed, self._denied = directions, allowed, denied
        self.any_allowed = not allowed.is_empty
        self.any_denied = not denied.is_empty
        return True

    def expire(self, epoch_s: float) -> bool:
        """Drop expired directions; return True if that has just happened. Their version still counts."""
        if not self.directions.expires_epoch_s or epoch_s < self.directions.expires_epoch_s:
            return False
        self.take(Directions(version=self.directions.version, expires_epoch_s=0.0))
        return True

    def saw_operator(self, address: str) -> None:
        """Note that the operator, by credential, came from this address."""
        self._operators.put(address, address)

    def is_allowed(self, visit: Visit, *, account_id: int | None, application: str, epoch_s: float) -> bool:
        """Return whether an allow names the visit."""
        entry = self._allowed.of_credential(visit, account_id, application) or self._allowed.of_address(
            visit.address
        )
        return entry is not None and epoch_s < entry.expires_epoch_s

    def denied_because(
        self,
        visit: Visit,
        *,
        account_id: int | None,
        application: str,
        is_known: bool,
        is_established: bool,
        is_operator: bool,
        epoch_s: float,
    ) -> str:
        """Return the policy line of the deny that names the visit, or ""."""
        if is_operator or (is_known and is_established) or self._operators.get(visit.address):
            return ""
        entry = self._denied.of_credential(visit, account_id, application)
        if entry is None:
            entry = self._denied.of_address(visit.address)
        if entry is None or epoch_s >= entry.expires_epoch_s:
            return ""
        return f"deny/{entry.kind}"

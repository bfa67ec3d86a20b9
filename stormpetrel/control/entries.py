"""The validator of operator's entries (shield/entries.py), with its errors as SetupError for the operator."""

from __future__ import annotations

from collections.abc import Iterable

from stormpetrel.config import Network
from stormpetrel.errors import SetupError
from stormpetrel.shield import entries
from stormpetrel.shield.reports import OperatorEntry


def checked(entry: OperatorEntry, *, now_epoch_s: float) -> OperatorEntry:
    """Return the entry in canonical form. Raise SetupError that describes the problem."""
    try:
        return entries.checked(entry, now_epoch_s=now_epoch_s)
    except entries.InvalidEntry as error:
        raise SetupError(str(error)) from error


def canonical_value(kind: str, text: str) -> str:
    """Return the value of an entry in canonical form. Raise SetupError that describes the problem."""
    try:
        return entries.canonical_value(kind, text)
    except entries.InvalidEntry as error:
        raise SetupError(str(error)) from error


def require_harmless(entry: OperatorEntry, *, proxies: Iterable[Network], session: str) -> None:
    """Raise SetupError if a deny of the entry would hit the operator's own machines."""
    try:
        entries.require_harmless(entry, proxies=proxies, session=session)
    except entries.InvalidEntry as error:
        raise SetupError(str(error)) from error

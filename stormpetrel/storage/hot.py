"""The mark of a read that is small enough for the loop (storage/database.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def hot(fn: Callable[P, T]) -> Callable[P, T]:
    """Marks a read of at most 40 indexed rows, which on SQLite runs in the loop."""
    fn.hot = True  # type: ignore[attr-defined]  # a mark on the function itself keeps the call direct
    return fn

"""The decorator for reads that are small enough for the event loop (storage/engine/database.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def hot(fn: Callable[P, T]) -> Callable[P, T]:
    """Mark a read of at most 40 indexed rows, which on SQLite runs in the event loop."""
    fn.hot = True  # type: ignore[attr-defined]  # a mark on the function itself keeps the call direct
    return fn

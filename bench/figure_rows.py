"""Printing rows of figures by name, as JSON or below each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, width: int) -> None:
    """Print each row, with names `width` wide and an empty line after it."""
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        for name, value in row.items():
            shown = f"{value:>12,.2f}" if isinstance(value, float) else f"{value!s:>12}"
            print(f"{name:<{width}}{shown}")
        print()

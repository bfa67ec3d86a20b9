"""The order of the tests in a process that runs beside others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

JOURNEYS_UNTIL = 0.8
"""The share of the other files before which the last journey begins: at the end, a long file would run alone."""


class HasPath(Protocol):
    """A test that names its file."""

    @property
    def path(self) -> Path:
        """Return the file."""


T = TypeVar("T", bound=HasPath)


def spread(tests: Iterable[T]) -> list[T]:
    """Return the tests by file, with the files of tests/journeys evenly between the others.

    Most journeys wait, and most other tests compute: beside each other they use the cores that they have.
    """
    files: dict[Path, list[T]] = {}
    for test in tests:
        files.setdefault(test.path, []).append(test)
    journeys = [path for path in files if path.parent.name == "journeys"]
    others = [path for path in files if path.parent.name != "journeys"]
    places = {path: at / len(others) for at, path in enumerate(others)}
    places |= {path: JOURNEYS_UNTIL * at / len(journeys) for at, path in enumerate(journeys)}
    return [test for path in sorted(files, key=lambda path: places[path]) for test in files[path]]

"""What a handler takes and gives, said beside it: the route table and the API's description read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from stormpetrel.http.routing import Handler


@dataclass(frozen=True, slots=True)
class Shape:
    """`takes`: the struct of query or body. `gives`: the msgspec type of the answer. `paged`: with a Link.
    `streams`: it stays open, an event stream."""

    gives: Any
    takes: type[msgspec.Struct] | None
    paged: bool
    streams: bool


_SHAPES: dict[Handler, Shape] = {}


def answers(
    gives: Any, *, takes: type[msgspec.Struct] | None = None, paged: bool = False, streams: bool = False
) -> Callable[[Handler], Handler]:
    """Says it of the handler below, which is not changed."""

    def note(handler: Handler) -> Handler:
        _SHAPES[handler] = Shape(gives, takes, paged, streams)
        return handler

    return note


def shape_of(handler: Handler) -> Shape:
    """What was said of a handler. Raises KeyError when nothing was."""
    return _SHAPES[handler]

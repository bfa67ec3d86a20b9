"""The input and output types of a handler, declared next to it; the route table and the OpenAPI document use
them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from stormpetrel.http.routing import Handler


@dataclass(frozen=True, slots=True)
class Shape:
    """`takes`: the struct of query or body. `gives`: the msgspec type of the response. `paged`: has a Link
    header. `streams`: the response is an event stream and stays open."""

    gives: Any
    takes: type[msgspec.Struct] | None
    paged: bool
    streams: bool


_SHAPES: dict[Handler, Shape] = {}


def answers(
    gives: Any, *, takes: type[msgspec.Struct] | None = None, paged: bool = False, streams: bool = False
) -> Callable[[Handler], Handler]:
    """Record these types for the decorated handler, which is returned unchanged."""

    def note(handler: Handler) -> Handler:
        _SHAPES[handler] = Shape(gives, takes, paged, streams)
        return handler

    return note


def shape_of(handler: Handler) -> Shape:
    """Return the types recorded for a handler. Raise KeyError if there are none."""
    return _SHAPES[handler]

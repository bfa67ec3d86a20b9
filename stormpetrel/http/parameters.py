"""Parse parameters as clients send them: `a=1`, `a[]=1`, `a[0]=1`, `a[b]=1`, repeated, as JSON, with numbers
and booleans as strings. They become one tree, then a typed struct."""

from __future__ import annotations

import itertools
import re
import types
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from stormpetrel.errors import Invalid, Malformed
from stormpetrel.shield.percent import MAX_PARAMETERS

S = TypeVar("S", bound=msgspec.Struct)

MAX_DEPTH = 4
MAX_JSON_VALUES = 10_000
"""Commas and brackets in a JSON body: each may add a value. 64 KB of `[],`, which has 22,000, take 1 ms."""

_NO_VALUE = ("undefined", "null")
"""JavaScript's forms send these for a field without a value, which counts as omitted unless it is a text."""
_NUMBERS = tuple(map(str, range(MAX_PARAMETERS)))
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")
_PART = re.compile(r"\[([^\[\]]*)\]")


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the tree that the pairs describe. `x[]` and repeated names give lists; `x[0]` gives a list in
    that order.

    Raise Malformed for more than 500 parameters or more than 4 levels.
    """
    tree: dict[str, Any] = {}
    for count, (key, value) in enumerate(pairs):
        if count >= MAX_PARAMETERS:
            raise Malformed("The request has too many parameters")
        if "[" not in key:
            tree[key] = value
            continue
        path = _path(key)
        if len(path) == 1:
            tree[key] = value
        else:
            _put(tree, path, value)
    # Most values are texts: a call for each would take longer than all the rest.
    return {key: _lists(value) if isinstance(value, dict) else value for key, value in tree.items()}


@lru_cache(maxsize=1024)
def _path(key: str) -> tuple[str, ...]:
    """Return the parts of a name: `a[b][]` gives a, b and "". A name of another form is one part."""
    if key.count("[") >= MAX_DEPTH:
        raise Malformed("The request's parameters are nested too deeply")
    match = _KEY.match(key)
    return (key,) if match is None else (match[1], *_PART.findall(match[2]))


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    node = tree
    for part, after in itertools.pairwise(path):
        # `x[][name]` continues the newest item until that has the name; then it starts a new item.
        key = part or str(max(len(node) - 1, 0))
        if not part and isinstance(node.get(key), dict) and after in node[key]:
            key = str(len(node))
        if not isinstance(node.get(key), dict):
            node[key] = {}
        node = node[key]
    # If a plain name is repeated, the last value counts, unless the struct has a list there (see `struct`).
    node[path[-1] or str(len(node))] = value


def _lists(tree: dict[str, Any]) -> dict[str, Any] | list[Any]:
    """Turn dicts whose keys are all numbers into lists."""
    inner = {key: _lists(item) if isinstance(item, dict) else item for key, item in tree.items()}
    if all(map(str.__eq__, inner, _NUMBERS)) and len(inner) <= MAX_PARAMETERS and inner:
        return list(inner.values())
    if inner and all(key.isascii() and key.isdigit() for key in inner):
        # Sort by length, then by digits: numeric order without converting a number of a thousand digits.
        return [inner[key] for key in sorted(inner, key=lambda key: (len(key.lstrip("0")), key.lstrip("0")))]
    return inner


@lru_cache(maxsize=1024)
def _fields(kind: type[msgspec.Struct]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the fields that accept a list, and of those that accept no text."""
    hints = get_type_hints(kind)
    wants_list, not_text = set(), set()
    for field in msgspec.structs.fields(kind):
        options = _options(hints[field.name])
        if any(get_origin(option) in (list, tuple) for option in options):
            wants_list.add(field.encode_name)
        if str not in options:
            not_text.add(field.encode_name)
    return frozenset(wants_list), frozenset(not_text)


def _options(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(option for arg in get_args(hint) for option in _options(arg))
    return (hint,)


def struct(kind: type[S], pairs: list[tuple[str, Any]], extra: dict[str, Any] | None = None) -> S:
    """Return `kind` from the pairs of a query or form, and from `extra` (a JSON body), which takes
    precedence.

    Raise Invalid, naming the field, for a value of the wrong type. Unknown names are ignored.
    """
    if not pairs and not extra:
        return _converted({}, kind)
    wants_list, not_text = _fields(kind)
    tree = nest(pairs)
    # Only the fields that were sent: a kind has up to twenty, and most requests have one or two.
    for name in not_text.intersection(tree):
        if tree[name] in _NO_VALUE and str not in _items(_hints(kind)[name]):
            del tree[name]
    for name in wants_list.intersection(tree):
        if not isinstance(tree[name], list):
            # Repeated without brackets (id=1&id=2), or a single value.
            tree[name] = [value for key, value in pairs if key == name] or tree[name]
    if extra:
        tree.update(_without_nulls(extra, kind))
    sent_lists = wants_list.intersection(tree)
    for name in sent_lists:
        # A form writes an empty list as `x[]=` or `x=`; a list of texts may contain an empty text.
        if tree[name] in ("", [""]) and str not in _items(_hints(kind)[name]):
            tree[name] = []
    for name in not_text.intersection(tree):
        # A form sends every field; an empty one was not filled in. A checked box sends "on".
        value = tree[name]
        if value == "":
            del tree[name]
        elif value in ("on", "off"):
            tree[name] = value == "on"
    for name in sent_lists.intersection(tree):
        if isinstance(tree[name], str | int):
            tree[name] = [tree[name]]
    return _converted(tree, kind)


@lru_cache(maxsize=1024)
def _hints(kind: type[msgspec.Struct]) -> dict[str, tuple[Any, ...]]:
    """Return the types that each field accepts, by the name that clients use."""
    hints = get_type_hints(kind)
    return {field.encode_name: _options(hints[field.name]) for field in msgspec.structs.fields(kind)}


def _without_nulls(tree: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the object without null fields that do not accept null: they count as omitted."""
    hints = _hints(kind)
    kept: dict[str, Any] = {}
    for name, value in tree.items():
        options = hints.get(name, ())
        if value is None and options and type(None) not in options and Any not in options:
            continue
        kept[name] = _inner_without_nulls(value, options)
    return kept


def _items(options: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the types that the items of a list accept."""
    return tuple(
        inner for option in options if get_origin(option) is list for inner in _options(get_args(option)[0])
    )


def _inner_without_nulls(value: Any, options: tuple[Any, ...]) -> Any:
    if isinstance(value, list):
        # Only descend into containers: then a list of numbers costs no more than its bytes.
        inner = _items(options)
        if str in inner and int not in inner:
            value = [str(item) if type(item) is int else item for item in value]
        return [
            _inner_without_nulls(item, inner) if isinstance(item, dict | list) else item for item in value
        ]
    if not isinstance(value, dict):
        # Where a text is expected, a number is converted to text, as in a form.
        return str(value) if type(value) is int and str in options and int not in options else value
    for option in options:
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return _without_nulls(value, option)
        if get_origin(option) is dict:
            return {key: _inner_without_nulls(item, get_args(option)[1:]) for key, item in value.items()}
    return value


def _converted(tree: dict[str, Any], kind: type[S]) -> S:
    try:
        return msgspec.convert(tree, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(_said(str(error))) from error


def _said(text: str) -> str:
    """Return msgspec's message with the path in front: 'limit: Expected `int`, got `str`'."""
    what, _, where = text.partition(" - at ")
    return f"{where.strip('`').removeprefix('$.')}: {what}" if where else what


# Parsing 1.2345678901234567e-300 takes msgspec 260 ns per byte, Python 32, and keeping it as text 3. Numbers
# may be text here anyway, and the field that accepts one converts it.
_JSON = msgspec.json.Decoder(float_hook=str)


def read_json(body: bytes) -> dict[str, Any]:
    """Return the object in a JSON body. Raise Malformed for anything else."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_JSON_VALUES:
        raise Malformed("The body contains too many values")
    try:
        value = _JSON.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed("The body is not valid JSON") from error
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object")
    return value

"""Parameters as clients send them: `a=1`, `a[]=1`, `a[0]=1`, `a[b]=1`, repeated, as JSON, with numbers and
booleans as strings. Turned into one tree, then into a typed struct."""

from __future__ import annotations

import itertools
import re
import types
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from stormpetrel.errors import Invalid, Malformed

S = TypeVar("S", bound=msgspec.Struct)

MAX_PARAMETERS = 500
MAX_DEPTH = 4
MAX_JSON_VALUES = 10_000
"""Commas and brackets in a JSON body: each may be a value to make. Of 64 KB of `[],` 22,000 take 1 ms."""

_NO_VALUE = ("undefined", "null")
"""What JavaScript's forms say for a field without a value. Where no text is wanted, the field counts as left out."""
_NUMBERS = tuple(map(str, range(MAX_PARAMETERS)))
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")
_PART = re.compile(r"\[([^\[\]]*)\]")


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The tree that the pairs spell. `x[]` and repeated names give lists; `x[0]` gives a list in that order.

    Raises Malformed for more than 500 parameters or more than 4 levels.
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
    return {key: _lists(value) for key, value in tree.items()}


@lru_cache(maxsize=1024)
def _path(key: str) -> tuple[str, ...]:
    """Return the parts of a name: `a[b][]` gives a, b and nothing. Names that are not written so are one part."""
    if key.count("[") >= MAX_DEPTH:
        raise Malformed("The request's parameters are nested too deeply")
    match = _KEY.match(key)
    return (key,) if match is None else (match[1], *_PART.findall(match[2]))


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    node = tree
    for part, after in itertools.pairwise(path):
        # `x[][name]` goes on with the newest item until that has a name; then a new item begins.
        key = part or str(max(len(node) - 1, 0))
        if not part and isinstance(node.get(key), dict) and after in node[key]:
            key = str(len(node))
        if not isinstance(node.get(key), dict):
            node[key] = {}
        node = node[key]
    # A plain name given twice: the last one counts, unless the struct wants a list (see `struct`).
    node[path[-1] or str(len(node))] = value


def _lists(value: Any) -> Any:
    """Tables whose keys are all numbers are lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if all(map(str.__eq__, inner, _NUMBERS)) and len(inner) <= MAX_PARAMETERS and inner:
        return list(inner.values())
    if inner and all(key.isascii() and key.isdigit() for key in inner):
        # By length, then by digit: like numbers, without making one of a thousand digits.
        return [inner[key] for key in sorted(inner, key=lambda key: (len(key.lstrip("0")), key.lstrip("0")))]
    return inner


@lru_cache(maxsize=1024)
def _fields(kind: type[msgspec.Struct]) -> tuple[frozenset[str], frozenset[str]]:
    """Names of fields that want a list, and of fields that want anything but text."""
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
    """`kind` from the pairs of a query or form, and from `extra` (a JSON body), which wins.

    Raises Invalid, naming the field, for a value of the wrong kind. Unknown names are ignored.
    """
    if not pairs and not extra:
        return _converted({}, kind)
    wants_list, not_text = _fields(kind)
    tree = nest(pairs)
    for name in not_text:
        if tree.get(name) in _NO_VALUE and str not in _items(_hints(kind)[name]):
            del tree[name]
    for name in wants_list:
        if name in tree and not isinstance(tree[name], list):
            # Repeated without brackets (id=1&id=2), or one alone.
            tree[name] = [value for key, value in pairs if key == name] or tree[name]
    if extra:
        tree.update(_without_nulls(extra, kind))
    for name in wants_list:
        # A form spells an empty list `x[]=`, or `x=`; a list of texts may hold an empty text.
        if tree.get(name) in ("", [""]) and str not in _items(_hints(kind)[name]):
            tree[name] = []
    for name in not_text:
        # A form sends every field; an empty one was not filled in. A ticked box says "on".
        value = tree.get(name)
        if value == "":
            del tree[name]
        elif value in ("on", "off"):
            tree[name] = value == "on"
    for name in wants_list:
        if name in tree and isinstance(tree[name], str | int):
            tree[name] = [tree[name]]
    return _converted(tree, kind)


@lru_cache(maxsize=1024)
def _hints(kind: type[msgspec.Struct]) -> dict[str, tuple[Any, ...]]:
    """Return what each field may be, by the name that clients use."""
    hints = get_type_hints(kind)
    return {field.encode_name: _options(hints[field.name]) for field in msgspec.structs.fields(kind)}


def _without_nulls(tree: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the object without the fields that are null where null is no value: those were left out."""
    hints = _hints(kind)
    kept: dict[str, Any] = {}
    for name, value in tree.items():
        options = hints.get(name, ())
        if value is None and options and type(None) not in options and Any not in options:
            continue
        kept[name] = _inner_without_nulls(value, options)
    return kept


def _items(options: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what the items of a list may be."""
    return tuple(
        inner for option in options if get_origin(option) is list for inner in _options(get_args(option)[0])
    )


def _inner_without_nulls(value: Any, options: tuple[Any, ...]) -> Any:
    if isinstance(value, list):
        # An item is looked into only where it can hold something: a list of numbers is as cheap as its bytes.
        inner = _items(options)
        if str in inner and int not in inner:
            value = [str(item) if type(item) is int else item for item in value]
        return [
            _inner_without_nulls(item, inner) if isinstance(item, dict | list) else item for item in value
        ]
    if not isinstance(value, dict):
        # A number where a text is wanted is that text, as it is in a form.
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
    """msgspec's words with the path in front: 'limit: Expected `int`, got `str`'."""
    what, _, where = text.partition(" - at ")
    return f"{where.strip('`').removeprefix('$.')}: {what}" if where else what


# msgspec's own reading of numbers takes 260 ns for each byte of 1.2345678901234567e-300, Python's 32, and leaving it
# as text 3: numbers may be text here anyway, and the field that wants one reads it.
_JSON = msgspec.json.Decoder(float_hook=str)


def read_json(body: bytes) -> dict[str, Any]:
    """The object in a JSON body. Raises Malformed for anything else."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_JSON_VALUES:
        raise Malformed("The body has too many values")
    try:
        value = _JSON.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed("The body is not valid JSON") from error
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object")
    return value

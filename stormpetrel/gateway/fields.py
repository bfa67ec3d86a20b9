"""Values from requests and files of providers: JSON objects, forms and text, checked and within limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from stormpetrel.gateway.provider import Forged, Unreadable

MOST_FIELDS = 200
"""Twilio sends about 30 parameters."""
MOST_KEY = 200
"""Characters of the key of a message."""


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object in `body`. Raise Unreadable for other content."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("The JSON could not be read") from None
    if not isinstance(value, dict):
        raise Unreadable("The JSON must be an object")
    return value


def form_fields(encoded: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a form or query, in order. Raise Unreadable."""
    try:
        return parse_qsl(
            encoded.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise Unreadable("The form could not be read") from None


def first_text(fields: Mapping[str, Any], *names: str) -> str:
    """Return the first of these fields that is a text and not empty; "" if there is none."""
    values = (fields.get(name) for name in names)
    return next((plain_text(value) for value in values if isinstance(value, str) and value), "")


def object_in(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the object in this field; an empty one if it is something else."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(fields: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects in the list in this field; an empty list if it is something else."""
    value = fields.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def plain_text(text: str) -> str:
    """Return the text with "?" for lone surrogates, which JSON can express and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def message_key(text: str) -> str:
    """Return the text as the key of a message. Raise Unreadable if it is empty or too long."""
    if not 0 < len(text) <= MOST_KEY:
        raise Unreadable("The id of the message is missing or too long")
    return text


def amount_of(value: Any) -> Decimal | None:
    """Return the amount of money in a text like "-0.00750", without its sign; None for other values."""
    try:
        amount = abs(Decimal(value)) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return amount if amount is None or amount.is_finite() else None


def check_timestamp(text: str, *, now_s: float, tolerance_s: float) -> None:
    """Raise Forged unless the text has seconds since 1970, at most `tolerance_s` from now."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and abs(now_s - int(text)) <= tolerance_s):
        raise Forged("the time of the webhook is too far from the clock of this server")

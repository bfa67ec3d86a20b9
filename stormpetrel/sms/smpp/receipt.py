"""Delivery receipts: deliver_sm and data_sm by which a carrier reports the state of a message that it accepted.

The text is by convention only (SMPP 3.4, appendix B), and carriers vary it: other letter case, missing fields,
other spaces. The optional parameters receipted_message_id and message_state, where they come, win.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stormpetrel.sms.smpp.message import message_octets
from stormpetrel.sms.smpp.pdu import DataMessage, Pdu, ShortMessage
from stormpetrel.sms.smpp.protocol import ESM_INTERMEDIATE, ESM_RECEIPT, ESM_TYPE_MASK, MessageState, TlvTag

_STATES = {
    "ENROUTE": MessageState.ENROUTE,
    "DELIVRD": MessageState.DELIVERED,
    "EXPIRED": MessageState.EXPIRED,
    "DELETED": MessageState.DELETED,
    "UNDELIV": MessageState.UNDELIVERABLE,
    "ACCEPTD": MessageState.ACCEPTED,
    "UNKNOWN": MessageState.UNKNOWN,
    "REJECTD": MessageState.REJECTED,
}
_STATES_BY_NUMBER = {state.value: state for state in MessageState}
_FIELD = re.compile(r"\b(id|sub|dlvrd|submit date|done date|stat|err) ?: ?(\S{1,64})", re.IGNORECASE)
_END = re.compile(r"\btext ?:", re.IGNORECASE)
FINAL = frozenset(MessageState) - {MessageState.ENROUTE, MessageState.ACCEPTED, MessageState.UNKNOWN}
"""States after which no other receipt of the message follows."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The state of one submitted message. `error` is the carrier's own code, "" without one.

    `message_id` is written as in the receipt; compare ids by `canonical_id`.
    """

    message_id: str
    state: MessageState
    error: str = ""


def receipt_of(pdu: Pdu) -> Receipt | None:
    """Return the receipt that the PDU carries; None if it carries another message, or no id.

    A state that is missing or not known is UNKNOWN. The type of the message says that it is a receipt; so does
    receipted_message_id, because some carriers do not set the type, and no phone can send the parameter.
    """
    body = pdu.body
    if not isinstance(body, ShortMessage | DataMessage):
        return None
    kind = body.esm_class & ESM_TYPE_MASK
    message_id = (pdu.tlv(TlvTag.RECEIPTED_MESSAGE_ID) or b"").split(b"\0", 1)[0].decode("latin-1")
    if kind not in (ESM_RECEIPT, ESM_INTERMEDIATE) and (kind or not message_id):
        return None
    fields = _fields(message_octets(pdu))
    message_id = message_id or fields.get("id", "")
    if not message_id:
        return None
    return Receipt(message_id, _state(pdu, fields), fields.get("err", ""))


def _fields(octets: bytes) -> dict[str, str]:
    """Return the fields of a receipt's text by lower-case name. The first of a name counts, before "text:"."""
    text = octets.decode("latin-1")
    end = _END.search(text)
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(text[: end.start()] if end else text):
        fields.setdefault(name.lower(), value)
    return fields


def _state(pdu: Pdu, fields: dict[str, str]) -> MessageState:
    value = pdu.tlv(TlvTag.MESSAGE_STATE)
    by_number = _STATES_BY_NUMBER.get(value[0]) if value else None
    return by_number or _STATES.get(fields.get("stat", "")[:7].upper(), MessageState.UNKNOWN)


def canonical_id(message_id: str, *, base: int | None) -> str:
    """Return the id in a form that is equal for equal ids.

    Some carriers write an id in hexadecimal in the response to submit_sm and in decimal in the receipt, or the
    reverse. `base` (10 or 16) is that of this id; None means text, which is compared as it is, without regard to
    letter case. An id that is no number in its base is text too.
    """
    if base is not None and message_id.isascii() and message_id.isalnum():
        try:
            return str(int(message_id, base))
        except ValueError:
            pass
    return message_id.casefold()

"""The phones that `sms` commands name: by number, or by the account that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormpetrel.cli.parser import Parser
from stormpetrel.cli.users import user_named
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    from stormpetrel.model.phone import PhoneKeys
    from stormpetrel.storage.engine.connection import Connection


def add_phone(parser: Parser) -> None:
    """Add the argument of a command about one phone."""
    parser.add_argument(
        "phone",
        metavar="PHONE",
        help="its number, with + and the country code, or the username of its account",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def cleaned(number: str) -> str:
    """Return the number in E.164. Raise SetupError for another text."""
    from stormpetrel.sms.numbers import NumberError, normalized_number

    try:
        return normalized_number(number)
    except NumberError as error:
        raise SetupError(f"{number!r}: {error}") from None


def number_of(connection: Connection, phone: str, *, keys: PhoneKeys) -> str:
    """Return the number in E.164 that `phone` is, or that the account of this name has. Raise SetupError."""
    from stormpetrel.rules import phones

    if not any(letter.isalpha() or letter in "@_" for letter in phone):
        return cleaned(phone)
    owner = user_named(connection, phone)
    found = phones.phone_of(connection, account_id=owner.account_id)
    if found is None:
        raise SetupError(f"{owner.username} has no phone")
    try:
        return keys.open(found.sealed_number)
    except ValueError as error:
        raise SetupError(f"the phone of {owner.username}: {error}") from None

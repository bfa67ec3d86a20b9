"""Phone numbers in one form, never guessed, and masked in logs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms.numbers import (
    NumberError,
    PhoneAddress,
    PhoneAddressKind,
    TypeOfNumber,
    alphanumeric_sender,
    carrier_address,
    masked,
    normalized_number,
)


def number(value):
    return PhoneAddress(PhoneAddressKind.NUMBER, value)


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("+1 (555) 123-4567", None, "+15551234567"),
        ("+995 599 12 34 56", None, "+995599123456"),
        ("\u200e+995-599-123456\u200f", None, "+995599123456"),
        ("＋９９５５９９１２３４５６", None, "+995599123456"),
        ("+٩٩٥٥٩٩١٢٣٤٥٦", None, "+995599123456"),
        ("599 12 34 56", "GE", "+995599123456"),
        ("00995599123456", "GE", "+995599123456"),
        ("00 1 555 123 4567", "GE", "+15551234567"),
        ("011 995 599 123456", "US", "+995599123456"),
        ("(555) 123-4567", "US", "+15551234567"),
        ("8 912 345-67-89", "RU", "+79123456789"),  # the prefix of national calls is 8
        ("0171 1234567", "DE", "+491711234567"),
        ("06 1234 5678", "IT", "+390612345678"),  # Italy dials the zero from abroad too
        ("+44 20 7946 0018", "US", "+442079460018"),  # a country does not change an international number
    ],
)
def test_a_number_has_one_form(text, country, expected):
    assert normalized_number(text, country=country) == expected
    assert normalized_number(expected) == expected


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("995599123456", None),  # no + and no country: it may be national anywhere
        ("00995599123456", None),
        ("599", "GE"),
        ("+995599", None),
        ("+999123456789", None),
        ("+15551234567890", None),
        ("", "GE"),
        ("MYBANK", "GE"),
        ("+1 555 CALL NOW", None),
        ("++15551234567", None),
        ("+1555123456" + "7" * 60, None),
        ("5551234567", "XX"),
    ],
)
def test_a_text_that_is_no_number_is_refused_without_being_repeated(text, country):
    with pytest.raises(NumberError) as caught:
        normalized_number(text, country=country)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "country", "expected"),
    [
        ("995599123456", TypeOfNumber.INTERNATIONAL, None, "+995599123456"),
        ("+995599123456", TypeOfNumber.UNKNOWN, "US", "+995599123456"),
        ("995599123456", TypeOfNumber.UNKNOWN, None, "+995599123456"),
        ("995599123456", TypeOfNumber.UNKNOWN, "GE", "+995599123456"),
        ("599123456", TypeOfNumber.UNKNOWN, "GE", "+995599123456"),
        ("15551234567", TypeOfNumber.UNKNOWN, "US", "+15551234567"),
        ("599123456", TypeOfNumber.NATIONAL, "GE", "+995599123456"),
    ],
)
def test_a_carriers_number_is_read_by_its_type_and_the_country_of_the_route(text, kind, country, expected):
    assert carrier_address(text, kind=kind, country=country) == number(expected)


def test_a_number_that_could_be_two_is_refused():
    # In the United States a number of ten digits; as an international number one of Germany.
    assert carrier_address("4915123456", kind=TypeOfNumber.NATIONAL, country="US") == number("+14915123456")
    assert carrier_address("4915123456", kind=TypeOfNumber.INTERNATIONAL) == number("+4915123456")
    with pytest.raises(NumberError, match="ambiguous"):
        carrier_address("4915123456", country="US")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("40404", TypeOfNumber.UNKNOWN),
        ("911", TypeOfNumber.NATIONAL),
        ("40404", TypeOfNumber.ABBREVIATED),
        ("12345678", TypeOfNumber.NETWORK_SPECIFIC),
    ],
)
def test_a_short_code_is_no_number(text, kind):
    assert carrier_address(text, kind=kind, country="US") == PhoneAddress(PhoneAddressKind.SHORT_CODE, text)


@pytest.mark.parametrize("kind", [TypeOfNumber.ALPHANUMERIC, TypeOfNumber.UNKNOWN, 99])
def test_a_name_is_no_number(kind):
    assert carrier_address("My Bank-1", kind=kind) == PhoneAddress(PhoneAddressKind.ALPHANUMERIC, "My Bank-1")


@pytest.mark.parametrize("text", ["", "x" * 12, "ბანკი", "a\nb", "{a}", "12345", "---"])
def test_a_senders_name_has_few_characters_of_the_alphabet_and_a_letter(text):
    with pytest.raises(NumberError):
        alphanumeric_sender(text)


@given(st.text(max_size=80), st.integers(-1, 300), st.sampled_from([None, "GE", "US", "XX"]))
def test_any_text_is_an_address_or_refused(text, kind, country):
    try:
        address = carrier_address(text, kind=kind, country=country)
    except NumberError:
        return
    if address.kind is PhoneAddressKind.NUMBER:
        assert normalized_number(address.value) == address.value


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("+995599123456", "+995…56"),
        ("+15551234567", "+1…67"),
        ("+999123456789", "+…89"),
        ("40404", "40404"),
        ("MYBANK", "MYBANK"),
        ("995599123456", "…"),
        ("a15551234567", "…"),
        ("a5551234", "…"),
        ("", "…"),
    ],
)
def test_a_log_shows_two_digits_of_a_number(address, shown):
    assert masked(address) == shown

"""Typography becomes GSM characters where that saves a promotion to UCS-2, and never changes a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms import gsm
from stormpetrel.sms.transliterate import for_gsm


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("“It’s” – he said — ‘no’…", "\"It's\" - he said - 'no'..."),
        ("«Non\u00a0!»", '"Non !"'),
        ("`code`", "'code'"),
        ("a\tb\u2028c", "a b\nc"),
        ("soft\u00adhyphen\u200b\ufeff", "softhyphen"),
        ("• one", "* one"),
        ("cafe\u0301 A\u030a", "café Å"),  # composed
        ("\u2126 \u212b", "Ω Å"),  # the ohm and the ångström sign
        ("ﬁne ｆｕｌｌ！", "fine full!"),
    ],
)
def test_signs_with_an_equal_are_replaced(text, sent):
    assert for_gsm(text) == sent
    assert gsm.encode(sent) is not None


@pytest.mark.parametrize(
    "text",
    [
        "“año”, pero á",  # á is not in the alphabet, and an a would be another word
        "ça va…",
        "Łódź…",
        "“სტოპ”",
        "Привет — мир",
        "2½… m²",
        "…😀",
        "see https://a.example/It’s “here”",  # the link would lead elsewhere
    ],
)
def test_a_text_that_needs_ucs2_anyway_stays_as_it_is(text):
    assert for_gsm(text) == text


def test_a_link_beside_replaced_signs_stays():
    assert for_gsm("“see” https://a.example/x") == '"see" https://a.example/x'


@given(st.text(alphabet=st.sampled_from("ab ñÑ’“”–…\u00a0\u200b€[👍éçა`")))
def test_the_result_is_in_the_alphabet_or_the_text_itself(text):
    sent = for_gsm(text)
    assert sent == text or gsm.encode(sent) is not None
    if gsm.encode(text) is not None:
        assert sent == text
    assert for_gsm(sent) == sent

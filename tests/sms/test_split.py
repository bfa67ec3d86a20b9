"""The parts of a text: their limits and their joints."""

from __future__ import annotations

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from stormpetrel.sms.split import split
from stormpetrel.sms.udh import ReferenceKind
from stormpetrel.sms.user_data import Coding, UserData, text_of

UDH_8, UDH_16, SAR = ReferenceKind.UDH_8, ReferenceKind.UDH_16, ReferenceKind.SAR
FAMILY = "👨‍👩‍👧‍👦"
KINDS = st.sampled_from(ReferenceKind)
LATIN = st.text(alphabet="abcàé €[]\r\n", max_size=700)
MIXED = st.lists(
    st.sampled_from(["a", "ა", "😀", FAMILY, "🇬🇪", "e\u0301", "\u0301", "각", "각", "क्षि", "\r\n", "€"])
).map("".join)


def lengths(text, kind=UDH_8):
    return [len(part) for part in split(text, kind=kind).texts]


# 3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8: 153 and 152 septets, 67 and 66 units beside a header.
@pytest.mark.parametrize(
    ("text", "kind", "parts"),
    [
        ("", UDH_8, [0]),
        ("x" * 160, UDH_8, [160]),
        ("x" * 161, UDH_8, [153, 8]),
        ("x" * 306, UDH_8, [153, 153]),
        ("x" * 307, UDH_8, [153, 153, 1]),
        ("x" * 161, UDH_16, [152, 9]),
        ("x" * 161, SAR, [153, 8]),
        ("ა" * 70, UDH_8, [70]),
        ("ა" * 71, UDH_8, [67, 4]),
        ("ა" * 71, UDH_16, [66, 5]),
        ("€" * 80, UDH_8, [80]),
        ("€" * 81, UDH_8, [76, 5]),  # 153 is odd: the last septet of a part stays free
        ("€" * 100, UDH_8, [76, 24]),
        ("x" * 152 + "€" + "y" * 100, UDH_8, [152, 101]),
        ("x" * 152 + "\r\n" + "y" * 100, UDH_8, [152, 102]),
        ("😀" * 35, UDH_8, [35]),
        ("😀" * 36, UDH_8, [33, 3]),
        ("ა" * 66 + "😀" + "ბ" * 10, UDH_8, [66, 11]),  # a surrogate pair on the cut
        ("ა" * 60 + FAMILY + "ბ" * 10, UDH_8, [60, 17]),  # a family on the cut
        ("ა" * 66 + "e\u0301" + "ბ" * 10, UDH_8, [66, 12]),
        ("🇬🇪" * 40, UDH_8, [32, 32, 16]),  # 16 flags of 4 units in 67
        ("ა" + "🇬🇪" * 40, UDH_8, [33, 32, 16]),
        ("a" + "\u0301" * 100, UDH_8, [67, 34]),  # a cluster that fits in no part
    ],
)
def test_the_lengths_of_the_parts(text, kind, parts):
    assert lengths(text, kind) == parts


@given(LATIN | MIXED | st.text(max_size=300), KINDS)
@example("a" + "\u0301" * 100 + "😀" * 40, UDH_8)
def test_joined_parts_are_the_text_and_each_fits(text, kind):
    segments = split(text, kind=kind)
    assert "".join(segments.texts) == text
    header = 0 if len(segments) == 1 else {UDH_8: 6, UDH_16: 7, SAR: 6}[kind]
    for part, octets in zip(segments.texts, segments.octets, strict=True):
        data = UserData(segments.coding, octets)
        assert text_of([data]) == part
        size = len(octets) if segments.coding is Coding.UCS2 else (7 * len(octets) + -8 * header % 7 + 7) // 8
        assert header + size <= 140
    if len(segments) > 1:
        assert all(segments.texts)


@given(MIXED)
def test_no_part_ends_within_a_cluster_that_fits(text):
    clusters = regex.findall(r"\X", text)
    boundaries, place = {0}, 0
    for cluster in clusters:
        place += len(cluster)
        boundaries.add(place)
    longest = max((len(cluster.encode("utf-16-be")) // 2 for cluster in clusters), default=0)
    place = 0
    for part in split(text).texts:
        place += len(part)
        assert longest > 66 or place in boundaries


@given(st.text(max_size=300), st.text(max_size=300))
def test_the_number_of_parts_grows_with_the_text_of_one_coding(text, more):
    first, both = split(text), split(text + more)
    assert first.coding is not both.coding or len(first) <= len(both)


def test_a_lone_surrogate_is_sent_as_a_question_mark():
    segments = split("ა\ud800")
    assert segments.octets == ("ა?".encode("utf-16-be"),)


def test_more_than_255_parts_are_an_error():
    assert len(split("x" * 153 * 255)) == 255
    for text in ("x" * (153 * 255 + 1), "ა" * (67 * 255 + 1)):
        with pytest.raises(ValueError, match="at most 255"):
            split(text)

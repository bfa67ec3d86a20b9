"""Characters: how they are counted, which are visible, which are equal, and their direction."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.model.characters import (
    BOUNDARY,
    BYTES_PER_CHARACTER,
    MOST_MARKS,
    balanced,
    fold,
    is_blank,
    is_too_long,
    length,
    mark_boundaries,
    normalized,
    trimmed,
    undirected,
    whole_clusters,
)
from stormpetrel.model.text import clean

ANY = st.one_of(
    st.text(),
    st.text(alphabet="ab \n\u0301\u200d\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069👩🇳क्षกี가"),
)
OPENINGS, CLOSINGS = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068", "\u202c\u2069"


@given(ANY, ANY)
def test_texts_beside_each_other_count_together(one: str, other: str) -> None:
    together = length(one + other)
    assert together <= length(one) + length(other)
    # A line end does not join characters.
    assert length(f"{one} \n{other}") == length(f"{one} ") + 1 + length(other)
    assert together <= len(one + other)


@given(st.text(alphabet="🇳🇴a", max_size=40))
def test_two_letters_are_a_flag(text: str) -> None:
    runs = text.split("a")
    assert length(text) == len(runs) - 1 + sum((len(run) + 1) // 2 for run in runs)


@given(ANY)
def test_changes_of_direction_are_closed_in_their_line_and_nothing_else_is_touched(text: str) -> None:
    closed = balanced(text)
    assert undirected(closed) == undirected(text)
    assert balanced(closed) == closed
    for line in closed.replace("\u2029", "\n").split("\n"):
        open_: list[str] = []
        for sign in line:
            if sign in OPENINGS:
                open_.append("\u202c" if sign < "\u2066" else "\u2069")
            elif sign == "\u202c":
                assert open_.pop() == sign
            elif sign == "\u2069":
                while open_.pop() != sign:
                    pass
        assert open_ == []


@given(ANY)
def test_what_is_folded_stays_so_and_boundaries_lose_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(text.upper()) == fold(text.upper().lower().upper())
    text = text.replace(BOUNDARY, "")
    assert mark_boundaries(text).replace(BOUNDARY, "") == text


@given(ANY, st.integers(min_value=0, max_value=40))
def test_a_cut_is_between_characters(text: str, end: int) -> None:
    place = whole_clusters(text, end)
    assert place <= max(end, len(text))
    if 0 < place < end:
        assert length(text[:place]) + length(text[place:]) == length(text)


@given(ANY.filter(lambda text: len(text) <= 64), st.integers(1, 64))
def test_the_nearest_boundary_is_found(text: str, end: int) -> None:
    boundaries = [match.end() for match in regex.finditer(r"\X", text)]
    before = [place for place in boundaries if place <= end]
    assert whole_clusters(text, end) == max(before, default=min(end, len(text)))


@pytest.mark.parametrize(
    "text",
    [
        *("", " \n\t", "\u200b", "\u2800", "\u3164", "\uffa0\u115f\u1160", "\u2060\u200d\ufeff"),
        *("\u00ad\u034f\u061c", "\u202e\u2066", "\ufe0f\U000e0100", "\U000e0041\U000e007f"),
        *("\u180e\u3000\u2028\x85\x00", "\U0001d159\ufff9"),
    ],
)
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(f"{text}.")


@pytest.mark.parametrize("text", ["a", "\u0301", "\u0600", "⠁", "ㅤㄱ", "😀", "\U0010ffff", "·"])
def test_what_shows_something_is_not(text: str) -> None:
    assert not is_blank(text)


def test_few_characters_cannot_have_bytes_without_end() -> None:
    assert not is_too_long("👨‍👩‍👧‍👦" * 500, 500)
    assert is_too_long("a" * 501, 500)
    assert is_too_long("e" + "\u0301" * (500 * BYTES_PER_CHARACTER), 500)
    assert is_too_long("x\u200d" * 100_000, 500)
    assert not is_too_long("e" + "\u0301" * 100, 500)


def test_the_same_to_a_reader_is_the_same() -> None:
    for one, other in (
        ("Café", "CAFE\u0301"),
        ("ｱﾊﾟ", "アパ"),
        ("Straße", "STRASSE"),
        ("a\u00ad\u200bb", "AB"),
        ("ﷺ", "صلى الله عليه وسلم"),
    ):
        assert fold(one) == fold(other)


def test_spaces_and_what_is_not_seen_go_at_the_ends_alone() -> None:
    assert trimmed(" \u200b\u202aa b\u202c\u00a0\ufeff") == "a b"


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_marks_in_a_row_are_sorted_a_few_at_a_time(form: str) -> None:
    """Python's sorting of marks takes time in the square of their number."""
    marks = "\u0345\u0301\u0316\u0334"
    for run in (marks * 8_000, "\u0f73" * 8_000, "\uff9e\u0301" * 8_000, "\u0345" * 9_000 + "\u0334" * 9_000):
        text = normalized(form, f"a{run}b")
        longest = max(
            len(list(group))
            for is_mark, group in itertools.groupby(text, key=lambda c: unicodedata.combining(c) > 0)
            if is_mark
        )
        assert longest <= 2 * MOST_MARKS
        # Other implementations also consider the result normalized.
        assert unicodedata.is_normalized(form, text)


@given(st.text(st.sampled_from("ae\u0301\u0316\u0334\uff9e\u0f73\u1100\u1161\ufb01"), max_size=MOST_MARKS))
def test_few_marks_are_normalized_as_everywhere(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normalized(form, text) == unicodedata.normalize(form, text)


def test_whatever_becomes_a_mark_counts_as_one() -> None:
    becomes = [
        character
        for character in map(chr, range(0x110000))
        if not "\ud800" <= character <= "\udfff"
        and unicodedata.combining(unicodedata.normalize("NFKD", character)[0])
    ]
    # A run of 31 gets one joiner.
    unseen = [c for c in becomes if "\u034f" not in normalized("NFKD", c * (MOST_MARKS + 1))]
    assert unseen == []


def test_a_stored_text_has_few_marks_in_a_row() -> None:
    marks = "\u0345\u0301\u0316\u0334" * 4_000
    assert clean(f"a{marks}b{marks}") == f"a{marks[:MOST_MARKS]}b{marks[:MOST_MARKS]}"
    written = "Za\u0302\u0301z \u05d1\u05bc\u05b0\u05e8 \u0915\u094d\u0937 1\ufe0f\u20e3"
    assert clean(written) == written

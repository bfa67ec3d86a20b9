"""Deliveries: each fits its segments, ends at a word, and MORE brings the rest."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stormpetrel.gateway.compose import Digest, DigestLine, content, delivery, digest, more
from stormpetrel.model import characters
from stormpetrel.sms.split import split
from stormpetrel.sms.udh import ReferenceKind

FAMILY = "👨‍👩‍👧‍👦"
LATIN = (
    "The ferry to the island leaves an hour later today because of the storm that came in from the north. "
)
GEORGIAN = "ბორანი დღეს ერთი საათით გვიან გადის. "
CHINESE = "由于北方来的风暴开往岛上的渡轮今天晚一个小时出发" * 6

NAMES = st.text("abc_9", min_size=1, max_size=30)
TAGS = st.integers(1, 99_999)
PIECES = [
    "a",
    "word ",
    "€",
    "“",
    "…",
    " ",
    "\n",
    "ა",
    "😀",
    FAMILY,
    "🇬🇪",
    "e\u0301",
    "字",
    "\u202e",
    "http://x.y/",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=300).map("".join) | st.text(max_size=500)


def parts(text, kind=ReferenceKind.UDH_16):
    return len(split(text, kind=kind))


def all_pages(first, name, text, **options):
    pages = [first]
    while pages[-1].next_offset is not None:
        pages.append(more(name, text, offset=pages[-1].next_offset, **options))
    return pages


def test_a_short_text_stands_between_the_name_and_the_tag():
    assert delivery("bob", "hello", tag=3).text == "@bob: hello #3"
    assert delivery("bob", "hello", tag=3, booster="ann").text == "@ann RT @bob: hello #3"
    assert delivery("bob", "hello", tag=3, is_direct=True).text == "DM @bob: hello #3"


def test_a_long_text_is_cut_at_a_word_and_says_how_to_read_on():
    found = delivery("bob", LATIN * 3, tag=12)
    assert found.text.endswith("from the north. The ferry to the island leaves an hour... MORE 12 #12")
    assert len(found.text) <= 160
    assert found.rest_count == len((LATIN * 3).strip()) - found.next_offset
    # In UCS-2 the ellipsis is one unit.
    assert delivery("bob", GEORGIAN * 3, tag=12).text == (
        "@bob: ბორანი დღეს ერთი საათით გვიან გადის. ბორანი დღეს… MORE 12 #12"
    )


def test_a_text_without_spaces_is_cut_between_characters():
    found = delivery("bob", CHINESE, tag=3)
    assert len(found.text) == 70
    flags = delivery("bob", "🇬🇪" * 40, tag=3)
    assert flags.text == f"@bob: {'🇬🇪' * 13}… MORE 3 #3"
    assert delivery("bob", FAMILY * 20, tag=3).text == f"@bob: {FAMILY * 4}… MORE 3 #3"


def test_typography_costs_no_second_segment():
    found = delivery("bob", "“Storm” – it’s coming… " * 4, tag=3)
    assert found.text == "@bob: " + '"Storm" - it\'s coming... ' * 4 + "#3"


def test_a_cut_link_does_not_make_the_message_shorter():
    found = delivery("bob", "a " * 40 + "https://example.org/" + "x" * 200, tag=3)
    assert len(found.text) > 80
    assert found.text.endswith("a... MORE 3 #3")


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_more_segments_hold_more_text(segments):
    found = delivery("bob", LATIN * 6, tag=3, segments=segments)
    assert parts(found.text) == segments


def test_a_content_warning_is_sent_alone_and_more_brings_the_text():
    found = delivery("bob", "they all survive", tag=3, warning="film ending")
    assert found.text == "@bob: CW: film ending... MORE 3 #3"
    assert (
        more("bob", "they all survive", tag=3, offset=found.next_offset).text == "@bob: they all survive #3"
    )
    assert delivery("bob", "", tag=3, warning="only this").text == "@bob: CW: only this #3"
    assert parts(delivery("bob", "x", tag=3, warning=LATIN * 3).text) == 1


def test_attachments_are_described():
    assert content("Look", ["A  red\nboat", "Video"]) == "Look [A red boat] [Video]"
    assert content("", ["Picture"]) == "[Picture]"


def test_a_page_past_the_end_is_empty():
    assert more("bob", "short now", tag=3, offset=150).next_offset is None


def test_the_longest_names_leave_room_for_text():
    found = delivery("b" * 30, GEORGIAN * 3, tag=99_999, booster="a" * 30)
    assert found.text.startswith(f"RT @{'b' * 30}: ბორანი")
    assert parts(found.text) == 1


@given(
    NAMES, TEXTS, TAGS, st.integers(1, 3), st.sampled_from(ReferenceKind), st.booleans(), st.just("") | NAMES
)
@example("a", "…" * 60 + "😀" * 40, 3, 1, ReferenceKind.UDH_8, False, "")
@example("a" * 30, "a" + "\u0301" * 200, 99_999, 1, ReferenceKind.UDH_8, False, "")
@example("a" * 30, FAMILY * 20, 99_999, 1, ReferenceKind.UDH_8, True, "")
def test_every_page_fits_and_all_pages_have_the_whole_text(
    name, text, tag, segments, kind, is_direct, booster
):
    options = {"tag": tag, "segments": segments, "booster": booster, "is_direct": is_direct}
    pages = all_pages(delivery(name, text, **options), name, text, **options)
    joined = ""
    for number, page in enumerate(pages):
        assert parts(page.text, kind) <= segments
        body = page.text.partition(f"@{name}: ")[2] if not is_direct or "DM @" in page.text else ""
        tail = f" #{tag}"
        if number < len(pages) - 1:
            tail = f" MORE {tag}{tail}"
            assert page.rest_count > 0
        assert page.text.endswith(tail)
        body = body.removesuffix(tail)
        if number < len(pages) - 1:
            body = body[:-1] if body.endswith("…") else body.removesuffix("...")
        joined += body
    if sum(1 for character in text if unicodedata.combining(character)) <= characters.MOST_MARKS:
        assert plain(joined) == plain(text)


EQUAL_SIGNS = {
    '"': "“”„‟«»″ˮ",
    "'": "`´‘’‚‛‹›′ʼʹ",
    "-": "‐‑‒–—―−",
    "*": "•‣",
    "/": "⁄∕",
    "": "\u200b\u200d\ufeff",
}
TABLE = {ord(sign): plain_sign for plain_sign, signs in EQUAL_SIGNS.items() for sign in signs}


def plain(text):
    """Return the text in the form that transliteration does not change."""
    kept = characters.with_few_marks(characters.undirected(characters.printable(text)))
    return "".join(characters.fold(kept.translate(TABLE)).split())


def test_a_digest_shortens_its_lines_until_all_fit():
    lines = [DigestLine(f"name{number}", LATIN, number) for number in range(1, 4)]
    found = digest(lines, segments=1)
    assert found.count == 3
    assert len(found.text) <= 160
    assert found.text.splitlines()[0] == "@name1: The ferry to the island leaves an hour... #1"
    assert digest(lines, segments=3).text.count("storm") == 3


def test_a_digest_counts_the_lines_that_do_not_fit():
    found = digest([DigestLine("bob", GEORGIAN, number) for number in range(1, 41)], segments=1)
    lines = [f"@bob: ბორანი დღეს… #{number}" for number in (1, 2, 3)]
    assert found == Digest("\n".join([*lines, "+37"]), 3)
    links = [DigestLine("bob", "https://example.org/" + "x" * 200, number) for number in range(1, 5)]
    assert digest(links, segments=1).count == 4
    assert digest([], segments=1) == Digest("", 0)


def test_texts_of_any_length_can_be_delivered():
    long = GEORGIAN * 2_000
    for text, warning in ((long, ""), ("x", long), (LATIN * 2_000, "")):
        assert parts(delivery("bob", text, tag=3, warning=warning).text) == 1
    assert digest([DigestLine("bob", LATIN, number) for number in range(1, 1_000)], segments=3).count > 10


@given(st.lists(st.builds(DigestLine, NAMES, TEXTS, TAGS), max_size=25), st.integers(1, 3))
def test_a_digest_fits(lines, segments):
    found = digest(lines, segments=segments)
    assert parts(found.text) <= segments
    assert found.count or not lines or found.text.startswith("+")

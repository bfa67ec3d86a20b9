"""What filters match, and the treatment that follows."""

from __future__ import annotations

import pytest

from stormpetrel.model.filter import (
    MAX_KEPT_MATCHES,
    MAX_KEPT_POSTS,
    MAX_KEYWORD_CHARACTERS,
    Action,
    Filter,
    FilterContext,
    FilteredPost,
    Keyword,
    Match,
    Treatment,
    active_filters,
    treatment,
)


def filter_of(
    *words, whole=True, posts=(), number=1, expires_at_ms=0, contexts=tuple(FilterContext), action=Action.WARN
):
    return Filter(
        number,
        1,
        f"Filter {number}",
        contexts,
        action,
        expires_at_ms,
        tuple(Keyword(n, number, word, whole) for n, word in enumerate(words)),
        tuple(FilteredPost(n, number, post_id) for n, post_id in enumerate(posts)),
    )


def found(text, *words, whole=True):
    """Return the matching part of the text, or None."""
    matches = active_filters([filter_of(*words, whole=whole)], now_ms=0).matches(post_id=1, text=text)
    return matches[0].text if matches else None


@pytest.mark.parametrize(
    ("word", "text", "as_word", "as_part"),
    [
        ("rain", "It will Rain, they say", "Rain", "Rain"),
        ("RAIN", "raining", None, "rain"),
        ("rain", "a brainy one", None, "rain"),
        ("rain", "rain", "rain", "rain"),
        ("rain", "_rain_", None, "rain"),
        ("#storm", "a #storm comes", "#storm", "#storm"),
        ("#storm", "a #storms comes", None, "#storm"),
        ("#storm", "x#storm", "#storm", "#storm"),
        ("two words", "two words more", "two words", "two words"),
        ("two words", "two  words", None, None),
        ("C++", "C++ and c++17", "C++", "C++"),
        (".*", "anything", None, None),
        ("(a|b", "so (A|B it is", "(A|B", "(A|B"),
        ("strasse", "Auf der Straße", "Straße", "Straße"),
        ("Straße", "in der STRASSE", "STRASSE", "STRASSE"),
        ("σοφός", "ΣΟΦΌΣ", "ΣΟΦΌΣ", "ΣΟΦΌΣ"),
        ("日本", "今日本当に", "日本", "日本"),
        ("野球", "昨日は野球を見た", "野球", "野球"),
        ("แมว", "ฉันรักแมวมาก", "แมว", "แมว"),
        ("ខ្មែរ", "ភាសាខ្មែរ", "ខ្មែរ", "ខ្មែរ"),
        ("고양이", "고양이가 좋아", "고양이", "고양이"),
        ("art", "このart展", "art", "art"),
        ("art", "このparty展", None, "art"),
        ("हिन", "हिन्दी", None, "हिन"),
        ("हिन्दी", "वह हिन्दी है", "हिन्दी", "हिन्दी"),
        ("café", "CAFE\u0301!", "café", "café"),
        ("ｃａｆｅ", "a cafe", "cafe", "cafe"),
        ("cafe", "cafe\u0301", None, None),
        ("spam", "sp\u00ada\u200bm", "spam", "spam"),
        ("❤", "I ❤\ufe0f it", "❤", "❤"),
        ("🙈", "look 🙈 there", "🙈", "🙈"),
    ],
)
def test_a_word_is_found_whole_or_within_others_whatever_its_case(word, text, as_word, as_part):
    assert found(text, word) == as_word
    assert found(text, word, whole=False) == as_part
    # The same with several keywords in the filter.
    assert found(text, "unrelated", word, "other") == as_word


def test_a_post_is_named_or_has_the_words_and_both_are_said():
    active = active_filters(
        [filter_of("rain", posts=(7, 8)), filter_of(number=2, posts=(8,)), filter_of(number=3)], now_ms=0
    )

    def said(post_id, text):
        return [(one.filter.id, one.text, one.is_named) for one in active.matches(post_id=post_id, text=text)]

    assert said(6, "sun") == []
    assert said(6, "Rain") == [(1, "Rain", False)]
    assert said(7, "sun") == [(1, "", True)]
    assert said(8, "Rain") == [(1, "Rain", True), (2, "", True)]


def test_a_filter_that_has_expired_is_not_among_the_active_ones():
    filters = [filter_of("a", number=n, expires_at_ms=at) for n, at in enumerate((0, 10, 20))]
    for now_ms, ids, until_ms in ((9, [0, 1, 2], 10), (10, [0, 2], 20), (20, [0], None)):
        active = active_filters(filters, now_ms=now_ms)
        assert [one.id for one in active.filters] == ids
        assert until_ms is None or active.until_ms == until_ms
    assert active.until_ms > 10**15


def test_what_was_found_is_remembered_until_the_text_changes():
    active = active_filters([filter_of("rain")], now_ms=0)
    first = active.matches(post_id=1, text="rain")
    assert active.matches(post_id=1, text="rain") is first
    assert active.matches(post_id=1, text="sun") == ()
    assert active.matches(post_id=2, text="rain") == first
    assert active.matches(post_id=1, text="rain") == first


def test_what_is_remembered_is_bounded():
    filters = [filter_of("rain", number=number) for number in range(MAX_KEPT_MATCHES + 1)]
    for few in (filters[:0], filters[:1], filters[:30], filters):
        active = active_filters(few, now_ms=0)
        for post_id in range(2 * MAX_KEPT_POSTS):
            assert len(active.matches(post_id=post_id, text="rain")) == len(few)
            kept = active._kept.values()
            assert len(kept) <= MAX_KEPT_POSTS
            assert sum(len(matches) for _, matches in kept) <= MAX_KEPT_MATCHES


def test_a_hostile_pattern_does_not_take_forever():
    count = MAX_KEYWORD_CHARACTERS // 20
    words = [f"{'a' * 18}{chr(0x100 + 2 * n)}b" for n in range(count)]
    active = active_filters([filter_of(*words, whole=False)], now_ms=0)
    # A backtracking pattern would outlast the test run here.
    assert active.matches(post_id=1, text="a" * 20_000) == ()


@pytest.mark.parametrize(
    ("wanted", "context", "may_hide", "expected"),
    [
        ([], "home", True, None),
        ([("warn", "home")], "home", True, ("warn", [0])),
        ([("warn", "home")], "public", True, None),
        ([("warn", "home"), ("hide", "home")], "home", True, ("hide", [1])),
        ([("warn", "home"), ("hide", "public")], "home", True, ("warn", [0])),
        ([("blur", "home"), ("warn", "home")], "home", True, ("warn", [1])),
        ([("blur", "home"), ("blur", "home")], "home", True, ("blur", [0, 1])),
        ([("hide", "thread")], "thread", False, ("warn", [0])),
        ([("warn", "thread"), ("hide", "thread")], "thread", False, ("warn", [0, 1])),
    ],
)
def test_the_strongest_that_is_asked_for_here_is_done(wanted, context, may_hide, expected):
    matches = [
        Match(
            filter_of(number=n, action=Action(action), contexts=(FilterContext(where),)), "x", is_named=False
        )
        for n, (action, where) in enumerate(wanted)
    ]
    got = treatment(matches, FilterContext(context), may_hide=may_hide)
    if expected is None:
        assert got is None
    else:
        assert got == Treatment(Action(expected[0]), tuple(f"Filter {n}" for n in expected[1]))

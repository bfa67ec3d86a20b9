"""The meaning of a search, and the indexed form of a text."""

from __future__ import annotations

import sqlite3
import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.model.characters import UNSPACED
from stormpetrel.model.search import (
    MAX_TERMS,
    SearchQuery,
    name_words,
    parse,
    search_words,
    words_of,
)

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", SearchQuery()),
        ("bread", SearchQuery(terms=("bread",))),
        ("Bread and  BUTTER", SearchQuery(terms=("bread", "and", "butter"))),
        ('"fresh bread" butter', SearchQuery(terms=("fresh bread", "butter"))),
        ("\u201cfresh bread\u201d", SearchQuery(terms=("fresh bread",))),
        ('bread "never closed', SearchQuery(terms=("bread", "never closed"))),
        ('bread -rye -"sour dough"', SearchQuery(terms=("bread",), not_terms=("rye", "sour dough"))),
        ("from:Ann bread", SearchQuery(terms=("bread",), author="ann")),
        ("from:@ann@here.example", SearchQuery(author="ann")),
        ("from:me has:link", SearchQuery(author="me", marks=("link",))),
        ("has:media -has:poll is:reply", SearchQuery(marks=("media", "reply"), not_marks=("poll",))),
        ("has:wings", SearchQuery(terms=("has wings",))),
        ("language:de in:library", SearchQuery(language="de", scope="library")),
        ("a during:1970-01-03", SearchQuery(terms=("a",), from_ms=2 * DAY_MS, until_ms=3 * DAY_MS)),
        (
            "a after:1970-01-03 before:1970-01-05",
            SearchQuery(("a",), from_ms=3 * DAY_MS, until_ms=4 * DAY_MS),
        ),
        ("before:2026-13-45", SearchQuery(terms=("before 2026 13 45",))),
        ("Crème brûlée", SearchQuery(terms=("creme", "brulee"))),
        ("#Bread don't", SearchQuery(terms=("bread", "don t"), tags=("bread",))),
        ("#sour_dough, -#rye", SearchQuery(terms=("sour dough",), tags=("sour_dough",), not_tags=("rye",))),
        ('#1 "#bread" from:#rye', SearchQuery(terms=("1", "bread", "from rye"))),
        ("東京", SearchQuery(terms=("東 京",))),
        ("😀 \x00 ***", SearchQuery()),
        ("-only", SearchQuery(not_terms=("only",))),
    ],
)
def test_a_text_means(text: str, query: SearchQuery) -> None:
    assert parse(text) == query
    assert query.is_empty is not bool(query.terms or query.author or query.marks or query.language)


HOSTILE = st.one_of(
    st.text(),
    st.text(alphabet="\"'*():^-+|&!<>{}\\ anORNEAD\x00\u202e\u0645東😀", max_size=300),
    st.sampled_from(["*" * 10_000, '"' * 999, "a OR " * 2048, "-" * 5000, "from:me " * 2048, "NEAR(" * 300]),
)


@given(HOSTILE)
def test_any_text_gives_terms_of_letters_digits_and_spaces_that_no_index_can_misread(text: str) -> None:
    query = parse(text)
    assert len(query.terms) <= MAX_TERMS
    assert len(query.not_terms) <= MAX_TERMS
    for term in (*query.terms, *query.not_terms):
        assert term == " ".join(term.split())
        assert not set(term) & set("\"'*():^-+|&!<>{}\\\x00"), term
    index = sqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE t USING fts5(words)")
    for term in query.terms:
        assert index.execute("SELECT * FROM t WHERE t MATCH ?", (f'words:"{term}"',)).fetchall() == []
    index.close()


def test_every_character_of_a_script_without_spaces_is_a_word_of_its_own() -> None:
    unspaced = regex.compile(rf"[{UNSPACED}--\p{{M}}]", regex.V1)
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    every = [one for one in characters if unspaced.match(one) and unicodedata.normalize("NFKC", one) == one]
    assert len(every) > 100_000
    assert [one for one in every if search_words(f"é{one}b") != f"e {one} b"] == []


@given(st.text())
def test_what_is_indexed_can_be_looked_up_again(text: str) -> None:
    assert words_of(search_words(text)) == words_of(text)


def test_people_are_found_by_username_and_by_each_word_of_their_name() -> None:
    assert name_words("Ann_B", "Zoë O'Hara") == ("ann_b", "zoe", "ohara")
    assert name_words("wang", "王小明") == ("wang", "王小明", "小明", "明")
    assert name_words("ann", "") == ("ann",)

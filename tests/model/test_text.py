"""Text as people write it: no part of it becomes markup, and each link leads where its text says."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stormpetrel.model import characters
from stormpetrel.model.characters import undirected
from stormpetrel.model.post import Mention
from stormpetrel.model.search import search_words
from stormpetrel.model.text import (
    LINK_CHARACTERS,
    MAX_TAG_CHARACTERS,
    clean,
    count_characters,
    excerpt,
    mentions_in,
    one_line,
    render_field,
    render_html,
    render_note,
    tag_key,
    tags_in,
)
from tests.work import assert_linear

BASE = "https://here.example"
KNOWN = (Mention(1, "Alice"), Mention(2, "bob_2"))
EXPECTED_ATTRIBUTES = {
    "p": set(),
    "br": set(),
    "span": {"class", "translate"},
    "a": {"href", "class", "target", "rel", "translate"},
}

# Arbitrary text, and text made of pieces with a meaning in HTML, links or mentions.
PIECES = st.sampled_from(
    [
        *("<", ">", '"', "'", "&", "&amp;", "&#60;", "<script>", "</p>", "<!--", "javascript:", "data:"),
        *(
            "http://",
            "https://",
            "HTTP://",
            "www.",
            "example.org",
            "/",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ".",
            ",",
        ),
        *(
            "@",
            "@Alice",
            "@alice@here.example",
            "@bob_2@there.example",
            "#",
            "#tag",
            "#Ünï",
            "a",
            "1",
            "_",
            "é",
        ),
        *(" ", "\n", "\n\n", "\t", "\u0301", "\u200f", "\u2028", "\x00", "\ud800", "😀", "ﷺ", "ß", "ı"),
    ]
)
WRITTEN = st.one_of(st.text(), st.lists(PIECES, max_size=25).map("".join))


class Reader(HTMLParser):
    """What a browser reads from the HTML: tags, links, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in EXPECTED_ATTRIBUTES
        assert {name for name, _ in attrs} <= EXPECTED_ATTRIBUTES[tag]
        if tag == "a":
            assert "a" not in self.open
            self.links.append(dict(attrs)["href"] or "")
        if tag != "br":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.text += "\n"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data!r}")

    def handle_decl(self, decl: str) -> None:
        pytest.fail(f"a declaration: {decl!r}")

    def handle_pi(self, data: str) -> None:
        pytest.fail(f"an instruction: {data!r}")


def links(text: str) -> list[str]:
    return Reader(render_html(text, mentions=KNOWN, base_url=BASE)).links


@given(WRITTEN)
@settings(max_examples=600)
@example("http://)")
@example("https://a.b/\"onload='x'<script>")
def test_nothing_that_was_written_becomes_markup_and_all_of_it_is_read(written: str) -> None:
    text = clean(written)
    post = Reader(render_html(text, mentions=KNOWN, base_url=BASE))
    note = Reader(render_note(text, base_url=BASE))
    field = Reader(render_field(text, base_url=BASE))
    for link in (*post.links, *note.links, *field.links):
        scheme, _, rest = link.partition("://")
        assert scheme.lower() in ("http", "https")
        assert rest
        assert not set(link) & set('"<> \n\t')
    for reader in (note, field):
        assert "".join(reader.text.split()) == "".join(text.split())


@given(WRITTEN)
@settings(max_examples=400)
def test_cleaning_leaves_nothing_that_a_store_cannot_hold_and_does_nothing_twice(written: str) -> None:
    text = clean(written)
    text.encode("utf-8")
    assert not any(ord(character) < 32 and character not in "\n\t" for character in text)
    assert clean(text) == text
    assert one_line(one_line(written)) == one_line(written)
    assert "\n" not in one_line(written)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a\x00b", "ab"),
        ("a\x01\x1b[31mb\x7f\x85", "a[31mb"),
        ("a\ud800b\udfff", "ab"),
        ("  one\r\ntwo\rthree\n\n ", "one\ntwo\nthree"),
        ("tab\tstays", "tab\tstays"),
        ("👩‍👩‍👧 مرحبا", "👩‍👩‍👧 مرحبا"),
        (" \x00 ", ""),
        ("\u200b", ""),
        ("\u2800\u3164 \n\u2060\u200d\u00ad", ""),
        ("\u202e\u202c", ""),
        ("a\u202eb", "a\u202eb\u202c"),
        ("a\u2067b\nc\u2069", "a\u2067b\u2069\nc"),
        ("\u202c a", "a"),
        ("\u2066\u202ea\u2069b\u202c", "\u2066\u202ea\u2069b"),
    ],
)
def test_what_cleaning_keeps(written: str, kept: str) -> None:
    assert clean(written) == kept


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("see https://example.org.", ["https://example.org"]),
        ("(https://example.org/a)", ["https://example.org/a"]),
        ("(see https://example.org/a).", ["https://example.org/a"]),
        ("https://example.org/wiki/A_(b)", ["https://example.org/wiki/A_(b)"]),
        ("(https://example.org/wiki/A_(b))", ["https://example.org/wiki/A_(b)"]),
        ("[https://example.org/?a[]=1]", ["https://example.org/?a[]=1"]),
        ("https://example.org/a?b=c&d=e#f!", ["https://example.org/a?b=c&d=e#f"]),
        ('"https://example.org"', ["https://example.org"]),
        ("<https://example.org>", ["https://example.org"]),
        ("http://example.org/ü/日本", ["http://example.org/ü/日本"]),
        ("https://example.org/x//", ["https://example.org/x//"]),
        ("https://a.example https://b.example", ["https://a.example", "https://b.example"]),
        ("https://user@host.example/@Alice", ["https://user@host.example/@Alice"]),
        ("Https://example.org/x HTTP://example.org", ["Https://example.org/x", "HTTP://example.org"]),
        ("「https://example.org/a」", ["https://example.org/a"]),
        ("『https://example.org』と", ["https://example.org"]),
        (
            "（https://example.org/a）https://example.org/b。",
            ["https://example.org/a", "https://example.org/b"],
        ),
        ("https://example.org/a、https://example.org/b", ["https://example.org/a", "https://example.org/b"]),
        (
            "“https://example.org/a” ‘https://example.org/b’",
            ["https://example.org/a", "https://example.org/b"],
        ),
        (
            "«https://example.org/a» »https://example.org/b«",
            ["https://example.org/a", "https://example.org/b"],
        ),
        (
            "„https://example.org/a“, ‚https://example.org/b‘.",
            ["https://example.org/a", "https://example.org/b"],
        ),
        ("https://example.org/a… https://example.org/b।", ["https://example.org/a", "https://example.org/b"]),
        ("https://example.org/a، https://example.org/b؟", ["https://example.org/a", "https://example.org/b"]),
        ("https://example.org/a።", ["https://example.org/a"]),
        ("https://ja.example/wiki/東京（曖昧さ回避）", ["https://ja.example/wiki/東京（曖昧さ回避）"]),
        ("（https://ja.example/東京（A））", ["https://ja.example/東京（A）"]),
        ("https://example.org/wiki/L'Exemple", ["https://example.org/wiki/L'Exemple"]),
        ("https://example.org/wiki/L’Exemple", ["https://example.org/wiki/L’Exemple"]),
        ("https://example.org's https://example.org’s", ["https://example.org", "https://example.org"]),
        (
            "'https://example.org/q' ‘https://example.org/q’的",
            ["https://example.org/q", "https://example.org/q"],
        ),
        ("'https://example.org/it's/q'", ["https://example.org/it's/q"]),
        (
            "https://example.orgを見て https://example.orgですよ。",
            ["https://example.org", "https://example.org"],
        ),
        (
            "https://bücher.example/ü https://例え.テスト/",
            ["https://bücher.example/ü", "https://例え.テスト/"],
        ),
        ("https://example.org/\u202egnp.exe", ["https://example.org/"]),
        ("https://example.org/a\u3000b https://example.org/a\u200bb", ["https://example.org/a"] * 2),
        ("http://[::1]:8000/a http://localhost:8000", ["http://[::1]:8000/a", "http://localhost:8000"]),
        ("http:// https:// http://) ftp://x javascript://x http://-- https://。", []),
        ("www.example.org", []),
    ],
)
def test_links_end_where_the_sentence_goes_on(text: str, linked: list[str]) -> None:
    assert links(text) == linked


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@Alice hi", ("alice",)),
        ("@alice, @ALICE and @bob.", ("alice", "bob")),
        ("(@alice)@bob", ("alice", "bob")),
        ("@alice@here.example and @bob@HERE.example!", ("alice", "bob")),
        ("@alice@there.example", ()),
        ("me@alice.example a/@alice .@alice @@alice", ()),
        ("@alice@", ()),
        ("@" + "a" * 31, ()),
        ("@" + "a" * 30, ("a" * 30,)),
        ("https://x.example/@alice", ()),
        ("@älice", ()),
        ("@aliceさん hello", ("alice",)),
        ("@alice说得对 @bob님 (@carolу)", ("alice", "bob", "carol")),
        ("@alice@here.exampleさん", ("alice",)),
        ("@alice@here.example.", ("alice",)),
        ("❤️@alice", ("alice",)),
        ("@alice\u0301", ()),
        ("@alice's", ("alice",)),
    ],
)
def test_who_is_addressed(text: str, names: tuple[str, ...]) -> None:
    assert mentions_in(text, domain="here.example") == names


def test_a_mention_becomes_a_link_only_where_somebody_has_that_name() -> None:
    text = "@alice @nobody @alice@here.example @alice@there.example"
    assert links(text) == [f"{BASE}/@Alice", f"{BASE}/@Alice"]
    html = render_html("@alice", mentions=KNOWN, base_url=BASE)
    assert html == (
        '<p><span class="h-card" translate="no"><a href="https://here.example/@Alice" class="u-url mention">'
        "@<span>Alice</span></a></span></p>"
    )


def test_our_own_domain_is_known_however_the_address_is_written() -> None:
    html = render_html("@Alice@here.example", mentions=KNOWN, base_url="https://Here.Example")
    assert Reader(html).links == ["https://Here.Example/@Alice"]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#storm #Storm #STORM", (("storm", "storm"),)),
        ("#Café #cafe\u0301", (("café", "Café"),)),
        ("#日本語 #Ελλάδα #ไทย", (("日本語", "日本語"), ("ελλάδα", "Ελλάδα"), ("ไทย", "ไทย"))),
        ("#हिन्दी #தமிழ் #فارسی", (("हिन्दी", "हिन्दी"), ("தமிழ்", "தமிழ்"), ("فارسی", "فارسی"))),
        ("#Straße", (("strasse", "Straße"),)),
        ("#snake_case_2 #2024a", (("snake_case_2", "snake_case_2"), ("2024a", "2024a"))),
        ("#1 #2024 #_ # #-a ##", ()),
        ("#1\ufe0f\u20e3 #\ufe0f\u20e3a", ()),
        ("a#b /#c &#39; ##d", ()),
        ("(#one)#two,#three.", (("one", "one"), ("two", "two"), ("three", "three"))),
        ("a #می‌خواهم b", (("می‌خواهم", "می‌خواهم"),)),
        ("#ශ්‍රී", (("ශ්‍රී", "ශ්‍රී"),)),
        ("#a\u200db #ab", (("ab", "a\u200db"),)),
        (
            "#col·lecció #スター・ウォーズ #ｽﾀｰ･ｳｫｰｽﾞ",
            (
                ("col·lecció", "col·lecció"),
                ("スター・ウォーズ", "スター・ウォーズ"),
            ),
        ),
        ("#བོད་ཡིག་ #צה״ל", (("བོད་ཡིག", "བོད་ཡིག"), ("צה״ל", "צה״ל"))),
        ("＃タグ #a\u200c #·a #a·", (("タグ", "タグ"), ("a", "a"))),
        ("#a\u202eb #a\u200b", (("a", "a"),)),
        ("https://example.org/#anchor", ()),
    ],
)
def test_hashtags(text: str, tags: tuple[tuple[str, str], ...]) -> None:
    assert tags_in(text) == tags


def test_a_hashtag_links_to_its_folded_form_and_shows_what_was_written() -> None:
    html = render_html("#Straße", mentions=(), base_url=BASE)
    assert html == (
        '<p><a href="https://here.example/tags/strasse" class="mention hashtag" rel="tag">'
        "#<span>Straße</span></a></p>"
    )
    (link,) = links("#日本語")
    assert unquote(link.rpartition("/")[2]) == "日本語"


@given(st.text(max_size=120))
@settings(max_examples=600)
@example("\u0345\u0301")
@example("ΐ" * 60)
def test_the_key_of_a_tags_key_is_itself(word: str) -> None:
    key = tag_key(word)
    assert tag_key(key) == key
    assert len(key) <= MAX_TAG_CHARACTERS


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("hello", 5),
        ("é", 1),
        ("👍🏽", 1),
        ("👨‍👩‍👧", 1),
        ("🇳🇴🇳🇴", 2),
        ("e\u0301", 1),
        ("கோ", 1),
        ("ที่", 1),
        ("HTTPS://example.org/" + "a" * 500, LINK_CHARACTERS),
        ("「https://example.org/aaaaaaaaaaaaaaaaaaaaaaa」", LINK_CHARACTERS + 2),
        ("@alice@bücher.example hi", len("@alice hi")),
        ("@alice@there.exampleさん", len("@aliceさん")),
        ("https://example.org/" + "a" * 500, LINK_CHARACTERS),
        ("http://a.b", LINK_CHARACTERS),
        ("(https://example.org/a)", LINK_CHARACTERS + 2),
        ("http://)", 8),
        ("@alice@there.example hi", len("@alice hi")),
        ("@alice hi", 9),
        ("", 0),
    ],
)
def test_how_long_a_text_counts(text: str, characters: int) -> None:
    assert count_characters(text) == characters


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("one\ntwo", "<p>one<br />two</p>"),
        ("one\n\ntwo\n \n\nthree", "<p>one</p><p>two</p><p>three</p>"),
        ('a < b & c > "d"', "<p>a &lt; b &amp; c &gt; &quot;d&quot;</p>"),
    ],
)
def test_paragraphs(text: str, html: str) -> None:
    assert render_html(text, mentions=(), base_url=BASE) == html


def test_a_long_link_is_shown_short_and_read_whole() -> None:
    link = "https://www.example.org/a/very/long/path/to/some/page?with=parameters&more=1"
    html = render_html(link, mentions=(), base_url=BASE)
    reader = Reader(html)
    assert (reader.links, reader.text) == ([link], link)
    assert '<span class="invisible">https://www.</span>' in html
    assert '<span class="ellipsis">example.org/a/very/long/path/t</span>' in html


def test_a_profile_field_that_is_one_link_says_that_it_is_ones_own() -> None:
    assert 'rel="me nofollow noopener"' in render_field("https://example.org/me", base_url=BASE)
    assert "rel=" not in render_field("no link", base_url=BASE)
    assert render_field("<b>", base_url=BASE) == "&lt;b&gt;"
    assert "@alice" in unescape(render_note("@alice", base_url=BASE))


@given(st.text(), st.integers(min_value=1, max_value=60))
@example("\u202a", 1)
def test_an_excerpt_is_one_line_and_never_longer(text: str, characters: int) -> None:
    cut = excerpt(text, characters)
    assert len(cut) <= characters
    assert len(cut.splitlines()) <= 1
    line = " ".join(undirected(text).split())
    if len(line) <= characters:
        assert cut == line


def test_an_excerpt_ends_at_a_word() -> None:
    assert excerpt("one two three four", 12) == "one two…"
    assert excerpt("one two, three", 11) == "one two…"
    assert excerpt("one two. Three four", 12) == "one two…"
    assert excerpt("oneverylongword", 8) == "onevery…"


HOSTILE = [
    *(
        ")",
        "http://)",
        "http://.",
        "http://",
        "https://a.b/)",
        "@a@",
        "@a@.",
        "@a@b:1",
        "#1",
        "#_",
        "#\u0301",
    ),
    *("\n ", "\n\t\n", "@", "@a@b-", "<", "&", " #a", " @b", "(((((http://a)))))", "http://a@b#c"),
    *(
        "https://a/」",
        "「https://a/",
        "https://a/「",
        "https://a.b/’",
        "https://a.é",
        "https://a/((",
        "https://a。",
    ),
    *(
        "\U0001f1f3",
        "\u200d",
        "a\u200d",
        "👨\u200d",
        "क्",
        "\u0600",
        "\u0301",
        "\u1100",
        "가",
        "\r\n",
        "क\u093c",
    ),
    *(
        "\u202e",
        "\u202c",
        "\u2066",
        "\u2069",
        "\u2066\u202e",
        "\u202e\n",
        "#a\u200c",
        "#a··",
        "#1·",
        "#·",
        "·",
    ),
    *("@a.", "@a@b.", "@a@é.", "ー", "東", "\u3164", "\u2800", " ", "ﷺ", "ΐ", "ß"),
]


def _everything(text: str) -> None:
    kept = clean(text)
    count_characters(kept)
    render_html(kept, mentions=KNOWN, base_url=BASE)
    render_field(kept, base_url=BASE)
    tags_in(kept)
    mentions_in(kept)
    tag_key(kept)
    excerpt(kept, 500)
    characters.mark_boundaries(characters.fold(kept))
    characters.is_too_long(kept, len(kept))
    search_words(kept)


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("before", ["", "https://a/", "@a@"])
def test_a_hostile_text_costs_no_more_per_character_than_a_plain_one(unit: str, before: str) -> None:
    assert_linear(lambda size: _everything(before + unit * (size // len(unit.encode()))))

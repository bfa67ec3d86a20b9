"""Operators' texts: CommonMark, and nothing that could load, run or disguise anything."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.model.incident_text import body_html

LINK = 'rel="nofollow noopener"'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("It *works*.", "<p>It <em>works</em>.</p>"),
        ("one\ntwo\n\nthree", "<p>one<br />\ntwo</p>\n<p>three</p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        (
            "see https://a.example/?x=1&y=2.",
            f'<p>see <a href="https://a.example/?x=1&amp;y=2" {LINK}>https://a.example/?x=1&amp;y=2</a>.</p>',
        ),
        ("[here](https://a.example/)", f'<p><a href="https://a.example/" {LINK}>here</a></p>'),
        (
            "[https://a.example](https://b.example)",
            f'<p><a href="https://b.example" {LINK}>https://a.example</a></p>',
        ),
        ("`https://a.example`", "<p><code>https://a.example</code></p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("[x](data:text/html,x)", "<p>[x](data:text/html,x)</p>"),
        ("<b onclick=x>y</b>", "<p>&lt;b onclick=x&gt;y&lt;/b&gt;</p>"),
        ("# Title", "<p># Title</p>"),
        ("", ""),
    ],
)
def test_markdown_becomes_this_html(text, html):
    assert body_html(text) == html


def test_an_image_is_not_loaded():
    assert "<img" not in body_html("![x](https://tracker.example/x.png)")


@given(st.text("<>\"'&`*_[]()!#:/ \nahtpsjvcrx=-.", max_size=200))
def test_no_text_gives_other_elements_or_attributes(text):
    html = body_html(text)
    elements = set(re.findall(r"<(/?\w+)", html))
    allowed = "p br em strong a code pre ul ol li blockquote hr".split()
    assert {name.strip("/") for name in elements} <= set(allowed)
    attributes = {name for tag in re.findall(r"<[^>]*>", html) for name in re.findall(r"\s(\w+)=", tag)}
    assert attributes <= {"href", "rel", "title", "class", "start"}
    assert not re.search(r'href="(?!https?:|mailto:|[^":]*")', html, re.IGNORECASE)

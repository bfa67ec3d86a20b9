"""The search page."""

from __future__ import annotations

from contextlib import closing

from tests.markup import checked


def test_search_finds_people_and_leads_to_tags_and_addresses(place):
    ann = place.person("Searched_Ann")
    search = place.visitor.get("/search", params={"q": "searched_a"})
    checked(search)
    assert f'href="/@{ann.username}"' in search.text
    ways = {
        "#Birds": "/tags/Birds",
        f"@{ann.username}": f"/@{ann.username}",
        f"{place.base_url}/@{ann.username}": f"/@{ann.username}",
    }
    for text, wanted in ways.items():
        answer = place.visitor.get("/search", params={"q": text})
        assert (answer.status_code, answer.headers["location"]) == (303, wanted), text
    for nothing in ("", "nobody-at-all", "ann@elsewhere.example", "two words", "%", "_", "x" * 500):
        checked(place.visitor.get("/search", params={"q": nothing}))


def test_a_member_s_search_for_a_hashtag_and_a_word_shows_posts_with_both(place):
    ann, bob = place.person("ann"), place.person("bob")
    tagged, without = ann.post("Warm #loaf of today"), ann.post("A loaf of today, without a hashtag")
    with closing(place.browser_session(bob)) as browser:
        page = browser.get("/search", params={"q": "#loaf today"})
    checked(page)
    assert f"/@{ann.username}/{tagged['id']}" in page.text
    assert without["id"] not in page.text
    hint = page.text.partition('class="hint"')[2].partition("</details>")[0]
    assert "<kbd>#hashtag</kbd>" in hint

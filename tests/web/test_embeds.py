"""Posts on other sites: previews, and a frame in which a click by mistake has no effect."""

from __future__ import annotations

import html
import re
from contextlib import closing

import pytest

from tests.atom_rules import problems
from tests.markup import Page
from tests.media_files import png

FRAMED = (
    "default-src 'none'",
    "style-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors *",
)


def preview(page):
    """Return the page's preview values by name."""
    found = re.findall(r'<meta (?:property|name)="((?:og|article|twitter):\w+)" content="([^"]*)"', page.text)
    return {name: html.unescape(value) for name, value in found}


def test_a_public_post_has_a_preview(place):
    ann = place.person("ann")
    post = ann.post('Say "hello" & more')
    page = place.visitor.get(f"/@{ann.username}/{post['id']}")
    found = preview(page)
    assert found["og:type"] == "article"
    assert found["og:url"] == post["url"]
    assert found["og:description"] == 'Say "hello" & more'
    assert found["article:published_time"] == post["created_at"][:19] + "Z"
    assert found["twitter:card"] == "summary"
    link = re.search(r'type="application/json\+oembed"[^>]* href="([^"]+)"', page.text)
    assert link is not None
    oembed = place.visitor.get(html.unescape(link[1]))
    assert oembed.json()["author_name"] == ann.username


def test_a_profile_has_a_preview(place):
    ann = place.person("ann")
    found = preview(place.visitor.get(f"/@{ann.username}"))
    assert found["og:type"] == "profile"
    assert found["og:url"] == f"{place.base_url}/@{ann.username}"


def test_of_a_warned_post_the_preview_is_the_warning(place):
    ann = place.person("ann")
    post = ann.post("eight legs", spoiler_text="spiders")
    page = place.visitor.get(f"/@{ann.username}/{post['id']}")
    assert preview(page)["og:description"] == "spiders"
    assert "eight legs" not in page.text.partition("<body")[0]


def test_a_picture_is_in_the_preview_unless_its_reader_should_be_asked_first(place):
    ann = place.person("ann")

    def post(**more):
        media = ann.http.post(
            "/api/v1/media", files={"file": ("a.png", png())}, data={"description": "A sea"}
        )
        return ann.post("look", media_ids=[media.json()["id"]], **more), media.json()

    shown, media = post()
    page = place.visitor.get(f"/@{ann.username}/{shown['id']}")
    assert preview(page)["og:image"] == media["url"]
    assert preview(page)["twitter:card"] == "summary_large_image"
    feed = place.visitor.get(f"/@{ann.username}/feed.atom")
    assert problems(feed.content) == []
    assert f'<link rel="enclosure" type="image/png" href="{media["url"]}" title="A sea"/>' in feed.text
    for covered in ({"sensitive": True}, {"spoiler_text": "a warning"}):
        hidden, media = post(**covered)
        assert "og:image" not in preview(place.visitor.get(f"/@{ann.username}/{hidden['id']}"))
        assert media["url"] not in place.visitor.get(f"/@{ann.username}/feed.atom").text


def test_an_edit_is_in_preview_and_feed_at_once(place):
    ann = place.person("ann")
    post = ann.post("first words")
    path = f"/@{ann.username}/{post['id']}"
    for one in (path, f"{path}/embed", f"/@{ann.username}/feed.atom"):
        assert "first words" in place.visitor.get(one).text
    edited = ann.http.put(f"/api/v1/statuses/{post['id']}", json={"status": "second thoughts"})
    assert edited.status_code == 200
    for one in (path, f"{path}/embed", f"/@{ann.username}/feed.atom"):
        page = place.visitor.get(one)
        assert "second thoughts" in page.text
        assert "first words" not in page.text
    assert preview(place.visitor.get(path))["article:modified_time"] == edited.json()["edited_at"][:19] + "Z"
    feed = place.visitor.get(f"/@{ann.username}/feed.atom")
    assert f"<updated>{edited.json()['edited_at'][:19]}Z</updated>" in feed.text


def test_a_post_that_is_not_for_everybody_has_no_preview_and_no_frame(place):
    ann, bob = place.person("ann"), place.person("bob")
    bob.follow(ann)
    post = ann.post("for followers", visibility="private")
    path = f"/@{ann.username}/{post['id']}"
    with closing(place.browser_session(bob)) as browser:
        page = browser.get(path)
        assert page.status_code == 200
        assert "og:description" not in preview(page)
        assert "oembed" not in page.text
        # Not even for accounts that may read the post: a frame is the same for all visitors.
        assert browser.get(f"{path}/embed").status_code == 404
    assert place.visitor.get(f"{path}/embed").status_code == 404
    assert place.visitor.get("/api/oembed", params={"url": post["url"]}).status_code == 404


def test_a_frame_may_stand_anywhere_and_has_no_form_and_no_script(place):
    ann = place.person("ann")
    post = ann.post("hello #birds")
    path = f"/@{ann.username}/{post['id']}"
    for client in (place.visitor, place.browser_session(ann)):
        page = client.get(f"{path}/embed")
        assert page.status_code == 200
        parsed = Page(page.text)
        assert (parsed.scripts, parsed.handlers, parsed.headings) == (0, [], [1])
        assert "x-frame-options" not in page.headers
        policy = page.headers["content-security-policy"].split("; ")
        assert set(FRAMED) <= set(policy)
        assert not any(directive.startswith("script-src") for directive in policy)
        assert not re.search(r"<(form|script|button|input)\b", page.text)
        assert '<base target="_blank">' in page.text
        assert "hello" in page.text
    whole = place.visitor.get(path)
    assert whole.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in whole.headers["content-security-policy"]


def test_a_frame_under_another_name_leads_to_the_right_one(place):
    ann = place.person("ann")
    post = ann.post("hello")
    answer = place.visitor.get(f"/@somebody/{post['id']}/embed")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/@{ann.username}/{post['id']}/embed")


@pytest.mark.parametrize("more", ["", "/embed", "?utm=1"])
def test_oembed_gives_a_frame_for_a_posts_address(place, more):
    ann = place.person("ann")
    post = ann.post('<script>alert("x")</script>')
    answer = place.visitor.get("/api/oembed", params={"url": post["url"] + more, "maxwidth": "300"})
    found = answer.json()
    assert (found["type"], found["version"], found["width"]) == ("rich", "1.0", 300)
    assert found["author_url"] == f"{place.base_url}/@{ann.username}"
    assert "<script" not in found["html"]
    source = re.search(r'src="([^"]+)"', found["html"])
    assert source is not None
    assert place.visitor.get(source[1]).status_code == 200
    assert 'sandbox="' in found["html"]
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"url": ""}, 404),
        ({}, 404),
        ({"url": "https://elsewhere.example/@ann/1"}, 404),
        ({"url": "{base}/@ann"}, 404),
        ({"url": "{base}/@ann/99999999999999999999999"}, 404),
        ({"url": "{base}/@ann/1", "format": "xml"}, 400),
        ({"url": "{base}/@ann/1", "maxwidth": "-5"}, 422),
        ({"url": "{base}/@ann/1", "maxwidth": "wide"}, 422),
    ],
)
def test_oembed_says_what_it_cannot_show(place, query, status):
    query = {name: value.format(base=place.base_url) for name, value in query.items()}
    answer = place.visitor.get("/api/oembed", params=query)
    assert (answer.status_code, next(iter(answer.json()))) == (status, "error")

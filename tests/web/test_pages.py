"""Pages in a browser without scripts: who sees what, paging, errors, files."""

from __future__ import annotations

import re
from contextlib import closing
from urllib.parse import quote

import pytest

from tests.forms import form_to, sign_in
from tests.markup import checked

# Every page


VISITORS_PAGES = [
    "/",
    "/public",
    "/about",
    "/search",
    "/search?q=x",
    "/tags/birds",
    "/auth/sign_in",
    "/auth/sign_up",
]
MEMBERS_PAGES = [
    "/notifications",
    "/bookmarks",
    "/favourites",
    "/follow_requests",
    "/compose",
    "/compose?text=hello",
    "/settings/profile",
    "/auth/password",
]


def test_every_page_is_well_formed_and_labelled_for_visitors_and_members(place):
    ann = place.person("ann")
    first = ann.post("One #birds", language="en")
    ann.post("Two", in_reply_to_id=first["id"], spoiler_text="a warning")
    pages = [*VISITORS_PAGES]
    for tail in ("", "/with_replies", "/followers", "/following", f"/{first['id']}"):
        pages.append(f"/@{ann.username}{tail}")
    for path in pages:
        checked(place.visitor.get(path))
    with closing(place.browser_session(ann)) as browser:
        for path in [path for path in pages if not path.startswith("/auth")] + MEMBERS_PAGES:
            checked(browser.get(path))
        checked(browser.get(f"/posts/{first['id']}/delete"))
        checked(browser.get(f"/compose?in_reply_to={first['id']}"))


@pytest.mark.parametrize("path", MEMBERS_PAGES)
def test_pages_for_members_send_visitors_to_the_sign_in_page_and_back(place, path):
    answer = place.visitor.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/auth/sign_in?next={quote(path, safe='/')}"


def test_head_is_answered_like_get_without_the_body(place):
    got, head = place.visitor.get("/about"), place.visitor.head("/about")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


# Visitors


def test_visitors_get_no_form_token_and_nothing_of_who_asked_before_them(place):
    ann = place.person("ann")
    post = ann.post("For everyone to read")
    for path in ("/", "/public", "/about", f"/@{ann.username}", f"/@{ann.username}/{post['id']}"):
        answer = place.visitor.get(path, params={"evil": "marker-of-somebody"})
        assert "csrf" not in answer.text, path
        assert "set-cookie" not in answer.headers, path
        assert "marker-of-somebody" not in answer.text, path


def test_a_profile_is_found_in_any_case_and_with_our_own_domain(place):
    ann = place.person("Ann")
    assert place.visitor.get(f"/@{ann.username.upper()}").status_code == 200
    domain = place.base_url.partition("://")[2]
    answer = place.visitor.get(f"/@{ann.username}@{domain}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/@{ann.username}")
    assert place.visitor.get(f"/@{ann.username}@elsewhere.example").status_code == 404


def test_times_are_marked_up_as_such(place):
    ann = place.person("ann")
    post = ann.post("Now")
    text = place.visitor.get(f"/@{ann.username}/{post['id']}").text
    assert f'<time datetime="{post["created_at"][:19]}Z"' in text


def test_a_long_list_has_pages_in_both_directions_without_gap_or_repetition(place):
    ann = place.person("ann")
    wanted = [ann.post(f"Number {number}")["id"] for number in range(45)][::-1]
    seen, path, pages = [], f"/@{ann.username}", 0
    back = []
    while path:
        answer = place.visitor.get(path)
        page = checked(answer)
        seen += [page_id.removeprefix("post-") for page_id in page.ids if page_id.startswith("post-")]
        older = re.search(r'rel="next" href="([^"]+)"', answer.text)
        newer = re.search(r'rel="prev" href="([^"]+)"', answer.text)
        assert bool(newer) == (pages > 0)
        back.append(newer[1].replace("&#x2f;", "/").replace("&amp;", "&") if newer else None)
        path = older[1].replace("&#x2f;", "/").replace("&amp;", "&") if older else None
        pages += 1
    assert (seen, pages) == (wanted, 3)
    newer_page = checked(place.visitor.get(back[2]))
    assert [i for i in newer_page.ids if i.startswith("post-")] == [f"post-{i}" for i in wanted[20:40]]


@pytest.mark.parametrize("query", ["max_id=x", "max_id=-1", "max_id=99999999999999999999999", "min_id=1.5"])
def test_a_page_number_that_cannot_be_is_refused_plainly(place, query):
    checked(place.visitor.get(f"/public?{query}"), 422)


# Counts


def test_counts_are_at_once_right_for_members(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Count me")
    path = f"/@{ann.username}/{post['id']}"
    with closing(place.browser_session(ben)) as browser:
        for wanted, verb in ((1, "favourite"), (0, "unfavourite"), (1, "favourite")):
            ben.do(f"/api/v1/statuses/{post['id']}/{verb}")
            assert f'data-act="favourite" data-count="{wanted}"' in browser.get(path).text


# Errors


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/@nobody_at_all",
        "/@nobody/1",
        "/tags/!",
        "/@x/y/z",
        "/assets/none.css",
        "/@nobody/followers",
    ],
)
def test_what_is_not_there_says_so_on_a_page(place, path):
    page = checked(place.visitor.get(path), 404)
    assert "failure-title" in page.ids


def test_the_wrong_method_says_which_are_right(place):
    answer = place.visitor.post("/public")
    checked(answer, 405)
    assert "GET" in answer.headers["allow"]


def test_error_pages_greet_the_reader_and_do_not_fail_with_a_strange_query(place):
    with closing(place.browser_session(place.person("ann"))) as browser:
        checked(browser.get("/nothing"), 404)
        checked(browser.get("/nothing?a=%FF&b=<script>"), 404)


# Files


def test_what_browsers_and_robots_ask_for_unasked(place):
    icon = place.visitor.get("/favicon.ico")
    assert (icon.headers["content-type"], icon.content[:4]) == ("image/png", b"\x89PNG")
    robots = place.visitor.get("/robots.txt")
    assert robots.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Disallow: /auth/" in robots.text
    manifest = place.visitor.get("/manifest.webmanifest")
    assert manifest.headers["content-type"] == "application/manifest+json"
    for drawing in manifest.json()["icons"]:
        assert place.visitor.get(drawing["src"]).status_code == 200


def test_an_instance_that_is_no_demo_has_no_simulator_and_says_that_there_is_no_route(place):
    assert place.visitor.get("/demo/phone").status_code == 404
    with place.client() as browser:
        csrf = form_to(browser.get("/auth/sign_in"), "/auth/sign_in").fields["csrf"]
        assert browser.post("/demo/phone", data={"csrf": csrf, "text": "HELP"}).status_code == 404
        sign_in(browser, place.person("Nino").username)
        assert "/demo/phone" not in browser.get("/").text
        page = browser.get("/settings/phone")
        assert "has no SMS route yet" in page.text
        fields = form_to(page, "/auth/sign_out").fields
        assert "GO" not in browser.post("/settings/phone/code", data=fields).text

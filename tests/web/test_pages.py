"""Pages in a browser without scripts: who sees what, paging, errors, files."""

from __future__ import annotations

import re
from contextlib import closing
from urllib.parse import quote

import pytest

from tests.forms import form_to, send
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


def test_a_post_for_followers_is_nothing_to_others(place):
    ann, friend, stranger, blocked = (place.person(name) for name in ("ann", "friend", "stranger", "blocked"))
    friend.follow(ann)
    ann.do(f"/api/v1/accounts/{blocked.id}/block")
    secret = ann.post("Only friends", visibility="private")
    public = ann.post("Everyone")
    paths = [f"/@{ann.username}/{post['id']}" for post in (secret, public)]
    seen = {}
    for name, person in (("friend", friend), ("stranger", stranger), ("blocked", blocked), ("ann", ann)):
        with closing(place.browser_session(person)) as browser:
            seen[name] = [browser.get(path).status_code for path in paths]
            assert ("Only friends" in browser.get(f"/@{ann.username}").text) == (name in ("friend", "ann"))
    seen["nobody"] = [place.visitor.get(path).status_code for path in paths]
    assert seen == {
        "friend": [200, 200],
        "ann": [200, 200],
        "stranger": [404, 200],
        "blocked": [404, 404],
        "nobody": [404, 200],
    }


def test_a_direct_post_is_seen_by_whom_it_names_and_nobody_else(place):
    ann, named, other = place.person("ann"), place.person("named"), place.person("other")
    post = ann.post(f"@{named.username} psst", visibility="direct")
    path = f"/@{ann.username}/{post['id']}"
    for person, status in ((named, 200), (other, 404)):
        with closing(place.browser_session(person)) as browser:
            assert browser.get(path).status_code == status
            assert "psst" not in browser.get("/public").text
    assert place.visitor.get(path).status_code == 404


def test_a_thread_shows_what_is_answered_above_and_replies_indented_below(place):
    ann, ben = place.person("ann"), place.person("ben")
    top = ann.post("The top")
    middle = ben.post("The middle", in_reply_to_id=top["id"])
    below = ann.post("Below", in_reply_to_id=middle["id"])
    deeper = ben.post("Deeper", in_reply_to_id=below["id"])
    answer = place.visitor.get(f"/@{ben.username}/{middle['id']}")
    page = checked(answer)
    order = [page_id for page_id in page.ids if page_id.startswith("post-")]
    assert order == [f"post-{post['id']}" for post in (top, middle, below, deeper)]
    for post, depth in ((below, 1), (deeper, 2)):
        assert re.search(rf'class="post depth-{depth}" id="post-{post["id"]}"', answer.text)
    assert f'class="post focus" id="post-{middle["id"]}"' in answer.text


def test_a_posts_address_with_the_wrong_name_and_a_boosts_lead_to_the_post(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Mine")
    boost = ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    for path in (f"/@{ben.username}/{post['id']}", f"/@{ben.username}/{boost['id']}", f"/@x/{post['id']}"):
        answer = place.visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (302, f"/@{ann.username}/{post['id']}")


def test_a_profile_is_found_in_any_case_and_with_our_own_domain(place):
    ann = place.person("Ann")
    assert place.visitor.get(f"/@{ann.username.upper()}").status_code == 200
    domain = place.base_url.partition("://")[2]
    answer = place.visitor.get(f"/@{ann.username}@{domain}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/@{ann.username}")
    assert place.visitor.get(f"/@{ann.username}@elsewhere.example").status_code == 404


def test_a_content_warning_hides_the_text_until_it_is_opened(place):
    ann = place.person("ann")
    post = ann.post("The butler did it", spoiler_text="The end of a book", language="fr")
    text = place.visitor.get(f"/@{ann.username}/{post['id']}").text
    details = text.partition("<details")[2].partition("</details>")[0]
    assert (
        details.index("The end of a book") < details.index("</summary>") < details.index("The butler did it")
    )
    assert 'lang="fr"' in text


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


# Notifications, settings, search


def test_notifications_are_counted_shown_once_as_new_and_then_read(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("My words")
    ben.follow(ann)
    ben.do(f"/api/v1/statuses/{post['id']}/favourite")
    ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    ben.post(f"@{ann.username} what words")
    with closing(place.browser_session(ann)) as browser:
        assert re.search(r'class="badge">4<', browser.get("/").text)
        answer = browser.get("/notifications")
        checked(answer)
        assert answer.text.count("(new)") == 4
        for said in (
            "followed you",
            "favourited your post",
            "boosted your post",
            "Mentioned you",
            "what words",
        ):
            assert said in answer.text
        assert "badge" not in browser.get("/").text
        assert "(new)" not in browser.get("/notifications").text


def test_a_profile_is_edited_and_wrong_input_comes_back(place):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        form = browser.get("/settings/profile")
        typed = {
            "display_name": "Ann of the Sea",
            "note": "I like #birds",
            "field_name_0": "Home",
            "field_value_0": "https://ann.example",
            "locked": "on",
        }
        answer = send(browser, form, "/settings/profile", typed)
        assert answer.headers["location"] == f"/@{ann.username}"
        profile = browser.get(answer.headers["location"]).text
        for shown in (
            "Ann of the Sea",
            'href="https://ann.example"',
            "approves followers",
            "#<span>birds</span>",
        ):
            assert shown in profile
        # The name in the page's frame is not a cached older one.
        assert "Ann of the Sea" in browser.get("/about").text
        wrong = send(
            browser,
            browser.get("/settings/profile"),
            "/settings/profile",
            {"display_name": "x" * 31, "note": "kept"},
        )
        checked(wrong, 422)
        assert form_to(wrong, "/settings/profile").fields["note"].strip() == "kept"


def test_a_new_name_is_at_once_on_everything_that_its_owner_said(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Said under the old name")
    ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    paths = (f"/@{ann.username}/{post['id']}", f"/@{ben.username}")
    with closing(place.browser_session(ben)) as browser:
        for path in paths:
            assert "Renamed Ann" not in browser.get(path).text
        ann.http.patch("/api/v1/accounts/update_credentials", json={"display_name": "Renamed Ann"})
        for path in paths:
            assert "Renamed Ann" in browser.get(path).text


def test_counts_are_at_once_right_for_members(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Count me")
    path = f"/@{ann.username}/{post['id']}"
    with closing(place.browser_session(ben)) as browser:
        for wanted, verb in ((1, "favourite"), (0, "unfavourite"), (1, "favourite")):
            ben.do(f"/api/v1/statuses/{post['id']}/{verb}")
            assert f'data-act="favourite" data-count="{wanted}"' in browser.get(path).text


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


def test_assets_are_kept_for_ever_under_their_own_address(place):
    text = place.visitor.get("/").text
    found = set(re.findall(r'(?:href|src)="(/assets/[^"#]+)', text))
    kinds = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".png": "image/png",
    }
    assert {path[path.rindex(".") :] for path in found} == set(kinds)
    for path in found:
        answer = place.visitor.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kinds[path[path.rindex(".") :]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["style-000000000000.css", "%2e%2e%2fassets.py", "style.css.map", "a" * 500])
def test_other_asset_names_are_not_there(place, name):
    assert place.visitor.get(f"/assets/{name}").status_code == 404


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

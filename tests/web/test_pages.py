"""Pages as a browser without scripts meets them: who sees what, forms, paging, and nothing that is not escaped."""

from __future__ import annotations

import re
from contextlib import closing
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from tests.forms import form_to, send
from tests.people import csrf_of

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
# Elements of the drawings and of HTML that may end themselves.
SELF_CLOSING = frozenset({"use", "path", "circle"})
CSP = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "form-action 'self'",
)


class Page(HTMLParser):
    """The parts of a page that tests look at; fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.fields, self.labels, self.headings = [], [], [], set(), []
        self.scripts = 0
        self.handlers = []
        self.landmarks = []
        self.langs = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute is there twice: {tag} {attrs}"
        self.handlers += [name for name in values if name.startswith("on") or name == "style"]
        if "id" in values:
            self.ids.append(values["id"])
        if "lang" in values:
            self.langs.append(values["lang"])
        if tag == "label":
            self.labels.add(values.get("for"))
        if tag in ("input", "textarea", "select") and values.get("type") != "hidden":
            self.fields.append((values.get("id"), "label" in self.open))
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))
        if tag in ("main", "nav", "header", "aside"):
            self.landmarks.append(tag)
        if tag == "script":
            self.scripts += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID | SELF_CLOSING, tag

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()


def checked(answer, status=200):
    """The parsed page, after what must hold for every page."""
    assert answer.status_code == status, answer.text[-2000:]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for directive in CSP:
        assert directive in answer.headers["content-security-policy"].split("; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = Page(answer.text)
    assert page.scripts == 1
    assert page.handlers == []
    assert len(set(page.ids)) == len(page.ids), "an id is there twice"
    for field_id, inside_label in page.fields:
        assert inside_label or field_id in page.labels, f"no label for {field_id}"
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip([0, *page.headings], page.headings, strict=False))
    assert page.landmarks.count("main") == 1
    return page


def sent(browser, path, **fields):
    """POSTs to `path` with a token of this browser's; where a page's button leads."""
    page = browser.get("/about")
    return browser.post(path, data={"csrf": csrf_of(page.text), **fields})


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


# What visitors see


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


# Nothing of what people write becomes markup


def test_what_people_write_is_shown_as_text_everywhere(place):
    ann = place.person("ann")
    change = {
        "display_name": EVIL[:30],
        "note": EVIL,
        "fields_attributes": [{"name": EVIL, "value": EVIL}, {"name": "x", "value": "javascript:alert(1)"}],
    }
    assert ann.http.patch("/api/v1/accounts/update_credentials", json=change).status_code == 200
    post = ann.post(f"{EVIL} #tag {EVIL}", spoiler_text=EVIL)
    reply = ann.post(f"{EVIL} @{ann.username}", in_reply_to_id=post["id"])
    paths = [
        f"/@{ann.username}",
        f"/@{ann.username}/{post['id']}",
        f"/@{ann.username}/{reply['id']}",
        "/public",
        "/tags/tag",
    ]
    with closing(place.browser_session(ann)) as browser:
        for path in [
            *paths,
            "/",
            "/settings/profile",
            f"/compose?in_reply_to={post['id']}",
            f"/posts/{post['id']}/delete",
        ]:
            for client in (browser, place.visitor) if path in paths else (browser,):
                answer = client.get(path)
                checked(answer)
                assert "<script>" not in answer.text, path
                assert "<img" not in answer.text, path
                assert 'href="javascript:' not in answer.text, path


@pytest.mark.parametrize(
    "path",
    [
        f"/search?q={quote(EVIL)}",
        f"/search?q=%23{quote(EVIL)}",
        f"/compose?text={quote(EVIL)}",
        f"/auth/sign_in?next={quote(EVIL)}",
        f"/@{quote(EVIL, safe='')}",
        f"/tags/{quote(EVIL, safe='')}",
        f"/{quote(EVIL, safe='')}",
        f"/public?max_id={quote(EVIL)}",
        f"/about?x={quote(EVIL)}",
        "/%FF%FE",
        "/search?q=%FF",
        "/search?q=%00",
    ],
)
def test_what_stands_in_an_address_is_shown_as_text(place, path):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        for client in (browser, place.visitor):
            answer = client.get(path)
            assert answer.status_code < 500
            if answer.status_code != 303:
                checked(answer, answer.status_code)
            assert "<script>" not in answer.text
            assert "<img" not in answer.text


# Writing


def test_a_post_is_written_read_and_deleted_with_forms_alone(place):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        home = browser.get("/")
        answer = send(
            browser, home, "/compose", {"text": "Hello, sea! #tide", "visibility": "public", "language": "en"}
        )
        assert answer.status_code == 303
        path, _, anchor = answer.headers["location"].partition("#")
        post_id = anchor.removeprefix("post-")
        assert path == "/"
        assert "Hello, sea!" in browser.get("/").text
        page = browser.get(f"/@{ann.username}/{post_id}")
        assert f'href="/posts/{post_id}/delete"' in page.text
        ask = browser.get(f"/posts/{post_id}/delete")
        assert "Hello, sea!" in ask.text
        gone = send(browser, ask, f"/posts/{post_id}/delete")
        assert (gone.status_code, gone.headers["location"]) == (303, f"/@{ann.username}")
        checked(browser.get(f"/@{ann.username}/{post_id}"), 404)
        assert "Hello, sea!" not in browser.get("/").text
    assert "Hello, sea!" not in place.visitor.get("/tags/tide").text


def test_a_form_that_is_sent_twice_posts_once_and_with_another_text_twice(place):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        home = browser.get("/")
        first, again, other = (
            send(browser, home, "/compose", {"text": text}) for text in ("One", "One", "Two")
        )
    assert first.headers["location"] == again.headers["location"] != other.headers["location"]
    assert [status["content"] for status in ann.get(f"/api/v1/accounts/{ann.id}/statuses")] == [
        "<p>Two</p>",
        "<p>One</p>",
    ]


@pytest.mark.parametrize(
    ("text", "status"),
    [("", 422), ("   ", 422), ("x" * 501, 422), ("x" * 30_000, 422), (f"{EVIL}{'y' * 500}", 422)],
)
def test_a_post_that_is_refused_comes_back_with_everything_that_was_typed(place, text, status):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        typed = {"text": text, "spoiler_text": "careful", "visibility": "followers", "language": "de"}
        answer = send(browser, browser.get("/"), "/compose", typed)
        page = checked(answer, status)
        assert page.ids.count("compose-problem") == 1
        form = form_to(answer, "/compose")
        assert form.fields["text"].strip() == text.strip()
        assert form.fields["spoiler_text"] == "careful"
        assert '<option value="followers" title="only people who follow you" selected>' in answer.text
        assert '<option value="de" lang="de" selected>' in answer.text
        assert send(browser, answer, "/compose", typed | {"text": "Now it fits"}).status_code == 303
    assert ann.get(f"/api/v1/accounts/{ann.id}/statuses")[0]["visibility"] == "private"


def test_a_reply_is_addressed_and_stays_in_its_circle(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ben.post(f"@{ann.username} between us", visibility="direct", language="pl", spoiler_text="hush")
    with closing(place.browser_session(ann)) as browser:
        page = browser.get(f"/compose?in_reply_to={post['id']}")
        form = form_to(page, "/compose")
        assert form.fields["text"] == f"@{ben.username} "
        assert form.fields["spoiler_text"] == "hush"
        assert '<option value="direct" title="only people you mention" selected>' in page.text
        answer = send(browser, page, "/compose", {"text": f"@{ben.username} indeed", "visibility": "direct"})
        assert answer.headers["location"].startswith(f"/@{ann.username}/")
    replies = ben.get(f"/api/v1/statuses/{post['id']}/context")["descendants"]
    assert [(reply["visibility"], reply["in_reply_to_id"]) for reply in replies] == [("direct", post["id"])]


def test_a_reply_to_what_was_deleted_meanwhile_keeps_its_text(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ben.post("Gone soon")
    with closing(place.browser_session(ann)) as browser:
        page = browser.get(f"/compose?in_reply_to={post['id']}")
        ben.http.delete(f"/api/v1/statuses/{post['id']}")
        answer = send(browser, page, "/compose", {"text": "My long thoughts"})
        checked(answer, 404)
        form = form_to(answer, "/compose")
        assert form.fields["text"] == "My long thoughts"
        assert "in_reply_to_id" not in form.fields


@pytest.mark.parametrize("reply_to", ["1", "x", "99999999999999999999"])
def test_answering_what_is_not_there_is_a_404(place, reply_to):
    with closing(place.browser_session(place.person("ann"))) as browser:
        checked(browser.get(f"/compose?in_reply_to={reply_to}"), 404)


def test_only_the_author_is_asked_and_can_delete(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Mine")
    with closing(place.browser_session(ben)) as browser:
        checked(browser.get(f"/posts/{post['id']}/delete"), 404)
        checked(sent(browser, f"/posts/{post['id']}/delete"), 404)
        assert f"/posts/{post['id']}/delete" not in browser.get(f"/@{ann.username}/{post['id']}").text
    assert place.visitor.get(f"/@{ann.username}/{post['id']}").status_code == 200


# Acting


def test_boost_favourite_and_bookmark_go_there_and_back(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Like me")
    with closing(place.browser_session(ben)) as browser:
        for verb, key in (("boost", "reblogged"), ("favourite", "favourited"), ("bookmark", "bookmarked")):
            for prefix, wanted in (("", True), ("un", False)):
                answer = sent(
                    browser, f"/posts/{post['id']}/{prefix}{verb}", next=f"/public#post-{post['id']}"
                )
                assert (answer.status_code, answer.headers["location"]) == (303, f"/public#post-{post['id']}")
                assert ben.get(f"/api/v1/statuses/{post['id']}")[key] is wanted
                shown = browser.get(f"/@{ann.username}/{post['id']}").text
                button = re.search(rf'data-act="{verb}"[^>]*aria-pressed="(true|false)"', shown)
                assert button[1] == str(wanted).lower()


def test_bookmarks_and_favourites_have_pages_of_their_own(place):
    ann, ben = place.person("ann"), place.person("ben")
    kept, liked = ann.post("Keep me"), ann.post("Star me")
    ben.do(f"/api/v1/statuses/{kept['id']}/bookmark")
    ben.do(f"/api/v1/statuses/{liked['id']}/favourite")
    with closing(place.browser_session(ben)) as browser:
        bookmarks, favourites = browser.get("/bookmarks").text, browser.get("/favourites").text
    assert ("Keep me" in bookmarks, "Star me" in bookmarks) == (True, False)
    assert ("Keep me" in favourites, "Star me" in favourites) == (False, True)


def test_a_boost_shows_who_repeated_what(place):
    ann, ben, reader = place.person("ann"), place.person("ben"), place.person("reader")
    reader.follow(ben)
    post = ann.post("Repeat after me")
    ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    with closing(place.browser_session(reader)) as browser:
        text = browser.get("/").text
    assert re.search(rf'<a href="/@{ben.username}"><span dir="auto">{ben.username}</span> boosted</a>', text)
    assert "Repeat after me" in text


def test_following_a_person_fills_the_home_page_and_unfollowing_empties_it(place):
    ann, ben = place.person("ann"), place.person("ben")
    ann.post("From Ann")
    with closing(place.browser_session(ben)) as browser:
        assert "From Ann" not in browser.get("/").text
        profile = browser.get(f"/@{ann.username}")
        answer = send(browser, profile, f"/people/{ann.id}/follow")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/@{ann.username}")
        assert "From Ann" in browser.get("/").text
        send(browser, browser.get(f"/@{ann.username}"), f"/people/{ann.id}/unfollow")
        assert "From Ann" not in browser.get("/").text


def test_a_locked_account_is_asked_and_answers(place):
    ann, ben, eve = place.person("ann"), place.person("ben"), place.person("eve")
    ann.http.patch("/api/v1/accounts/update_credentials", json={"locked": True})
    for asking in (ben, eve):
        with closing(place.browser_session(asking)) as browser:
            profile = browser.get(f"/@{ann.username}")
            assert "Ask to follow" in profile.text
            send(browser, profile, f"/people/{ann.id}/follow")
            assert "Take request back" in browser.get(f"/@{ann.username}").text
    with closing(place.browser_session(ann)) as browser:
        requests = browser.get("/follow_requests")
        assert ben.username in requests.text
        assert eve.username in requests.text
        assert send(browser, requests, f"/people/{ben.id}/accept").headers["location"] == "/follow_requests"
        sent(browser, f"/people/{eve.id}/reject", next="/follow_requests")
        assert "Nobody waits" in browser.get("/follow_requests").text
        followers = browser.get(f"/@{ann.username}/followers").text
    assert (ben.username in followers, eve.username in followers) == (True, False)


def test_mute_and_block_and_their_opposites(place):
    ann, ben = place.person("ann"), place.person("ben")
    with closing(place.browser_session(ann)) as browser:
        for verb, key in (("mute", "muting"), ("block", "blocking")):
            for prefix, wanted in (("", True), ("un", False)):
                answer = sent(browser, f"/people/{ben.id}/{prefix}{verb}", next=f"/@{ben.username}")
                assert answer.headers["location"] == f"/@{ben.username}"
                assert ann.get("/api/v1/accounts/relationships", id=ben.id)[0][key] is wanted
                assert browser.get(f"/@{ben.username}").status_code == 200


def test_a_follower_can_be_removed(place):
    ann, ben = place.person("ann"), place.person("ben")
    ben.follow(ann)
    with closing(place.browser_session(ann)) as browser:
        sent(browser, f"/people/{ben.id}/remove")
    assert not ann.get("/api/v1/accounts/relationships", id=ben.id)[0]["followed_by"]


ACTIONS = [
    *(
        f"/posts/{{post}}/{verb}"
        for verb in ("boost", "unboost", "favourite", "unfavourite", "bookmark", "unbookmark", "delete")
    ),
    *(
        f"/people/{{person}}/{verb}"
        for verb in ("follow", "unfollow", "accept", "reject", "remove", "block", "unblock", "mute", "unmute")
    ),
    "/compose",
    "/settings/profile",
]


@pytest.mark.parametrize("path", ACTIONS)
def test_no_form_does_anything_without_its_token_or_for_a_visitor(place, path):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Here")
    path = path.format(post=post["id"], person=ben.id)
    before = ann.get(f"/api/v1/accounts/{ann.id}"), ann.get(f"/api/v1/statuses/{post['id']}")
    with closing(place.browser_session(ann)) as browser:
        checked(browser.post(path, data={"text": "Forged"}), 403)
        checked(browser.post(path, data={"csrf": "0" * 36, "text": "Forged"}), 403)
        token = csrf_of(browser.get("/compose").text)
        answer = browser.post(path, data={"csrf": token}, headers={"origin": "https://elsewhere.example"})
        checked(answer, 403)
    assert place.visitor.post(path, data={"csrf": token}).headers["location"].startswith("/auth/sign_in")
    assert before == (ann.get(f"/api/v1/accounts/{ann.id}"), ann.get(f"/api/v1/statuses/{post['id']}"))


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", ""]
)
def test_no_form_sends_the_browser_to_another_site(place, target):
    ann = place.person("ann")
    post = ann.post("Here")
    with closing(place.browser_session(ann)) as browser:
        assert sent(browser, f"/posts/{post['id']}/favourite", next=target).headers["location"] == "/"
        written = sent(browser, "/compose", text="Hello", next=target)
        assert written.headers["location"].startswith("/@")


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
            "now follows you",
            "likes your post",
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
        # The name in the frame is not remembered from before.
        assert "Ann of the Sea" in browser.get("/about").text
        wrong = send(
            browser,
            browser.get("/settings/profile"),
            "/settings/profile",
            {"display_name": "x" * 31, "note": "kept"},
        )
        checked(wrong, 422)
        assert form_to(wrong, "/settings/profile").fields["note"].strip() == "kept"


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


@pytest.mark.parametrize(
    "name", ["style-000000000000.css", "%2e%2e%2fassets.py", "style.css.map", "a" * 500]
)
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

"""A member's actions on posts and accounts, with forms alone; and that no other site can trigger them."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from tests.forms import send
from tests.markup import checked, sent
from tests.people import csrf_of


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


def test_a_post_that_is_also_boosted_stands_once_on_the_home_page(place):
    ann, ben, reader = place.person("ann"), place.person("ben"), place.person("reader")
    reader.follow(ann)
    reader.follow(ben)
    post = ann.post("Heard twice")
    ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    with closing(place.browser_session(reader)) as browser:
        assert browser.get("/").text.count("Heard twice") == 1


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
            assert "Request to follow" in profile.text
            send(browser, profile, f"/people/{ann.id}/follow")
            assert "Withdraw request" in browser.get(f"/@{ann.username}").text
    with closing(place.browser_session(ann)) as browser:
        requests = browser.get("/follow_requests")
        assert ben.username in requests.text
        assert eve.username in requests.text
        assert send(browser, requests, f"/people/{ben.id}/accept").headers["location"] == "/follow_requests"
        sent(browser, f"/people/{eve.id}/reject", next="/follow_requests")
        assert "No follow requests" in browser.get("/follow_requests").text
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
    *(f"/people/{{person}}/{verb}" for verb in ("hide_boosts", "show_boosts")),
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

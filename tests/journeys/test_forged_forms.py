"""No form acts for another site, or sends the browser to one."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.markup import checked, sent
from tests.people import csrf_of

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
    "/admin/status",
    "/admin/status/ffff",
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

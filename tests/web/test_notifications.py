"""The page of notifications: a text for every kind, and new ones until they are read."""

from __future__ import annotations

import re
from contextlib import closing

from stormpetrel.api.json.convert import KIND_NAMES
from stormpetrel.model.notification import Kind
from stormpetrel.web import notifications
from tests.markup import checked


def test_every_kind_has_words_on_the_page_and_a_name_in_the_api():
    assert set(notifications._SAID) == set(Kind)
    assert set(KIND_NAMES) == set(Kind)


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

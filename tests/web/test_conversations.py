"""Conversations on the pages: listed, read, removed; with forms alone, and in a browser without scripts."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.instance import running_instance
from tests.markup import EVIL, checked, sent
from tests.people import PASSWORD, csrf_of, place_of

TIMEOUT_MS = 10_000
SMALLEST = {"width": 360, "height": 640}


def say(author, other, text="psst", **more):
    return author.post(f"@{other.username} {text}", visibility="direct", **more)


def test_conversations_are_listed_with_what_was_said_last_and_lead_to_it(place):
    ann, bob = place.person("ann"), place.person("bob")
    first = say(bob, ann, EVIL)
    with closing(place.browser_session(ann)) as browser:
        page = browser.get("/conversations")
        checked(page)
        assert "&lt;script&gt;" in page.text
        assert "(unread)" in page.text
        assert f'href="/@{bob.username}/{first["id"]}"' in page.text
        assert f'href="/compose?in_reply_to={first["id"]}"' in page.text
        say(ann, bob, "an answer", in_reply_to_id=first["id"])
        page = browser.get("/conversations")
        assert "You: @" in page.text
        assert "an answer" in page.text
        assert "(unread)" not in page.text
        assert "/read" not in page.text


def test_a_conversation_is_marked_as_read_and_removed_by_who_has_it(place):
    ann, bob, stranger = place.person("ann"), place.person("bob"), place.person("stranger")
    where = f"/conversations/{say(bob, ann)['id']}"
    with closing(place.browser_session(stranger)) as other:
        checked(sent(other, f"{where}/read"), 404)
        checked(sent(other, f"{where}/remove"), 404)
    with closing(place.browser_session(ann)) as browser:
        assert browser.post(f"{where}/read").status_code == 403
        csrf = csrf_of(browser.get("/conversations").text)
        answer = browser.post(f"{where}/read", data={"csrf": csrf, "next": "//evil.example/"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert [one["unread"] for one in ann.get("/api/v1/conversations")] == [False]
        answer = browser.post(f"{where}/remove", data={"csrf": csrf})
        assert (answer.status_code, answer.headers["location"]) == (303, "/conversations")
        page = browser.get("/conversations")
        checked(page)
        assert "No conversations yet" in page.text
    assert len(bob.get("/api/v1/conversations")) == 1


def test_a_note_to_oneself_and_a_talk_of_many_are_named(place):
    ann = place.person("ann")
    others = [place.person(f"other{number}") for number in range(5)]
    ann.post("for myself", visibility="direct")
    ann.post(" ".join(f"@{one.username}" for one in others), visibility="direct")
    with closing(place.browser_session(ann)) as browser:
        page = browser.get("/conversations")
        checked(page)
        assert "A note to yourself" in page.text
        assert "and 2 more" in page.text


def test_pages_of_conversations_go_back_and_forth(place):
    ann, bob = place.person("ann"), place.person("bob")
    ids = [say(bob, ann, f"number {number:02}.")["id"] for number in range(21)]
    with closing(place.browser_session(ann)) as browser:
        page = browser.get("/conversations")
        assert "number 20." in page.text
        assert "number 00." not in page.text
        older = browser.get("/conversations", params={"max_id": ids[1]})
        checked(older)
        assert "number 00." in older.text
        assert f'?min_id={ids[0]}"' in older.text
    assert place.visitor.get("/conversations").status_code == 303


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_two_people_talk_in_browsers(browser, sqlite_url, tmp_path, scripts):
    with (
        running_instance(tmp_path, sqlite_url) as instance,
        place_of(instance, sqlite_url) as place,
    ):
        ann, bob = place.person("ann"), place.person("bob_with_a_very_long_name")
        say(bob, ann, "W" * 120)
        say(bob, ann, "shall we meet?")
        context = browser.new_context(
            java_script_enabled=scripts, base_url=place.base_url, viewport=SMALLEST, color_scheme="dark"
        )
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.goto("/auth/sign_in")
        page.fill("#user_email", ann.username)
        page.fill("#user_password", PASSWORD)
        page.locator("main form button").click()
        page.get_by_role("heading", name="Home").wait_for()
        page.locator("summary[aria-label^=More]").click()
        page.get_by_role("link", name="Conversations").locator("visible=true").click()
        page.get_by_role("heading", name="Conversations").wait_for()
        talks = page.locator(".talk")
        assert [talks.nth(n).get_by_text("(unread)").count() for n in range(2)] == [1, 1]
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"]
        talks.first.get_by_role("button", name="Mark as read").click()
        page.locator(".talk:not(.new)").wait_for()
        assert page.locator(".talk.new").count() == 1
        talks.first.get_by_role("link", name="Reply to").click()
        page.locator("#compose-text").fill(f"@{bob.username} at the harbour")
        page.locator("form.compose button[type=submit]").last.click()
        page.get_by_role("heading", name="Post by").wait_for()
        page.goto("/conversations")
        assert "You: " in talks.first.inner_text()
        assert "at the harbour" in talks.first.inner_text()
        talks.first.get_by_role("link", name="at the harbour").click()
        page.get_by_text("shall we meet?").first.wait_for()
        page.goto("/conversations")
        talks.nth(1).get_by_role("button", name="Remove the conversation").click()
        page.locator(".talk").wait_for()
        assert talks.count() == 1
        context.close()
        assert bob.get("/api/v1/conversations")[0]["unread"] is True


def test_unread_conversations_have_a_badge_until_they_are_read(place):
    ann, bob = place.person("Ann"), place.person("Bob")
    first = say(bob, ann, "shall we meet?")
    say(bob, ann, "and another thing")
    reader, other = place.browser_session(ann), place.browser_session(bob)
    badge = '<span class="badge">{}<span class="unseen"> unread</span></span>'
    more = 'aria-label="More, {} unread in Conversations"'
    assert badge.format(2) in reader.get("/").text
    assert more.format(2) in reader.get("/about").text
    assert " unread</span>" not in other.get("/").text
    # Opening the post marks it as read, a HEAD request does not.
    path = f"/@{bob.username}/{first['id']}"
    assert reader.head(path).status_code == 200
    assert badge.format(2) in reader.get("/").text
    assert badge.format(1) in reader.get(path).text
    assert badge.format(1) in reader.get("/").text
    assert [one["unread"] for one in ann.get("/api/v1/conversations")] == [True, False]
    # A cached page of the reader is invalidated by a read mark from an app.
    for one in ann.get("/api/v1/conversations"):
        ann.do(f"/api/v1/conversations/{one['id']}/read")
    assert " unread</span>" not in reader.get("/").text
    assert other.get(path).status_code == 200

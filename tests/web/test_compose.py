"""Writing, replying, attaching images and deleting, with forms alone."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.forms import form_to, send
from tests.markup import EVIL, checked, sent
from tests.media_files import jpeg
from tests.people import Place, csrf_of


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


def test_a_picture_is_posted_by_a_form_and_shown_with_its_description(place: Place) -> None:
    person = place.person()
    browser = place.browser_session(person)
    form = {"csrf": csrf_of(browser.get("/compose").text), "description_0": "A <sea>", "visibility": "public"}
    answer = browser.post("/compose", data=form, files={"file_0": ("sea.jpg", jpeg())})
    assert answer.status_code == 303, answer.text
    page = place.visitor.get(answer.headers["location"])
    assert 'alt="A &lt;sea&gt;" width="320" height="200" loading="lazy"' in page.text
    assert "media-src 'self'" in page.headers["content-security-policy"]


def test_sensitive_pictures_are_behind_a_word(place: Place) -> None:
    person = place.person()
    browser = place.browser_session(person)
    form = {"csrf": csrf_of(browser.get("/compose").text), "sensitive": "on", "text": "look"}
    answer = browser.post("/compose", data=form, files={"file_0": ("sea.jpg", jpeg())})
    page = place.visitor.get(answer.headers["location"]).text
    before, _, after = page.partition("Sensitive media")
    assert "<img src=" not in before.partition("<article")[2]
    assert "/media/" in after


def test_a_bad_file_gives_the_text_back(place: Place) -> None:
    browser = place.browser_session(place.person())
    form = {"csrf": csrf_of(browser.get("/compose").text), "text": "my long thoughts"}
    answer = browser.post("/compose", data=form, files={"file_0": ("sea.jpg", b"<svg onload=alert(1)>")})
    assert answer.status_code == 422
    assert "my long thoughts" in answer.text

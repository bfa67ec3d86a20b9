"""Images on the pages: uploaded with a form, and shown with their descriptions."""

from __future__ import annotations

from tests.media_files import jpeg
from tests.people import Place, csrf_of


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


def test_a_profile_picture_is_set_and_taken_away_by_a_form(place: Place) -> None:
    person = place.person()
    browser = place.browser_session(person)
    form = {"csrf": csrf_of(browser.get("/settings/profile").text), "display_name": "Ada"}
    assert browser.post("/settings/profile", data=form, files={"avatar": ("a", jpeg())}).status_code == 303
    assert 'class="avatar large" src="/media/' in browser.get(f"/@{person.username}").text
    browser.post("/settings/profile", data=form | {"no_avatar": "on"})
    assert 'src="/media/' not in browser.get(f"/@{person.username}").text

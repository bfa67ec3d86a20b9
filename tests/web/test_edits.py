"""Editing a post with a form, and the page of its earlier versions."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from tests.forms import form_to, send
from tests.instance import running_instance
from tests.journeys.test_browser import SMALLEST, article, person_at, sign_up
from tests.markup import EVIL, checked, sent
from tests.media_files import jpeg
from tests.people import csrf_of


def edit(browser, post, **typed):
    return send(browser, browser.get(f"/posts/{post['id']}/edit"), f"/posts/{post['id']}/edit", typed)


def test_a_post_is_edited_with_forms_alone_and_says_so(place):
    ann = place.person("ann")
    post = ann.post("Helo", spoiler_text="careful", language="de")
    path = f"/@{ann.username}/{post['id']}"
    assert "/history" not in place.visitor.get(path).text
    with closing(place.browser_session(ann)) as browser:
        assert f'href="/posts/{post["id"]}/edit"' in browser.get(path).text
        page = browser.get(f"/posts/{post['id']}/edit")
        checked(page)
        fields = form_to(page, f"/posts/{post['id']}/edit").fields
        assert (fields["text"], fields["spoiler_text"], "sensitive" in fields) == ("Helo", "careful", True)
        assert '<option value="de" lang="de" selected>' in page.text
        answer = edit(browser, post, text=f"Hello {EVIL}", spoiler_text="calm", language="nl")
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        assert "Hello " in browser.get(path).text
    seen = place.visitor.get(path)
    checked(seen)
    assert "Helo" not in seen.text
    assert f'href="{path}/history">edited <time' in seen.text
    status = ann.get(f"/api/v1/statuses/{post['id']}")
    assert (status["spoiler_text"], status["language"], status["visibility"]) == ("calm", "nl", "public")


def test_the_history_has_every_version_the_newest_on_top(place):
    ann = place.person("ann")
    post = ann.post("First")
    with closing(place.browser_session(ann)) as browser:
        for text in ("Second", f"Third {EVIL}"):
            edit(browser, post, text=text)
    page = place.visitor.get(f"/@{ann.username}/{post['id']}/history")
    checked(page)
    assert re.findall(r"First|Second|Third", page.text.partition("<main")[2]) == ["Third", "Second", "First"]
    assert "3 versions" in page.text
    assert EVIL not in page.text
    moved = place.visitor.get(f"/@somebody/{post['id']}/history")
    assert moved.headers["location"] == f"/@{ann.username}/{post['id']}/history"


def test_the_poll_with_its_votes_stays_when_a_post_is_edited(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Wich?", poll={"options": ["Tea", "Coffee"], "expires_in": 301})
    ben.do(f"/api/v1/polls/{post['id']}/votes", choices=[1])
    before = ann.get(f"/api/v1/polls/{post['id']}")
    with closing(place.browser_session(ann)) as browser:
        edit(browser, post, text="Which?")
    assert ann.get(f"/api/v1/polls/{post['id']}") == before
    assert "Which?" in ann.get(f"/api/v1/statuses/{post['id']}")["content"]


def test_a_picture_without_words_stays_when_a_post_is_edited(place):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        form = {"csrf": csrf_of(browser.get("/compose").text), "description_0": "The sea"}
        assert browser.post("/compose", data=form, files={"file_0": ("a.jpg", jpeg())}).status_code == 303
        (post,) = ann.get(f"/api/v1/accounts/{ann.id}/statuses")
        assert edit(browser, post, text="", spoiler_text="waves").status_code == 303
    after = ann.get(f"/api/v1/statuses/{post['id']}")
    assert (after["spoiler_text"], after["sensitive"]) == ("waves", True)
    assert [one["description"] for one in after["media_attachments"]] == ["The sea"]


def post_with_pictures(browser, person, *descriptions):
    """Create a post with an image for each description. Return its JSON and the form's field names."""
    form = {"csrf": csrf_of(browser.get("/compose").text), "text": "Look"}
    form |= {f"description_{number}": text for number, text in enumerate(descriptions)}
    files = {f"file_{number}": ("a.jpg", jpeg()) for number in range(len(descriptions))}
    assert browser.post("/compose", data=form, files=files).status_code == 303
    (post,) = person.get(f"/api/v1/accounts/{person.id}/statuses")
    return post, [f"description_{one['id']}" for one in post["media_attachments"]]


def descriptions_of(person, post):
    status = person.get(f"/api/v1/statuses/{post['id']}")
    return [one["description"] for one in status["media_attachments"]]


def test_descriptions_are_corrected_as_an_edit_and_stand_in_the_history(place):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        post, (first, second) = post_with_pictures(browser, ann, "The sae", "Two\nlines")
        path = f"/@{ann.username}/{post['id']}"
        page = browser.get(f"/posts/{post['id']}/edit")
        checked(page)
        fields = form_to(page, f"/posts/{post['id']}/edit").fields
        assert (fields[first], fields[second]) == ("The sae", "Two\nlines")
        # A form sent unchanged edits nothing, although browsers convert line ends.
        edit(browser, post, **{second: "Two\r\nlines"})
        assert ann.get(f"/api/v1/statuses/{post['id']}")["edited_at"] is None
        assert edit(browser, post, **{first: f"The sea {EVIL}"}).headers["location"] == path
    assert descriptions_of(ann, post) == [f"The sea {EVIL}", "Two\nlines"]
    assert ann.get(f"/api/v1/statuses/{post['id']}")["edited_at"] is not None
    seen = place.visitor.get(path)
    checked(seen)
    assert 'alt="The sea &lt;script&gt;' in seen.text
    history = place.visitor.get(f"{path}/history")
    checked(history)
    assert history.text.index("The sea &lt;") < history.text.index("The sae")
    assert EVIL not in history.text
    # A removed image also disappears from the history, as in apps.
    kept = second.removeprefix("description_")
    answer = ann.http.put(f"/api/v1/statuses/{post['id']}", json={"status": "Look", "media_ids": [kept]})
    assert answer.status_code == 200
    assert "The sae" not in place.visitor.get(f"{path}/history").text


def test_a_description_that_is_too_long_comes_back_with_everything_that_was_typed(place):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        post, (name,) = post_with_pictures(browser, ann, "The sea")
        answer = edit(browser, post, text="Looked", **{name: "x" * 1_501})
        checked(answer, 422)
        assert "Description is too long" in answer.text
        fields = form_to(answer, f"/posts/{post['id']}/edit").fields
        assert (fields["text"], fields[name]) == ("Looked", "x" * 1_501)
    assert descriptions_of(ann, post) == ["The sea"]


def test_the_form_describes_only_media_of_its_own_post(place):
    ann, ben = place.person("ann"), place.person("ben")
    with closing(place.browser_session(ann)) as browser, closing(place.browser_session(ben)) as other:
        bens, (name,) = post_with_pictures(other, ben, "Mine")
        anns, (own,) = post_with_pictures(browser, ann, "The sea")
        answer = sent(
            browser, f"/posts/{anns['id']}/edit", text="Look", **{name: "Stolen", "description_x": "?"}
        )
        assert answer.status_code == 303
        checked(sent(other, f"/posts/{anns['id']}/edit", text="Look", **{own: "Stolen"}), 404)
    assert (descriptions_of(ben, bens), descriptions_of(ann, anns)) == (["Mine"], ["The sea"])


@pytest.mark.parametrize("text", ["", "x" * 501, "x" * 30_000])
def test_an_edit_that_is_refused_comes_back_with_everything_that_was_typed(place, text):
    ann = place.person("ann")
    post = ann.post("Stays")
    with closing(place.browser_session(ann)) as browser:
        answer = edit(browser, post, text=text, spoiler_text="careful", sensitive="on", language="de")
        page = checked(answer, 422)
        assert page.ids.count("compose-problem") == 1
        fields = form_to(answer, f"/posts/{post['id']}/edit").fields
        assert (fields["text"], fields["spoiler_text"], "sensitive" in fields) == (text, "careful", True)
        assert '<option value="de" lang="de" selected>' in answer.text
    assert ann.get(f"/api/v1/statuses/{post['id']}")["edited_at"] is None


def test_nobody_but_the_author_is_offered_the_form_or_can_edit(place):
    ann, ben, cat = place.person("ann"), place.person("ben"), place.person("cat")
    post = ann.post("Mine")
    path = f"/posts/{post['id']}/edit"
    ann.do(f"/api/v1/accounts/{cat.id}/block")
    with closing(place.browser_session(ben)) as stranger, closing(place.browser_session(cat)) as blocked:
        assert path not in stranger.get(f"/@{ann.username}/{post['id']}").text
        for browser in (stranger, blocked):
            checked(browser.get(path), 404)
            checked(sent(browser, path, text="Theirs"), 404)
        assert stranger.get(f"/@{ann.username}/{post['id']}/history").status_code == 200
        checked(blocked.get(f"/@{ann.username}/{post['id']}/history"), 404)
    assert place.visitor.get(path).headers["location"].startswith("/auth/sign_in")
    assert place.visitor.post(path, data={"text": "Theirs"}).status_code in (303, 401, 403)
    with closing(place.browser_session(ann)) as browser:
        checked(browser.post(path, data={"text": "From elsewhere"}), 403)
    assert "Mine" in ann.get(f"/api/v1/statuses/{post['id']}")["content"]


def test_the_history_is_for_those_who_may_see_the_post(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("For few", visibility="private")
    path = f"/@{ann.username}/{post['id']}/history"
    checked(place.visitor.get(path), 404)
    with closing(place.browser_session(ben)) as browser:
        checked(browser.get(path), 404)
        ben.follow(ann)
        checked(browser.get(path))


@pytest.fixture(scope="module")
def site(tmp_path_factory, sqlite_template):
    """Yield a running instance for the browser. The differences between stores are tested without one."""
    directory = tmp_path_factory.mktemp("site")
    database = directory / "stormpetrel.db"
    database.write_bytes(sqlite_template.read_bytes())
    with running_instance(directory, f"sqlite:///{database}", web_workers=2) as instance:
        yield instance


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_people_ask_vote_and_edit_in_a_browser_on_a_small_phone(browser, site, scripts):
    ann, ben = (f"{name}_{'js' if scripts else 'plain'}" for name in ("asking", "voting"))
    with person_at(browser, site, scripts=scripts, viewport=SMALLEST) as page:
        sign_up(page, ann)
        page.goto("/compose")
        page.fill("#compose-text", "Wich drink?")
        page.get_by_text("Add a poll").click()
        page.fill("#compose-option-0", "W" * 50)
        page.fill("#compose-option-1", "Coffee")
        page.get_by_role("button", name="Post").click()
        article(page, "Wich drink?").get_by_role("link", name="Edit this post").click()
        page.fill("#compose-text", "Which drink?")
        page.get_by_role("button", name="Save").click()
        article(page, "Which drink?").get_by_role("link", name=re.compile("^edited")).click()
        page.get_by_text("Wich drink?").wait_for()
        page.go_back()
        address = page.url
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"]
    with person_at(browser, site, scripts=scripts, viewport=SMALLEST) as page:
        sign_up(page, ben)
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"]
        page.get_by_label("Coffee").check()
        page.get_by_role("button", name="Vote").click()
        page.get_by_text("your vote").wait_for()
        assert page.locator(".option.chosen .share").inner_text() == "100%"
        assert page.get_by_role("button", name="Vote").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"]

"""The page that says whose notifications the reader gets: its form, and the requests with their buttons."""

from __future__ import annotations

import re
from contextlib import closing

from tests.forms import send
from tests.markup import checked

PATH = "/settings/notifications"


def post_form(browser, page, path):
    """Press a button with a path of its own, as a browser does."""
    url = page.url.join(path)
    fields = {"csrf": re.search(r'name="csrf" value="([^"]+)"', page.text)[1]}
    origin = f"{url.scheme}://{url.netloc.decode()}"
    return browser.post(url, data=fields, headers={"origin": origin, "sec-fetch-site": "same-origin"})


def test_a_member_chooses_and_decides_about_who_waits(place):
    ann, bob, eve = place.person("ann"), place.person("bob"), place.person("eve")
    with closing(place.browser_session(ann)) as browser:
        page = browser.get(PATH)
        checked(page)
        assert 'class="card nothing"' in page.text
        # Headings between cards have the distances of a section; without them this one touched both cards.
        assert '<h2 class="section" id="waiting">' in page.text
        answer = send(browser, page, PATH, {"for_not_following": "filter"})
        assert (answer.status_code, answer.headers["location"]) == (303, PATH)
        post = bob.post(f"@{ann.username} hello")
        eve.follow(ann)
        notifications = browser.get("/notifications")
        checked(notifications)
        assert "Notifications from 2 accounts wait for your decision" in notifications.text
        page = browser.get(PATH)
        checked(page)
        assert re.findall(r'class="who" href="/@(\w+)"', page.text) == [eve.username, bob.username]
        assert f'href="/@{bob.username}/{post["id"]}"' in page.text
        assert '<option value="filter" selected>' in page.text
        of_eve, of_bob = re.findall(rf'action="({PATH}/\d+)/accept"', page.text)
        assert send(browser, page, f"{of_bob}/accept").headers["location"] == PATH
        for _ in range(2):  # the second one as from a page that is out of date
            answer = post_form(browser, page, f"{of_eve}/dismiss")
            assert (answer.status_code, answer.headers["location"]) == (303, PATH)
        assert 'class="card nothing"' in browser.get(PATH).text
        text = browser.get("/notifications").text
        assert bob.username in text
        assert eve.username not in text
        assert "wait for your decision" not in text


def test_a_value_that_the_form_does_not_have_is_refused(place):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        page = browser.get(PATH)
        assert send(browser, page, PATH, {"for_bots": "maybe"}).status_code == 422
        assert ann.get("/api/v2/notifications/policy")["for_bots"] == "accept"


def test_the_page_and_its_forms_are_the_members_own(place):
    ann, bob, eve = place.person("ann"), place.person("bob"), place.person("eve")
    ann.http.patch("/api/v2/notifications/policy", json={"for_not_following": "filter"})
    bob.post(f"@{ann.username} hello")
    (waiting,) = ann.get("/api/v1/notifications/requests")
    assert place.visitor.get(PATH).headers["location"].startswith("/auth/sign_in")
    with closing(place.browser_session(eve)) as browser:
        page = browser.get(PATH)
        assert bob.username not in page.text
        assert post_form(browser, page, f"{PATH}/{waiting['id']}/dismiss").status_code == 303
    assert ann.get("/api/v1/notifications/requests") == [waiting]

"""The settings of a profile, with forms alone."""

from __future__ import annotations

import re
from contextlib import closing
from html import unescape

import pytest

from stormpetrel.web.routes import ROUTES
from tests.forms import form_to, send
from tests.markup import checked
from tests.media_files import jpeg
from tests.people import Place, csrf_of


def test_a_profile_picture_is_set_and_taken_away_by_a_form(place: Place) -> None:
    person = place.person()
    browser = place.browser_session(person)
    form = {"csrf": csrf_of(browser.get("/settings/profile").text), "display_name": "Ada"}
    assert browser.post("/settings/profile", data=form, files={"avatar": ("a", jpeg())}).status_code == 303
    assert 'class="avatar large" src="/media/' in browser.get(f"/@{person.username}").text
    browser.post("/settings/profile", data=form | {"no_avatar": "on"})
    assert 'src="/media/' not in browser.get(f"/@{person.username}").text


def test_the_address_of_the_settings_leads_to_their_first_page(place):
    with closing(place.browser_session(place.person())) as browser:
        assert browser.get("/settings", follow_redirects=True).url.path == "/settings/profile"
    answer = place.visitor.get("/settings", follow_redirects=False)
    assert answer.headers["location"].startswith("/auth/sign_in")


def test_the_menu_marks_the_settings_on_each_of_their_pages(place):
    with closing(place.browser_session(place.person())) as browser:
        pages = ("/settings/profile", "/settings/filters", "/auth/password", "/")
        first, inner, password, home = (unescape(browser.get(path).text) for path in pages)
    assert '<a href="/settings/profile" aria-current="page">' in first
    assert '<a href="/settings/profile" aria-current="true">' in inner
    assert '<a href="/settings/profile" aria-current="true">' in password
    assert '<a href="/settings/profile">' in home


def test_every_page_of_settings_has_the_menu_of_all_and_marks_itself(place):
    menu = re.compile(r'<nav aria-label="Settings">(.*?)</nav>', re.DOTALL)
    with closing(place.browser_session(place.person())) as browser:
        first = menu.search(unescape(browser.get("/settings/profile").text))[1]
        addresses = re.findall('href="([^"]*)"', first)
        pages = {one.path for one in ROUTES if one.method == "GET" and one.path.startswith("/settings/")}
        # The page of one filter is reached from that of all, and the others from the accounts you muted.
        inner = {"/settings/filters/{id}", "/settings/blocked", "/settings/hidden_boosts"}
        assert {*addresses} == pages - inner | {"/auth/password"}
        for address in addresses:
            page = unescape(browser.get(address).text)
            assert "<h1>" in page[: menu.search(page).start()], address
            found = menu.search(page)[1]
            assert re.findall('href="([^"]*)"', found) == addresses
            assert re.findall('href="([^"]*)" aria-current="page"', found) == [address]


def test_the_page_of_the_account_leads_to_its_deletion(place):
    with closing(place.browser_session(place.person())) as browser:
        content = browser.get("/settings/account").text.partition("</nav></details>")[2]
    assert 'href="/settings/delete"' in content


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


@pytest.mark.parametrize("path", ["/settings/account", "/settings/delete"])
def test_a_password_manager_finds_the_username_before_the_password(place: Place, path: str) -> None:
    person = place.person("remembered")
    with closing(place.browser_session(person)) as browser:
        page = browser.get(path).text
    fields = re.findall(r'<input id="\w+"[^>]*autocomplete="(?:username|current-password)"', page)
    assert [field.partition('autocomplete="')[2].rstrip('"') for field in fields] == [
        "username",
        "current-password",
    ]
    assert f'value="{person.username}"' in fields[0]

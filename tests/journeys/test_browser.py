"""A real browser: signing up, reading and writing, with scripts and without.

With STORM_SCREENSHOTS=DIRECTORY the tests also save screenshots of the pages: desktop, phone, dark.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from stormpetrel.cli.demo import LOGINS
from stormpetrel.model.access import OUT_OF_BAND
from tests.instance import prepared_instance, running_instance
from tests.media_files import jpeg
from tests.people import PASSWORD

PHONE = {"width": 375, "height": 812}
SMALLEST = {"width": 360, "height": 640}
DESKTOP = {"width": 1280, "height": 900}
TIMEOUT_MS = 10_000


@pytest.fixture(scope="module")
def site(tmp_path_factory, sqlite_template):
    """Yield a running instance for this file. The differences between stores are tested without a browser."""
    directory = tmp_path_factory.mktemp("site")
    database = directory / "stormpetrel.db"
    database.write_bytes(sqlite_template.read_bytes())
    with running_instance(directory, f"sqlite:///{database}", web_workers=2) as instance:
        yield instance


@contextmanager
def person_at(browser, site, *, scripts=True, refused="none", **options):
    """Yield a browser page. At the end, its console must be free of complaints.

    The exception is a refusal that the test provokes: `refused` is the status that the browser then reports.
    """
    context = browser.new_context(
        java_script_enabled=scripts,
        base_url=site.base_url,
        viewport=options.pop("viewport", DESKTOP),
        **options,
    )
    context.set_default_timeout(TIMEOUT_MS)
    complaints = []
    context.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    page = context.new_page()
    yield page
    context.close()
    assert [text for text in complaints if f"status of {refused}" not in text] == []


def sign_up(page, name):
    page.goto("/")
    page.get_by_role("link", name="Create an account").first.click()
    page.fill("#user_username", name)
    page.fill("#user_email", f"{name}@example.org")
    page.fill("#user_password", PASSWORD)
    page.check("#user_agreement")
    page.locator("main form button").click()
    page.wait_for_url("**/")
    page.get_by_role("heading", name="Home").wait_for()


def sign_out(page):
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").first.wait_for()


def sign_in(page, name, password=PASSWORD):
    page.goto("/auth/sign_in")
    page.fill("#user_email", name)
    page.fill("#user_password", password)
    page.locator("main form button").click()
    page.get_by_role("heading", name="Home").wait_for()


def write(page, text):
    page.fill("#compose-text", text)
    page.locator("form.compose button").click()
    page.locator(".post", has_text=text).first.wait_for()


def article(page, text):
    return page.locator(".post", has_text=text).first


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_people_sign_up_write_answer_follow_boost_and_read(browser, site, scripts):
    ann, ben = (f"{name}_{'js' if scripts else 'plain'}" for name in ("ann", "ben"))
    with person_at(browser, site, scripts=scripts) as page:
        sign_up(page, ann)
        write(page, f"First words of {ann} #hello")
        sign_out(page)
        sign_in(page, ann)
        assert article(page, f"First words of {ann}").is_visible()

    with person_at(browser, site, scripts=scripts) as page:
        sign_up(page, ben)
        page.goto(f"/@{ann}")
        page.get_by_role("button", name="Follow").click()
        page.get_by_role("button", name="Unfollow").wait_for()
        page.get_by_role("link", name="Home", exact=True).click()
        words = article(page, f"First words of {ann}")
        words.get_by_role("button", name=re.compile("^Boost")).click()
        article(page, f"First words of {ann}").locator("button.boost[aria-pressed=true]").wait_for()
        article(page, f"First words of {ann}").get_by_role("button", name=re.compile("^Favourite")).click()
        article(page, f"First words of {ann}").locator("button.favourite[aria-pressed=true]").wait_for()
        page.reload()
        words = article(page, f"First words of {ann}")
        assert words.locator("button.boost").get_attribute("aria-pressed") == "true"
        assert words.locator("button.favourite").inner_text().strip() == "1"
        words.get_by_role("link", name=re.compile("^Reply")).click()
        assert page.input_value("#compose-text") == f"@{ann} "
        page.fill("#compose-text", f"@{ann} an answer from {ben}")
        page.locator("form.compose button").click()
        page.get_by_role("heading", name=re.compile("^Post by")).wait_for()
        # The answered post is above the answer.
        texts = page.locator(".post .content").all_inner_texts()
        assert [f"First words of {ann}" in text for text in texts] == [True, False]

    with person_at(browser, site, scripts=scripts) as page:
        sign_in(page, ann)
        assert page.locator(".badge").inner_text().startswith("4")
        page.get_by_role("link", name=re.compile("^Notifications")).click()
        for said in ("followed you", "boosted your post", "favourited your post", f"an answer from {ben}"):
            assert page.get_by_text(said).first.is_visible(), said
        page.goto("/profile")
        article(page, f"First words of {ann}").get_by_role("link", name="Delete this post").click()
        page.get_by_role("button", name="Delete").click()
        page.wait_for_url(f"**/@{ann}")
        assert page.get_by_text(f"First words of {ann}").count() == 0


def test_the_counter_counts_as_the_server_does(browser, site):
    with person_at(browser, site, refused="422") as page:
        sign_up(page, "counter")
        count = page.locator("#compose-count")
        assert count.inner_text() == "500 left"
        for text, left in (
            ("hello", 495),
            ("🐦🐦", 498),
            ("👨‍👩‍👧🇳🇴e\u0301", 497),
            ("「HTTPS://example.org/" + "x" * 90 + "」", 475),
            ("https://example.org/" + "x" * 90, 477),
            ("@counter@elsewhere.example hi", 489),
        ):
            page.fill("#compose-text", text)
            assert count.inner_text() == f"{left} left", text
        page.fill("#compose-text", "y" * 503)
        assert count.inner_text() == "3 too many"
        page.locator("form.compose button").click()
        page.get_by_role("alert").wait_for()
        assert page.input_value("#compose-text") == "y" * 503


def test_a_double_click_posts_once_and_going_back_posts_again(browser, site):
    with person_at(browser, site) as page:
        sign_up(page, "twice")
        page.fill("#compose-text", "Only once")
        page.locator("form.compose button").dblclick()
        page.wait_for_url("**/#post-*")
        page.goto("/@twice")
        assert page.locator(".post").count() == 1
        page.go_back()
        page.fill("#compose-text", "And another")
        page.locator("form.compose button").click()
        article(page, "And another").wait_for()
        page.goto("/@twice")
        assert page.locator(".post").count() == 2


def test_keys_walk_through_posts_and_open_the_list_of_keys(browser, site):
    with person_at(browser, site) as page:
        sign_up(page, "keys")
        for text in ("First", "Second", "Third"):
            write(page, text)
        page.goto("/")
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert "Second" in page.locator(".post.marked").inner_text()
        page.keyboard.press("k")
        assert "Third" in page.locator(".post.marked").inner_text()
        page.keyboard.press("f")
        page.locator(".post.marked button.favourite[aria-pressed=true]").wait_for()
        page.keyboard.press("?")
        assert page.locator("#keyboard").is_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        page.keyboard.type("jjj?")
        assert page.input_value("#compose-text") == "jjj?"


def test_no_page_is_wider_than_the_smallest_phone(browser, site):
    with person_at(browser, site, viewport=SMALLEST) as page:
        sign_up(page, "narrow_with_a_very_long_name_1")
        write(page, "W" * 120 + " https://example.org/" + "a" * 120)
        page.locator(".post a.at").first.click()
        address = page.url
        for path in (
            "/",
            "/public",
            address,
            "/profile",
            "/compose",
            "/notifications",
            "/settings/profile",
            "/settings/muted",
            "/settings/notifications",
            f"{address.partition('#')[0]}/favourites",
            "/search?q=narrow",
            "/about",
        ):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"], path


@pytest.mark.parametrize("width", [800, 1280])
def test_the_button_to_write_is_in_sight_in_a_low_window(browser, site, width):
    name = f"low_window_{width}"
    with person_at(browser, site, viewport={"width": width, "height": 500}) as page:
        sign_up(page, name)
        # The longest menu.
        site.run_cli("user", "role", name, "admin")
        page.goto("/public")
        box = page.locator("li.write a").bounding_box()
        assert box["y"] + box["height"] <= 500
        page.get_by_role("link", name="Write").click()
        page.wait_for_url("**/compose")


def test_an_uploaded_picture_stays_round_in_notifications(browser, site):
    with person_at(browser, site) as ann, person_at(browser, site) as bob:
        sign_up(ann, "seen_by_all")
        sign_up(bob, "with_a_picture")
        bob.goto("/settings/profile")
        bob.set_input_files("#avatar", {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": jpeg()})
        bob.get_by_role("button", name="Save").click()
        bob.goto("/@seen_by_all")
        bob.get_by_role("button", name="Follow").click()
        bob.get_by_role("button", name="Unfollow").wait_for()
        ann.goto("/notifications")
        picture = ann.locator("main img.avatar.small").first.bounding_box()
        # 1.75rem. The padding of the page's footer once made it 12 wide.
        assert (picture["width"], picture["height"]) == (28, 28)


def test_search_operators_are_opened_by_a_marked_line_and_none_is_broken_in_two(browser, site):
    with person_at(browser, site, viewport=PHONE, scripts=False) as page:
        sign_up(page, "searching")
        page.goto("/search")
        line = page.get_by_text("Search operators")
        kind = "one => getComputedStyle(one).listStyleType"
        assert line.evaluate(kind) == "disclosure-closed"
        line.click()
        assert line.evaluate(kind) == "disclosure-open"
        lines = page.locator("main kbd").evaluate_all("all => all.map(one => one.getClientRects().length)")
        assert len(lines) > 10
        assert set(lines) == {1}


GAPS = """() => [...document.querySelectorAll(
    "main .card + .card, main p + p.ways, main li:has(.button) + li"
)].map(one =>
    one.getBoundingClientRect().top - one.previousElementSibling.getBoundingClientRect().bottom)"""
"""Distances in pixels between each card, row of buttons and line with a button, and the element above it."""


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_card_touches_another_and_no_button_its_field(browser, site, viewport):
    name = f"gaps_{viewport['width']}"
    with person_at(browser, site, viewport=viewport) as page, person_at(browser, site) as second_browser:
        sign_up(page, name)
        sign_in(second_browser, name)
        for path in ("/settings/account", "/settings/security", "/lists", "/settings/muted"):
            page.goto(path)
            gaps = page.evaluate(GAPS)
            assert gaps, path
            assert min(gaps) >= 8, (path, gaps)


def test_second_factors_are_reached_from_the_settings(browser, site):
    with person_at(browser, site, scripts=False) as page:
        sign_up(page, "careful")
        page.get_by_role("link", name="Settings").first.click()
        page.get_by_text("All settings").click()
        page.get_by_role("link", name="Two-factor authentication").click()
        assert page.get_by_role("heading", name="Two-factor authentication").is_visible()


def test_the_menu_of_an_empty_profile_reaches_over_its_frame(browser, site):
    with person_at(browser, site, viewport=PHONE) as page:
        sign_up(page, "nothing_written")
        page.locator(".more-menu.only-narrow summary").click()
        page.get_by_role("button", name="Sign out").click()
        sign_up(page, "who_blocks")
        page.goto("/@nothing_written")
        page.locator(".profile .more-menu summary").click()
        page.locator(".pop").get_by_role("button", name="Block").click()
        page.get_by_role("button", name="Unblock").first.click()
        page.get_by_role("button", name="Follow").wait_for()


def test_no_key_leads_away_from_the_question_about_an_app(browser, site):
    with person_at(browser, site) as page:
        sign_up(page, "asked_about_an_app")
        app = page.request.post(
            "/api/v1/apps", data={"client_name": "Little App", "redirect_uris": OUT_OF_BAND}
        ).json()
        asked = {"client_id": app["client_id"], "redirect_uri": OUT_OF_BAND, "response_type": "code"}
        page.goto(f"/oauth/authorize?{urlencode(asked)}")
        for key in ("/", "n", "?"):
            page.keyboard.press(key)
        page.get_by_role("button", name="Allow").click()
        page.get_by_text("Copy this code into Little App").wait_for()


def test_the_keyboard_alone_reaches_the_content_first_and_shows_where_it_is(browser, site):
    with person_at(browser, site) as page:
        page.goto("/about")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        page.keyboard.press("Tab")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid"


def test_every_page_of_the_demo_shows_itself_at_every_size(browser, tmp_path):
    """The screenshots are for review: STORM_SCREENSHOTS names a directory to store them in."""
    target = Path(os.environ.get("STORM_SCREENSHOTS", tmp_path / "screenshots"))
    target.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{tmp_path / 'demo.db'}"
    with prepared_instance(tmp_path, url, web_workers=1) as site:
        logins = site.run_cli("init", "--demo").stdout
        name = next(iter(LOGINS))
        password = re.search(rf"^ +{name} +(\S+)", logins, re.M)[1]
        site.start()
        looks = {
            "desktop": {"viewport": DESKTOP},
            "phone": {"viewport": PHONE, "device_scale_factor": 2},
            "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
        }
        for look, options in looks.items():
            with person_at(browser, site, **options) as page:
                for path in ("/", "/public", "/about", "/auth/sign_in", "/auth/sign_up"):
                    page.goto(path)
                    shot = path.strip("/").rpartition("/")[2] or "landing"
                    page.screenshot(path=target / f"{shot}-{look}.png")
                sign_in(page, name, password)
                page.screenshot(path=target / f"home-{look}.png")
                thread = page.locator(".post:has(.context) .at").first.get_attribute("href")
                pages = {"thread": thread, "profile": thread.rpartition("/")[0], "compose": "/compose"}
                for shot, path in (pages | {"notifications": "/notifications"}).items():
                    page.goto(path)
                    page.screenshot(path=target / f"{shot}-{look}.png")
        site.stop()
    assert len(list(target.glob("*.png"))) >= len(looks) * 10

"""Filters in a real browser: created with a form, applied, and edited; with scripts and without.

With STORM_SCREENSHOTS=DIRECTORY the tests save screenshots of the pages.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.instance import running_instance
from tests.media_files import jpeg
from tests.people import PASSWORD, place_of

TIMEOUT_MS = 10_000
SMALLEST = {"width": 360, "height": 640}
DESKTOP = {"width": 1280, "height": 900}
LOOKS = {
    "scripts": {"viewport": DESKTOP, "java_script_enabled": True},
    "no-scripts": {"viewport": SMALLEST, "java_script_enabled": False, "color_scheme": "dark"},
}


def sticks_out(page, width):
    """Return the boxes of buttons, fields and paragraphs that reach beyond the window."""
    found = page.locator("main :is(button, input, textarea, select, summary, p)").all()
    boxes = [element.bounding_box() for element in found]
    return [box for box in boxes if box is not None and box["x"] + box["width"] > width]


def photograph(page, name):
    directory = os.environ.get("STORM_SCREENSHOTS")
    if directory is not None:
        page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory, sqlite_template):
    directory = tmp_path_factory.mktemp("place")
    url = f"sqlite:///{shutil.copy(sqlite_template, directory / 'stormpetrel.db')}"
    with running_instance(directory, url) as instance, place_of(instance, url) as place:
        yield place


@pytest.mark.parametrize("look", LOOKS)
def test_a_filter_is_made_and_what_it_folds_away_is_opened(browser, place, look):
    width = LOOKS[look]["viewport"]["width"]
    reader, friend = place.person("reader"), place.person("friend")
    reader.follow(friend)
    friend.post("The final score of the game was a surprise to everybody who saw it")
    friend.post("A quiet day at the harbour")
    file = {"file": ("a.jpg", jpeg(), "image/jpeg")}
    media = friend.http.post("/api/v2/media", files=file, data={"description": "A spider"}).json()
    friend.post("Guess who sat in my kitchen", media_ids=[media["id"]])
    context = browser.new_context(base_url=place.base_url, **LOOKS[look])
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.goto("/auth/sign_in")
    page.fill("#user_email", reader.username)
    page.fill("#user_password", PASSWORD)
    page.locator("main form button").click()
    page.get_by_role("heading", name="Home").wait_for()
    assert page.get_by_text("final score").is_visible()
    page.goto("/settings/filters")
    page.get_by_label("Title", exact=True).fill("Sports, until I have seen it")
    page.get_by_label("Match whole words only").fill("score\nmatch day")
    page.get_by_label("Expires").select_option(label="In a week")
    page.get_by_role("button", name="Create filter").click()
    page.get_by_label("Title", exact=True).fill("Spiders")
    page.get_by_label("Match within longer words too").fill("spider")
    page.get_by_label("Blur its images").check()
    page.get_by_role("button", name="Create filter").click()
    page.get_by_text("Images blurred · everywhere").wait_for()
    photograph(page, f"filters-{look}")
    assert sticks_out(page, width) == []
    page.goto("/")
    post = page.locator("article", has_text="Filtered: Sports, until I have seen it")
    assert not page.get_by_text("final score").is_visible()
    assert page.get_by_text("A quiet day").is_visible()
    photograph(page, f"filtered-{look}")
    post.locator("summary").first.click()
    page.get_by_text("final score").wait_for()
    photograph(page, f"filtered-open-{look}")
    assert sticks_out(page, width) == []
    picture = page.locator(".blurred .media-item")
    assert "blur" in picture.evaluate("element => getComputedStyle(element).filter")
    picture.hover()
    assert picture.evaluate("element => getComputedStyle(element).filter") == "none"
    page.goto("/settings/filters")
    page.get_by_role("link", name="Edit the filter Sports").click()
    page.get_by_label("Title", exact=True).fill(" ")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The title can't be blank").wait_for()
    photograph(page, f"filter-wrong-{look}")
    assert sticks_out(page, width) == []
    page.get_by_role("button", name="Delete filter").click()
    page.get_by_role("link", name="Edit the filter Spiders").wait_for()
    page.goto("/")
    assert page.get_by_text("final score").is_visible()
    context.close()

"""Times on pages: the full date on the post's own page, "ago" elsewhere, and always with the time zone."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from stormpetrel.web.times import exactly, iso, moment, month, span, when

AT_MS = 1_764_404_411_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def milliseconds(status):
    return int(datetime.fromisoformat(status["created_at"]).timestamp() * 1000)


def test_a_moment_names_its_zone_wherever_it_names_a_clock():
    assert iso(AT_MS) == "2025-11-29T08:20:11Z"
    assert moment(AT_MS) == "29 Nov 2025, 08:20 UTC"
    assert exactly(AT_MS) == f'<time datetime="{iso(AT_MS)}">29 Nov 2025, 08:20 UTC</time>'
    assert '>29 Nov 2025<span class="clock">, 08:20 UTC</span></time>' in when(AT_MS)
    assert month(AT_MS) == '<time datetime="2025-11-29">Nov 2025</time>'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0.4, "0 s"), (119, "119 s"), (597, "10 min"), (21_073, "6 h"), (172_800, "2 d")],
)
def test_a_span_has_the_largest_unit_of_which_it_has_two(seconds, text):
    assert span(seconds) == text


def test_the_page_of_a_post_and_its_embedding_say_in_words_when_it_was_written(place):
    ann = place.person("Ann")
    post = ann.post("Now")
    path = f"/@{ann.username}/{post['id']}"
    answer = ann.post("And then", in_reply_to_id=post["id"])
    line = f'<p class="written">Written <time datetime="{iso(milliseconds(post))}">'
    for page in (path, f"{path}/embed"):
        text = place.visitor.get(page).text
        assert text.count('class="written"') == 1, page
        assert f"{line}{moment(milliseconds(post))}</time></p>" in text, page
    assert f"{moment(milliseconds(answer))}</time></p>" not in place.visitor.get(f"/@{ann.username}").text
    ann.http.put(f"/api/v1/statuses/{post['id']}", json={"status": "Changed"}).raise_for_status()
    assert "</time> · edited <time" in place.visitor.get(path).text


@pytest.mark.parametrize(
    ("later_ms", "said"),
    [
        (0, "just now"),
        (5 * MINUTE_MS, "5 min ago"),
        (3 * 60 * MINUTE_MS, "3 h ago"),
        (6 * DAY_MS, "6 d ago"),
        (8 * DAY_MS, None),
    ],
)
def test_in_lists_the_script_says_how_long_ago_it_was(browser, place, later_ms, said):
    ann = place.person("Ann")
    post = ann.post("Now")
    context = browser.new_context(base_url=place.base_url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.clock.set_fixed_time((time.time_ns() // 1_000_000 + later_ms) / 1000)
    page.goto(f"/@{ann.username}")
    shown = page.locator(".post .at time")
    assert shown.inner_text() == (said or moment(milliseconds(post)))
    assert shown.get_attribute("title") == moment(milliseconds(post))
    page.goto(f"/@{ann.username}/{post['id']}")
    assert page.locator(".written").inner_text() == f"Written {moment(milliseconds(post))}"
    context.close()

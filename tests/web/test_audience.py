"""The pages about visitors: for administrators only, and a public one if the operator wants it."""

from __future__ import annotations

import time

import pytest

from stormpetrel.audience.periods import before, periods_at
from stormpetrel.model.account import Role
from stormpetrel.model.audience import rows_of
from stormpetrel.storage.audience import store_numbers
from stormpetrel.web.audience import bars_of
from tests.forms import sign_in
from tests.instance import prepared_instance
from tests.people import place_of


@pytest.fixture(scope="module")
def place_settings():
    return {"audience_public": "true"}


@pytest.fixture(scope="module")
def counted(place):
    """Return an instance whose last two months and weeks were counted."""
    _, week, month = periods_at(time.time())
    earlier, last = before(before(month)), before(month)
    store_numbers(
        place.database_url,
        machine="other",
        numbers={
            earlier.name: {"visitors/all": 593_000},
            last.name: {"visitors/all": 20_100_000, "visitors/web": 19_000_001, "visitors/members": 777},
            before(week).name: {"visitors/all": 10, "visitors/members": 9},
            month.name: {"visitors/all": 12, "from/search": 1, "from/none": 3, "requests/programs": 4321},
        },
    )
    return place


def browser_of(place, role):
    browser = place.client()
    sign_in(browser, place.person(f"{role.value}Person", role=role).username)
    return browser


def test_an_administrator_sees_every_number(counted):
    text = browser_of(counted, Role.ADMIN).get("/admin/audience").text
    for found in ("20100000", "19000001", "34×", "none 75 %", "search 25 %", "4321 of programs"):
        assert found in text
    assert 'aria-label="Visitors by month"' in text
    assert 'viewBox="0 0 120 104"' in text, "a few bars are as narrow as twelve"
    assert 'href="/audience"' in text
    assert 'href="/admin/audience"' in browser_of(counted, Role.ADMIN).get("/admin").text


def test_before_the_first_visitor_is_counted_the_page_says_so_and_shows_no_shares(tmp_path, sqlite_url):
    day, _, month = periods_at(time.time())
    zero = {"visitors/all": 0, "requests/programs": 2}
    # Without a watch, which would count the visits of this test some seconds later.
    with prepared_instance(tmp_path / "new", sqlite_url, audience_public="true") as instance:
        instance.start("--role", "web")
        with place_of(instance, sqlite_url) as place:
            store_numbers(sqlite_url, machine="a", numbers={day.name: zero, month.name: zero})
            page = browser_of(place, Role.ADMIN).get("/admin/audience").text
            assert "No visitor of today is counted yet" in page
            assert "every 15 seconds" in page
            assert "in shares" not in page
            assert "No visitor of today is counted yet" in place.visitor.get("/audience").text
            store_numbers(
                sqlite_url,
                machine="a",
                numbers={day.name: {"visitors/all": 1}, month.name: {"visitors/all": 1}},
            )
            page = browser_of(place, Role.ADMIN).get("/admin/audience").text
            assert "is counted yet" not in page
            assert "in shares" in page
        instance.stop()


@pytest.mark.parametrize("role", [Role.MEMBER, Role.MODERATOR])
def test_others_do_not_see_the_page_for_administrators(counted, role):
    assert browser_of(counted, role).get("/admin/audience").status_code == 403


def test_visitors_are_sent_to_sign_in(counted):
    answer = counted.client().get("/admin/audience", follow_redirects=False)
    assert answer.status_code in (302, 303)


def test_everyone_sees_visitors_on_the_public_page_and_nothing_else(counted):
    text = counted.client().get("/audience").text
    assert "20100000" in text
    assert "Sec-GPC" in text
    assert "programs" not in text


def test_the_chart_has_a_bar_for_each_period_and_the_greatest_fills_it():
    month = periods_at(time.time())[2]
    stored = {month.name: {"a": {"visitors/all": 5}}, before(month).name: {"a": {"visitors/all": 10}}}
    bars = bars_of(rows_of([before(month), month], stored, now_s=time.time()))
    assert [(bar.visitors, bar.height) for bar in bars] == [(10, 100), (5, 50)]
    assert bars_of([]) == []


def test_a_table_that_is_wider_than_a_phone_has_a_shadow_where_it_goes_on(browser, counted):
    context = browser.new_context(base_url=counted.base_url, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto("/audience")
    table = page.locator(".sheet").last
    assert table.evaluate("one => one.scrollWidth > one.clientWidth")
    begin = table.screenshot()
    table.evaluate(
        "one => { one.scrollLeft = one.scrollWidth; one.querySelector('table').style.opacity = 0; }"
    )
    at_the_end = table.screenshot()
    table.evaluate("one => { one.scrollLeft = 0; }")
    at_the_begin = table.screenshot()
    context.close()
    # Without the text there is a shadow at one edge, and at the end of the way it is at the other edge.
    assert len({begin, at_the_begin, at_the_end}) == 3

"""The lists of muted and blocked accounts, and of those with hidden boosts: who sees them, and undoing it."""

from __future__ import annotations

import re
from contextlib import closing
from html import unescape
from urllib.parse import quote

import pytest

from stormpetrel.rules import relationships
from stormpetrel.web.paging import PEOPLE_A_PAGE
from tests.forms import send
from tests.markup import checked, sent
from tests.people import now_ms

MUTED, BLOCKED, HIDDEN_BOOSTS = "/settings/muted", "/settings/blocked", "/settings/hidden_boosts"


@pytest.mark.parametrize("path", [MUTED, BLOCKED, HIDDEN_BOOSTS])
def test_visitors_are_sent_to_sign_in_and_an_empty_list_says_so(place, path):
    answer = place.visitor.get(path)
    assert answer.headers["location"] == f"/auth/sign_in?next={quote(path, safe='/')}"
    with closing(place.browser_session(place.person())) as browser:
        answer = browser.get(path)
        checked(answer)
        assert 'class="card nothing"' in answer.text
        assert f'<a href="{path}" aria-current="page">' in unescape(answer.text)


def test_each_list_has_its_people_and_a_button_that_undoes_it(place):
    ann, muted, blocked, booster, stranger = (
        place.person(name) for name in ("ann", "muted", "blocked", "booster", "stranger")
    )
    ann.do(f"/api/v1/accounts/{muted.id}/mute")
    ann.do(f"/api/v1/accounts/{blocked.id}/block")
    ann.do(f"/api/v1/accounts/{booster.id}/follow", reblogs=False)
    ann.follow(stranger)
    lists = {
        MUTED: (muted, "unmute", "muting", False),
        BLOCKED: (blocked, "unblock", "blocking", False),
        HIDDEN_BOOSTS: (booster, "show_boosts", "showing_reblogs", True),
    }
    with closing(place.browser_session(ann)) as browser:
        for path, (person, verb, key, after) in lists.items():
            page = browser.get(path)
            checked(page)
            assert re.findall(r'class="who" href="/@(\w+)"', page.text) == [person.username]
            answer = send(browser, page, f"/people/{person.id}/{verb}")
            assert (answer.status_code, answer.headers["location"]) == (303, path)
            assert ann.get("/api/v1/accounts/relationships", id=person.id)[0][key] is after
            assert person.username not in browser.get(path).text
    with closing(place.browser_session(muted)) as browser:
        for path in lists:
            assert re.findall(r'class="who" href="/@(\w+)"', browser.get(path).text) == []


def test_a_mute_for_a_time_says_when_it_ends_and_is_not_listed_after_that(place):
    ann, ben, eve = place.person("ann"), place.person("ben"), place.person("eve")
    options = {"hide_notifications": True, "duration_s": 86_400}
    place.write(relationships.mute, account_id=ann.id, target_id=ben.id, **options, now_ms=now_ms())
    long_ago_ms = now_ms() - 2 * 86_400_000
    place.write(relationships.mute, account_id=ann.id, target_id=eve.id, **options, now_ms=long_ago_ms)
    with closing(place.browser_session(ann)) as browser:
        text = browser.get(MUTED).text
    assert re.search(r'<span class="chip">until <time datetime="[^"]+Z">', text)
    assert (ben.username in text, eve.username in text) == (True, False)


def test_a_blocked_person_is_unblocked_on_their_profile_and_in_the_list_also_when_they_block_back(place):
    ann, ben = place.person("ann"), place.person("ben")
    ann.do(f"/api/v1/accounts/{ben.id}/block")
    with closing(place.browser_session(ann)) as browser:
        profile = browser.get(f"/@{ben.username}")
        checked(profile)
        send(browser, profile, f"/people/{ben.id}/unblock")
        assert ann.get("/api/v1/accounts/relationships", id=ben.id)[0]["blocking"] is False
        ann.do(f"/api/v1/accounts/{ben.id}/block")
        ben.do(f"/api/v1/accounts/{ann.id}/block")
        assert browser.get(f"/@{ben.username}").status_code == 404
        send(browser, browser.get(BLOCKED), f"/people/{ben.id}/unblock")
    assert ann.get("/api/v1/accounts/relationships", id=ben.id)[0]["blocking"] is False


def test_boosts_are_hidden_and_shown_again_from_a_profile(place):
    ann, ben, eve = place.person("ann"), place.person("ben"), place.person("eve")
    ben.do(f"/api/v1/statuses/{eve.post('Boosted words')['id']}/reblog")
    with closing(place.browser_session(ann)) as browser:
        assert "_boosts" not in browser.get(f"/@{ben.username}").text
        ann.follow(ben)
        assert "Boosted words" in browser.get("/").text
        for verb, label, seen in (
            ("hide_boosts", "Show boosts", False),
            ("show_boosts", "Hide boosts", True),
        ):
            profile = browser.get(f"/@{ben.username}")
            assert f'formaction="/people/{ben.id}/{verb}"' in profile.text
            answer = sent(browser, f"/people/{ben.id}/{verb}", next="/")
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            assert f">{label}</button>" in browser.get(f"/@{ben.username}").text
            assert ("Boosted words" in browser.get("/").text) is seen


def test_a_long_list_has_pages_and_the_button_leads_back_to_the_same_page(place):
    ann = place.person("ann")
    people = [place.person("many") for _ in range(PEOPLE_A_PAGE + 2)]
    for person in people:
        place.write(relationships.block, account_id=ann.id, target_id=person.id, now_ms=now_ms())
    with closing(place.browser_session(ann)) as browser:
        first = browser.get(BLOCKED)
        older = unescape(re.search(r'rel="next" href="([^"]+)"', first.text)[1])
        second = browser.get(older)
        listed = [re.findall(r'class="who" href="/@(\w+)"', page.text) for page in (first, second)]
        assert [*listed[0], *listed[1]] == [person.username for person in reversed(people)]
        assert len(listed[0]) == PEOPLE_A_PAGE
        assert send(browser, second, f"/people/{people[0].id}/unblock").headers["location"] == older

"""The pages of accounts that boosted or favourited a post: who may see them, their content, paging."""

from __future__ import annotations

import re
from contextlib import closing
from html import unescape

import pytest

from stormpetrel.rules import reactions
from stormpetrel.web.paging import PEOPLE_A_PAGE
from tests.markup import checked
from tests.people import now_ms

WHO = r'class="who" href="/@(\w+)"'
TABS = ("boosts", "favourites")


def people_of(answer):
    checked(answer)
    return re.findall(WHO, answer.text)


def test_a_post_links_to_the_people_who_boosted_and_favourited_it(place):
    ann, ben, eve = place.person("ann"), place.person("ben"), place.person("eve")
    post, unnoticed = ann.post("Well said"), ann.post("Unnoticed")
    ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    for person in (ben, eve):
        person.do(f"/api/v1/statuses/{post['id']}/favourite")
    path = f"/@{ann.username}/{post['id']}"
    with closing(place.browser_session(ann)) as browser:
        for client in (place.visitor, browser):
            page = client.get(path)
            for tab, text, people in (
                ("boosts", "<b>1</b> boost<", [ben]),
                ("favourites", "<b>2</b> favourites<", [eve, ben]),
            ):
                assert f'<a href="{path}/{tab}">{text}' in page.text
                listed = people_of(client.get(f"{path}/{tab}"))
                assert listed == [person.username for person in people]
            assert "/boosts" not in client.get(f"/@{ann.username}/{unnoticed['id']}").text
    for tab, text in (("boosts", "No boosts yet."), ("favourites", "No favourites yet.")):
        assert text in place.visitor.get(f"/@{ann.username}/{unnoticed['id']}/{tab}").text


def test_a_boost_for_followers_is_listed_for_those_who_may_see_it(place):
    ann, ben, friend, stranger = (place.person(name) for name in ("ann", "ben", "friend", "stranger"))
    friend.follow(ben)
    post = ann.post("Well said")
    ben.do(f"/api/v1/statuses/{post['id']}/reblog", visibility="private")
    listed = {}
    for name, person in (("ann", ann), ("ben", ben), ("friend", friend), ("stranger", stranger)):
        named = person.get(f"/api/v1/statuses/{post['id']}/reblogged_by")
        with closing(place.browser_session(person)) as browser:
            page = people_of(browser.get(f"/@{ann.username}/{post['id']}/boosts"))
        assert page == [one["username"] for one in named]
        listed[name] = page
    assert listed == {name: [ben.username] for name in ("ann", "ben", "friend")} | {"stranger": []}
    assert people_of(place.visitor.get(f"/@{ann.username}/{post['id']}/boosts")) == []


@pytest.mark.parametrize("tab", TABS)
def test_who_may_not_see_the_post_sees_no_list(place, tab):
    ann, friend, stranger, blocked = (place.person(name) for name in ("ann", "friend", "stranger", "blocked"))
    friend.follow(ann)
    ann.do(f"/api/v1/accounts/{blocked.id}/block")
    public, secret = ann.post("Everyone"), ann.post("Only friends", visibility="private")
    friend.do(f"/api/v1/statuses/{secret['id']}/favourite")
    paths = [f"/@{ann.username}/{post['id']}/{tab}" for post in (public, secret)]
    seen = {"visitor": [place.visitor.get(path).status_code for path in paths]}
    for name, person in (("ann", ann), ("friend", friend), ("stranger", stranger), ("blocked", blocked)):
        with closing(place.browser_session(person)) as browser:
            seen[name] = [browser.get(path).status_code for path in paths]
    assert seen == {
        "visitor": [200, 404],
        "ann": [200, 200],
        "friend": [200, 200],
        "stranger": [200, 404],
        "blocked": [404, 404],
    }


@pytest.mark.parametrize("tab", TABS)
def test_the_address_of_a_boost_or_with_another_name_leads_to_the_post(place, tab):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Mine")
    boost = ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    for path in (f"/@{ben.username}/{boost['id']}", f"/@{ben.username}/{post['id']}"):
        answer = place.visitor.get(f"{path}/{tab}")
        assert (answer.status_code, answer.headers["location"]) == (
            302,
            f"/@{ann.username}/{post['id']}/{tab}",
        )
    assert place.visitor.get(f"/@{ann.username}/1/{tab}").status_code == 404


def test_a_long_list_has_pages(place):
    ann = place.person("ann")
    post = ann.post("Loved")
    people = [place.person("many") for _ in range(PEOPLE_A_PAGE + 2)]
    for person in people:
        place.write(reactions.favourite, account_id=person.id, post_id=int(post["id"]), now_ms=now_ms())
    first = place.visitor.get(f"/@{ann.username}/{post['id']}/favourites")
    second = place.visitor.get(unescape(re.search(r'rel="next" href="([^"]+)"', first.text)[1]))
    listed = [people_of(page) for page in (first, second)]
    assert [*listed[0], *listed[1]] == [person.username for person in reversed(people)]
    assert len(listed[0]) == PEOPLE_A_PAGE

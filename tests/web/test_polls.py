"""Polls on pages: asked, voted in and read with forms alone. Each reader sees their own state."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from stormpetrel.model.poll import Option, Poll, bits_of
from stormpetrel.web.polls import DURATIONS, poll_fields, poll_view
from tests.forms import form_to, forms_of, send
from tests.markup import EVIL, checked, sent

OPEN_UNTIL = 1_000_000
VOTER, AUTHOR = 5, 7


def asked(person, *options, **poll):
    return person.post(
        "Which?", poll={"options": list(options) or ["Tea", "Coffee"], "expires_in": 3600} | poll
    )


def path_of(person, post):
    return f"/@{person.username}/{post['id']}"


def shares(page):
    return [int(share) for share in re.findall(r'<span class="share">(\d+)%</span>', page.text)]


def offers_a_vote(page, post):
    return f"/posts/{post['id']}/vote" in {form.action for form in forms_of(page)}


def poll_of(*counts, hide_totals=False, voters=None):
    return Poll(
        post_id=1,
        author_id=AUTHOR,
        multiple=voters is not None,
        hide_totals=hide_totals,
        expires_at_ms=OPEN_UNTIL,
        voters_count=sum(counts) if voters is None else voters,
        options=tuple(Option(f"Option {number}", count) for number, count in enumerate(counts)),
    )


def view(poll, *, reader_id=VOTER, votes=(), now_ms=OPEN_UNTIL - 1):
    return poll_view(poll, reader_id=reader_id, votes=bits_of(votes), now_ms=now_ms)


@pytest.mark.parametrize(
    ("who", "may_vote", "percents"),
    [
        ({}, True, [None, None]),
        ({"votes": [1]}, False, [25, 75]),
        ({"reader_id": AUTHOR}, False, [25, 75]),
        ({"reader_id": None}, False, [None, None]),
        ({"reader_id": None, "now_ms": OPEN_UNTIL}, False, [25, 75]),
        ({"now_ms": OPEN_UNTIL}, False, [25, 75]),
    ],
)
def test_results_are_for_who_voted_the_author_and_all_after_the_end(who, may_vote, percents):
    seen = view(poll_of(1, 3), **who)
    assert (seen.may_vote, [answer.percent for answer in seen.answers]) == (may_vote, percents)


@pytest.mark.parametrize("who", [{"votes": [1]}, {"reader_id": AUTHOR}])
def test_hidden_totals_are_hidden_until_the_end(who):
    poll = poll_of(1, 3, hide_totals=True)
    before, after = view(poll, **who), view(poll, **who, now_ms=OPEN_UNTIL)
    assert ([answer.percent for answer in before.answers], before.awaited) == ([None, None], True)
    assert [answer.votes_count for answer in before.answers] == [0, 0]
    assert ([answer.percent for answer in after.answers], after.awaited) == ([25, 75], False)


def test_several_choices_are_parts_of_the_voters_and_no_voters_no_part():
    assert [answer.percent for answer in view(poll_of(2, 3, voters=4), votes=[0]).answers] == [50, 75]
    assert [answer.percent for answer in view(poll_of(0, 0), now_ms=OPEN_UNTIL).answers] == [0, 0]


def test_what_was_typed_becomes_a_poll_or_none():
    fields = {"poll_option_0": "A", "poll_option_2": " B ", "poll_duration": "300", "poll_multiple": "on"}
    draft = poll_fields(fields).draft
    assert (draft.options, draft.duration_s, draft.multiple) == (("A", " B "), 300, True)
    assert poll_fields({"poll_option_0": "  ", "poll_multiple": "on"}).draft is None
    assert poll_fields({"poll_option_0": "A", "poll_duration": "7"}).draft.duration_s in dict(DURATIONS)


def test_a_reader_votes_once_and_only_then_sees_how_it_stands(place):
    ann, ben, cat = place.person("ann"), place.person("ben"), place.person("cat")
    post = asked(ann, "Tea", EVIL[:50])
    path = path_of(ann, post)
    with closing(place.browser_session(ben)) as bens, closing(place.browser_session(cat)) as cats:
        page = bens.get(path)
        checked(page)
        assert EVIL[:50] not in page.text
        assert offers_a_vote(page, post)
        assert shares(page) == []
        answer = send(bens, page, f"/posts/{post['id']}/vote", {"choice": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{path}#post-{post['id']}")
        page = bens.get(path)
        checked(page)
        assert shares(page) == [0, 100]
        assert page.text.count("your vote") == 1
        assert not offers_a_vote(page, post)
        # The fragment cached for all readers contains no reader's vote.
        other = cats.get(path)
        assert offers_a_vote(other, post)
        assert shares(other) == []
        assert "your vote" not in other.text
        checked(sent(bens, f"/posts/{post['id']}/vote", choice="0"), 422)
    visitors = place.visitor.get(path)
    checked(visitors)
    assert shares(visitors) == []
    assert "your vote" not in visitors.text
    assert "sign in to vote" in visitors.text
    with closing(place.browser_session(ann)) as browser:
        page = browser.get(path)
        assert shares(page) == [0, 100]
        assert not offers_a_vote(page, post)


def test_several_options_are_chosen_where_several_may_be(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = asked(ann, "A", "B", "C", multiple=True)
    with closing(place.browser_session(ben)) as browser:
        page = browser.get(path_of(ann, post))
        checked(page)
        send(browser, page, f"/posts/{post['id']}/vote", {"choice_0": "on", "choice_2": "on"})
        assert shares(browser.get(path_of(ann, post))) == [100, 0, 100]


def test_hidden_totals_are_not_in_the_page(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = asked(ann, hide_totals=True)
    with closing(place.browser_session(ben)) as browser:
        sent(browser, f"/posts/{post['id']}/vote", choice="0")
        page = browser.get(path_of(ann, post))
        assert shares(page) == []
        assert "<progress" not in page.text
        assert "results when it ends" in page.text
        assert "your vote" in page.text


@pytest.mark.parametrize(
    "choices", [{}, {"choice": "7"}, {"choice": "x"}, {"choice": "-1"}, {"choice_3": "on"}]
)
def test_what_is_no_vote_is_refused(place, choices):
    ann, ben = place.person("ann"), place.person("ben")
    post = asked(ann)
    with closing(place.browser_session(ben)) as browser:
        checked(sent(browser, f"/posts/{post['id']}/vote", **choices), 422)
        assert offers_a_vote(browser.get(path_of(ann, post)), post)


def test_who_is_blocked_neither_sees_the_poll_nor_votes(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = asked(ann)
    ann.do(f"/api/v1/accounts/{ben.id}/block")
    with closing(place.browser_session(ben)) as browser:
        checked(browser.get(path_of(ann, post)), 404)
        checked(sent(browser, f"/posts/{post['id']}/vote", choice="0"), 404)
    assert ann.get(f"/api/v1/polls/{post['id']}")["votes_count"] == 0


def test_a_vote_needs_an_account_and_a_form_of_this_site(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = asked(ann)
    assert place.visitor.post(f"/posts/{post['id']}/vote", data={"choice": "0"}).status_code in (
        303,
        401,
        403,
    )
    with closing(place.browser_session(ben)) as browser:
        checked(browser.post(f"/posts/{post['id']}/vote", data={"choice": "0"}), 403)
    assert ann.get(f"/api/v1/polls/{post['id']}")["votes_count"] == 0


def test_a_poll_is_asked_with_the_form_alone(place):
    ann = place.person("ann")
    typed = {
        "text": "Which?",
        "poll_option_0": "Tea",
        "poll_option_2": "Coffee",
        "poll_duration": "300",
        "poll_multiple": "on",
        "poll_hide_totals": "on",
        "visibility": "public",
    }
    with closing(place.browser_session(ann)) as browser:
        page = browser.get("/compose")
        checked(page)
        assert send(browser, page, "/compose", typed).status_code == 303
        # The same form with another poll makes another post.
        assert send(browser, page, "/compose", typed | {"poll_option_0": "Milk"}).status_code == 303
    newer, older = ann.get(f"/api/v1/accounts/{ann.id}/statuses")
    assert [option["title"] for option in older["poll"]["options"]] == ["Tea", "Coffee"]
    assert [option["title"] for option in newer["poll"]["options"]] == ["Milk", "Coffee"]
    assert older["poll"]["multiple"] is True
    assert older["poll"]["options"][0]["votes_count"] is None


@pytest.mark.parametrize(
    "options",
    [{"poll_option_1": "Alone"}, {"poll_option_0": "x" * 51, "poll_option_1": "y"}],
)
def test_a_poll_that_is_refused_comes_back_with_everything_that_was_typed(place, options):
    ann = place.person("ann")
    more = {"poll_duration": "604800", "poll_multiple": "on", "poll_hide_totals": "on", "sensitive": "on"}
    typed = {"text": "Which?", "description_1": "A <cup>"} | options | more
    with closing(place.browser_session(ann)) as browser:
        answer = send(browser, browser.get("/compose"), "/compose", typed)
        checked(answer, 422)
        fields = form_to(answer, "/compose").fields
        chosen = typed.keys() - {"poll_duration", "poll_multiple", "poll_hide_totals", "sensitive"}
        assert {name: fields[name] for name in chosen} == {name: typed[name] for name in chosen}
        assert {"poll_multiple", "poll_hide_totals", "sensitive"} <= fields.keys()
        assert '<option value="604800" selected>' in answer.text
        assert '<details class="warn ask-poll" open>' in answer.text
    assert ann.get(f"/api/v1/accounts/{ann.id}/statuses") == []


def test_a_poll_behind_a_warning_is_behind_a_word(place):
    ann = place.person("ann")
    post = ann.post(
        "Which?", poll={"options": ["Secret", "Other"], "expires_in": 3600}, spoiler_text="careful"
    )
    for path in (path_of(ann, post), f"{path_of(ann, post)}/embed"):
        text = place.visitor.get(path).text
        before, _, after = text.partition('<span class="warning">Poll</span>')
        assert "Secret" not in before
        assert "Secret" in after

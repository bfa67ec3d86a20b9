"""Polls through HTTP, on both stores."""

from __future__ import annotations

import pytest


def ask(person, **poll):
    return person.post("Which?", poll={"options": ["red", "green"], "expires_in": 300} | poll)


def test_a_poll_is_asked_read_and_voted_in(place):
    ann, bob = place.person("ann"), place.person("bob")
    status = ask(ann)
    poll = status["poll"]
    assert poll["id"] == status["id"]
    assert (poll["voted"], poll["own_votes"], poll["expired"], poll["multiple"]) == (True, [], False, False)
    assert poll["options"] == [{"title": "red", "votes_count": 0}, {"title": "green", "votes_count": 0}]
    assert bob.get(f"/api/v1/polls/{poll['id']}")["voted"] is False
    voted = bob.do(f"/api/v1/polls/{poll['id']}/votes", choices=["1"])
    assert (voted["voted"], voted["own_votes"], voted["votes_count"], voted["voters_count"]) == (
        True,
        [1],
        1,
        1,
    )
    again = bob.http.post(f"/api/v1/polls/{poll['id']}/votes", data={"choices[]": ["0"]})
    assert again.status_code == 422
    own = ann.http.post(f"/api/v1/polls/{poll['id']}/votes", json={"choices": [0]})
    assert own.status_code == 422
    # Every endpoint that returns the poll shows each reader their own vote.
    boost = ann.do(f"/api/v1/statuses/{status['id']}/reblog")
    for reader, votes in ((ann, []), (bob, [1])):
        for read in (
            reader.get(f"/api/v1/statuses/{status['id']}"),
            reader.get(f"/api/v1/accounts/{ann.id}/statuses")[1],
            reader.get(f"/api/v1/accounts/{ann.id}/statuses")[0]["reblog"],
            reader.get(f"/api/v1/statuses/{boost['id']}")["reblog"],
            reader.get("/api/v1/statuses", **{"id[]": [status["id"]]})[0],
        ):
            assert read["poll"] == reader.get(f"/api/v1/polls/{poll['id']}")
            assert read["poll"]["own_votes"] == votes
    visited = place.visitor.get(f"/api/v1/polls/{poll['id']}").json()
    assert visited == place.visitor.get(f"/api/v1/statuses/{status['id']}").json()["poll"]
    assert "voted" not in visited
    assert visited["votes_count"] == 1
    deleted = ann.http.delete(f"/api/v1/statuses/{status['id']}").json()
    assert [option["title"] for option in deleted["poll"]["options"]] == ["red", "green"]


def test_a_poll_comes_as_a_form_too_and_hides_its_totals(place):
    ann, bob = place.person("ann"), place.person("bob")
    form = {
        "status": "Which?",
        "poll[options][]": ["a", "b", "c"],
        "poll[expires_in]": "3600",
        "poll[multiple]": "true",
        "poll[hide_totals]": "1",
    }
    poll = ann.http.post("/api/v1/statuses", data=form).json()["poll"]
    assert poll["multiple"] is True
    voted = bob.http.post(f"/api/v1/polls/{poll['id']}/votes", data={"choices[]": ["0", "2"]}).json()
    assert voted["own_votes"] == [0, 2]
    assert [option["votes_count"] for option in voted["options"]] == [None, None, None]
    assert (voted["votes_count"], voted["voters_count"]) == (2, 1)


@pytest.mark.parametrize(
    "poll",
    [
        {"expires_in": 1},
        {"options": []},
        {"options": ["a"]},
        {"options": ["a"] * 3},
        {"options": ["x" * 51, "b"]},
    ],
)
def test_a_poll_outside_the_announced_limits_is_422(place, poll):
    ann = place.person("ann")
    answer = ann.http.post(
        "/api/v1/statuses",
        json={"status": "Which?", "poll": {"options": ["a", "b"], "expires_in": 300} | poll},
    )
    assert answer.status_code == 422
    assert ann.get(f"/api/v1/accounts/{ann.id}/statuses") == []


def test_the_instance_says_how_polls_may_be(place):
    for version in (1, 2):
        limits = place.visitor.get(f"/api/v{version}/instance").json()["configuration"]
        assert limits["polls"] == {
            "max_options": 4,
            "max_characters_per_option": 50,
            "min_expiration": 300,
            "max_expiration": 2629746,
        }
        assert limits["accounts"]["max_pinned_statuses"] == 5

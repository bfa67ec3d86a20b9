"""The policy for notifications and its requests through HTTP, on both stores."""

from __future__ import annotations

import pytest

from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.rules import moderation
from tests.people import now_ms

POLICY = "/api/v2/notifications/policy"
REQUESTS = "/api/v1/notifications/requests"


def choose(person, **choices):
    answer = person.http.patch(POLICY, json=choices)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_policy_accepts_everyone_until_it_is_changed_field_by_field(place):
    ann, stranger = place.person("ann"), place.person("stranger")
    place.write(moderation.silence, COMMAND_LINE, account_id=stranger.id, reason="no", now_ms=now_ms())
    stranger.post(f"@{ann.username} hello")
    assert ann.get("/api/v1/notifications") == []
    assert ann.get(REQUESTS) == []
    policy = ann.get(POLICY)
    assert ann.get("/api/v1/notifications/policy") == policy
    assert policy.pop("summary") == {"pending_requests_count": 0, "pending_notifications_count": 0}
    assert policy.pop("for_limited_accounts") == "drop"
    assert set(policy.values()) == {"accept"}
    changed = choose(ann, for_new_accounts="drop", for_private_mentions="filter", for_limited_accounts="drop")
    assert (changed["for_new_accounts"], changed["for_private_mentions"]) == ("drop", "filter")
    assert changed["for_not_following"] == "accept"
    assert (
        ann.http.put(POLICY, data={"for_new_accounts": "accept"}).json()["for_private_mentions"] == "filter"
    )
    assert ann.get(POLICY)["for_new_accounts"] == "accept"


@pytest.mark.parametrize("wrong", [{"for_not_following": "maybe"}, {"for_limited_accounts": "accept"}])
def test_a_choice_that_does_not_exist_is_refused(place, wrong):
    ann = place.person("ann")
    answer = ann.http.patch(POLICY, json=wrong)
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.text


def test_a_request_is_shown_accepted_and_merged(place):
    ann, bob = place.person("ann"), place.person("bob")
    choose(ann, for_not_following="filter")
    post = bob.post(f"@{ann.username} hello")
    assert ann.get("/api/v1/notifications") == []
    assert [one["type"] for one in ann.get("/api/v1/notifications", include_filtered=True)] == ["mention"]
    (waiting,) = ann.get(REQUESTS)
    assert waiting["account"]["id"] == str(bob.id)
    assert waiting["last_status"]["id"] == post["id"]
    assert waiting["notifications_count"] == "1"
    assert waiting["created_at"] == waiting["updated_at"]
    assert ann.get(f"{REQUESTS}/{waiting['id']}") == waiting
    assert ann.get(POLICY)["summary"] == {"pending_requests_count": 1, "pending_notifications_count": 1}
    assert ann.do(f"{REQUESTS}/{waiting['id']}/accept") == {}
    assert ann.get(f"{REQUESTS}/merged") == {"merged": True}
    assert [one["status"]["id"] for one in ann.get("/api/v1/notifications")] == [post["id"]]
    assert ann.get(REQUESTS) == []
    for gone in (ann.http.get(f"{REQUESTS}/{waiting['id']}"), ann.http.post(f"{REQUESTS}/1/accept")):
        assert gone.status_code == 404


def test_a_request_without_a_mention_has_no_last_status(place):
    ann, bob = place.person("ann"), place.person("bob")
    choose(ann, for_not_followers="filter")
    bob.follow(ann)
    (waiting,) = ann.get(REQUESTS)
    assert waiting["last_status"] is None


def test_several_requests_are_dismissed_and_accepted_together(place):
    ann = place.person("ann")
    choose(ann, for_not_following="filter")
    for _ in range(3):
        place.person("bob").post(f"@{ann.username} hello")
    ids = [one["id"] for one in ann.get(REQUESTS)]
    assert ann.do(f"{REQUESTS}/accept") == {}
    assert ann.do(f"{REQUESTS}/dismiss") == {}
    assert [one["id"] for one in ann.get(REQUESTS)] == ids
    assert ann.do(f"{REQUESTS}/dismiss", id=ids[:1]) == {}
    form = ann.http.post(f"{REQUESTS}/accept", data={"id[][]": ids[1]})
    assert form.status_code == 200, form.text
    assert ann.do(f"{REQUESTS}/accept", id=ids[2:]) == {}
    assert ann.get(REQUESTS) == []
    assert len(ann.get("/api/v1/notifications")) == 2


def test_requests_are_the_recipients_alone(place):
    ann, bob = place.person("ann"), place.person("bob")
    choose(ann, for_not_following="filter")
    bob.post(f"@{ann.username} hello")
    (waiting,) = ann.get(REQUESTS)
    for act in ("accept", "dismiss"):
        assert bob.http.post(f"{REQUESTS}/{waiting['id']}/{act}").status_code == 404
        assert place.visitor.post(f"{REQUESTS}/{waiting['id']}/{act}").status_code == 401
    assert bob.http.get(f"{REQUESTS}/{waiting['id']}").status_code == 404
    assert place.visitor.patch(POLICY, json={}).status_code == 401
    reader = place.client(place.token(ann.id, scopes="read"))
    assert reader.patch(POLICY, json={"for_bots": "drop"}).status_code == 403
    assert ann.get(REQUESTS) == [waiting]


def test_what_an_app_waits_for_is_merged_at_once(place):
    path = f"{REQUESTS}/merged"
    assert place.person("ann").get(path) == {"merged": True}
    assert place.visitor.get(path).status_code == 401

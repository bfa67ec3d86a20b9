"""Notifications and markers through HTTP, on both stores."""

from __future__ import annotations


def test_everything_that_others_do_is_told_in_the_words_of_the_api(place):
    ann, bob = place.person("ann"), place.person("bob")
    bob.follow(ann)
    post = ann.post("Hello")
    bob.do(f"/api/v1/statuses/{post['id']}/favourite")
    bob.do(f"/api/v1/statuses/{post['id']}/reblog")
    reply = bob.post(f"@{ann.username} hello")
    told = ann.get("/api/v1/notifications")
    assert [one["type"] for one in told] == ["mention", "reblog", "favourite", "follow"]
    assert {one["account"]["id"] for one in told} == {str(bob.id)}
    assert told[0]["status"]["id"] == reply["id"]
    assert told[1]["status"]["id"] == post["id"]
    assert "status" not in told[3]
    one = ann.get(f"/api/v1/notifications/{told[1]['id']}")
    assert one == told[1]


def test_types_are_chosen_excluded_and_unknown_ones_ignored(place):
    ann, bob = place.person("ann"), place.person("bob")
    bob.follow(ann)
    bob.post(f"@{ann.username} hello")

    def types(**query):
        return [one["type"] for one in ann.get("/api/v1/notifications", **query)]

    assert types(**{"types[]": ["mention", "quote", "severed_relationships"]}) == ["mention"]
    assert types(**{"exclude_types[]": ["mention", "something"]}) == ["follow"]
    assert types(**{"types[]": ["quote"]}) == []
    assert types(account_id=bob.id) == ["mention", "follow"]
    assert types(account_id=ann.id) == []
    assert types(limit=1) == ["mention"]


def test_notifications_are_counted_dismissed_and_cleared(place):
    ann, bob = place.person("ann"), place.person("bob")
    bob.follow(ann)
    bob.post(f"@{ann.username} one")
    bob.post(f"@{ann.username} two")
    told = ann.get("/api/v1/notifications")
    assert ann.get("/api/v1/notifications/unread_count") == {"count": 3}
    ann.do("/api/v1/markers", notifications={"last_read_id": told[1]["id"]})
    assert ann.get("/api/v1/notifications/unread_count") == {"count": 1}
    assert ann.do(f"/api/v1/notifications/{told[0]['id']}/dismiss") == {}
    assert ann.http.get(f"/api/v1/notifications/{told[0]['id']}").status_code == 404
    assert ann.do("/api/v1/notifications/clear") == {}
    assert ann.get("/api/v1/notifications") == []


def test_nobody_reads_or_dismisses_anothers_notification(place):
    ann, bob = place.person("ann"), place.person("bob")
    bob.follow(ann)
    (told,) = ann.get("/api/v1/notifications")
    assert bob.http.get(f"/api/v1/notifications/{told['id']}").status_code == 404
    assert bob.http.post(f"/api/v1/notifications/{told['id']}/dismiss").status_code == 404
    assert len(ann.get("/api/v1/notifications")) == 1


def test_markers_are_remembered_by_json_and_form(place):
    ann = place.person("ann")
    assert ann.get("/api/v1/markers", **{"timeline[]": ["home", "notifications"]}) == {}
    ann.do("/api/v1/markers", home={"last_read_id": "103"})
    form = ann.http.post("/api/v1/markers", data={"notifications[last_read_id]": "7"})
    assert form.json()["notifications"]["last_read_id"] == "7"
    ann.do("/api/v1/markers", home={"last_read_id": 105})
    kept = ann.get("/api/v1/markers", **{"timeline[]": ["home", "notifications", "other"]})
    assert kept["home"]["last_read_id"] == "105"
    assert kept["home"]["version"] > 1
    assert kept["notifications"]["last_read_id"] == "7"
    wrong = ann.http.post("/api/v1/markers", json={"home": {"last_read_id": "x"}})
    assert wrong.status_code == 422
    assert place.person("bob").get("/api/v1/markers", **{"timeline[]": "home"}) == {}

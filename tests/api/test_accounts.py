"""`/api/v1/accounts…` through HTTP, on both stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest


def test_one_reads_and_changes_ones_own_profile_by_json_form_and_multipart(place):
    ann = place.person("Ann")
    own = ann.get("/api/v1/accounts/verify_credentials")
    assert own["username"] == ann.username  # case is preserved
    assert own["source"]["privacy"] == "public"
    path = "/api/v1/accounts/update_credentials"
    by_json = ann.http.patch(
        path, json={"display_name": "Ann A", "fields_attributes": [{"name": "a", "value": "1"}], "bot": True}
    )
    assert by_json.status_code == 200, by_json.text
    assert by_json.json()["display_name"] == "Ann A"
    assert by_json.json()["bot"] is True
    by_table = ann.http.patch(
        path,
        json={
            "fields_attributes": {
                "10": {"name": "c", "value": "3"},
                "2": {"name": "b", "value": "2"},
                "3": {"name": "", "value": ""},
            }
        },
    )
    assert [field["name"] for field in by_table.json()["fields"]] == ["b", "c"]
    assert by_table.json()["display_name"] == "Ann A"
    form = {
        "note": "By form",
        "locked": "true",
        "source[privacy]": "unlisted",
        "fields_attributes[0][name]": "x",
        "fields_attributes[0][value]": "y",
    }
    by_form = ann.http.patch(path, data=form)
    assert by_form.json()["locked"] is True
    assert by_form.json()["source"]["note"] == "By form"
    assert by_form.json()["source"]["privacy"] == "unlisted"
    assert by_form.json()["fields"][0]["value"] == "y"
    by_multipart = ann.http.patch(path, files={"note": (None, "By multipart"), "locked": (None, "0")})
    assert by_multipart.json()["source"]["note"] == "By multipart"
    assert by_multipart.json()["locked"] is False
    assert place.visitor.get(f"/api/v1/accounts/{ann.id}").json()["note"] == "<p>By multipart</p>"


def test_a_broken_picture_is_refused_in_words_and_nothing_is_changed(place):
    ann = place.person("ann")
    answer = ann.http.patch(
        "/api/v1/accounts/update_credentials",
        data={"display_name": "New"},
        files={"avatar": ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")},
    )
    assert answer.status_code == 422
    assert "image" in answer.json()["error"]
    assert ann.get("/api/v1/accounts/verify_credentials")["display_name"] == ""


@pytest.mark.parametrize(
    "change",
    [
        {"display_name": "x" * 31},
        {"note": "x" * 501},
        {"fields_attributes": [{"name": "x", "value": "y"}] * 5},
        {"source": {"privacy": "direct"}},
        {"source": {"language": "not a language"}},
    ],
)
def test_a_profile_that_breaks_a_rule_is_refused(place, change):
    ann = place.person("ann")
    answer = ann.http.patch("/api/v1/accounts/update_credentials", json=change)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_accounts_are_found_by_id_name_and_beginning(place):
    ann = place.person("Findable")
    visitor = place.visitor
    assert visitor.get(f"/api/v1/accounts/{ann.id}").json()["acct"] == ann.username
    for acct in (ann.username, ann.username.lower(), f"@{ann.username}", f"{ann.username}@{_domain(place)}"):
        found = visitor.get("/api/v1/accounts/lookup", params={"acct": acct})
        assert found.json()["id"] == str(ann.id), acct
    for acct in ("", "nobody_at_all", f"{ann.username}@elsewhere.example"):
        assert visitor.get("/api/v1/accounts/lookup", params={"acct": acct}).status_code == 404
    several = visitor.get("/api/v1/accounts", params={"id[]": [str(ann.id), "1"]}).json()
    assert [one["id"] for one in several] == [str(ann.id)]
    for q in ("findab", f"@{ann.username}", f"{ann.username}@{_domain(place)}"):
        assert str(ann.id) in [one["id"] for one in ann.get("/api/v1/accounts/search", q=q)], q
    assert ann.get("/api/v1/accounts/search", q="x@elsewhere.example") == []
    assert str(ann.id) in [one["id"] for one in visitor.get("/api/v1/directory?limit=80").json()]


def _domain(place):
    return place.base_url.partition("://")[2]


def test_following_is_effective_in_the_answer(place):
    ann, bob = place.person("ann"), place.person("bob")
    path = f"/api/v1/accounts/{ann.id}"
    relationship = bob.do(f"{path}/follow", reblogs=False, notify=True)
    assert (relationship["following"], relationship["showing_reblogs"], relationship["notifying"]) == (
        True,
        False,
        True,
    )
    assert bob.get("/api/v1/accounts/relationships", **{"id[]": [ann.id]})[0]["following"] is True
    assert ann.get("/api/v1/accounts/relationships", id=bob.id)[0]["followed_by"] is True
    assert [one["id"] for one in place.visitor.get(f"{path}/followers").json()] == [str(bob.id)]
    assert [one["id"] for one in ann.get(f"/api/v1/accounts/{bob.id}/following")] == [str(ann.id)]
    assert place.visitor.get(path).json()["followers_count"] == 1
    assert ann.do(f"/api/v1/accounts/{bob.id}/remove_from_followers")["followed_by"] is False
    bob.do(f"{path}/follow")
    assert bob.do(f"{path}/unfollow")["following"] is False
    assert ann.get(f"{path}/followers") == []


def test_a_locked_account_decides_who_follows(place):
    ann, bob, cara = place.person("ann"), place.person("bob"), place.person("cara")
    ann.http.patch("/api/v1/accounts/update_credentials", json={"locked": True})
    for person in (bob, cara):
        relationship = person.do(f"/api/v1/accounts/{ann.id}/follow")
        assert (relationship["following"], relationship["requested"]) == (False, True)
    assert {one["id"] for one in ann.get("/api/v1/follow_requests")} == {str(bob.id), str(cara.id)}
    assert ann.get("/api/v1/accounts/verify_credentials")["source"]["follow_requests_count"] == 2
    assert ann.do(f"/api/v1/follow_requests/{bob.id}/authorize")["followed_by"] is True
    assert ann.do(f"/api/v1/follow_requests/{cara.id}/reject")["followed_by"] is False
    assert bob.get("/api/v1/accounts/relationships", id=ann.id)[0]["following"] is True
    assert ann.get("/api/v1/follow_requests") == []


def test_mute_and_block_and_their_lists(place):
    ann, bob = place.person("ann"), place.person("bob")
    path = f"/api/v1/accounts/{bob.id}"
    muted = ann.do(f"{path}/mute", notifications=False, duration=600)
    assert (muted["muting"], muted["muting_notifications"]) == (True, False)
    listed = ann.get("/api/v1/mutes")
    assert [one["id"] for one in listed] == [str(bob.id)]
    ends_in = datetime.fromisoformat(listed[0]["mute_expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=500) < ends_in <= timedelta(seconds=600)
    ann.do(f"{path}/mute")
    assert [one["mute_expires_at"] for one in ann.get("/api/v1/mutes")] == [None]
    assert ann.do(f"{path}/unmute")["muting"] is False
    assert ann.do(f"{path}/block")["blocking"] is True
    assert bob.get("/api/v1/accounts/relationships", id=ann.id)[0]["blocked_by"] is True
    assert [one["id"] for one in ann.get("/api/v1/blocks")] == [str(bob.id)]
    assert ann.do(f"{path}/unblock")["blocking"] is False
    assert ann.get("/api/v1/blocks") == []
    assert ann.http.post(f"{path}/mute", json={"duration": -5}).status_code == 422
    assert ann.http.post(f"{path}/mute", json={"duration": 10**18}).status_code == 422


def test_whom_one_muted_or_blocked_is_found_by_the_exact_name_to_undo_it(place):
    ann, bob, carl = place.person("ann"), place.person("bob"), place.person("carl")

    def found(person, q):
        by_search = [one["id"] for one in person.get("/api/v1/accounts/search", q=q)]
        by_v2 = [one["id"] for one in person.get("/api/v2/search", q=q, type="accounts")["accounts"]]
        assert by_search == by_v2
        return by_search

    ann.do(f"/api/v1/accounts/{bob.id}/block")
    ann.do(f"/api/v1/accounts/{carl.id}/mute")
    for other in (bob, carl):
        for q in (other.username, f"@{other.username.upper()}", f"{other.username}@{_domain(place)}"):
            assert found(ann, q) == [str(other.id)]
        assert str(other.id) not in found(ann, other.username[:-1])
    assert found(bob, ann.username) == []
    assert found(carl, ann.username) == [str(ann.id)]


def test_familiar_followers_are_followers_whom_one_follows(place):
    ann, bob, carl, dan = (place.person(name) for name in ("ann", "bob", "carl", "dan"))
    for follower, followed in ((ann, bob), (ann, carl), (bob, dan), (carl, dan), (dan, ann)):
        follower.follow(followed)
    query = {"id[]": [str(dan.id), str(bob.id)]}
    answer = ann.get("/api/v1/accounts/familiar_followers", **query)
    assert [one["id"] for one in answer] == query["id[]"]
    assert [[one["id"] for one in each["accounts"]] for each in answer] == [[str(carl.id), str(bob.id)], []]
    assert ann.get("/api/v1/accounts/familiar_followers") == []


def test_an_empty_table_clears_a_profile_in_every_spelling(place):
    ann = place.person("ann")
    path = "/api/v1/accounts/update_credentials"
    fields = {"fields_attributes": [{"name": "Nest", "value": "Rock"}]}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for empty in (
        {"json": {"fields_attributes": []}},
        {"json": {"fields_attributes": {}}},
        {"content": "fields_attributes=", "headers": form},
        {"content": "fields_attributes[]=", "headers": form},
        {"content": "fields_attributes[0][name]=&fields_attributes[0][value]=", "headers": form},
    ):
        assert ann.http.patch(path, json=fields).json()["source"]["fields"]
        assert ann.http.patch(path, **empty).json()["source"]["fields"] == [], empty
    ann.http.patch(path, json=fields)
    for left_out in (
        {"json": {"fields_attributes": None}},
        # masto.js sends these for an argument without a value.
        {"files": {"fields_attributes": (None, "undefined"), "avatar": (None, "undefined")}},
    ):
        answer = ann.http.patch(path, **left_out)
        assert answer.status_code == 200, answer.text
        assert answer.json()["source"]["fields"]


def test_what_an_account_posted_can_be_narrowed_down(place):
    ann, bob = place.person("ann"), place.person("bob")
    plain = ann.post("Plain #harbour")
    reply = ann.post("Reply", in_reply_to_id=bob.post("Asked")["id"])
    boost = ann.do(f"/api/v1/statuses/{bob.post('Shared')['id']}/reblog")
    path = f"/api/v1/accounts/{ann.id}/statuses"

    def ids(**query):
        return [status["id"] for status in place.visitor.get(path, params=query).json()]

    assert ids() == [boost["id"], reply["id"], plain["id"]]
    assert ids(exclude_replies="true") == [boost["id"], plain["id"]]
    assert ids(exclude_reblogs="1") == [reply["id"], plain["id"]]
    assert ids(tagged="Harbour") == [plain["id"]]
    assert ids(only_media="true") == []
    assert ids(pinned="true") == []

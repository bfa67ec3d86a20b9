"""Grouped notifications through HTTP, on both stores. The grouping itself is tested with the rules."""

from __future__ import annotations

import json
import subprocess

import pytest

from stormpetrel.model.account import Role
from tests.parts import NODE, require

GROUPS = "/api/v2/notifications"


@pytest.fixture
def told(place):
    """Return Ann, her post, and three accounts that favourited it. The last of them follows her."""
    ann = place.person("ann")
    post = ann.post("Hello")
    people = [place.person(f"fan{number}") for number in range(3)]
    for one in people:
        one.do(f"/api/v1/statuses/{post['id']}/favourite")
    people[-1].follow(ann)
    return ann, post, people


def test_groups_come_with_everybody_and_everything_in_them_once(told):
    ann, post, people = told
    answer = ann.get(GROUPS)
    assert set(answer) == {"accounts", "statuses", "notification_groups"}
    assert answer["statuses"] == [ann.get(f"/api/v1/statuses/{post['id']}")]
    assert {one["id"] for one in answer["accounts"]} == {str(one.id) for one in people}
    assert len(answer["accounts"]) == 3
    followed, favoured = answer["notification_groups"]
    single = ann.get("/api/v1/notifications")
    assert (followed["type"], favoured["type"]) == ("follow", "favourite")
    assert "status_id" not in followed
    assert favoured == {
        "group_key": single[1]["group_key"],
        "notifications_count": 3,
        "type": "favourite",
        "most_recent_notification_id": int(single[1]["id"]) >> 16,
        "page_min_id": single[3]["id"],
        "page_max_id": single[1]["id"],
        "latest_page_notification_at": single[1]["created_at"],
        "sample_account_ids": [str(one.id) for one in reversed(people)],
        "status_id": post["id"],
    }
    assert ann.get(GROUPS, expand_accounts="partial_avatars") == answer | {"partial_accounts": []}
    assert ann.http.get(GROUPS, params={"expand_accounts": "none"}).status_code == 422
    apart = ann.get(GROUPS, **{"grouped_types[]": ["follow", "quote"]})["notification_groups"]
    assert [one["notifications_count"] for one in apart] == [1, 1, 1, 1]
    assert ann.get(GROUPS, **{"types[]": "mention"})["notification_groups"] == []
    assert ann.get(GROUPS, **{"types[]": "quote"})["notification_groups"] == []


def test_groups_are_paged_by_links(told):
    ann, _, _ = told
    top = ann.http.get(GROUPS, params={"limit": 1})
    assert [one["type"] for one in top.json()["notification_groups"]] == ["follow"]
    below = ann.http.get(top.links["next"]["url"])
    assert [one["type"] for one in below.json()["notification_groups"]] == ["favourite"]
    assert ann.http.get(below.links["prev"]["url"]).json() == top.json()
    end = ann.http.get(below.links["next"]["url"])
    assert end.json() == {"accounts": [], "statuses": [], "notification_groups": []}
    assert "link" not in end.headers


def test_a_group_is_read_counted_and_dismissed_by_whom_it_told(place, told):
    ann, _, people = told
    _, favoured = ann.get(GROUPS)["notification_groups"]
    path = f"{GROUPS}/{favoured['group_key']}"
    assert ann.get(path)["notification_groups"] == [favoured]
    assert [one["id"] for one in ann.get(f"{path}/accounts")] == [str(one.id) for one in reversed(people)]
    page = ann.http.get(f"{path}/accounts", params={"limit": 2})
    assert [one["id"] for one in ann.http.get(page.links["next"]["url"]).json()] == [str(people[0].id)]
    assert ann.get(f"{GROUPS}/unread_count") == {"count": 2}
    assert ann.get(f"{GROUPS}/unread_count", **{"types[]": "follow", "limit": 0}) == {"count": 1}
    assert people[0].http.get(path).status_code == 404
    assert people[0].get(f"{path}/accounts") == []
    assert people[0].do(f"{path}/dismiss") == {}
    assert ann.get(path)["notification_groups"] == [favoured]
    assert ann.do(f"{path}/dismiss") == {}
    assert ann.http.get(path).status_code == 404
    assert [one["type"] for one in ann.get("/api/v1/notifications")] == ["follow"]
    for wrong in ("x", "favourite-1-1", "ungrouped-1", "ungrouped-99999999999999999999", "a-b-c-d"):
        assert ann.http.get(f"{GROUPS}/{wrong}").status_code == 404, wrong
        assert ann.http.post(f"{GROUPS}/{wrong}/dismiss").status_code == 200, wrong
    assert place.visitor.get(GROUPS).status_code == 401
    reads = place.client(place.token(ann.id, scopes="read:statuses"))
    assert reads.get(GROUPS).status_code == 403


def test_reports_are_told_with_what_they_are_about(place):
    admin, ann, bob = place.person("admin", role=Role.ADMIN), place.person("ann"), place.person("bob")
    ann.do("/api/v1/reports", account_id=bob.id, comment="look")
    answer = admin.get(GROUPS, **{"types[]": "admin.report"})
    (group,) = answer["notification_groups"]
    assert group["report"]["target_account"]["id"] == str(bob.id)
    assert [one["id"] for one in answer["accounts"]] == group["sample_account_ids"] == [str(ann.id)]


def test_the_instance_says_that_notifications_can_be_grouped(place):
    assert place.visitor.get("/api/v2/instance").json()["api_versions"] == {"mastodon": 2}


def test_masto_js_reads_and_dismisses_a_group(place, told):
    require("node")
    ann, post, people = told
    ann.do(f"/api/v2/notifications/{ann.get(GROUPS)['notification_groups'][0]['group_key']}/dismiss")
    done = subprocess.run(
        ["node", "groups.mjs", place.base_url, ann.token],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "type": "favourite",
        "told": 3,
        "status": post["content"],
        "sampled": True,
        "same": True,
        "accounts": [str(one.id) for one in reversed(people)],
        "count": 1,
        "left": 0,
    }

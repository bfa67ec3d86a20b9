"""Paging through HTTP: the links, the bounds, and limits that are brought inside."""

from __future__ import annotations


def ids(statuses):
    return [status["id"] for status in statuses]


def test_paging_goes_down_by_next_and_up_by_prev_and_keeps_parameters(place):
    ann = place.person("ann")
    made = [ann.post(f"Number {n}")["id"] for n in range(7)][::-1]
    path = f"/api/v1/accounts/{ann.id}/statuses"
    first = place.visitor.get(path, params={"limit": 3, "exclude_replies": "true"})
    assert ids(first.json()) == made[:3]
    older = first.links["next"]["url"]
    assert older.startswith(f"{place.base_url}{path}?")
    assert "limit=3" in older
    assert "exclude_replies=true" in older
    second = place.visitor.get(older)
    assert ids(second.json()) == made[3:6]
    third = place.visitor.get(second.links["next"]["url"])
    assert ids(third.json()) == made[6:]
    assert "next" in third.links
    assert place.visitor.get(third.links["next"]["url"]).json() == []
    assert "link" not in place.visitor.get(third.links["next"]["url"]).headers
    back = place.visitor.get(third.links["prev"]["url"])
    assert ids(back.json()) == made[3:6]


def test_since_id_is_the_newest_and_min_id_the_next(place):
    ann = place.person("ann")
    made = [ann.post(f"Number {n}")["id"] for n in range(5)][::-1]
    path = f"/api/v1/accounts/{ann.id}/statuses"
    assert ids(ann.get(path, since_id=made[4], limit=2)) == made[0:2]
    assert ids(ann.get(path, min_id=made[4], limit=2)) == made[2:4]
    assert ids(ann.get(path, max_id=made[1], since_id=made[3])) == [made[2]]
    for huge in ("99999999999999999999999", str(2**63), str(2**63 - 1)):
        assert ids(ann.get(path, max_id=huge)) == made
        assert ids(ann.get(path, since_id=huge)) == []


def test_limits_are_brought_inside(place):
    ann = place.person("ann")
    for n in range(45):
        ann.post(f"Number {n}")
    path = f"/api/v1/accounts/{ann.id}/statuses"
    assert len(ann.get(path)) == 20
    assert len(ann.get(path, limit=1000)) == 40
    for limit in (0, -3):
        assert len(ann.get(path, limit=limit)) == 1
    assert len(ann.get("/api/v1/timelines/home", limit=40)) == 40

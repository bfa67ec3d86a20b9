"""No number in an answer exceeds what JavaScript can represent: ids are text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args, get_type_hints

import msgspec

from stormpetrel.api.routes import ROUTES

MOST = 2**53


def fields_of(kind: Any, seen: set[Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield (struct, field, type) for each field that a type can contain."""
    for inner in get_args(kind):
        yield from fields_of(inner, seen)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        seen.add(kind)
        hints = get_type_hints(kind)
        for field in msgspec.structs.fields(kind):
            yield kind.__name__, field.encode_name, hints[field.name]
            yield from fields_of(hints[field.name], seen)


def holds_a_number(kind: Any) -> bool:
    return kind is int or any(map(holds_a_number, get_args(kind)))


def numbers_in(value: Any, path: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers_in(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from numbers_in(inner, f"{path}[]")
    elif isinstance(value, int):
        yield path, value


def test_ids_of_every_entity_are_text():
    seen: set[Any] = set()
    fields = [field for route in ROUTES for field in fields_of(route.gives, seen)]
    assert len(seen) > 50
    named = [field for field in fields if field[1] == "id" or field[1].endswith(("_id", "_ids", "Id"))]
    assert len(named) > 30
    # The only field that apps need as a number is not an object's id (api/notification_groups.py).
    assert [field[:2] for field in named if holds_a_number(field[2])] == [
        ("NotificationGroupEntity", "most_recent_notification_id")
    ]


def test_no_answer_holds_a_number_that_is_too_large(place):
    ann, bob = place.person("ann"), place.person("bob")
    bob.follow(ann)
    post = ann.post(f"Hello @{bob.username} #numbers", language="en")
    bob.do(f"/api/v1/statuses/{post['id']}/reblog")
    bob.do(f"/api/v1/statuses/{post['id']}/favourite")
    direct = bob.post(f"@{ann.username} psst", visibility="direct", in_reply_to_id=post["id"])
    asked = ann.post("Which?", poll={"options": ["a", "b"], "expires_in": 300})
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    ann.do("/api/v1/statuses", status="Later", scheduled_at=later, in_reply_to_id=post["id"])
    listed = ann.do("/api/v1/lists", title="A list")
    filtered = ann.do(
        "/api/v2/filters", title="A filter", context=["home"], keywords_attributes=[{"keyword": "x"}]
    )
    ann.do("/api/v1/featured_tags", name="numbers")
    ann.do("/api/v1/markers", home={"last_read_id": post["id"]})
    ids = {
        "/api/v1/statuses/{id}": post["id"],
        "/api/v1/polls/{id}": asked["id"],
        "/api/v1/lists/{id}": listed["id"],
        "/api/v2/filters/{id}": filtered["id"],
        "/api/v1/accounts/{id}": str(ann.id),
    }
    more = {"q": "ann", "acct": ann.username, "id[]": [str(ann.id), post["id"]], "timeline[]": ["home"]}
    read = 0
    for route in ROUTES:
        start = next((start for start in ids if route.path.startswith(start)), "")
        path = route.path.replace("{id}", ids.get(start, "1")).replace("{name}", "numbers")
        if route.method != "GET" or route.streams:
            continue
        answer = ann.http.get(path, params=more | {"resource": f"{place.base_url}/@{ann.username}"})
        if answer.headers["content-type"].startswith(("application/json", "application/jrd")):
            read += answer.status_code == 200
            assert [
                (where, number) for where, number in numbers_in(answer.json()) if abs(number) > MOST
            ] == [], path
    assert read > 60
    assert isinstance(direct["id"], str)

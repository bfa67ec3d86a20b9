"""The OpenAPI document is complete, valid, and equal to the served routes and the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from stormpetrel.api.openapi import document
from stormpetrel.api.routes import ROUTES
from stormpetrel.http.routing import Actor, Route
from tests.media_files import jpeg

DESCRIPTION = document(ROUTES, base_url="http://127.0.0.1:8000")
OPERATIONS = [
    (path, method, operation)
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
]


def incomplete(routes):
    """Return the API's routes that lack a summary or the type of their answer."""
    return [
        f"{route.method} {route.path}"
        for route in routes
        if route.is_api and (not route.summary or "\n" in route.summary or route.gives is None)
    ]


def test_every_route_has_a_summary_and_types():
    assert incomplete(ROUTES) == []
    bare = Route(method="GET", path="/api/v1/bare", handler=ROUTES[0].handler, summary="")
    assert incomplete([bare]) == ["GET /api/v1/bare"]


def test_every_route_is_described():
    described = {(method.upper(), path) for path, method, _ in OPERATIONS}
    assert described == {(route.method, route.path) for route in ROUTES if route.is_api}


def test_every_url_is_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    ours = page.partition("## Every method that Mastodon documents")[0]
    documented = set(re.findall(r"^\| `([A-Z]+ /\S*)` \|", ours, re.MULTILINE))
    assert documented == {f"{route.method} {route.path}" for route in ROUTES if route.is_api}


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_reference_leads_somewhere():
    for reference in set(references(DESCRIPTION)):
        node = DESCRIPTION
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_operations_are_named_once_and_their_path_parameters_declared():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))
    for path, _, operation in OPERATIONS:
        declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        pairs = [(one["in"], one["name"]) for one in operation["parameters"]]
        assert len(pairs) == len(set(pairs))


def test_security_names_scopes_that_exist():
    flows = DESCRIPTION["components"]["securitySchemes"]["oauth2"]["flows"]
    known = set(flows["authorizationCode"]["scopes"])
    by_route = {(route.path, route.method.lower()): route for route in ROUTES}
    for path, method, operation in OPERATIONS:
        route = by_route[path, method]
        asked = operation.get("security", [])
        assert {scope for one in asked for scopes in one.values() for scope in scopes} <= known
        assert ({} in asked or not asked) is (route.actor is Actor.ANYONE), path


def test_every_schema_is_a_valid_json_schema():
    for name, schema in DESCRIPTION["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert name


@pytest.fixture(scope="module")
def person(place):
    ann, bob = place.person("ann"), place.person("bob")
    bob.follow(ann)
    post = ann.post(
        f"@{bob.username} #described https://example.org/",
        language="en",
        poll={"options": ["a", "b"], "expires_in": 300},
    )
    ann.scheduled_id = ann.post("Later", scheduled_at="2030-01-01T00:00:00Z")["id"]
    bob.post("Reply", in_reply_to_id=post["id"])
    bob.do(f"/api/v1/statuses/{post['id']}/reblog")
    ann.post_id = post["id"]
    ann.media_id = ann.http.post("/api/v1/media", files={"file": ("a.jpg", jpeg())}).json()["id"]
    return ann


def test_the_served_description_is_this_one_with_the_public_address(place):
    served = place.visitor.get("/api/openapi.json").json()
    assert served["servers"] == [{"url": place.base_url}]
    assert served["paths"] == DESCRIPTION["paths"]


def test_answers_are_as_described(place, person):
    """Validate the real answer of every GET against its own schema, including bytes joined by render.py."""
    told = person.get("/api/v1/notifications")[0]["id"]
    made = person.do(
        "/api/v2/filters", title="Words", context=["home"], keywords_attributes=[{"keyword": "described"}]
    )
    named = person.do(f"/api/v2/filters/{made['id']}/statuses", status_id=person.post_id)
    person.http.patch("/api/v2/notifications/policy", json={"for_not_following": "filter"})
    place.person("eve").post(f"@{person.username} filtered")
    # The value for each path prefix. Longer prefixes come first.
    ids = {
        "/api/v2/filters/keywords/": made["keywords"][0]["id"],
        "/api/v2/filters/statuses/": named["id"],
        "/api/v2/filters/": made["id"],
        "/api/v1/filters/": made["keywords"][0]["id"],
        "/api/v1/lists/": (list_id := person.do("/api/v1/lists", title="Described")["id"]),
        "/api/v1/timelines/list/": list_id,
        "/api/v1/notifications/requests/": person.get("/api/v1/notifications/requests")[0]["id"],
        "/api/v1/notifications/": told,
        "/api/v2/notifications/": person.get("/api/v2/notifications")["notification_groups"][0]["group_key"],
        "/api/v1/statuses/": person.post_id,
        "/api/v1/media/": person.media_id,
        "/api/v1/polls/": person.post_id,
        "/api/v1/scheduled_statuses/": person.scheduled_id,
    }
    checked = 0
    for path, method, operation in OPERATIONS:
        if method != "get" or "text/event-stream" in operation["responses"]["200"].get("content", {}):
            continue
        some_id = next((found for start, found in ids.items() if path.startswith(start)), str(person.id))
        url = path.replace("{id}", some_id).replace("{group_key}", some_id).replace("{name}", "described")
        domain = place.base_url.partition("://")[2]
        answer = person.http.get(
            url,
            params={
                "q": "ann",
                "acct": person.username,
                "id[]": [person.id, person.post_id],
                "resource": f"acct:{person.username}@{domain}",
                "url": f"{place.base_url}/@{person.username}/{person.post_id}",
            },
        )
        if answer.status_code != 200:
            assert path.endswith(("privacy_policy", "terms_of_service", "apps/verify_credentials")), (
                path,
                answer.text,
            )
            continue
        content = operation["responses"]["200"].get("content", {})
        if not any("json" in media_type for media_type in content):
            continue
        (schema,) = (media["schema"] for media in content.values())
        whole = {**schema, "components": DESCRIPTION["components"]}
        errors = list(jsonschema.Draft202012Validator(whole).iter_errors(answer.json()))
        assert not errors, (path, errors[0].message, list(errors[0].absolute_path))
        checked += 1
    assert checked > 50

"""Malformed input never causes a 5xx: the answer is an error in the usual shape, and clear where possible."""

from __future__ import annotations

import json

import httpx
import pytest

from stormpetrel.api.routes import ROUTES
from tests.journeys.test_permissions import ask, path_of

API_ROUTES = [route for route in ROUTES if route.is_api]
WRITES = [route for route in API_ROUTES if route.method != "GET"]
READS = [route for route in API_ROUTES if route.method == "GET"]
JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def person(place):
    return place.person("tester")


def is_well_answered(answer, about):
    """Check that the status is no 5xx and that an error has the one shape."""
    assert answer.status_code < 500, (about, answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"].startswith("application/json"), about
        body = answer.json()
        assert isinstance(body["error"], str), about
        assert body["error"], about
        assert set(body) <= {"error", "error_description", "details"}, about
        assert answer.headers["access-control-allow-origin"] == "*", about
    return answer.status_code


# Bodies that are not JSON get a 400. Deep nesting must not overflow the stack of the decoder.
BROKEN_BODIES = {
    "empty object cut": b"{",
    "not json": b"this is not json",
    "bad utf-8": b'{"status": "\xff\xfe"}',
    "nothing but a surrogate": b'{"status": "\\ud800"}',
    "deep": b'{"status":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "an array": b"[1, 2]",
    "a number": b"5",
    "null": b"null",
    "text": b'"text"',
    "a raw control character": b'{"status": "a\x01b"}',
    "twice": b'{"status": "a"}{"status": "b"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_a_body_that_is_no_json_object_is_400_for_every_route_that_reads_one(person, name):
    for route in WRITES:
        if route.takes is None or route.path.startswith("/oauth/"):
            continue
        answer = person.http.request(
            route.method, path_of(route), content=BROKEN_BODIES[name], headers=JSON_TYPE
        )
        assert is_well_answered(answer, (name, route.path)) == 400, (name, route.path, answer.text)


WRONG_VALUES = [
    True,
    5,
    -1.5,
    10**30,
    "",
    "x" * 20_000,
    "nul \0 byte",
    "\u202e right to left \u0007",
    "\ud7ff\ue000\uffff",
    [],
    ["a", "b"],
    [[]],
    [None],
    {},
    {"a": "b"},
    {"0": None},
    None,
    "' OR 1=1 --",
    "%",
    "\\",
]


def test_any_value_in_any_field_of_any_body_is_answered_well(place):
    http = place.plain_client(place.person("fuzzed").token)
    for route in WRITES:
        if route.takes is None:
            continue
        for field in route.takes.__struct_encode_fields__:
            for value in WRONG_VALUES:
                answer = http.request(route.method, path_of(route), json={field: value})
                is_well_answered(answer, (route.path, field, value))


def test_any_value_in_any_parameter_of_any_query_is_answered_well(place):
    person = place.person("fuzzed")
    http = place.plain_client(person.token)
    texts = [
        "",
        "x",
        "-1",
        "1e3",
        "9" * 40,
        "nul\0byte",
        "\ud7ff\U0010ffff",
        "[]",
        "true",
        "' OR 1=1 --",
        "%",
    ]
    for route in READS:
        if route.takes is None:
            continue
        for field in route.takes.__struct_encode_fields__:
            for text in texts:
                for name in (field, f"{field}[]", f"{field}[a]"):
                    params = {name: text}
                    if route.streams:
                        answer = ask(person.http, route, params=params)
                    else:
                        answer = http.request(route.method, path_of(route), params=params)
                    is_well_answered(answer, (route.path, name, text))


@pytest.mark.parametrize(
    "identifier",
    [
        "0",
        "-1",
        "x",
        "9" * 19,
        "9" * 300,
        "1.5",
        "%00",
        "%F0%9F%90%A6",
        "..%2f..",
        "1%0a",
        "%ff",
        "NaN",
        "１",
    ],
)
def test_an_id_that_cannot_be_is_404(person, identifier):
    for route in API_ROUTES:
        if "{id}" not in route.path:
            continue
        answer = person.http.request(route.method, route.path.replace("{id}", identifier))
        status = is_well_answered(answer, (route.path, identifier))
        # A list that belongs to a missing object is empty for any account.
        assert status in (404, 400) or answer.json() == [], (route.method, route.path, identifier, status)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/xml", 415),
        ("image/png", 415),
        ("application/x-unheard-of", 415),
        ("text/plain", 200),
        ("", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("application/activity+json", 200),
    ],
)
def test_content_types(person, content_type, status):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = person.http.post("/api/v1/statuses", content=b'{"status": "typed"}', headers=headers)
    assert is_well_answered(answer, content_type) == status


def test_a_form_without_a_content_type_is_read_too(person):
    answer = person.http.post("/api/v1/statuses", content=b"status=plain&visibility=unlisted")
    assert answer.status_code == 200, answer.text
    assert answer.json()["visibility"] == "unlisted"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="status"\r\n\r\na',
        b"\xff\xff\xff",
    ],
)
def test_a_broken_multipart_body_is_refused(person, body):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = person.http.post("/api/v1/statuses", content=body, headers=headers)
    assert is_well_answered(answer, body) in (400, 422)
    no_boundary = person.http.post(
        "/api/v1/statuses", content=body, headers={"Content-Type": "multipart/form-data"}
    )
    assert is_well_answered(no_boundary, body) in (400, 422)


@pytest.mark.parametrize(
    "body",
    [b"status=%ff%fe", b"status=\xff", b"&&&=&=", b"a[b][c][d][e][f]=1", b"&".join([b"x=1"] * 2000)],
)
def test_a_broken_form_is_refused(person, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = person.http.post("/api/v1/statuses", content=body, headers=headers)
    assert is_well_answered(answer, body[:40]) in (400, 422)


def test_wrong_types_name_the_field(person):
    for given, field in (
        ({"status": ["x"]}, "status"),
        ({"status": "x", "sensitive": "perhaps"}, "sensitive"),
        ({"status": "x", "media_ids": {"a": {"b": 1}}}, "media_ids"),
    ):
        answer = person.http.post("/api/v1/statuses", json=given)
        assert is_well_answered(answer, given) == 422
        assert field in answer.json()["error"]
    answer = person.http.get("/api/v1/timelines/home", params={"limit": "many"})
    assert answer.status_code == 422
    assert "limit" in answer.json()["error"]
    answer = person.http.get("/api/v1/timelines/home", params={"max_id": "yesterday"})
    assert answer.status_code == 422
    assert "max_id" in answer.json()["error"]


def test_numbers_and_booleans_come_as_text_too(person):
    answer = person.http.post("/api/v1/statuses", json={"status": "x", "sensitive": "true"})
    assert answer.json()["sensitive"] is True
    answer = person.http.post("/api/v1/statuses", json={"status": "x", "sensitive": "0"})
    assert answer.json()["sensitive"] is False


def test_unknown_parameters_are_ignored(person):
    given = {"status": "x", "brand_new_field": {"a": [1]}, "another[]": "5"}
    assert person.http.post("/api/v1/statuses", json=given).status_code == 200
    assert person.http.get("/api/v1/timelines/home", params={"brand_new": "x"}).status_code == 200


def test_what_no_store_can_hold_is_cleaned_and_never_a_500(person):
    for text in ("a\0b", "\0", "a\u0000\u0001\u001fb", "\ufffe\uffff", "a\u200bb"):
        answer = person.http.post("/api/v1/statuses", content=json.dumps({"status": text}), headers=JSON_TYPE)
        is_well_answered(answer, text)
        assert "\0" not in answer.text
        form = person.http.post("/api/v1/statuses", data={"status": text})
        is_well_answered(form, text)
        profile = person.http.patch("/api/v1/accounts/update_credentials", json={"note": text})
        is_well_answered(profile, text)
    for q in ("\0", "a\0b"):
        is_well_answered(person.http.get("/api/v2/search", params={"q": q}), q)
        is_well_answered(person.http.get("/api/v1/accounts/lookup", params={"acct": q}), q)
        is_well_answered(person.http.get("/api/v1/timelines/tag/%00"), q)
        is_well_answered(person.http.get("/api/v1/timelines/tag/x", params={"any[]": q}), q)
        is_well_answered(person.http.get(f"/api/v1/accounts/{person.id}/statuses", params={"tagged": q}), q)


def test_an_unknown_path_and_method_have_the_same_shape(person, place):
    for http in (person.http, place.visitor):
        assert is_well_answered(http.get("/api/v1/no_such_thing"), "path") == 404
        assert is_well_answered(http.get("/api/"), "path") == 404
        answer = http.delete("/api/v1/timelines/home")
        assert is_well_answered(answer, "method") == 405
        assert "GET" in answer.headers["allow"]


def test_a_body_that_is_too_large_is_413(person):
    try:
        answer = person.http.post("/api/v1/statuses", json={"status": "x" * 3_000_000})
    except httpx.TransportError:
        return  # refused by its Content-Length while the body was still being sent
    assert is_well_answered(answer, "large") == 413

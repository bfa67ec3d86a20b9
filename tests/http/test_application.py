"""Rules for every request and answer: headers, refusals, forms, credentials."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.forms import form_to
from tests.instance import Instance, running_instance
from tests.people import PASSWORD, Place, csrf_of

API = "/api/v1/instance"
RATE_LIMIT = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def assert_open_to_other_sites(answer: httpx.Response) -> None:
    # A browser rejects an answer that has the header twice.
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"link", *RATE_LIMIT, "x-request-id", "retry-after"} <= exposed
    # Where any origin is allowed, browser credentials must not be.
    assert "access-control-allow-credentials" not in answer.headers


def raw(place: Place, request: bytes) -> tuple[int, bytes]:
    """Send a request byte for byte, with Connection: close. Return the status and the complete answer."""
    url = urlsplit(place.base_url)
    with socket.create_connection((url.hostname, url.port), timeout=20) as connection:
        connection.sendall(request.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"))
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    answer = b"".join(parts)
    return int(answer.split(b" ", 2)[1]), answer


# The platform API ------------------------------------------------------------------------------------------


def test_answers_and_refusals_of_the_api_can_be_read_by_other_sites_scripts(place: Place) -> None:
    person = place.person()
    narrow = place.person(scopes="read")
    cases = {
        200: place.visitor.get(API),
        401: place.visitor.get("/api/v1/timelines/home"),
        403: narrow.http.post("/api/v1/statuses", json={"status": "x"}),
        404: place.visitor.get("/api/v1/statuses/12345"),
        405: place.visitor.delete(API),
        422: person.http.post("/api/v1/statuses", json={"status": ""}),
        400: person.http.post("/api/v1/statuses", content=b"{", headers={"content-type": "application/json"}),
    }
    for status, answer in cases.items():
        assert answer.status_code == status, answer.text
        assert_open_to_other_sites(answer)
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        if status != 200:
            assert isinstance(answer.json()["error"], str)
            assert answer.json()["error"]


@pytest.mark.parametrize("path", [API, "/api/v1/statuses", "/api/v1/nothing/here", "/oauth/token"])
def test_a_browser_may_ask_beforehand(place: Place, path: str) -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    answer = place.visitor.options(path, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert_open_to_other_sites(answer)
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key"))
    methods = answer.headers["access-control-allow-methods"]
    assert all(method in methods for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))


@pytest.mark.parametrize(
    "path",
    [
        "/assets/avatar.png",
        "/assets/none.png",
        "/media/none.png",
        "/tags/none_yet/feed.atom",
        "/@x/feed.atom",
    ],
)
def test_files_and_feeds_and_their_refusals_can_be_read_by_other_sites_scripts(
    place: Place, path: str
) -> None:
    answer = place.visitor.get(path)
    assert answer.status_code in (200, 404)
    assert_open_to_other_sites(answer)
    assert_open_to_other_sites(place.visitor.options(path))


def test_a_page_answers_with_a_slash_at_its_end(place: Place) -> None:
    person = place.person()
    for path in ("/about", "/public", f"/@{person.username}", "/auth/sign_in", "/oauth/authorize"):
        assert place.visitor.get(f"{path}/").status_code == place.visitor.get(path).status_code, path


def test_a_page_is_not_open_to_other_sites(place: Place) -> None:
    for answer in (place.visitor.get("/public"), place.visitor.options("/public")):
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path", [API, "/api/v1/statuses/12345", "/about", "/nowhere", "/api/v1/timelines/home"]
)
def test_head_is_get_without_the_body(place: Place, path: str) -> None:
    full, head = place.visitor.get(path), place.visitor.head(path)
    assert head.status_code == full.status_code
    assert head.content == b""
    changing = {"x-request-id", "date", *RATE_LIMIT, "set-cookie", "age"}
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in full.headers.items() if name not in changing
    }


def test_a_method_that_a_path_does_not_know_is_answered_with_those_it_knows(place: Place) -> None:
    for path, allowed in (
        (API, "GET, HEAD, OPTIONS"),
        ("/about", "GET, HEAD, OPTIONS"),
        ("/api/v1/statuses/1/favourite", "OPTIONS, POST"),
    ):
        answer = place.visitor.patch(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_each_answer_that_is_made_has_an_id_of_its_own(place: Place) -> None:
    answers = [place.visitor.get(f"/api/v1/statuses/{number}") for number in range(1, 31)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 30
    assert all(re.fullmatch(r"[0-9a-z-]{6,64}", one) for one in ids)


def test_how_much_is_left_can_be_read_by_apps(place: Place) -> None:
    person = place.person()
    first, second = (person.http.get("/api/v1/timelines/home").headers for _ in range(2))
    assert int(second["x-ratelimit-limit"]) > 0
    assert 0 <= int(second["x-ratelimit-remaining"]) < int(second["x-ratelimit-limit"])
    reset = datetime.strptime(first["x-ratelimit-reset"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert timedelta(seconds=-60) < reset - datetime.now(UTC) < timedelta(minutes=10)


def test_the_error_of_several_fields_names_each(place: Place) -> None:
    person = place.person()
    answer = person.http.patch("/api/v1/accounts/update_credentials", data={"display_name": "x" * 99})
    assert answer.status_code == 422
    assert answer.json()["details"]["display_name"][0]["description"].startswith("is too long")


# Pages -----------------------------------------------------------------------------------------------------


def test_pages_carry_what_protects_their_readers_also_when_they_refuse(place: Place) -> None:
    answers = [place.visitor.get(path) for path in ("/", "/about", "/auth/sign_in", "/nowhere", "/@nobody")]
    answers += [place.visitor.post("/auth/sign_in", data={"a": "b"}), place.visitor.delete("/about")]
    for answer in answers:
        headers = answer.headers
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert "<html" in answer.text
        assert "server" not in headers


def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(place: Place) -> None:
    answer = place.visitor.get("/notifications?max_id=7")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/auth/sign_in?next=/notifications%3Fmax_id%3D7"
    assert place.visitor.get("/nowhere").status_code == 404


def test_what_a_member_sees_is_kept_by_nobody(place: Place) -> None:
    person = place.person()
    person.post("hello")
    browser = place.browser_session(person)
    for answer in (
        browser.get("/"),
        browser.get("/public"),
        browser.get(f"/@{person.username}"),
        person.http.get("/api/v1/timelines/public"),
        person.http.get(f"/api/v1/accounts/{person.id}"),
        place.visitor.get("/auth/sign_in"),
        place.visitor.get("/nowhere"),
    ):
        assert answer.headers["cache-control"] == "private, no-store"
    for path, varies in (("/public", "cookie"), ("/api/v1/timelines/public", "authorization")):
        answer = place.visitor.get(path)
        assert answer.headers["cache-control"] == "public, max-age=0"
        assert varies in answer.headers["vary"].lower()
        assert "set-cookie" not in answer.headers


# Forms -----------------------------------------------------------------------------------------------------


def test_a_form_works_only_with_what_the_page_gave(place: Place) -> None:
    person, other = place.person(), place.person()
    browser, others = place.browser_session(person), place.browser_session(other)
    good, foreign = csrf_of(browser.get("/compose").text), csrf_of(others.get("/compose").text)
    fields = form_to(browser.get("/compose"), "/compose").fields

    def post(text: str, **more: object) -> int:
        data = {name: value for name, value in fields.items() if name != "csrf"} | {
            "text": text,
            "status": text,
        }
        csrf = more.pop("csrf", None)
        if csrf is not None:
            data["csrf"] = str(csrf)
        return browser.post("/compose", data=data, headers=more.pop("headers", {})).status_code  # type: ignore[arg-type]

    assert good != foreign
    for csrf in (None, "", "x", foreign, good[:-1], good + "0", good.upper() + "é"):
        assert post("no", csrf=csrf) == 403, csrf
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": place.base_url + ".evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert post("no", csrf=good, headers=headers) == 403, headers
    assert person.get(f"/api/v1/accounts/{person.id}/statuses") == []
    for headers in ({}, {"origin": place.base_url, "sec-fetch-site": "same-origin"}, {"x-csrf-token": good}):
        assert post("yes", csrf=None if "x-csrf-token" in headers else good, headers=headers) == 303, headers
    assert person.get(f"/api/v1/accounts/{person.id}")["statuses_count"] >= 1


def test_signing_in_needs_the_form_of_the_same_browser(place: Place) -> None:
    person = place.person()
    mine, theirs = place.client(), place.client()
    token = csrf_of(mine.get("/auth/sign_in").text)
    other_token = csrf_of(theirs.get("/auth/sign_in").text)
    fields = {"user[email]": person.email, "user[password]": PASSWORD}
    assert mine.post("/auth/sign_in", data=fields | {"csrf": other_token}).status_code == 403
    assert place.client().post("/auth/sign_in", data=fields | {"csrf": token}).status_code == 403
    # A cookie of another program on the same host must not interfere.
    mine.cookies.set("odd", '{"a": [1;2]}')
    assert mine.post("/auth/sign_in", data=fields | {"csrf": token}).status_code == 303


# Credentials -----------------------------------------------------------------------------------------------


def test_a_browsers_cookie_opens_nothing_in_the_api_and_a_token_no_page(place: Place) -> None:
    person = place.person()
    browser = place.browser_session(person)
    assert browser.get("/notifications").status_code == 200
    assert browser.get("/api/v1/accounts/verify_credentials").status_code == 401
    csrf = csrf_of(browser.get("/compose").text)
    posted = browser.post("/api/v1/statuses", json={"status": "x"}, headers={"x-csrf-token": csrf})
    assert posted.status_code == 401
    answer = person.http.get("/notifications")
    assert (answer.status_code, answer.headers["location"][:13]) == (303, "/auth/sign_in")
    assert person.http.post("/compose", data={"text": "x"}).status_code in (303, 403)
    assert person.get(f"/api/v1/accounts/{person.id}/statuses") == []


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer x y", "Basic eDp5", "bearer nonsense", "\xff"])
def test_a_credential_that_is_none_opens_nothing(place: Place, authorization: str) -> None:
    headers = {"authorization": authorization.encode("latin-1")}
    answer = place.visitor.get("/api/v1/accounts/verify_credentials", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert place.visitor.get("/about", headers=headers).status_code == 200  # type: ignore[arg-type]


def test_a_token_that_is_not_valid_counts_as_none_where_a_visitor_may_ask(place: Place) -> None:
    stale = place.client("no-such-token")
    assert stale.get("/api/v1/timelines/public").status_code == 200
    registered = stale.post(
        "/api/v1/apps", data={"client_name": "app", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob"}
    )
    assert registered.status_code == 200
    assert stale.get("/api/v1/apps/verify_credentials").status_code == 401
    assert stale.get("/api/v1/timelines/home").status_code == 401
    assert stale.get("/api/v1/streaming/public").status_code == 401


# Nonsense --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/%", 404),
        (b"/%zz", 404),
        (b"/%ff%fe", 404),
        (b"/@%ff", 404),
        (b"/tags/%ff", 404),
        (b"/tags/%ff%00", 400),
        (b"/@a%00b", 400),
        (b"/api/v1/accounts/%ff", 404),
        (b"/api/v1/accounts/%00", 400),
        (b"/api/v1/statuses/99999999999999999999", 404),
        (b"/api/v1/statuses/-1", 404),
        (b"/api/v1/timelines/public?limit=%ff", 400),
        (b"/api/v1/statuses?%ff=1", 400),
        (b"/api/v1/timelines/public?limit=%", 422),
        (b"/api/v1/timelines/public?limit=9999999999999999999999", 200),
        (b"/api/v1/timelines/public?max_id=9999999999999999999999", 200),
        (b"/api/v1/timelines/public?max_id=x", 422),
        (b"/api/v1/timelines/public?" + b"a=1&" * 600, 400),
        (b"/api/v1/statuses?a[b][c][d][e]=1", 400),
        (b"/api/v1/accounts/lookup?acct=%00", 404),
        (b"/search?q=%ff", 400),
        (b"/search?q=%00%ed%a0%80", 400),
        (b"/public?max_id=\xff", 400),
        (b"//", 404),
        (b"/api/v1/../../etc/passwd", 404),
        (b"/assets/..%2f..%2fconfig.py", 404),
    ],
)
def test_a_malformed_target_is_a_clear_answer_and_never_our_fault(
    place: Place, target: bytes, status: int
) -> None:
    found, answer = raw(place, b"GET " + target + b" HTTP/1.1\r\n\r\n")
    assert found == status, answer[:500]
    assert b"Traceback" not in answer


def test_no_body_of_a_form_is_our_fault(place: Place) -> None:
    person = place.person()
    multipart = "multipart/form-data; boundary=x"
    for content_type, body, status in (
        ("application/json", b"\xff", 400),
        ("application/json", b"[1]", 400),
        ("application/json", b"[" * 50_000, 400),
        ("application/json", b'{"status": "\\ud800"}', 400),
        ("application/json", b'{"status": [5]}', 422),
        ("application/json", b'{"status": "x", "in_reply_to_id": 1e400}', 422),
        (multipart, b"--x\r\nbroken", 400),
        ("multipart/form-data", b"", 400),
        ("application/x-www-form-urlencoded", b"status[", 422),
        ("application/x-www-form-urlencoded", b"&" * 5000, 400),
        ("application/x-www-form-urlencoded", b"a=1&" * 600, 400),
        ("image/png", b"\x89PNG", 415),
        ("", b"status%5B%5D=x", 422),
    ):
        headers = {"content-type": content_type} if content_type else {}
        answer = person.http.post("/api/v1/statuses", content=body, headers=headers)
        assert answer.status_code == status, (content_type, body[:40], answer.text)
        assert answer.json()["error"]
    assert "failed:" not in place.instance.log


# Over the limit --------------------------------------------------------------------------------------------


@pytest.fixture
def narrow(sqlite_template: Path, tmp_path: Path) -> Iterator[Instance]:
    """Yield an instance that accepts only 40 requests per address in 5 minutes."""
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'stormpetrel.db')}"
    with running_instance(tmp_path, url, web_workers=1, shield_requests_per_5min=40) as instance:
        yield instance


def test_over_the_limit_the_api_says_so_in_json_and_when_to_come_back(narrow: Instance) -> None:
    with httpx.Client(base_url=narrow.base_url, trust_env=False) as visitor:
        answers = [visitor.get("/api/v1/statuses/1") for _ in range(60)]
        page = visitor.get("/about", headers={"accept": "text/html"})
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} == {404, 429}
    for answer in (refused[0], refused[-1]):
        assert_open_to_other_sites(answer)
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert answer.json()["error"]
    assert page.status_code == 429
    assert page.headers["content-type"].startswith("text/html")


def test_a_forms_token_is_written_differently_in_each_answer_and_once_in_each(place: Place) -> None:
    person = place.person()
    with contextlib.closing(place.browser_session(person)) as browser:
        tokens = [set(re.findall(r'name="csrf" value="([^"]*)"', browser.get("/").text)) for _ in range(3)]
        assert [len(found) for found in tokens] == [1, 1, 1]
        assert len(set.union(*tokens)) == 3
        for found in tokens:
            token = next(iter(found))
            assert (
                browser.post(
                    "/auth/sign_out", data={"csrf": token[:-1] + ("0" if token[-1] != "0" else "1")}
                ).status_code
                == 403
            )
        assert browser.post("/auth/sign_out", data={"csrf": next(iter(tokens[0]))}).status_code in (200, 303)


def test_a_members_home_and_page_are_small_on_the_wire(place: Place) -> None:
    person = place.person()
    for number in range(40):
        person.post(
            f"post {number} with a few words that differ: {number * 7919 % 1000} and {number * 104729 % 977}"
        )
    with person.http.stream("GET", "/api/v1/timelines/home?limit=40") as answer:
        size = sum(len(part) for part in answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
    assert size <= 15_000
    browser = place.browser_session(person)
    with contextlib.closing(browser), browser.stream("GET", "/") as answer:
        size = sum(len(part) for part in answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
    assert size <= 12_000

"""Requests of legitimate people to a Mastodon-like server, and checks that the answers are right."""

from __future__ import annotations

import html
import json
import re

from stormpetrel.drill.judge import ExpectedRequest, ResponseFamily
from stormpetrel.drill.wire import WireResponse, form

READ_PATIENCE_S = 5.0
"""After this time a reader has turned away; apps show an error at about the same time."""
WRITE_PATIENCE_S = 10.0
FEED_PATIENCE_S = 15.0
_FORM = (("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "same-origin"))
_CSRF = re.compile(r'name="csrf" value="([^"]*)"')
_KEY = re.compile(r'name="key" value="([^"]*)"')
_ASSETS = re.compile(r'(?:href|src)="(/assets/[^"#]+)')
SHELL = b'id="content"'
"""Part of every page of the application, and of no page that replaces one."""


def _is_json(answer: WireResponse) -> bool:
    return answer.status == 200 and answer.header("content-type").startswith("application/json")


def _is_page(answer: WireResponse) -> bool:
    return answer.status == 200 and SHELL in answer.body


def _is_asset(answer: WireResponse) -> bool:
    return answer.status in (200, 304) and not answer.header("content-type").startswith("text/html")


def _is_feed(answer: WireResponse) -> bool:
    return answer.status == 304 or (answer.status == 200 and "atom" in answer.header("content-type"))


def home(since_id: str) -> ExpectedRequest:
    """Return an app's check for new posts."""
    since = f"&since_id={since_id}" if since_id else ""
    return _api(f"/api/v1/timelines/home?limit=20{since}")


def notifications() -> ExpectedRequest:
    """Return the request of an app's second tab."""
    return _api("/api/v1/notifications?limit=15")


def context(post_id: str) -> ExpectedRequest:
    """Return the request for a post that a person tapped on."""
    return _api(f"/api/v1/statuses/{post_id}/context")


def _api(path: str) -> ExpectedRequest:
    return ExpectedRequest("GET", path, "apps", ResponseFamily.API, READ_PATIENCE_S, _is_json)


def ids_in(answer: WireResponse) -> list[str]:
    """Return the ids of the posts in an API answer, in order; for a boost, the boosted post's id."""
    posts = json.loads(answer.text)
    return [
        str((post.get("reblog") or post)["id"]) for post in (posts if isinstance(posts, list) else [posts])
    ]


def post_by_app(text: str, key: str) -> ExpectedRequest:
    """Return a post with an Idempotency-Key: sent twice, it is posted once."""
    body = json.dumps({"status": text, "visibility": "public", "language": "en"}).encode()

    def is_right(answer: WireResponse) -> bool:
        return _is_json(answer) and b'"id"' in answer.body

    headers = (("Content-Type", "application/json"), ("Idempotency-Key", key))
    return ExpectedRequest(
        *("POST", "/api/v1/statuses", "posting", ResponseFamily.API, WRITE_PATIENCE_S, is_right),
        headers=headers,
        body=body,
        text=text,
    )


def page(path: str, channel: str, *, is_hot: bool = False) -> ExpectedRequest:
    """Return the request for an HTML page."""
    return ExpectedRequest(
        "GET", path, channel, ResponseFamily.PAGE, READ_PATIENCE_S, _is_page, is_hot=is_hot
    )


def form_page(path: str, channel: str) -> ExpectedRequest:
    """Return the request for a page with a form; people wait longer for a page that they want to write in."""
    return ExpectedRequest("GET", path, channel, ResponseFamily.PAGE, WRITE_PATIENCE_S, _is_page)


def asset(path: str, channel: str) -> ExpectedRequest:
    """Return the request for an asset of a page."""
    return ExpectedRequest("GET", path, channel, ResponseFamily.PAGE, READ_PATIENCE_S, _is_asset)


def assets_of(answer: WireResponse) -> list[str]:
    """Return the paths of the assets that a browser fetches with this page, each once."""
    return list(dict.fromkeys(html.unescape(path) for path in _ASSETS.findall(answer.text)))


def feed(path: str, validators: tuple[tuple[str, str], ...]) -> ExpectedRequest:
    """Return the request for a feed, if it changed."""
    return ExpectedRequest(
        "GET", path, "feeds", ResponseFamily.FEED, FEED_PATIENCE_S, _is_feed, headers=validators
    )


def post_by_form(form_page_answer: WireResponse, text: str, *, origin: str) -> ExpectedRequest | None:
    """Return the form of /compose filled in; None if the page had no form."""
    csrf, key = _CSRF.search(form_page_answer.text), _KEY.search(form_page_answer.text)
    if csrf is None or key is None:
        return None
    body = form(
        {
            "csrf": csrf.group(1),
            "key": key.group(1),
            "text": text,
            "visibility": "public",
            "language": "en",
            "next": "",
        }
    )

    def is_right(answer: WireResponse) -> bool:
        return answer.status in (302, 303) and "/@" in answer.header("location")

    return ExpectedRequest(
        *("POST", "/compose", "posting", ResponseFamily.PAGE, WRITE_PATIENCE_S, is_right),
        headers=(*_FORM, ("Origin", origin)),
        body=body,
        text=text,
    )


def sign_in(
    form_page_answer: WireResponse, email: str, password: str, *, origin: str, cookie: str, mistyped: bool
) -> ExpectedRequest | None:
    """Return the sign-in form filled in; a wrong password must give 422. The client does not retry it."""

    def is_right(answer: WireResponse) -> bool:
        if mistyped:
            return answer.status == 422
        return answer.status in (302, 303) and cookie in answer.cookies()

    fields = {"user[email]": email, "user[password]": password + "x" * mistyped, "next": "/"}
    return _auth(form_page_answer, "/auth/sign_in", "sign_in", fields, origin, is_right)


def sign_up(form_page_answer: WireResponse, name: str, *, origin: str, cookie: str) -> ExpectedRequest | None:
    """Return the form for a new account filled in."""

    def is_right(answer: WireResponse) -> bool:
        return answer.status in (302, 303) and cookie in answer.cookies()

    fields = {
        "user[username]": name,
        "user[email]": f"{name}@new.invalid",
        "user[password]": "a-new-person-9-here",
        "user[agreement]": "1",
        "next": "/",
    }
    return _auth(form_page_answer, "/auth/sign_up", "sign_up", fields, origin, is_right)


def _auth(
    form_page_answer: WireResponse,
    path: str,
    channel: str,
    fields: dict[str, str],
    origin: str,
    is_right: object,
) -> ExpectedRequest | None:
    csrf = _CSRF.search(form_page_answer.text)
    if csrf is None:
        return None
    assert callable(is_right)
    return ExpectedRequest(
        *("POST", path, channel, ResponseFamily.PAGE, WRITE_PATIENCE_S, is_right),
        headers=(*_FORM, ("Origin", origin)),
        body=form({"csrf": csrf.group(1), **fields}),
        safe=False,
    )

"""Fill in and send a page's forms like a browser without scripts, and sign in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from tests.people import PASSWORD

SESSION_COOKIE = "stormpetrel_session"


@dataclass
class Form:
    """`fields`: the values that a browser sends if the user types nothing. Buttons are left out."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._open)
        if self._open is None or not values.get("name"):
            return
        ticked = values.get("type") not in ("checkbox", "radio") or "checked" in values
        if tag == "input" and ticked:
            self._open.fields[values["name"]] = values.get("value", "")
        elif tag == "textarea":
            self._area = values["name"]
            self._open.fields[self._area] = ""

    def handle_data(self, data: str) -> None:
        if self._open is not None and self._area:
            self._open.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""
        elif tag == "form":
            self._open = None


# Only forms are parsed: parsing whole pages took a sixth of the CPU time of these tests.
_FORM = re.compile(r"<form\b[^>]*>.*?</form>", re.DOTALL)


def forms_of(page: httpx.Response) -> list[Form]:
    """Return every form of the page, in order."""
    return list(_read(_FORM.findall(page.text)))


def form_to(page: httpx.Response, action: str) -> Form:
    """Return the page's form whose target is `action`."""
    near = (one for one in _FORM.findall(page.text) if action in unescape(one[: one.index(">")]))
    return next(form for form in _read(near) if form.action == action)


def _read(texts: Iterable[str]) -> Iterator[Form]:
    for text in texts:
        reader = _Reader()
        reader.feed(text)
        yield from reader.forms


def send(
    browser: httpx.Client, page: httpx.Response, action: str, typed: dict[str, str] | None = None
) -> httpx.Response:
    """Fill in and send the form, with the browser's origin headers. Redirects are not followed."""
    form = form_to(page, action)
    assert form.method == "post"
    origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
    return browser.post(
        urljoin(str(page.url), form.action),
        data=form.fields | (typed or {}),
        headers={"origin": origin, "sec-fetch-site": "same-origin"},
    )


def sign_in(
    browser: httpx.Client, login: str, password: str = PASSWORD, *, after: str = ""
) -> httpx.Response:
    """Fill in and send the sign-in form. Return the answer."""
    page = browser.get("/auth/sign_in", params={"next": after} if after else None)
    return send(browser, page, "/auth/sign_in", {"user[email]": login, "user[password]": password})


def signed_in_as(browser: httpx.Client) -> str | None:
    """Return the name of the account that is signed in, or None for a visitor."""
    location = browser.get("/profile").headers["location"]
    return location.removeprefix("/@") if location.startswith("/@") else None

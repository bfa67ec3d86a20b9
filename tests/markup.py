"""Pages under test: parsed, and checked for the rules that every page must follow."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx

from tests.people import csrf_of

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
# Elements of SVG and HTML that may be self-closing.
SELF_CLOSING = frozenset({"use", "path", "circle"})
CSP = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "form-action 'self'",
)


class Page(HTMLParser):
    """The parts of a page that tests inspect. Fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.fields, self.labels, self.headings = [], [], [], set(), []
        self.scripts = 0
        self.handlers = []
        self.landmarks = []
        self.langs = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute is there twice: {tag} {attrs}"
        self.handlers += [name for name in values if name.startswith("on") or name == "style"]
        if "id" in values:
            self.ids.append(values["id"])
        if "lang" in values:
            self.langs.append(values["lang"])
        if tag == "label":
            self.labels.add(values.get("for"))
        if tag in ("input", "textarea", "select") and values.get("type") != "hidden":
            self.fields.append((values.get("id"), "label" in self.open))
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))
        if tag in ("main", "nav", "header", "aside"):
            self.landmarks.append(tag)
        if tag == "script":
            self.scripts += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID | SELF_CLOSING, tag

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()


def checked(answer: httpx.Response, status: int = 200) -> Page:
    """Check the rules that every page must follow, and return the parsed page."""
    assert answer.status_code == status, answer.text[-2000:]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for directive in CSP:
        assert directive in answer.headers["content-security-policy"].split("; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = Page(answer.text)
    assert page.scripts in (1, 2)  # the second exists where the user can write
    assert page.handlers == []
    assert len(set(page.ids)) == len(page.ids), "an id is there twice"
    for field_id, inside_label in page.fields:
        assert inside_label or field_id in page.labels, f"no label for {field_id}"
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip([0, *page.headings], page.headings, strict=False))
    assert page.landmarks.count("main") == 1
    return page


def sent(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """POST to `path` with a CSRF token of this browser, like a button on a page."""
    page = browser.get("/about")
    return browser.post(path, data={"csrf": csrf_of(page.text), **fields})

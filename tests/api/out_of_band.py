"""The browser steps of a sign-in by an app that has no redirect address of its own."""

from __future__ import annotations

import re
from html import unescape

import httpx

_FIELD = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_CODE = re.compile(r'id="code"[^>]*? value="([^"]+)"')


def code_for(browser: httpx.Client, url: str) -> str:
    """Open the consent page at `url` in a signed-in browser, approve it, and return the code shown."""
    page = browser.get(url)
    assert page.status_code == 200, f"{page.status_code} {page.headers.get('location')}"
    form = page.text.partition('action="/oauth/authorize"')[2].partition("</form>")[0]
    fields = {unescape(name): unescape(value) for name, value in _FIELD.findall(form)}
    shown = browser.post("/oauth/authorize", data=fields | {"decision": "approve"})
    assert shown.status_code == 200, shown.text
    found = _CODE.search(shown.text.partition("<main")[2])
    assert found, shown.text
    return unescape(found[1])

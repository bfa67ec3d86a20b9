"""What a person does in the browser when an app without an address of its own asks to be let in."""

from __future__ import annotations

import re
from html import unescape

import httpx

_FIELD = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_CODE = re.compile(r'id="code"[^>]*? value="([^"]+)"')


def code_for(browser: httpx.Client, url: str) -> str:
    """Opens the consent page at `url` in a browser that is signed in, allows it, and reads the code shown."""
    page = browser.get(url)
    assert page.status_code == 200, f"{page.status_code} {page.headers.get('location')}"
    form = page.text.partition('action="/oauth/authorize"')[2].partition("</form>")[0]
    fields = {unescape(name): unescape(value) for name, value in _FIELD.findall(form)}
    shown = browser.post("/oauth/authorize", data=fields | {"decision": "approve"})
    assert shown.status_code == 200, shown.text
    found = _CODE.search(shown.text.partition("<main")[2])
    assert found, shown.text
    return unescape(found[1])

"""No text that people write, or put into a URL, becomes markup."""

from __future__ import annotations

from contextlib import closing
from html import unescape
from urllib.parse import quote

import pytest

from tests.markup import EVIL, checked


def test_what_people_write_is_shown_as_text_everywhere(place):
    ann = place.person("ann")
    change = {
        "display_name": EVIL[:30],
        "note": EVIL,
        "fields_attributes": [{"name": EVIL, "value": EVIL}, {"name": "x", "value": "javascript:alert(1)"}],
    }
    assert ann.http.patch("/api/v1/accounts/update_credentials", json=change).status_code == 200
    post = ann.post(f"{EVIL} #tag {EVIL}", spoiler_text=EVIL)
    reply = ann.post(f"{EVIL} @{ann.username}", in_reply_to_id=post["id"])
    paths = [
        f"/@{ann.username}",
        f"/@{ann.username}/{post['id']}",
        f"/@{ann.username}/{reply['id']}",
        "/public",
        "/tags/tag",
    ]
    with closing(place.browser_session(ann)) as browser:
        for path in [
            *paths,
            "/",
            "/settings/profile",
            f"/compose?in_reply_to={post['id']}",
            f"/posts/{post['id']}/delete",
        ]:
            for client in (browser, place.visitor) if path in paths else (browser,):
                answer = client.get(path)
                checked(answer)
                assert "<script>" not in answer.text, path
                assert "<img" not in answer.text, path
                assert 'href="javascript:' not in answer.text, path


@pytest.mark.parametrize(
    "path",
    [
        f"/search?q={quote(EVIL)}",
        f"/search?q=%23{quote(EVIL)}",
        f"/compose?text={quote(EVIL)}",
        f"/auth/sign_in?next={quote(EVIL)}",
        f"/@{quote(EVIL, safe='')}",
        f"/tags/{quote(EVIL, safe='')}",
        f"/{quote(EVIL, safe='')}",
        f"/public?max_id={quote(EVIL)}",
        f"/about?x={quote(EVIL)}",
        "/%FF%FE",
        "/search?q=%FF",
        "/search?q=%00",
        "/@a%01b",
        "/compose?text=%00",
        "/compose?in_reply_to=%00",
    ],
)
def test_what_stands_in_an_address_is_shown_as_text(place, path):
    ann = place.person("ann")
    with closing(place.browser_session(ann)) as browser:
        for client in (browser, place.visitor):
            answer = client.get(path)
            assert answer.status_code < 500
            if answer.status_code != 303:
                checked(answer, answer.status_code)
            assert "<script>" not in answer.text
            assert "<img" not in answer.text


def test_a_page_at_a_long_address_leads_back_to_the_front_page(place):
    tag = "/tags/" + "%E0%B8%81" * 100
    assert f'"/auth/sign_in?next={quote(tag, safe="")}"' in unescape(place.visitor.get(tag).text)
    page = unescape(place.visitor.get("/" + "%25" * 600).text)
    assert '"/auth/sign_in"' in page
    assert "/auth/sign_in?next" not in page

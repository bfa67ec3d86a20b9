"""Posts that their author pins to the top of the profile, with forms alone."""

from __future__ import annotations

import re
from contextlib import closing

from tests.markup import checked, sent


def order(page):
    return re.findall(r'id="post-(\d+)"', page.text)


def test_a_pinned_post_stands_on_top_of_the_first_page_once(place):
    ann = place.person("ann")
    ids = [ann.post(f"Post {number}")["id"] for number in range(22)]
    path = f"/@{ann.username}"
    with closing(place.browser_session(ann)) as browser:
        page = browser.get(path)
        assert f'formaction="/posts/{ids[0]}/pin"' not in page.text
        assert "Pinned</p>" not in page.text
        answer = sent(browser, f"/posts/{ids[0]}/pin", next=path)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        sent(browser, f"/posts/{ids[20]}/pin")
        page = browser.get(path)
        checked(page)
        assert f'formaction="/posts/{ids[0]}/unpin"' in page.text
        assert order(page)[:4] == [ids[20], ids[0], ids[21], ids[19]]
        assert page.text.count("Pinned</p>") == 2
    page = place.visitor.get(path)
    checked(page)
    assert order(page)[:3] == [ids[20], ids[0], ids[21]]
    # On older pages, and among the replies, every post is in its usual position.
    older = place.visitor.get(path, params={"max_id": ids[2]})
    assert order(older) == [ids[1], ids[0]]
    assert order(place.visitor.get(f"{path}/with_replies"))[:2] == [ids[21], ids[20]]


def test_a_pin_is_taken_off(place):
    ann = place.person("ann")
    first, second = (ann.post(text)["id"] for text in ("First", "Second"))
    path = f"/@{ann.username}"
    with closing(place.browser_session(ann)) as browser:
        sent(browser, f"/posts/{first}/pin")
        assert order(browser.get(path)) == [first, second]
        sent(browser, f"/posts/{first}/unpin")
        assert order(browser.get(path)) == [second, first]


def test_only_the_author_is_offered_a_pin_and_can_pin(place):
    ann, ben, cat = place.person("ann"), place.person("ben"), place.person("cat")
    post_id = ann.post("Mine")["id"]
    ann.do(f"/api/v1/accounts/{cat.id}/block")
    with closing(place.browser_session(ben)) as stranger, closing(place.browser_session(cat)) as blocked:
        page = stranger.get(f"/@{ann.username}/{post_id}")
        assert f"/posts/{post_id}/pin" not in page.text
        checked(sent(stranger, f"/posts/{post_id}/pin"), 422)
        checked(sent(blocked, f"/posts/{post_id}/pin"), 404)
    assert place.visitor.post(f"/posts/{post_id}/pin").status_code in (303, 401, 403)
    assert ann.get(f"/api/v1/accounts/{ann.id}/statuses", pinned="true") == []


def test_a_direct_message_cannot_be_pinned_and_a_pinned_post_for_few_is_for_few(place):
    ann = place.person("ann")
    direct = ann.post("Between us", visibility="direct")["id"]
    few = ann.post("For few", visibility="private")["id"]
    with closing(place.browser_session(ann)) as browser:
        page = browser.get(f"/@{ann.username}/{direct}")
        assert f"/posts/{direct}/pin" not in page.text
        checked(sent(browser, f"/posts/{direct}/pin"), 422)
        assert sent(browser, f"/posts/{few}/pin").status_code == 303
        assert order(browser.get(f"/@{ann.username}"))[0] == few
    assert few not in order(place.visitor.get(f"/@{ann.username}"))

"""A member's actions on posts, with forms alone."""

from __future__ import annotations

import re
from contextlib import closing

from tests.markup import checked, sent


def test_boost_favourite_and_bookmark_go_there_and_back(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Like me")
    with closing(place.browser_session(ben)) as browser:
        for verb, key in (("boost", "reblogged"), ("favourite", "favourited"), ("bookmark", "bookmarked")):
            for prefix, wanted in (("", True), ("un", False)):
                answer = sent(
                    browser, f"/posts/{post['id']}/{prefix}{verb}", next=f"/public#post-{post['id']}"
                )
                assert (answer.status_code, answer.headers["location"]) == (303, f"/public#post-{post['id']}")
                assert ben.get(f"/api/v1/statuses/{post['id']}")[key] is wanted
                shown = browser.get(f"/@{ann.username}/{post['id']}").text
                button = re.search(rf'data-act="{verb}"[^>]*aria-pressed="(true|false)"', shown)
                assert button[1] == str(wanted).lower()


def test_bookmarks_and_favourites_have_pages_of_their_own(place):
    ann, ben = place.person("ann"), place.person("ben")
    kept, liked = ann.post("Keep me"), ann.post("Star me")
    ben.do(f"/api/v1/statuses/{kept['id']}/bookmark")
    ben.do(f"/api/v1/statuses/{liked['id']}/favourite")
    with closing(place.browser_session(ben)) as browser:
        bookmarks, favourites = browser.get("/bookmarks").text, browser.get("/favourites").text
    assert ("Keep me" in bookmarks, "Star me" in bookmarks) == (True, False)
    assert ("Keep me" in favourites, "Star me" in favourites) == (False, True)


def test_a_boost_shows_who_repeated_what(place):
    ann, ben, reader = place.person("ann"), place.person("ben"), place.person("reader")
    reader.follow(ben)
    post = ann.post("Repeat after me")
    ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    with closing(place.browser_session(reader)) as browser:
        text = browser.get("/").text
    assert re.search(rf'<a href="/@{ben.username}"><span dir="auto">{ben.username}</span> boosted</a>', text)
    assert "Repeat after me" in text


def test_a_post_that_is_also_boosted_stands_once_on_the_home_page(place):
    ann, ben, reader = place.person("ann"), place.person("ben"), place.person("reader")
    reader.follow(ann)
    reader.follow(ben)
    post = ann.post("Heard twice")
    ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    with closing(place.browser_session(reader)) as browser:
        assert browser.get("/").text.count("Heard twice") == 1


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


def test_a_post_for_followers_is_nothing_to_others(place):
    ann, friend, stranger, blocked = (place.person(name) for name in ("ann", "friend", "stranger", "blocked"))
    friend.follow(ann)
    ann.do(f"/api/v1/accounts/{blocked.id}/block")
    secret = ann.post("Only friends", visibility="private")
    public = ann.post("Everyone")
    paths = [f"/@{ann.username}/{post['id']}" for post in (secret, public)]
    seen = {}
    for name, person in (("friend", friend), ("stranger", stranger), ("blocked", blocked), ("ann", ann)):
        with closing(place.browser_session(person)) as browser:
            seen[name] = [browser.get(path).status_code for path in paths]
            assert ("Only friends" in browser.get(f"/@{ann.username}").text) == (name in ("friend", "ann"))
    seen["nobody"] = [place.visitor.get(path).status_code for path in paths]
    assert seen == {
        "friend": [200, 200],
        "ann": [200, 200],
        "stranger": [404, 200],
        "blocked": [404, 404],
        "nobody": [404, 200],
    }


def test_a_direct_post_is_seen_by_whom_it_names_and_nobody_else(place):
    ann, named, other = place.person("ann"), place.person("named"), place.person("other")
    post = ann.post(f"@{named.username} psst", visibility="direct")
    path = f"/@{ann.username}/{post['id']}"
    for person, status in ((named, 200), (other, 404)):
        with closing(place.browser_session(person)) as browser:
            assert browser.get(path).status_code == status
            assert "psst" not in browser.get("/public").text
    assert place.visitor.get(path).status_code == 404


def test_a_thread_shows_what_is_answered_above_and_replies_indented_below(place):
    ann, ben = place.person("ann"), place.person("ben")
    top = ann.post("The top")
    middle = ben.post("The middle", in_reply_to_id=top["id"])
    below = ann.post("Below", in_reply_to_id=middle["id"])
    deeper = ben.post("Deeper", in_reply_to_id=below["id"])
    answer = place.visitor.get(f"/@{ben.username}/{middle['id']}")
    page = checked(answer)
    order = [page_id for page_id in page.ids if page_id.startswith("post-")]
    assert order == [f"post-{post['id']}" for post in (top, middle, below, deeper)]
    for post, depth in ((below, 1), (deeper, 2)):
        assert re.search(rf'class="post depth-{depth}" id="post-{post["id"]}"', answer.text)
    assert f'class="post focus" id="post-{middle["id"]}"' in answer.text


def test_a_posts_address_with_the_wrong_name_and_a_boosts_lead_to_the_post(place):
    ann, ben = place.person("ann"), place.person("ben")
    post = ann.post("Mine")
    boost = ben.do(f"/api/v1/statuses/{post['id']}/reblog")
    for path in (f"/@{ben.username}/{post['id']}", f"/@{ben.username}/{boost['id']}", f"/@x/{post['id']}"):
        answer = place.visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (302, f"/@{ann.username}/{post['id']}")


def test_a_content_warning_hides_the_text_until_it_is_opened(place):
    ann = place.person("ann")
    post = ann.post("The butler did it", spoiler_text="The end of a book", language="fr")
    text = place.visitor.get(f"/@{ann.username}/{post['id']}").text
    details = text.partition("<details")[2].partition("</details>")[0]
    assert (
        details.index("The end of a book") < details.index("</summary>") < details.index("The butler did it")
    )
    assert 'lang="fr"' in text

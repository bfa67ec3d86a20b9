"""A reader's filters on the pages that they read: posts are hidden, folded, blurred, or unchanged."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from stormpetrel.rules import filters
from stormpetrel.rules.filters import FilterChange, KeywordChange
from tests.markup import checked
from tests.media_files import png
from tests.people import now_ms

WORD = "spindrift"
FOLDED = '<details class="filtered">'


@pytest.fixture
def reader(place):
    """Yield a reader, a friend they follow, and the reader's browser."""
    person, friend = place.person("reader"), place.person("friend")
    person.follow(friend)
    with closing(place.browser_session(person)) as browser:
        yield person, friend, browser


def filter_of(person, *contexts, word=WORD, action="hide", title="Weather <1>", **more):
    return person.do(
        "/api/v2/filters",
        title=title,
        context=list(contexts),
        filter_action=action,
        keywords_attributes=[{"keyword": word}],
        **more,
    )


def look(browser, path):
    """Check the rules that every page must follow, and return the page's text."""
    answer = browser.get(path)
    checked(answer)
    return answer.text


@pytest.fixture
def pages(reader):
    """Return a post of the friend that contains the word, and by context the pages that show it."""
    person, friend, _ = reader
    # The public pages also contain posts of other tests.
    tag = f"tag{person.id}"
    post = friend.post(f"@{person.username} much {WORD} #{tag} today")
    answered = person.post("and I?")
    reply = friend.post(f"@{person.username} no {WORD}", in_reply_to_id=answered["id"])
    made = person.do("/api/v1/lists", title="Crew")
    person.do(f"/api/v1/lists/{made['id']}/accounts", account_ids=[str(friend.id)])
    paths = {
        "home": ["/", f"/lists/{made['id']}"],
        "public": ["/public", f"/tags/{tag}"],
        "account": [f"/@{friend.username}/with_replies"],
        "notifications": ["/notifications"],
        "thread": [f"/@{person.username}/{answered['id']}"],
    }
    return post, paths, (post["id"], reply["id"])


@pytest.mark.parametrize("context", ["home", "public", "account", "notifications", "thread"])
def test_a_filter_hides_or_folds_away_where_it_counts_and_nowhere_else(reader, pages, context):
    person, _, browser = reader
    _, paths, ids = pages
    everywhere = [path for group in paths.values() for path in group]
    before = {path: look(browser, path) for path in everywhere}

    def shown(text):
        return [one for one in ids if f'id="post-{one}"' in text]

    assert all(shown(text) for text in before.values())
    made = filter_of(person, context)
    for path in everywhere:
        text = look(browser, path)
        assert shown(text) == ([] if path in paths[context] else shown(before[path])), path
        assert "Filtered:" not in text
    changed = person.http.put(f"/api/v2/filters/{made['id']}", json={"filter_action": "warn"})
    assert changed.status_code == 200
    for path in everywhere:
        text = look(browser, path)
        assert shown(text) == shown(before[path]), path
        folded = [one for one in shown(text) if re.search(rf'id="post-{one}"[^>]*>\s*{FOLDED}', text)]
        assert folded == (shown(text) if path in paths[context] else []), path
        assert ('Filtered: <span dir="auto">Weather &lt;1&gt;</span>' in text) == bool(folded)
    assert person.http.delete(f"/api/v2/filters/{made['id']}").status_code == 200
    assert all("Filtered" not in look(browser, path) for path in everywhere)


def test_whoever_asks_for_a_post_or_keeps_it_is_warned_and_not_refused(reader, pages):
    person, friend, browser = reader
    post, _, _ = pages
    person.do(f"/api/v1/statuses/{post['id']}/favourite")
    person.do(f"/api/v1/statuses/{post['id']}/bookmark")
    filter_of(person, "home", "thread")
    for path in (f"/@{friend.username}/{post['id']}", "/favourites", "/bookmarks"):
        text = look(browser, path)
        assert f'id="post-{post["id"]}"' in text
        assert text.count(FOLDED) == 1
    # A search for the word still shows the post unfiltered.
    assert "filtered" not in look(browser, f"/search?q={WORD}+from:{friend.username}")


def test_ones_own_posts_and_the_pages_of_others_stay_as_they_are(place, reader, pages):
    person, friend, browser = reader
    own = person.post(f"my {WORD}")
    path = f"/@{person.username}"
    seen_by_all = {one: place.visitor.get(one).text for one in (path, f"/@{friend.username}")}
    filter_of(person, "home", "account", "thread", "public")
    assert f'id="post-{own["id"]}"' in look(browser, path)
    assert f'id="post-{own["id"]}"' in look(browser, "/")
    with closing(place.browser_session(friend)) as other:
        assert f'id="post-{own["id"]}"' in look(other, path)
    for one, text in seen_by_all.items():
        assert WORD in text
        assert place.visitor.get(one).text == text


def test_a_boost_falls_under_the_filter_that_its_original_does(place, reader):
    person, friend, browser = reader
    original = place.person("stranger").post(f"plain {WORD}")
    boost = friend.do(f"/api/v1/statuses/{original['id']}/reblog")
    assert f'id="post-{boost["id"]}"' in look(browser, "/")
    made = filter_of(person, "home", word="nothing of it")
    assert f'id="post-{boost["id"]}"' in look(browser, "/")
    person.do(f"/api/v2/filters/{made['id']}/statuses", status_id=original["id"])
    assert f'id="post-{boost["id"]}"' not in look(browser, "/")


def test_a_filter_that_has_expired_counts_no_longer(place, reader, pages):
    person, _, browser = reader
    hour = FilterChange(
        title="x",
        contexts=("home",),
        action="hide",
        expires_in_s=3600,
        keywords=(KeywordChange(keyword=WORD),),
    )
    place.write(filters.create_filter, account_id=person.id, change=hour, now_ms=now_ms() - 7_200_000)
    assert WORD in look(browser, "/")
    filter_of(person, "home", expires_in=3600)
    assert WORD not in look(browser, "/")


def test_several_filters_are_named_together_and_the_strongest_wins(reader, pages):
    person, _, browser = reader
    filter_of(person, "home", action="warn", title="One")
    filter_of(person, "home", action="blur", title="Two")
    filter_of(person, "home", action="warn", title="Three")
    assert 'Filtered: <span dir="auto">One, Three</span>' in look(browser, "/")
    filter_of(person, "home", action="hide", title="Four")
    assert WORD not in look(browser, "/")


def test_answers_of_polls_and_descriptions_of_media_are_looked_into(reader):
    person, friend, browser = reader
    asked = friend.post("Which?", poll={"options": [f"The {WORD}", "Other"], "expires_in": 600})
    file = {"file": ("a.png", png(), "image/png")}
    media = friend.http.post("/api/v2/media", files=file, data={"description": f"Some {WORD}"}).json()
    seen = friend.post("Look", media_ids=[media["id"]])
    warned = friend.post("Open at will", spoiler_text=f"About {WORD}")
    posts = (asked, seen, warned)
    made = filter_of(person, "home", action="blur")
    text = look(browser, "/")
    assert text.count("blurred") == 3
    # The page mentions blurring only where there is an image to blur.
    assert text.count("Blurred: ") == 1
    for post in posts:
        (result,) = person.get(f"/api/v1/statuses/{post['id']}")["filtered"]
        assert result["keyword_matches"] == [WORD]
    person.http.put(f"/api/v2/filters/{made['id']}", json={"filter_action": "hide"})
    text = look(browser, "/")
    assert not any(f'id="post-{post["id"]}"' in text for post in posts)
    # The description of an image can change.
    friend.http.put(
        f"/api/v1/statuses/{seen['id']}",
        json={
            "status": "Look",
            "media_ids": [media["id"]],
            "media_attributes": [{"id": media["id"], "description": "Calm"}],
        },
    )
    assert person.get(f"/api/v1/statuses/{seen['id']}")["filtered"] == []
    assert f'id="post-{seen["id"]}"' in look(browser, "/")

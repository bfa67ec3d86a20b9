"""Lists and followed hashtags on pages without scripts."""

from __future__ import annotations

from contextlib import closing

from tests.people import csrf_of


def send(browser, page, target, **fields):
    """Send a form of the page. Return the target of the redirect."""
    csrf = csrf_of(browser.get(page).text)
    answer = browser.post(target, data={"csrf": csrf, **fields})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_list_is_made_filled_read_and_deleted(place):
    person, friend = place.person("reader"), place.person("friend")
    person.follow(friend)
    friend.post("said in the <list>")
    with closing(place.browser_session(person)) as browser:
        where = send(browser, "/lists", "/lists", title="Crew <1>", replies_policy="none")
        assert "Crew &lt;1&gt;" in browser.get(where).text
        send(browser, where, f"{where}/add", username=f"@{friend.username}")
        page = browser.get(where).text
        assert "said in the &lt;list&gt;" in page
        assert f"@{friend.username}" in page
        send(browser, where, where, title="Crew", replies_policy="list", exclusive="on")
        (one,) = person.get("/api/v1/lists")
        assert (one["title"], one["replies_policy"], one["exclusive"]) == ("Crew", "list", True)
        send(browser, where, f"{where}/remove", account_id=str(friend.id))
        assert "said in" not in browser.get(where).text
        with closing(place.browser_session(friend)) as other:
            assert other.get(where).status_code == 404
            csrf = csrf_of(other.get("/lists").text)
            assert other.post(f"{where}/delete", data={"csrf": csrf}).status_code == 404
        assert browser.post(f"{where}/delete").status_code == 403
        send(browser, where, f"{where}/delete")
        assert person.get("/api/v1/lists") == []


def test_hashtags_are_followed(place):
    person = place.person("reader")
    with closing(place.browser_session(person)) as browser:
        send(browser, "/lists", "/followed_tags", name="#Swell")
        assert "#swell" in browser.get("/lists").text
        send(browser, "/lists", "/followed_tags/end", name="swell")
        assert person.get("/api/v1/followed_tags") == []


def test_these_pages_are_for_members(place):
    for path in ("/lists", "/lists/1"):
        assert place.visitor.get(path).status_code == 303

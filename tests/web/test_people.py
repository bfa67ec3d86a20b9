"""A member's actions on accounts, with forms alone."""

from __future__ import annotations

from contextlib import closing

from tests.forms import send
from tests.markup import sent


def test_following_a_person_fills_the_home_page_and_unfollowing_empties_it(place):
    ann, ben = place.person("ann"), place.person("ben")
    ann.post("From Ann")
    with closing(place.browser_session(ben)) as browser:
        assert "From Ann" not in browser.get("/").text
        profile = browser.get(f"/@{ann.username}")
        answer = send(browser, profile, f"/people/{ann.id}/follow")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/@{ann.username}")
        assert "From Ann" in browser.get("/").text
        send(browser, browser.get(f"/@{ann.username}"), f"/people/{ann.id}/unfollow")
        assert "From Ann" not in browser.get("/").text


def test_a_locked_account_is_asked_and_answers(place):
    ann, ben, eve = place.person("ann"), place.person("ben"), place.person("eve")
    ann.http.patch("/api/v1/accounts/update_credentials", json={"locked": True})
    for asking in (ben, eve):
        with closing(place.browser_session(asking)) as browser:
            profile = browser.get(f"/@{ann.username}")
            assert "Request to follow" in profile.text
            send(browser, profile, f"/people/{ann.id}/follow")
            assert "Withdraw request" in browser.get(f"/@{ann.username}").text
    with closing(place.browser_session(ann)) as browser:
        requests = browser.get("/follow_requests")
        assert ben.username in requests.text
        assert eve.username in requests.text
        assert send(browser, requests, f"/people/{ben.id}/accept").headers["location"] == "/follow_requests"
        sent(browser, f"/people/{eve.id}/reject", next="/follow_requests")
        assert "No follow requests" in browser.get("/follow_requests").text
        followers = browser.get(f"/@{ann.username}/followers").text
    assert (ben.username in followers, eve.username in followers) == (True, False)


def test_mute_and_block_and_their_opposites(place):
    ann, ben = place.person("ann"), place.person("ben")
    with closing(place.browser_session(ann)) as browser:
        for verb, key in (("mute", "muting"), ("block", "blocking")):
            for prefix, wanted in (("", True), ("un", False)):
                answer = sent(browser, f"/people/{ben.id}/{prefix}{verb}", next=f"/@{ben.username}")
                assert answer.headers["location"] == f"/@{ben.username}"
                assert ann.get("/api/v1/accounts/relationships", id=ben.id)[0][key] is wanted
                assert browser.get(f"/@{ben.username}").status_code == 200


def test_a_follower_can_be_removed(place):
    ann, ben = place.person("ann"), place.person("ben")
    ben.follow(ann)
    with closing(place.browser_session(ann)) as browser:
        sent(browser, f"/people/{ben.id}/remove")
    assert not ann.get("/api/v1/accounts/relationships", id=ben.id)[0]["followed_by"]

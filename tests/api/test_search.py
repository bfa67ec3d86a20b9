"""`GET /api/v2/search` through HTTP, on both stores."""

from __future__ import annotations


def found(person, q, **more):
    answer = person.get("/api/v2/search", q=q, **more)
    return (
        [account["username"] for account in answer["accounts"]],
        [status["id"] for status in answer["statuses"]],
        [tag["name"] for tag in answer["hashtags"]],
    )


def test_names_hashtags_and_addresses_are_found(place):
    ann = place.person("Lookout")
    post = ann.post("Look at the #Horizon")
    domain = place.base_url.partition("://")[2]
    name = ann.username
    assert found(ann, "look") == ([name], [post["id"]], [])
    for q in (f"@{name}", f"@{name}@{domain}", f"{name}@{domain}", f"{place.base_url}/@{name}"):
        assert found(ann, q) == ([name], [], []), q
    assert found(ann, "#horizon") == ([], [post["id"]], ["horizon"])
    assert found(ann, "#hori") == ([], [], ["horizon"])
    assert found(ann, "Horizon")[2] == ["horizon"]
    assert found(ann, post["url"]) == ([], [post["id"]], [])
    assert found(ann, post["url"], type="accounts") == ([], [], [])
    assert found(ann, name, type="hashtags")[0] == []
    for q in ("", "  ", f"{name}@elsewhere.example", "#nobodyusedthis", "two words", "%", "\\", "'"):
        assert found(ann, q) == ([], [], []), q


def test_a_post_that_one_may_not_see_is_not_found_by_its_address(place):
    ann, bob = place.person("ann"), place.person("bob")
    post = ann.post("For followers", visibility="private")
    assert found(bob, post["url"]) == ([], [], [])
    bob.follow(ann)
    assert found(bob, post["url"]) == ([], [post["id"]], [])


def test_visitors_may_search_too(place):
    ann = place.person("openly")
    answer = place.visitor.get("/api/v2/search", params={"q": ann.username, "resolve": "true"})
    assert [account["username"] for account in answer.json()["accounts"]] == [ann.username]
    assert set(answer.json()) == {"accounts", "statuses", "hashtags", "collections"}


def test_only_those_whom_one_follows(place):
    ann, bob = place.person("amber"), place.person("amber")
    assert found(bob, "amber", following="true") == ([], [], [])
    bob.follow(ann)
    assert found(bob, "amber", following="true")[0] == [ann.username]

"""The description of the instance, and the lookup of its accounts."""

from __future__ import annotations

import time

import pytest

from tests.waiting import eventually


def test_both_versions_of_the_instance_say_what_apps_need(place):
    place.person("ann").post("One post")
    domain = place.base_url.partition("://")[2]
    v1 = place.visitor.get("/api/v1/instance").json()
    assert v1["uri"] == domain
    assert v1["version"].startswith("4.5.0 (compatible; Stormpetrel ")
    assert v1["configuration"]["statuses"]["max_characters"] == 500
    assert v1["urls"]["streaming_api"] == f"ws://{domain}"
    # On a busy machine a new count appears in a later answer.
    eventually(lambda: place.visitor.get("/api/v1/instance").json()["stats"]["status_count"] >= 1)
    assert v1["registrations"] is True
    v2 = place.visitor.get("/api/v2/instance").json()
    assert v2["domain"] == domain
    assert v2["configuration"]["urls"]["streaming"] == f"ws://{domain}"
    assert v2["configuration"]["statuses"]["characters_reserved_per_url"] == 23
    assert v2["registrations"]["enabled"] is True
    assert place.visitor.get("/api/v2/instance/").json() == v2  # as Mastodon.py requests it


def test_its_pictures_are_there_as_png(place):
    for picture in ("avatar", "header"):
        answer = place.visitor.get(f"/assets/{picture}.png")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")
        assert len(answer.content) < 5000


def test_nodeinfo_is_found_and_says_what_runs_here(place):
    links = place.visitor.get("/.well-known/nodeinfo").json()["links"]
    info = place.visitor.get(links[0]["href"]).json()
    assert info["version"] == "2.0"
    assert info["software"]["name"] == "stormpetrel"
    assert info["openRegistrations"] is True


def test_webfinger_finds_an_account_by_handle_and_address(place):
    ann = place.person("Ann")
    domain = place.base_url.partition("://")[2]
    for resource in (f"acct:{ann.username}@{domain}", f"{place.base_url}/@{ann.username}"):
        answer = place.visitor.get("/.well-known/webfinger", params={"resource": resource})
        assert answer.status_code == 200, resource
        assert answer.headers["content-type"].startswith("application/jrd+json")
        assert answer.json()["subject"] == f"acct:{ann.username}@{domain}"
        avatar = answer.json()["links"][1]
        assert avatar["href"] == ann.get("/api/v1/accounts/verify_credentials")["avatar"]
        assert place.visitor.get(avatar["href"]).headers["content-type"] == avatar["type"]
    for resource, status in (
        ("", 400),
        ("acct:nobody@" + domain, 404),
        (f"acct:{ann.username}@elsewhere.example", 404),
        ("https://elsewhere.example/@ann", 404),
        ("nonsense", 404),
    ):
        answer = place.visitor.get("/.well-known/webfinger", params={"resource": resource})
        assert answer.status_code == status, resource
        assert answer.json()["error"]
    meta = place.visitor.get("/.well-known/host-meta")
    assert meta.headers["content-type"].startswith("application/xrd+xml")
    assert f"{place.base_url}/.well-known/webfinger?resource={{uri}}" in meta.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/instance/peers",
        "/api/v1/instance/rules",
        "/api/v1/instance/domain_blocks",
        "/api/v1/custom_emojis",
        "/api/v1/trends",
        "/api/v1/trends/tags",
        "/api/v1/trends/statuses",
        "/api/v1/trends/links",
    ],
)
def test_what_does_not_exist_is_an_empty_list_for_everybody(place, path):
    assert place.visitor.get(path).json() == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/announcements",
        "/api/v1/lists",
        "/api/v1/filters",
        "/api/v2/filters",
        "/api/v1/conversations",
        "/api/v1/followed_tags",
        "/api/v1/featured_tags",
        "/api/v1/featured_tags/suggestions",
        "/api/v1/endorsements",
        "/api/v1/domain_blocks",
        "/api/v1/scheduled_statuses",
        "/api/v1/accounts/1/identity_proofs",
        "/api/v1/suggestions",
        "/api/v2/suggestions",
    ],
)
def test_what_does_not_exist_is_an_empty_list_for_members(place, path):
    assert place.person("ann").get(path) == []
    assert place.visitor.get(path).status_code == 401


def test_small_answers(place):
    visitor = place.visitor
    assert visitor.get("/api/v1/instance/languages").json() == [{"code": "en", "name": "English"}]
    assert visitor.get("/api/v1/instance/translation_languages").json() == {}
    nothing = {"content": "", "updated_at": None}
    assert visitor.get("/api/v1/instance/extended_description").json() == nothing
    for document in ("privacy_policy", "terms_of_service"):
        answer = visitor.get(f"/api/v1/instance/{document}")
        assert answer.status_code == 404
        assert "published" in answer.json()["error"]
    assert visitor.get("/api/v1/push/subscription").status_code == 404


def test_use_is_counted_by_week(place):
    ann = place.person("ann")
    ann.post("Counted")
    weeks = ann.get("/api/v1/instance/activity")
    assert len(weeks) == 12
    starts = [int(week["week"]) for week in weeks]
    assert starts == [starts[0] - 7 * 86_400 * number for number in range(12)]
    assert time.gmtime(starts[0]).tm_wday == 0
    assert all(int(weeks[0][name]) >= 1 for name in ("statuses", "logins", "registrations"))
    assert weeks[-1] | {"week": ""} == {"week": "", "statuses": "0", "logins": "0", "registrations": "0"}


def test_nodeinfo_names_the_api_that_is_spoken(place):
    assert place.visitor.get("/nodeinfo/2.0").json()["metadata"]["upstream"] == {"name": "mastodon"}


def test_the_instance_names_its_status_page(place):
    found = place.visitor.get("/api/v2/instance").json()["configuration"]["urls"]["status"]
    assert found == place.instance.status_url


def test_open_incidents_of_operators_are_announced_to_apps(place):
    ann = place.person("ann")
    run = place.instance.run_cli
    id = run("incident", "start", "Apps <fail>", "--text", "We look into it.\n\nSoon.").stdout.split()[1]
    (one,) = ann.get("/api/v1/announcements")
    assert one["id"] == str(int(id, 16))
    assert one["content"].startswith("<p>Apps &lt;fail&gt;</p><p>We look into it.</p><p>Soon.</p><p><a href=")
    assert (one["read"], one["starts_at"]) == (False, None)
    # Dismissing it is no error, though it comes back until it is resolved.
    assert ann.do(f"/api/v1/announcements/{one['id']}/dismiss") == {}
    run("maintenance", "schedule", "New disks", "--text", "x", "--in", "2h", "--for", "30m")
    assert [bool(one["starts_at"]) for one in ann.get("/api/v1/announcements")] == [True, False]
    for command, each in (
        ("incident", id),
        ("maintenance", run("incident", "list").stdout.splitlines()[1].split()[0]),
    ):
        run(command, "resolve" if command == "incident" else "cancel", each)
    assert ann.get("/api/v1/announcements") == []

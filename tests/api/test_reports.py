"""Reports through the API, and the notifications about reports and warnings."""

from __future__ import annotations

import msgspec
import pytest

from stormpetrel.api.json.entities import Notification, Report
from stormpetrel.model.account import Role
from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.rules import instance, moderation
from tests.people import now_ms


@pytest.fixture
def chief(place):
    return place.person("Chief", role=Role.ADMIN)


def test_a_report_is_answered_in_full_and_stands_in_a_moderators_notifications(place, chief):
    nino, lomi = place.person("Nino"), place.person("Lomi")
    rule_id = place.write(instance.add_rule, COMMAND_LINE, text="No spam", hint="", now_ms=now_ms())
    post = nino.post("Buy boats")
    made = lomi.do(
        "/api/v1/reports",
        account_id=nino.id,
        status_ids=[post["id"]],
        comment="again",
        forward="true",
        rule_ids=[str(rule_id)],
    )
    msgspec.convert(made, Report)
    assert made["category"] == "violation"
    assert (made["action_taken"], made["action_taken_at"], made["forwarded"]) == (False, None, False)
    assert (made["status_ids"], made["rule_ids"]) == ([post["id"]], [str(rule_id)])
    assert made["target_account"]["id"] == str(nino.id)
    told = chief.get("/api/v1/notifications", **{"types[]": "admin.report"})[0]
    msgspec.convert(told, Notification)
    assert (told["account"]["id"], told["report"]) == (str(lomi.id), made)
    assert nino.get("/api/v1/notifications") == []


def test_a_warning_says_what_was_done_and_why_but_not_who_did_it(place):
    nino = place.person("Nino")
    post = nino.post("Buy boats")
    for verb, target_ids, action, ids in (
        ("warn", {"account_id": nino.id}, "none", None),
        ("silence", {"account_id": nino.id}, "silence", None),
        ("mark_sensitive", {"post_id": int(post["id"])}, "mark_statuses_as_sensitive", [post["id"]]),
        ("delete_post", {"post_id": int(post["id"])}, "delete_statuses", [post["id"]]),
    ):
        place.write(getattr(moderation, verb), COMMAND_LINE, reason="rule 2", now_ms=now_ms(), **target_ids)
        told = nino.get("/api/v1/notifications")[0]
        msgspec.convert(told, Notification)
        assert (told["type"], told["account"]["id"]) == ("moderation_warning", str(nino.id))
        warning = told["moderation_warning"]
        assert (warning["action"], warning["text"], warning["status_ids"]) == (action, "rule 2", ids)
        assert warning["appeal"] is None
        assert nino.get(f"/api/v1/notifications/{told['id']}") == told


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 422),
        ({"account_id": "x"}, 422),
        ({"account_id": "12345"}, 404),
        ({"comment": "x" * 1001}, 422),
        ({"category": "boring"}, 422),
        ({"rule_ids": ["5"]}, 422),
        ({"status_ids": ["12345"]}, 404),
        ({"status_ids": [str(n) for n in range(1, 60)]}, 422),
    ],
)
def test_what_cannot_be_reported_is_refused(place, given, status):
    nino, lomi = place.person("Nino"), place.person("Lomi")
    values = {"account_id": str(nino.id)} | given if given else {}
    assert lomi.http.post("/api/v1/reports", json=values).status_code == status


def test_a_report_needs_an_account_and_the_scope(place):
    nino = place.person("Nino")
    reader = place.person("Lomi", scopes="read")
    values = {"account_id": str(nino.id)}
    assert place.visitor.post("/api/v1/reports", json=values).status_code == 401
    assert reader.http.post("/api/v1/reports", json=values).status_code == 403


def test_a_moderators_role_is_told_to_their_app(place):
    helper = place.person("Helper", role=Role.MODERATOR)
    role = helper.get("/api/v1/accounts/verify_credentials")["role"]
    assert (role["name"], role["permissions"]) == ("Moderator", "1044")

"""Every command by SMS, through the running role, on both databases."""

from __future__ import annotations

import itertools
import json
import re
import time
import zlib
from typing import Any

from stormpetrel.errors import Refusal
from stormpetrel.gateway.effects import carry_out, refused
from stormpetrel.gateway.outcome import MessageOutcome, PhoneContext
from stormpetrel.model.phone import SILENT_MS, PhoneKeys
from stormpetrel.model.quota import Quota
from stormpetrel.rules import phones, posts
from stormpetrel.storage import phones as stored
from stormpetrel.storage.sms_spool.inbox import InboxMessage
from tests.gateway.phones import Texting, drop
from tests.people import now_ms
from tests.store import Store
from tests.waiting import eventually


def test_a_text_is_a_post_once(texting: Texting) -> None:
    person, phone = texting.member()
    record = phone.effect("Stop the war")
    assert (record["effect"], record["error"]) == ("post", None)
    statuses = person.get(f"/api/v1/accounts/{person.id}/statuses")
    assert [(one["id"], one["content"]) for one in statuses] == [(record["status_id"], "<p>Stop the war</p>")]
    assert phone.texts() == []


def test_the_same_message_of_the_carrier_again_has_no_second_effect(texting: Texting) -> None:
    person, phone = texting.member()
    for _ in range(3):
        drop(texting.directory, phone.number, "once", f"same-{phone.number[1:]}")
        time.sleep(0.3)
    eventually(lambda: person.get(f"/api/v1/accounts/{person.id}/statuses"))
    assert len(person.get(f"/api/v1/accounts/{person.id}/statuses")) == 1


def test_a_dot_forces_a_post(texting: Texting) -> None:
    person, phone = texting.member()
    assert phone.effect(".HELP")["effect"] == "post"
    assert person.get(f"/api/v1/accounts/{person.id}/statuses")[0]["content"] == "<p>HELP</p>"


def test_follow_turns_deliveries_on_and_unfollow_ends_them(texting: Texting) -> None:
    person, phone = texting.member()
    author = texting.place.person("town")
    assert (
        phone.ask(f"FOLLOW {author.username}")
        == f"You follow @{author.username}. OFF {author.username} stops the SMS."
    )
    relationship = person.get("/api/v1/accounts/relationships", id=author.id)[0]
    assert (relationship["following"], relationship["notifying"]) == (True, True)
    author.post("The bridge is closed")
    assert phone.next_text() == f"@{author.username}: The bridge is closed #1"
    phone.ask(f"OFF {author.username}")
    assert person.get("/api/v1/accounts/relationships", id=author.id)[0]["notifying"] is False
    phone.ask(f"ON @{author.username.upper()}")
    assert person.get("/api/v1/accounts/relationships", id=author.id)[0]["notifying"] is True
    phone.ask(f"UNFOLLOW {author.username}")
    assert person.get("/api/v1/accounts/relationships", id=author.id)[0]["following"] is False


def test_a_tag_answers_likes_and_boosts(texting: Texting) -> None:
    _, phone = texting.member()
    author = texting.place.person("town")
    phone.ask(f"F {author.username}")
    status = author.post("Who brings tea?")
    assert phone.next_text().endswith("#1")
    reply = phone.effect("R 1 I do")
    assert reply["effect"] == "reply"
    found = author.get(f"/api/v1/statuses/{reply['status_id']}")
    assert found["in_reply_to_id"] == status["id"]
    assert "@" in found["content"]
    assert "I do" in found["content"]
    assert phone.effect("LIKE 1")["effect"] == "like"
    assert phone.effect("BOOST 1")["effect"] == "rt"
    seen = author.get(f"/api/v1/statuses/{status['id']}")
    assert (seen["favourites_count"], seen["reblogs_count"], seen["replies_count"]) == (1, 1, 1)


def test_a_reply_is_never_seen_by_more_people_than_the_post(texting: Texting) -> None:
    person, phone = texting.member()
    author = texting.place.person("friend")
    author.post(f"@{person.username} a secret", visibility="direct")
    assert phone.next_text() == f"DM @{author.username}: @{person.username} a secret #1"
    reply = phone.effect("R 1 thank you")
    assert author.get(f"/api/v1/statuses/{reply['status_id']}")["visibility"] == "direct"


def test_a_reply_to_a_direct_message_reaches_its_author_though_another_name_begins_with_theirs(
    texting: Texting,
) -> None:
    person, phone = texting.member()
    author = texting.place.person("friend")
    status = author.post(f"@{person.username} a secret", visibility="direct")
    phone.next_text()
    reply = phone.effect(f"R 1 @{author.username}by knows it too")
    found = author.get(f"/api/v1/statuses/{reply['status_id']}")
    assert found["visibility"] == "direct"
    assert [one["username"] for one in found["mentions"]] == [author.username]
    texting.place.write(
        posts.delete_post, author_id=author.id, post_id=int(status["id"]), now_ms=now_ms()
    )  # fmt: skip
    assert phone.effect("R 1 are you there?")["error"] == "unknown-tag"
    assert phone.effect("LIKE 1")["error"] == "unknown-tag"


def test_a_tag_that_was_never_sent_does_nothing(texting: Texting) -> None:
    person, phone = texting.member()
    assert phone.ask("R 3 people hurt").startswith("No message #3. Nothing was sent.")
    assert phone.log("in")[0]["error"] == "unknown-tag"
    assert person.get(f"/api/v1/accounts/{person.id}/statuses") == []


def test_a_direct_message_to_an_unknown_name_never_becomes_a_post(texting: Texting) -> None:
    person, phone = texting.member()
    assert phone.ask("D nobody_here my key is under the stone").startswith("No account @nobody_here.")
    assert phone.log("in")[0]["error"] == "unknown-user"
    assert person.get(f"/api/v1/accounts/{person.id}/statuses") == []


def test_a_direct_message_reaches_its_receiver_only(texting: Texting) -> None:
    _person, phone = texting.member()
    friend = texting.place.person("friend")
    record = phone.effect(f"D {friend.username} meet at five")
    assert record["effect"] == "dm"
    assert friend.get(f"/api/v1/statuses/{record['status_id']}")["visibility"] == "direct"
    stranger = texting.place.person("stranger")
    assert stranger.http.get(f"/api/v1/statuses/{record['status_id']}").status_code == 404


def test_a_mistyped_command_is_asked_about_and_yes_carries_it_out(texting: Texting) -> None:
    person, phone = texting.member()
    author = texting.place.person("bob")
    assert phone.ask(f"FOLOW {author.username}").startswith(f"Did you mean FOLLOW {author.username}?")
    assert person.get(f"/api/v1/accounts/{person.id}/statuses") == []
    assert phone.ask("yes").startswith("You follow")
    assert person.get("/api/v1/accounts/relationships", id=author.id)[0]["following"] is True


def test_yes_without_a_question_is_a_post(texting: Texting) -> None:
    _, phone = texting.member()
    assert phone.effect("Yes")["effect"] == "post"


def test_yes_does_not_post_a_code_that_was_texted(texting: Texting) -> None:
    person, phone = texting.member()
    own = texting.place.write(phones.own_phone, account_id=person.id)
    texting.place.write(phones.ask, phone=own, question="nonce 482913 7", now_ms=now_ms())
    assert phone.effect("Yes")["effect"] == "post"
    assert person.get(f"/api/v1/accounts/{person.id}/statuses")[0]["content"] == "<p>Yes</p>"


def test_stop_is_confirmed_once_and_nothing_comes_until_start(texting: Texting) -> None:
    person, phone = texting.member()
    author = texting.place.person("town")
    phone.ask(f"FOLLOW {author.username}")
    assert "unsubscribed" in phone.ask(" «Stop!» ")
    author.post("unheard")
    assert phone.effect("STOP")["effect"] == "stop"
    assert phone.effect("still here")["effect"] == "post"
    assert phone.effect("STATS")["effect"] == "stats"
    assert len(phone.texts()) == 2
    assert phone.show()["stopped"] is True
    # Allowed to every stopped number: HELP and START.
    assert "FOLLOW" in phone.ask("help")
    assert "SMS is on" in phone.ask("START")
    author.post("heard again")
    assert "heard again" in phone.next_text()
    assert not any("unheard" in text for text in phone.texts())
    assert person.get(f"/api/v1/accounts/{person.id}/statuses")[0]["content"] == "<p>still here</p>"


def test_a_near_opt_out_is_asked_about_and_never_posted(texting: Texting) -> None:
    person, phone = texting.member()
    assert "reply STOP" in phone.ask("please stop texting me")
    assert person.get(f"/api/v1/accounts/{person.id}/statuses") == []


def test_a_stranger_gets_one_answer_and_posts_nothing(texting: Texting) -> None:
    phone = texting.phone()
    assert "not linked" in phone.ask("hello?")
    record = phone.effect("hello again")
    assert (record["effect"], record["error"]) == ("none", "unlinked")
    assert len(phone.texts()) == 1


def test_a_stranger_follows_without_an_account(texting: Texting) -> None:
    phone = texting.phone()
    author = texting.place.person("town")
    asked = phone.ask(f"FOLLOW {author.username}")
    assert "YES" in asked
    assert "data rates" in asked
    assert "STOP" in phone.ask("YES")
    author.post("Water is back")
    assert phone.next_text() == f"@{author.username}: Water is back #1"
    author.post("for followers", visibility="private")
    phone.ask(f"UNFOLLOW {author.username}")
    author.post("unheard")
    assert phone.effect("STOP")["effect"] == "stop"
    assert not any("followers" in text or "unheard" in text for text in phone.texts())


def test_a_phone_signs_up_by_itself(texting: Texting) -> None:
    phone = texting.phone()
    asked = phone.ask("START")
    assert "Reply with a name" in asked
    assert "taken" in phone.ask(texting.place.person("taken").username)
    assert "A name has" in phone.ask("Née!")
    name = f"texter{phone.number[-6:]}"
    assert f"@{name}" in phone.ask(name)
    record = phone.effect("My first post")
    found = texting.place.visitor.get(f"/api/v1/statuses/{record['status_id']}").json()
    assert found["account"]["username"] == name


def test_a_code_links_the_phone_that_sends_it(texting: Texting) -> None:
    person, phone = texting.place.person("web"), texting.phone()
    shown = json.loads(texting.place.instance.run_cli("sms", "code", person.username, "--json").stdout)
    assert shown["to"] == "40404"
    assert "wrong" in phone.ask("GO 000000")
    assert f"@{person.username}" in phone.ask(f"go {shown['code']}")
    assert phone.show()["account"] == person.username
    # A code is used up.
    assert "wrong" in texting.phone().ask(f"GO {shown['code']}")


def test_wrong_codes_of_a_number_are_limited(texting: Texting) -> None:
    phone = texting.phone()
    errors = [phone.effect(f"GO 99999{digit}")["error"] for digit in range(6)]
    assert errors == ["code-wrong"] * 5 + ["locked"]


def test_more_sends_the_rest_of_a_long_post(texting: Texting) -> None:
    _, phone = texting.member()
    author = texting.place.person("town")
    phone.ask(f"FOLLOW {author.username}")
    words = " ".join(f"word{number}" for number in range(60))
    author.post(words)
    first = phone.next_text()
    assert first.endswith("MORE 1 #1")
    pages = [first]
    while "MORE 1" in pages[-1]:
        pages.append(phone.ask("MORE"))
    joined = " ".join(pages)
    assert all(f"word{number}" in joined for number in range(60))
    assert phone.ask("MORE 1") == "There is no more text."


def test_del_removes_the_last_post(texting: Texting) -> None:
    person, phone = texting.member()
    phone.effect("first")
    second = phone.effect("second")
    assert phone.ask("DEL") == "Your last post is deleted."
    assert texting.place.visitor.get(f"/api/v1/statuses/{second['status_id']}").status_code == 404
    assert [one["content"] for one in person.get(f"/api/v1/accounts/{person.id}/statuses")] == [
        "<p>first</p>"
    ]


def test_settings_and_profile_by_text(texting: Texting) -> None:
    person, phone = texting.member()
    phone.ask("QUIET 22-7")
    phone.ask("DIGEST 18:00")
    phone.ask("SET NAME Nino K.")
    phone.ask("SET BIO I live at the sea")
    shown = phone.show()
    assert (shown["quiet"], shown["digest"]) == ("22-7", "18:00")
    account = person.get("/api/v1/accounts/verify_credentials")
    assert (account["display_name"], account["source"]["note"]) == ("Nino K.", "I live at the sea")
    phone.ask("QUIET OFF")
    phone.ask("SET LANGUAGE ka")
    assert (phone.show()["quiet"], phone.show()["language"]) == (None, "ka")
    assert "22-7" in phone.ask("QUIET 77-99")


def test_whois_get_and_stats_read(texting: Texting) -> None:
    person, phone = texting.member()
    author = texting.place.person("town")
    author.post("Newest of the town")
    assert phone.ask(f"GET {author.username}") == f"@{author.username}: Newest of the town #1"
    assert phone.ask(f"WHOIS {author.username}").startswith(f"@{author.username}")
    assert phone.ask("STATS") == f"@{person.username}: 0 posts, 0 followers, 0 following."
    assert "is up" in phone.ask("STATUS")


def test_status_names_open_incidents(texting: Texting) -> None:
    _, phone = texting.member()
    run = texting.place.instance.run_cli
    id = run("incident", "start", "Uploads fail", "--text", "We look into it.").stdout.split()[1]
    run("maintenance", "schedule", "Not yet", "--text", "x", "--in", "2h", "--for", "30m")
    assert phone.ask("STATUS").endswith(". Uploads fail.")
    run("incident", "resolve", id)
    assert "Uploads fail" not in phone.ask("STATUS")


def test_block_mute_and_report_act_for_the_member(texting: Texting) -> None:
    person, phone = texting.member()
    other = texting.place.person("troll")
    for command in ("MUTE", "REPORT", "BLOCK"):
        phone.ask(f"{command} {other.username}")
    relationship = person.get("/api/v1/accounts/relationships", id=other.id)[0]
    assert (relationship["blocking"], relationship["muting"]) == (True, True)


def test_lock_stops_posting_until_the_web_allows_it(texting: Texting) -> None:
    person, phone = texting.member()
    assert "locked" in phone.ask("LOCK")
    record = phone.effect("not posted")
    assert (record["effect"], record["error"]) == ("none", "locked")
    texting.place.instance.run_cli("sms", "unlock", phone.number)
    assert phone.effect("posted")["effect"] == "post"
    assert len(person.get(f"/api/v1/accounts/{person.id}/statuses")) == 1


def test_a_text_over_the_limit_of_a_post_is_refused_whole(texting: Texting) -> None:
    person, phone = texting.member()
    record = phone.effect("word " * 120)
    assert (record["effect"], record["error"]) == ("post", "too-long")
    assert person.get(f"/api/v1/accounts/{person.id}/statuses") == []


def test_a_number_that_was_silent_for_long_needs_its_pin_until_it_was_right(texting: Texting) -> None:
    _, phone = texting.member(pin="1234")
    assert phone.effect("no PIN needed on this route")["error"] is None
    linked = texting.place.write(phones.phone_with, number=phone.number, keys=texting.keys)
    assert linked is not None
    texting.place.write(stored.heard, phone_id=linked.id, now_ms=now_ms() - SILENT_MS - 60_000)
    # The new owner of the number is not heard by what needs no PIN, and cannot try all of them.
    texts = ("who is this", "STATS", "1234 STATS", "again", "9999 wrong", "1234 right", "free")
    errors = [phone.effect(text)["error"] for text in texts]
    assert errors == ["pin-needed", None, None, "pin-needed", "pin-wrong", None, None]


def context_of(**changes: Any) -> PhoneContext:
    """Return the context of an instance whose one route passes on forged senders."""
    values: dict[str, Any] = {
        "keys": PhoneKeys(b"k" * 32), "title": "Storm", "contact": "help@example.org", "per_day": 20,
        "domain": "here.example", "language": "en", "registration": "open", "max_characters": 500,
        "delete_window_ms": 600_000, "trusts": {"open": "aggregator", "own": "device"},
        "nonces": Quota("sms.nonce", 2, 43_200), "nonces_of_strangers": Quota("sms.nonce.strangers", 1, 86_400),
        "joins": Quota("sms.join", 4, 21_600),
        "status": lambda language: "up", "slot": lambda text: zlib.crc32(text.encode()) % 1000,
        "zone_of": lambda number: "UTC", "prefix_of": lambda number: number[:4], "draw_code": lambda: "482913",
    }  # fmt: skip
    return PhoneContext(**(values | changes))


def test_numbers_of_one_country_that_join_on_a_route_with_forged_senders_are_limited(store: Store) -> None:
    context = context_of()
    followed = store.name(store.person("town"))
    keys = itertools.count(1)

    def text(number: str, words: str, route: str = "open") -> str | None:
        message = InboxMessage(
            next(keys), f"{route}:{next(keys)}", route, number, "40404", words, None, 1, False, "stored", None,
            None, None, store.now_ms,
        )  # fmt: skip
        try:
            return store.do(carry_out, message, context, store.now_ms).error
        except Refusal as refusal:
            return store.do(refused, message, context, refusal, store.now_ms).error

    assert text("+995000001", "START") is None
    assert text("+995000001", "nino") is None
    assert text("+995000002", f"FOLLOW {followed}") is None
    assert text("+995000002", "YES") is None
    assert text("+995000003", "SIGNUP lali") is None
    for words in ("START", f"FOLLOW {followed}", "SIGNUP keti"):
        assert text("+995000004", words) == "rate", words
    assert store.do(stored.counts)[0] == 3, "no row is left of a number that was refused"
    assert text("+995000004", "STOP") is None
    assert text("+995000001", "STOP") is None
    assert text("+995000001", "START") is None, "who has joined before can come back"
    assert text("+480000001", "START") is None, "another country"
    assert text("+995000005", "START", "own") is None, "another route"


def test_a_long_code_links_on_a_route_with_forged_senders_that_wrong_codes_have_locked(store: Store) -> None:
    context = context_of(
        nonces=Quota("sms.nonce", 20, 4_320), nonces_of_strangers=Quota("sms.nonce.s", 10, 8_640)
    )
    ana = store.person("ana")
    keys = itertools.count(1)

    def text(number: str, words: str) -> MessageOutcome:
        message = InboxMessage(
            next(keys), f"open:{next(keys)}", "open", number, "40404", words, None, 1, False, "stored", None,
            None, None, store.now_ms,
        )  # fmt: skip
        return store.do(carry_out, message, context, store.now_ms)

    for sender in range(40):
        text(f"+99500{sender:04}", "GO 111111")
    code = store.do(
        phones.new_code, account_id=ana, keys=context.keys, draw=1234567890, digits=10, now_ms=store.now_ms
    )
    number = "+995111111"
    assert text(number, "GO 111111").error == "locked"
    outcome = text(number, f"GO {code}")
    assert (outcome.error, outcome.replies[0].kind) == (None, "nonce")
    texted = re.search(r"\d{10}", outcome.replies[0].text)
    assert texted is not None
    assert text(number, f"GO {texted[0]}").replies[0].kind == "linked"

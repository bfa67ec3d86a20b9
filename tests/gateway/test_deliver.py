"""Which posts become texts to a phone, when, and as which text. On both databases; the time is an argument."""

from __future__ import annotations

from pathlib import Path

from stormpetrel.gateway.deliver import PhoneText, Room, choose, digest_expired
from stormpetrel.model.phone import Phone, PhoneKeys
from stormpetrel.rules import phones, posts, relationships
from stormpetrel.rules.notifications import notify_post_subscribers
from stormpetrel.rules.phones import PhoneChange
from stormpetrel.storage import phone_queue
from stormpetrel.storage.sms_spool import outbox
from stormpetrel.storage.sms_spool.file import open_spool
from tests.store import Store

KEYS = PhoneKeys(b"k" * 32)
HOUR_MS = 3_600_000
EXPIRES_MS = 6 * HOUR_MS
MUCH = Room(100, digest=True)


def linked(store: Store, account_id: int, **change: object) -> Phone:
    phone = store.do(
        phones.link, account_id=account_id, number="+995599123456", route="drop", keys=KEYS, zone="UTC",
        language="en", now_ms=store.now_ms,
    )  # fmt: skip
    wanted = PhoneChange(**change)  # type: ignore[arg-type]  # names of settings
    return store.do(phones.change, phone=phone, wanted=wanted, keys=KEYS, now_ms=store.now_ms)


def mention(store: Store, reader: int, author: int, text: str) -> int:
    return store.post(author, f"@{store.name(reader)} {text}")


def texts(store: Store, phone: Phone, room: Room = MUCH) -> list[PhoneText]:
    return store.do(choose, phone.id, room, EXPIRES_MS, store.now_ms)


def finish(store: Store, made: list[PhoneText]) -> None:
    store.do(phone_queue.drop, delivery_ids=[one for text in made for one in text.delivery_ids])


def test_a_killed_process_makes_the_same_texts_again(store: Store) -> None:
    reader, author = store.person("reader"), store.person("author")
    phone = linked(store, reader)
    mention(store, reader, author, "one")
    mention(store, reader, author, "two")
    first = texts(store, phone)
    assert [text.text[-2:] for text in first] == ["#1", "#2"]
    assert texts(store, phone) == first
    finish(store, first)
    assert texts(store, phone) == []


def test_quiet_hours_hold_everything_and_end_with_one_digest(store: Store) -> None:
    reader, author = store.person("reader"), store.person("author")
    # The store's time is 14:13 UTC.
    phone = linked(store, reader, quiet="13-16")
    for text in ("one", "two", "three"):
        mention(store, reader, author, text)
    assert texts(store, phone) == []
    store.now_ms += 3 * HOUR_MS
    (digest,) = texts(store, phone)
    assert (digest.kind, len(digest.delivery_ids)) == ("digest", 3)
    assert all(word in digest.text for word in ("one", "two", "three"))
    assert texts(store, phone) == [digest], "a killed process makes the same digest again"
    mention(store, reader, author, "four")
    again = texts(store, phone)[0]
    assert (again.key, again.text, again.delivery_ids) == (digest.key, digest.text, digest.delivery_ids)


def test_one_post_that_waited_through_the_night_comes_as_itself(store: Store) -> None:
    reader, author = store.person("reader"), store.person("author")
    phone = linked(store, reader, quiet="13-16")
    mention(store, reader, author, "good night")
    assert texts(store, phone) == []
    store.now_ms += 2 * HOUR_MS
    assert [text.kind for text in texts(store, phone)] == ["mention"]


def test_posts_over_the_limit_wait_and_come_as_one_digest(store: Store) -> None:
    reader, author = store.person("reader"), store.person("author")
    phone = linked(store, reader)
    for number in range(5):
        mention(store, reader, author, f"word{number}")
    made = texts(store, phone, Room(2, digest=True))
    assert [text.kind for text in made] == ["mention", "mention"]
    finish(store, made)
    assert texts(store, phone) == []
    store.now_ms += HOUR_MS
    assert texts(store, phone, Room(0, digest=False)) == []
    store.now_ms += HOUR_MS
    (digest,) = texts(store, phone)
    assert (digest.kind, len(digest.delivery_ids)) == ("digest", 3)


def test_the_daily_digest_takes_posts_and_lets_mentions_through(store: Store) -> None:
    reader, author = store.person("reader"), store.person("author")
    phone = linked(store, reader, digest="18:00")
    store.do(
        relationships.follow, follower_id=reader, followed_id=author, show_boosts=None, notify=True,
        now_ms=store.now_ms,
    )  # fmt: skip
    for text in ("morning", "noon"):
        post_id = store.post(author, text)
        store.do(notify_post_subscribers, post_id=post_id, now_ms=store.now_ms)
    mention(store, reader, author, "now")
    made = texts(store, phone)
    assert [text.kind for text in made] == ["mention"]
    finish(store, made)
    store.now_ms += 4 * HOUR_MS
    (digest,) = texts(store, phone)
    assert digest.kind == "digest"
    assert "morning" in digest.text
    assert "noon" in digest.text


def test_a_post_that_is_six_hours_old_joins_a_digest(store: Store) -> None:
    reader, author = store.person("reader"), store.person("author")
    phone = linked(store, reader)
    mention(store, reader, author, "from the outage")
    store.now_ms += EXPIRES_MS + 1
    mention(store, reader, author, "fresh")
    assert [text.kind for text in texts(store, phone)] == ["digest", "mention"]


def test_a_post_that_was_deleted_or_hidden_from_the_reader_is_not_texted(store: Store) -> None:
    reader, author, other = store.person("reader"), store.person("author"), store.person("other")
    phone = linked(store, reader)
    gone = mention(store, reader, author, "gone")
    mention(store, reader, other, "blocked")
    mention(store, reader, author, "stays")
    store.do(posts.delete_post, author_id=author, post_id=gone, now_ms=store.now_ms)
    store.do(relationships.block, account_id=reader, target_id=other, now_ms=store.now_ms)
    made = texts(store, phone)
    assert len(made) == 1
    assert "stays" in made[0].text
    finish(store, made)
    assert phone_queue.waiting(store.connection, phone_id=phone.id) == 0


def test_texts_that_expired_at_the_carrier_become_one_digest_per_number(tmp_path: Path) -> None:
    expired = [
        (1, "+15551234567", "@ana: water is back #4", "delivery"),
        (2, "+15551234567", "@ben: a long story… MORE 5 #5", "delivery"),
        (3, "+15551234567", "You follow @ana.", "done"),
        (4, "+15551230000", "DM @ana: psst #1", "dm"),
    ]
    with open_spool(tmp_path) as spool:
        with spool.transaction() as db:
            assert digest_expired(db, expired, "drop", 1_790_000_000_000) == 2
        found = outbox.queued(spool.raw, route="drop", now_ms=1_790_000_000_000, count=10)
    assert [(message.number, message.kind, message.lane) for message in found] == [
        ("+15551234567", "digest", 4),
        ("+15551230000", "digest", 4),
    ]
    assert found[0].text.splitlines() == ["@ben: a long story... #5", "@ana: water is back #4"]

"""Texts to send in the spool: lanes, units, receipts in any order, and what a kill leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stormpetrel.storage.sms_spool import money, outbox, state
from stormpetrel.storage.sms_spool.file import SpoolDb, SpoolFile
from stormpetrel.storage.sms_spool.money import Caps
from stormpetrel.storage.sms_spool.outbox import OutboxMessage, OutboxUnit

NO_CAPS = Caps(0, 0, 0, 0.1)
NOW = 1_790_000_000_000
NUMBER = "+995599123456"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SpoolDb]:
    spool = SpoolFile(tmp_path)
    yield spool.raw
    spool.close()


def put(
    db: SpoolDb, key: str = "a", *, lane: int = 2, number: str = NUMBER, kind: str = "done"
) -> int | None:
    return outbox.put(
        db, key=key, route="drop", number=number, text=f"text {key}", kind=kind, lane=lane, segments=1,
        now_ms=NOW, expires_ms=NOW + 1000,
    )  # fmt: skip


def queued(db: SpoolDb, now_ms: int = NOW) -> list[OutboxMessage]:
    return outbox.queued(db, route="drop", now_ms=now_ms, count=100)


def begun(db: SpoolDb, parts: int = 1, wants: list[bool] | None = None) -> list[OutboxUnit]:
    return outbox.begin(db, message=queued(db)[0], wants=wants or [True] * parts, now_ms=NOW)


def accept(db: SpoolDb, unit: OutboxUnit, carrier_id: str, price: int | None = None) -> None:
    outbox.accepted(db, unit=unit, carrier_id=carrier_id, price=price, now_ms=NOW)


def receive(db: SpoolDb, carrier_id: str, state_word: str = "delivered") -> int | None:
    return outbox.receipt(
        db, route="drop", carrier_id=carrier_id, unit=None, state=state_word, error="", now_ms=NOW
    )


def state_of(db: SpoolDb, message_id: int = 1) -> str:
    return str(db.execute("SELECT state FROM outbox WHERE id = ?", (message_id,)).fetchone()[0])


def test_a_key_is_queued_once(db: SpoolDb) -> None:
    assert put(db) == 1
    assert put(db) is None
    assert len(queued(db)) == 1


def test_texts_leave_by_lane_and_then_by_age(db: SpoolDb) -> None:
    for key, lane in (("digest", 4), ("post", 3), ("answer", 2), ("stop", 1), ("post2", 3)):
        put(db, key, lane=lane)
    assert [message.text for message in queued(db)] == [
        f"text {key}" for key in ("stop", "answer", "post", "post2", "digest")
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_message_is_delivered_when_every_part_is(db: SpoolDb, order: tuple[int, ...]) -> None:
    put(db)
    units = begun(db, parts=3)
    for unit in units:
        accept(db, unit, f"c{unit.number}")
    assert state_of(db) == "sent"
    for place in order[:2]:
        receive(db, f"c{units[place].number}")
    assert state_of(db) == "sent"
    receive(db, f"c{units[order[2]].number}")
    assert state_of(db) == "delivered"


@pytest.mark.parametrize("wants", [[True, False], [False, True]])
def test_receipts_for_the_first_or_the_last_part_suffice(db: SpoolDb, wants: list[bool]) -> None:
    put(db)
    for unit in begun(db, wants=wants):
        accept(db, unit, f"c{unit.number}")
    receive(db, f"c{wants.index(True) + 1}")
    assert state_of(db) == "delivered"


def test_a_receipt_that_comes_before_the_response_counts(db: SpoolDb) -> None:
    put(db)
    (unit,) = begun(db)
    assert receive(db, "c1") is None
    accept(db, unit, "c1")
    assert state_of(db) == "delivered"


def test_one_failed_part_fails_the_message(db: SpoolDb) -> None:
    put(db)
    first, second = begun(db, parts=2)
    accept(db, first, "c1")
    accept(db, second, "c2")
    receive(db, "c1")
    receive(db, "c2", "failed")
    assert state_of(db) == "failed"
    receive(db, "c2", "delivered")
    assert state_of(db) == "failed"


def test_only_unsent_parts_are_sent_again_after_a_kill(db: SpoolDb) -> None:
    put(db)
    first, _second = begun(db, parts=2)
    accept(db, first, "c1")
    assert outbox.resume(db, now_ms=NOW) == 1
    assert [unit.number for unit in begun(db, parts=2)] == [2]


def test_throttled_units_wait_and_count_no_attempt(db: SpoolDb) -> None:
    put(db)
    (unit,) = begun(db)
    for _ in range(30):
        outbox.put_back(db, unit=unit, due_ms=NOW + 500, counts=False, error="", now_ms=NOW)
        assert queued(db) == []
        (message,) = queued(db, NOW + 500)
        assert message.attempts == 0
        (unit,) = outbox.begin(db, message=message, wants=[True], now_ms=NOW)


def test_a_text_is_given_up_after_twelve_attempts(db: SpoolDb) -> None:
    put(db)
    (unit,) = begun(db)
    for attempt in range(1, 13):
        is_again = outbox.put_back(db, unit=unit, due_ms=NOW, counts=True, error="no answer", now_ms=NOW)
        assert is_again == (attempt < 12)
        if is_again:
            (unit,) = begun(db)
    assert state_of(db) == "failed"
    assert outbox.replay(db, message_id=1, now_ms=NOW, expires_after_ms=1000)
    assert len(begun(db)) == 1


def test_old_texts_expire_except_those_of_lane_1(db: SpoolDb) -> None:
    put(db, "stop", lane=1)
    put(db, "post", lane=3, kind="delivery")
    assert outbox.expire(db, route="drop", now_ms=NOW + 999) == []
    assert outbox.expire(db, route="drop", now_ms=NOW + 1000) == [(2, NUMBER, "text post", "delivery")]
    assert [message.text for message in queued(db)] == ["text stop"]


def test_stop_drops_what_waits_for_the_number_only(db: SpoolDb) -> None:
    put(db, "confirmation", lane=1)
    put(db, "post", lane=3)
    put(db, "other", lane=3, number="+15551234567")
    assert outbox.stop(db, number=NUMBER, now_ms=NOW) == 1
    assert [message.text for message in queued(db)] == ["text confirmation", "text other"]


def test_texts_on_a_route_that_is_gone_leave_by_another_one(db: SpoolDb) -> None:
    put(db, "whole")
    (message,) = queued(db)
    assert outbox.reserve(db, message=message, price=50, prefix="+995", caps=NO_CAPS, now_ms=NOW)
    (unit,) = begun(db)
    outbox.put_back(db, unit=unit, due_ms=NOW + 60_000, counts=True, error="down", now_ms=NOW)
    put(db, "half")
    first, second = begun(db, 2)
    accept(db, first, "c1")
    outbox.put_back(db, unit=second, due_ms=NOW, counts=True, error="down", now_ms=NOW)
    put(db, "fresh", lane=3)
    assert outbox.reroute(db, routes=("drop",), to="drop", now_ms=NOW) == 0
    assert outbox.reroute(db, routes=("other",), to="other", now_ms=NOW) == 3
    assert queued(db) == []
    waiting = outbox.queued(db, route="other", now_ms=NOW, count=10)
    assert [(one.text, one.day) for one in waiting] == [("text whole", ""), ("text fresh", "")]
    assert state_of(db, 2) == "failed"
    assert money.of_day(db, day=money.day_of(NOW)) == (0, 0)
    (unit,) = outbox.begin(db, message=waiting[0], wants=[True], now_ms=NOW)
    assert db.execute("SELECT route FROM units WHERE id = ?", (unit.id,)).fetchone() == ("other",)


@pytest.mark.parametrize("queued_again", ["put back", "resumed", "replayed"])
def test_a_text_from_before_stop_is_not_sent_after_it(db: SpoolDb, queued_again: str) -> None:
    put(db, lane=3)
    (unit,) = begun(db)
    if queued_again == "replayed":
        outbox.failed(db, unit=unit, error="down", now_ms=NOW)
    outbox.stop(db, number=NUMBER, now_ms=NOW + 1)
    if queued_again == "put back":
        outbox.put_back(db, unit=unit, due_ms=NOW, counts=True, error="down", now_ms=NOW + 2)
    elif queued_again == "resumed":
        outbox.resume(db, now_ms=NOW + 2)
    else:
        assert not outbox.replay(db, message_id=1, now_ms=NOW + 2, expires_after_ms=1000)
    assert queued(db, NOW + 2) == []
    assert state_of(db) == "dropped"


def test_stop_gives_the_reserved_money_back(db: SpoolDb) -> None:
    put(db, lane=3)
    (message,) = queued(db)
    assert outbox.reserve(db, message=message, price=50, prefix="+995", caps=NO_CAPS, now_ms=NOW)
    (unit,) = begun(db)
    outbox.put_back(db, unit=unit, due_ms=NOW, counts=True, error="down", now_ms=NOW)
    outbox.stop(db, number=NUMBER, now_ms=NOW)
    assert money.of_day(db, day=money.day_of(NOW)) == (0, 0)


def test_spending_stays_within_each_limit_to_the_last_millionth(db: SpoolDb) -> None:
    caps = Caps(day=100, month=1000, user_day=30, reserve=0.1)
    for place in range(40):
        put(db, f"m{place}", number=f"+1555123{place % 4:04}")
    taken = [
        message.id
        for message in queued(db)
        if outbox.reserve(db, message=message, price=7, prefix="+1", caps=caps, now_ms=NOW)
    ]
    # 90 of 100 are for lanes 2 to 4; 27 of 30 for each number.
    assert sum(money.of_day(db, day=money.day_of(NOW))) == 7 * len(taken) == 84
    put(db, "stop", lane=1, number="+15551239999")
    urgent = queued(db)[0]
    assert outbox.reserve(db, message=urgent, price=10, prefix="+1", caps=caps, now_ms=NOW)
    assert not outbox.reserve(db, message=queued(db)[-1], price=7, prefix="+1", caps=caps, now_ms=NOW)


def test_money_is_settled_with_the_carriers_price_and_given_back_after_a_refusal(db: SpoolDb) -> None:
    day = money.day_of(NOW)
    for key, carrier_price, spent in (("a", 30, 30), ("b", None, 90), ("c", 0, 90)):
        put(db, key)
        (message,) = queued(db)
        assert outbox.reserve(db, message=message, price=60, prefix="+995", caps=NO_CAPS, now_ms=NOW)
        assert money.of_day(db, day=day)[1] == 60
        (unit,) = outbox.begin(db, message=message, wants=[True], now_ms=NOW)
        if key == "c":
            outbox.failed(db, unit=unit, error="no such number", now_ms=NOW)
        else:
            accept(db, unit, f"c{key}", carrier_price)
        assert money.of_day(db, day=day) == (spent, 0)
    assert money.top(db, day=day, kind="p", count=5) == [("+995", 90)]


def test_numbers_without_an_account_use_their_part_of_the_limits_only(db: SpoolDb) -> None:
    caps = Caps(day=100, month=1000, user_day=0, reserve=0.1, strangers=0.25)

    def is_sent(key: str, *, is_stranger: bool, lane: int = 2, kind: str = "done") -> bool:
        put(db, key, lane=lane, number=f"+9955{key}", kind=kind)
        message = next(one for one in queued(db) if one.text == f"text {key}")
        return outbox.reserve(
            db, message=message, price=10, prefix="+995", caps=caps, now_ms=NOW, is_stranger=is_stranger
        )

    # Also in lane 1, where anyone gets an answer to HELP; but not for texts of the operator.
    assert [is_sent(f"s{place}", is_stranger=True, lane=1) for place in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    assert is_sent("operator", is_stranger=True, kind="sent")
    assert [is_sent(f"m{place}", is_stranger=False) for place in range(7)] == [True] * 6 + [False]


def test_strangers_of_one_prefix_leave_answers_to_those_of_others(db: SpoolDb) -> None:
    caps = Caps(day=160, month=1000, user_day=0, reserve=0.0, strangers=0.25, prefix=0.5)

    def is_sent(key: str, prefix: str) -> bool:
        put(db, key, lane=1, number=f"{prefix}{key}")
        message = next(one for one in queued(db) if one.text == f"text {key}")
        return outbox.reserve(
            db, message=message, price=10, prefix=prefix, caps=caps, now_ms=NOW, is_stranger=True
        )

    assert [is_sent(f"f{place}", "+99559") for place in range(4)] == [True, True, False, False]
    assert [is_sent(f"o{place}", "+48") for place in range(3)] == [True, True, False]
    assert money.top(db, day=money.day_of(NOW), kind="p", count=5) == [("+48", 20), ("+99559", 20)]


def test_the_share_of_each_part_adds_up(db: SpoolDb) -> None:
    put(db)
    (message,) = queued(db)
    outbox.reserve(db, message=message, price=100, prefix="+995", caps=NO_CAPS, now_ms=NOW)
    for unit in begun(db, parts=3):
        accept(db, unit, f"c{unit.number}")
    assert money.of_day(db, day=money.day_of(NOW)) == (100, 0)


def test_deliveries_are_counted_by_hour_and_day(db: SpoolDb) -> None:
    put(db, "d1", kind="delivery")
    put(db, "d2", kind="digest")
    put(db, "answer", kind="done")
    assert outbox.deliveries(db, number=NUMBER, now_ms=NOW + 1) == (2, 2, 1)
    assert outbox.deliveries(db, number=NUMBER, now_ms=NOW + 3_600_001) == (0, 2, 1)
    assert outbox.deliveries(db, number=NUMBER, now_ms=NOW + 86_400_001) == (0, 0, 0)


def test_the_log_shows_texts_with_their_words(db: SpoolDb) -> None:
    put(db)
    (unit,) = begun(db)
    accept(db, unit, "c1", 7_900)
    ((_, _, record),) = state.log(db, direction="out", number=NUMBER, since_ms=0, limit=10)
    assert record == {
        "id": "o1",
        "direction": "out",
        "route": "drop",
        "number": NUMBER,
        "text": "text a",
        "state": "sent",
        "kind": "done",
        "lane": 2,
        "segments": 1,
        "attempts": 1,
        "price": "0.0079",
        "carrier_id": "c1",
    }


def test_texts_are_deleted_after_thirty_days_but_not_those_that_wait(db: SpoolDb) -> None:
    put(db, "a")
    (unit,) = begun(db)
    accept(db, unit, "c1")
    put(db, "b")
    assert state.tidy(db, now_ms=NOW + 29 * 86_400_000) == 0
    assert state.tidy(db, now_ms=NOW + 31 * 86_400_000) == 1
    assert [message.text for message in queued(db)] == ["text b"]
    assert db.execute("SELECT count(*) FROM units").fetchone()[0] == 0


def test_a_queue_that_is_too_long_sheds_digests_then_posts_and_never_personal_texts(db: SpoolDb) -> None:
    for key, lane in (("p1", 3), ("d1", 4), ("dm", 2), ("p2", 3), ("stop", 1), ("d2", 4), ("p3", 3)):
        put(db, key, lane=lane)

    def left() -> list[str]:
        return [message.text.removeprefix("text ") for message in queued(db)]

    assert outbox.shed(db, route="drop", most=7, now_ms=NOW) == 0
    assert outbox.shed(db, route="drop", most=6, now_ms=NOW) == 1
    assert left() == ["stop", "dm", "p1", "p2", "p3", "d2"]
    assert outbox.shed(db, route="drop", most=4, now_ms=NOW) == 2
    assert left() == ["stop", "dm", "p2", "p3"]
    assert outbox.shed(db, route="drop", most=0, now_ms=NOW) == 2
    assert outbox.shed(db, route="drop", most=0, now_ms=NOW) == 0
    assert left() == ["stop", "dm"]
    assert state_of(db, 2) == "dropped"


@pytest.mark.parametrize("word", ["delivered", "failed"])
def test_a_text_whose_receipt_comes_before_the_carriers_answer_is_paid_for(db: SpoolDb, word: str) -> None:
    put(db)
    (message,) = queued(db)
    assert outbox.reserve(db, message=message, price=50_000, prefix="+995", caps=NO_CAPS, now_ms=NOW)
    (unit,) = begun(db)
    outbox.receipt(
        db, route="drop", carrier_id="", unit=(message.id, 1), state=word, error="", now_ms=NOW
    )  # fmt: skip
    accept(db, unit, "o1")
    assert money.of_day(db, day=money.day_of(NOW)) == (50_000, 0)


def test_a_text_whose_segments_are_reported_one_by_one_is_delivered_with_the_last(db: SpoolDb) -> None:
    message_id = outbox.put(
        db, key="long", route="drop", number=NUMBER, text="long", kind="done", lane=2, segments=2, now_ms=NOW,
        expires_ms=NOW + 1000,
    )  # fmt: skip
    (unit,) = begun(db)
    accept(db, unit, "")

    def report(event: str) -> str:
        found = outbox.receipt(
            db, route="drop", carrier_id="", unit=(unit.message_id, 1), state="delivered", error="", now_ms=NOW,
            part_report=event,
        )  # fmt: skip
        assert found == message_id
        return state_of(db)

    assert [report("e1"), report("e1"), report("e2")] == ["sent", "sent", "delivered"]


def test_long_texts_to_one_number_have_references_in_a_row(db: SpoolDb) -> None:
    references = []
    for place in range(300):
        # Texts to others lie between them, so their ids differ by 256 and more.
        for other in range(1 if place else 255):
            put(db, f"other{place}-{other}", number="+995599000002")
        put(db, f"long{place}")
        message = next(
            one for one in outbox.queued(db, route="drop", now_ms=NOW, count=1000) if one.number == NUMBER
        )
        references.append(outbox.reference(db, message=message))
        assert outbox.reference(db, message=message) == references[-1], "the same when a part is sent again"
        db.execute("UPDATE outbox SET state = 'sent'")
    assert references == list(range(1, 301))

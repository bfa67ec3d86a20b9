"""Linking, PINs and stopping of phones, on both databases."""

from __future__ import annotations

import pytest

from stormpetrel.errors import Invalid
from stormpetrel.model.phone import LONG_CODE_DIGITS, PIN_LOCK_MS, SILENT_MS, Phone, PhoneKeys
from stormpetrel.rules import phones
from stormpetrel.rules.phones import PhoneChange
from stormpetrel.storage import phone_queue
from stormpetrel.storage import phones as stored
from tests.store import Store

KEYS = PhoneKeys(b"k" * 32)
NUMBER = "+995599123456"


def linked(store: Store, account_id: int, number: str = NUMBER, pin: str | None = None) -> Phone:
    return store.do(
        phones.link, account_id=account_id, number=number, route="drop", keys=KEYS, zone="UTC", language="en",
        now_ms=store.now_ms, pin=pin,
    )  # fmt: skip


def test_a_phone_is_found_by_number_and_by_account(store: Store) -> None:
    ana = store.person("ana")
    phone = linked(store, ana)
    assert store.do(phones.phone_with, number=NUMBER, keys=KEYS) == store.do(phones.phone_of, account_id=ana)
    assert KEYS.open(phone.sealed_number) == NUMBER


def test_a_number_has_one_account_and_an_account_one_number(store: Store) -> None:
    ana, ben = store.person("ana"), store.person("ben")
    linked(store, ana, pin="1234")
    linked(store, ben)
    assert store.do(phones.phone_of, account_id=ana) is None
    phone = store.do(phones.phone_of, account_id=ben)
    assert phone is not None
    assert phone.pin_hash is None, "the PIN of the former owner is gone"
    linked(store, ben, "+15551234567")
    assert store.do(phones.phone_with, number=NUMBER, keys=KEYS) is None


def test_linking_again_keeps_the_settings(store: Store) -> None:
    ana = store.person("ana")
    phone = linked(store, ana)
    store.do(phones.change, phone=phone, wanted=PhoneChange(quiet="22-7"), keys=KEYS, now_ms=store.now_ms)
    assert linked(store, ana).quiet == "22-7"


def test_a_code_is_used_once_within_ten_minutes(store: Store) -> None:
    ana = store.person("ana")
    code = store.do(phones.new_code, account_id=ana, keys=KEYS, draw=7, now_ms=store.now_ms)
    assert code == "000007"
    use = {"keys": KEYS, "route_slot": 1, "number_slot": 2}
    found = store.do(phones.account_of_code, code=code, now_ms=store.now_ms, **use)
    assert found.account is not None
    assert found.account.id == ana
    assert store.do(phones.account_of_code, code=code, now_ms=store.now_ms, **use).error == "code-wrong"
    code = store.do(phones.new_code, account_id=ana, keys=KEYS, draw=7, now_ms=store.now_ms)
    late_ms = store.now_ms + 600_001
    assert store.do(phones.account_of_code, code=code, now_ms=late_ms, **use).error == "code-wrong"


def test_two_accounts_never_wait_for_the_same_code(store: Store) -> None:
    first = store.do(phones.new_code, account_id=store.person(), keys=KEYS, draw=7, now_ms=store.now_ms)
    second = store.do(phones.new_code, account_id=store.person(), keys=KEYS, draw=7, now_ms=store.now_ms)
    assert first != second


def test_wrong_codes_lock_a_number_and_then_the_route(store: Store) -> None:
    def try_one(number_slot: int) -> str:
        return store.do(
            phones.account_of_code, code="999999", keys=KEYS, route_slot=1, number_slot=number_slot,
            now_ms=store.now_ms,
        ).error  # fmt: skip

    assert [try_one(1) for _ in range(6)] == ["code-wrong"] * 5 + ["locked"]
    # 30 for the route: each number has 5, and locked ones count too.
    assert [try_one(100 + place) for place in range(30)].count("locked") >= 5


def test_a_long_code_links_while_strangers_send_wrong_ones(store: Store) -> None:
    ana = store.person("ana")
    use = {"keys": KEYS, "route_slot": 21, "number_slot": 22}
    for number_slot in range(30, 60):
        store.do(
            phones.account_of_code, code="999999", now_ms=store.now_ms, **use | {"number_slot": number_slot}
        )
    for _ in range(6):
        store.do(phones.account_of_code, code="999999", now_ms=store.now_ms, **use)
    short = store.do(phones.new_code, account_id=ana, keys=KEYS, draw=7, now_ms=store.now_ms)
    assert store.do(phones.account_of_code, code=short, now_ms=store.now_ms, **use).error == "locked"
    code = store.do(
        phones.new_code,
        account_id=ana,
        keys=KEYS,
        draw=1234567890,
        digits=LONG_CODE_DIGITS,
        now_ms=store.now_ms,
    )
    assert code == "1234567890"
    assert (
        store.do(phones.account_of_code, code="0987654321", now_ms=store.now_ms, **use).error == "code-wrong"
    )
    found = store.do(phones.account_of_code, code=code, now_ms=store.now_ms, **use).account
    assert found is not None
    assert found.id == ana
    texted = {"nonce": ("1122334455", ana), **use}
    assert (
        store.do(phones.account_of_code, code="1122334455", now_ms=store.now_ms, **texted).account is not None
    )


def test_guesses_of_a_code_that_was_texted_are_limited_too(store: Store) -> None:
    ana = store.person("ana")
    use = {"keys": KEYS, "route_slot": 11, "number_slot": 12, "nonce": ("000042", ana)}
    for guess in range(5):
        wrong = store.do(phones.account_of_code, code=f"99999{guess}", now_ms=store.now_ms, **use)
        assert wrong.error == "code-wrong"
    assert store.do(phones.account_of_code, code="000042", now_ms=store.now_ms, **use).error == "locked"
    later_ms = store.now_ms + 3_600_000
    found = store.do(phones.account_of_code, code="000042", now_ms=later_ms, **use).account
    assert found is not None
    assert found.id == ana


def test_a_pin_is_needed_on_the_route_of_an_aggregator(store: Store) -> None:
    phone = linked(store, store.person(), pin="1234")

    def check(pin: str | None, trust: str = "aggregator", later_ms: int = 0) -> str:
        current = store.do(phones.phone_with, number=NUMBER, keys=KEYS)
        proof = None if pin is None else KEYS.pin_hash(NUMBER, pin)
        return store.do(
            phones.check_pin, phone=current, proof=proof, trust=trust, now_ms=store.now_ms + later_ms
        )[1]

    assert check("1234") == ""
    assert check(None) == "pin-needed"
    assert check(None, trust="device") == ""
    assert check(None, trust="device", later_ms=SILENT_MS + 1) == "pin-needed"
    assert [check("0000") for _ in range(5)] == ["pin-wrong"] * 4 + ["pin-locked"]
    assert check("1234") == "pin-locked"
    assert check("1234", later_ms=PIN_LOCK_MS) == ""
    assert phone.pin_hash is not None
    assert b"1234" not in phone.pin_hash


def test_without_a_pin_an_aggregators_route_does_not_post(store: Store) -> None:
    phone = linked(store, store.person())
    assert (
        store.do(phones.check_pin, phone=phone, proof=KEYS.pin_hash(NUMBER, "1234"), trust="aggregator",
                 now_ms=store.now_ms)[1] == "pin-needed"
    )  # fmt: skip


def test_stop_drops_what_waits_and_start_allows_again(store: Store) -> None:
    reader, author = store.person("reader"), store.person("author")
    phone = linked(store, reader)
    store.post(author, f"hello @{store.name(reader)}")
    assert phone_queue.waiting(store.connection, phone_id=phone.id) == 1
    stopped = store.do(phones.stop, phone=phone, now_ms=store.now_ms)
    assert phone_queue.waiting(store.connection, phone_id=phone.id) == 0
    store.post(author, f"again @{store.name(reader)}")
    assert phone_queue.waiting(store.connection, phone_id=phone.id) == 0
    store.do(phones.start, phone=stopped, now_ms=store.now_ms)
    store.post(author, f"back @{store.name(reader)}")
    assert phone_queue.waiting(store.connection, phone_id=phone.id) == 1


def test_an_operator_cannot_undo_stop_by_linking(store: Store) -> None:
    ana = store.person("ana")
    store.do(phones.stop, phone=linked(store, ana), now_ms=store.now_ms)
    phone = store.do(
        phones.link, account_id=store.person("ben"), number=NUMBER, route="drop", keys=KEYS, zone="UTC",
        language="en", now_ms=store.now_ms, by_operator=True,
    )  # fmt: skip
    assert phone.stopped
    assert not linked(store, ana).stopped


def test_a_direct_message_waits_as_one(store: Store) -> None:
    from stormpetrel.model.post import Visibility

    reader, author = store.person("reader"), store.person("author")
    phone = linked(store, reader)
    store.post(author, f"@{store.name(reader)} psst", visibility=Visibility.DIRECT)
    due = phone_queue.due_of(store.connection, phone_id=phone.id, now_ms=store.now_ms, count=10)
    assert [one.kind for one in due] == ["dm"]


def test_settings_that_are_wrong_are_named(store: Store) -> None:
    phone = linked(store, store.person())
    wanted = PhoneChange(quiet="x", digest="y", zone="z", segments=9, pin="1")
    with pytest.raises(Invalid) as refused:
        store.do(phones.change, phone=phone, wanted=wanted, keys=KEYS, now_ms=store.now_ms)
    assert set(refused.value.fields) == {"quiet", "digest", "zone", "segments", "pin"}


def test_changes_are_found_in_their_order(store: Store) -> None:
    first, second = (
        linked(store, store.person(), "+15551234501"),
        linked(store, store.person(), "+15551234502"),
    )
    store.now_ms += 10
    store.do(phones.lock, phone=first, now_ms=store.now_ms)
    found = stored.changed_since(store.connection, after_ms=0, after_id=0, count=10)
    assert [phone.id for phone in found] == [second.id, first.id]
    assert stored.changed_since(
        store.connection, after_ms=found[1].changed_at_ms, after_id=first.id, count=10
    ) == []  # fmt: skip


def test_an_account_that_is_deleted_takes_its_phone_along(store: Store) -> None:
    from stormpetrel.rules.deletion import delete_account

    ana = store.person("ana")
    linked(store, ana)
    store.do(delete_account, account_id=ana, now_ms=store.now_ms)
    assert store.do(phones.phone_with, number=NUMBER, keys=KEYS) is None


def test_a_number_that_has_sent_stop_stays_stopped_without_its_account(store: Store) -> None:
    from stormpetrel.rules.deletion import delete_account

    def unlink(account_id: int, phone: Phone) -> None:
        store.do(phones.unlink, phone=phone, now_ms=store.now_ms)

    def link_another(account_id: int, phone: Phone) -> None:
        linked(store, account_id, "+15551234567")

    def delete(account_id: int, phone: Phone) -> None:
        store.do(delete_account, account_id=account_id, now_ms=store.now_ms)

    for leave in (unlink, link_another, delete):
        ana = store.person("ana")
        store.do(phones.stop, phone=linked(store, ana, pin="1234"), now_ms=store.now_ms)
        leave(ana, store.do(phones.own_phone, account_id=ana))
        left = store.do(phones.phone_with, number=NUMBER, keys=KEYS)
        assert left is not None
        assert (left.stopped, left.account_id, left.pin_hash, left.posts) == (True, None, None, False)


def test_a_change_is_found_though_the_clock_was_set_back(store: Store) -> None:
    first = linked(store, store.person(), "+15551234501")
    place = (first.changed_at_ms, first.id)
    store.now_ms -= 3_600_000
    second = linked(store, store.person(), "+15551234502")
    store.do(
        phones.lock, phone=store.do(phones.phone_with, number="+15551234501", keys=KEYS), now_ms=store.now_ms
    )
    found = store.do(stored.changed_since, after_ms=place[0], after_id=place[1], count=10)
    assert [phone.id for phone in found] == [second.id, first.id]

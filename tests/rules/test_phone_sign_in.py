"""Codes that are texted to sign in, on both databases: for which phones, how often, and once."""

from __future__ import annotations

import pytest

from stormpetrel.errors import TooMany
from stormpetrel.model.account import AccountState
from stormpetrel.model.phone import SIGN_IN_MS, SIGN_IN_TRIES, SILENT_MS, Phone, PhoneKeys
from stormpetrel.model.quota import PHONE_CODE_NETWORK, PHONE_CODE_PAIR, PHONE_CODE_STRANGERS
from stormpetrel.rules import phone_sign_in, phones
from stormpetrel.rules.phone_sign_in import CodeRequester
from stormpetrel.rules.phones import PhoneChange
from stormpetrel.storage import accounts as stored_accounts
from stormpetrel.storage import phones as stored_phones
from stormpetrel.storage.engine.statement import sql
from tests.store import Store

KEYS = PhoneKeys(b"k" * 32)
NUMBER = "+995599123456"


def signed_up(store: Store, name: str = "nino", number: str = NUMBER) -> Phone:
    """Return the phone of a new account that was made by text message."""
    phone = phones.new_phone(
        store.connection,
        number=number,
        route="drop",
        keys=KEYS,
        zone="UTC",
        language="en",
        now_ms=store.now_ms,
    )
    store.do(stored_phones.put, phone)
    store.do(phones.sign_up, phone=phone, username=name, registration="open", now_ms=store.now_ms)
    return current(store, number)


def current(store: Store, number: str = NUMBER) -> Phone:
    found = store.do(phones.phone_with, number=number, keys=KEYS)
    assert found is not None
    return found


def request(store: Store, number: str = NUMBER, *, network: int = 1, device_of: int = 0) -> int:
    """Request a code; return the request's id. Each request is of another pair of number and network."""
    store.now_ms += 1
    requester = CodeRequester(network, store.now_ms % 100_000 + 1, device_of or None, device_of)
    return store.do(
        phone_sign_in.want_code,
        number_hash=KEYS.number_hash(number),
        requester=requester,
        now_ms=store.now_ms,
    )


def text_code(store: Store, code: str = "12345678") -> list[Phone]:
    """Do as the sms role: handle all requests, with the same code; return the phones that get it."""
    sent = []
    for one in phone_sign_in.waiting(store.connection, now_ms=store.now_ms, count=100):
        phone = store.do(phone_sign_in.phone_for, sign_in=one, now_ms=store.now_ms)
        if phone is not None:
            assert phone.account_id is not None
            store.do(
                phone_sign_in.put_code, sign_in_id=one.id, account_id=phone.account_id, code=code, keys=KEYS,
                now_ms=store.now_ms,
            )  # fmt: skip
            sent.append(phone)
    return sent


def use(store: Store, sign_in_id: int, code: str = "12345678", *, later_ms: int = 0) -> int | None:
    user = store.do(
        phone_sign_in.use_code, sign_in_id=sign_in_id, code=code, keys=KEYS, now_ms=store.now_ms + later_ms
    )
    return None if user is None else user.account_id


def test_a_code_signs_in_once_and_only_the_request_that_it_was_sent_for(store: Store) -> None:
    phone = signed_up(store)
    first, second = request(store), request(store)
    assert use(store, first) is None, "no code was sent yet"
    assert len(text_code(store)) == 2
    store.do(
        phone_sign_in.put_code, sign_in_id=second, account_id=phone.account_id or 0, code="87654321", keys=KEYS,
        now_ms=store.now_ms,
    )  # fmt: skip
    assert use(store, second) is None
    assert use(store, first) == phone.account_id
    assert use(store, first) is None
    assert text_code(store) == [], "each request is handled once"


def test_a_code_expires_and_has_few_tries(store: Store) -> None:
    signed_up(store)
    late, guessed = request(store), request(store)
    text_code(store)
    assert use(store, late, later_ms=SIGN_IN_MS) is None
    assert [use(store, guessed, f"9999999{guess}") for guess in range(SIGN_IN_TRIES)] == [
        None
    ] * SIGN_IN_TRIES
    assert use(store, guessed) is None, "the right code comes too late"


def test_no_code_is_stored_in_plain_text(store: Store) -> None:
    signed_up(store)
    request(store)
    text_code(store, "12345678")
    (row,) = store.connection.all(sql("SELECT * FROM phone_sign_ins"))
    assert "12345678" not in repr([bytes(one) if isinstance(one, memoryview) else one for one in row])


def test_a_phone_without_an_account_or_with_another_way_in_gets_no_code(store: Store) -> None:
    request(store, "+995599000001")
    ana = store.person("ana")
    store.do(
        phones.link, account_id=ana, number=NUMBER, route="drop", keys=KEYS, zone="UTC", language="en",
        now_ms=store.now_ms,
    )  # fmt: skip
    request(store)
    assert text_code(store) == []


def test_a_stopped_or_locked_phone_gets_no_code(store: Store) -> None:
    phone = signed_up(store)
    store.do(phones.stop, phone=phone, now_ms=store.now_ms)
    request(store)
    assert text_code(store) == []
    store.do(phones.lock, phone=store.do(phones.start, phone=phone, now_ms=store.now_ms), now_ms=store.now_ms)
    request(store)
    assert text_code(store) == []
    store.do(phones.unlock, phone=current(store), now_ms=store.now_ms)
    sign_in_id = request(store)
    assert len(text_code(store)) == 1
    store.do(phones.lock, phone=current(store), now_ms=store.now_ms)
    assert use(store, sign_in_id) is None, "LOCK came after the code was sent"


def test_a_number_with_a_pin_that_was_silent_for_long_gets_no_code(store: Store) -> None:
    phone = signed_up(store)
    store.do(phones.change, phone=phone, wanted=PhoneChange(pin="4711"), keys=KEYS, now_ms=store.now_ms)
    store.now_ms += SILENT_MS + 1
    request(store)
    assert text_code(store) == []


def test_an_account_that_is_not_active_gets_no_code(store: Store) -> None:
    phone = signed_up(store)
    assert phone.account_id is not None
    for state in (AccountState.PENDING, AccountState.SUSPENDED):
        store.do(stored_accounts.set_state, account_id=phone.account_id, state=state)
        request(store)
        assert text_code(store) == [], state


def test_requests_are_limited_by_number_and_by_network_and_known_devices_have_their_own(store: Store) -> None:
    phone = signed_up(store)
    requester = CodeRequester(network=7, pair=7)

    def want(requester: CodeRequester) -> None:
        store.do(
            phone_sign_in.want_code,
            number_hash=KEYS.number_hash(NUMBER),
            requester=requester,
            now_ms=store.now_ms,
        )

    for _ in range(PHONE_CODE_PAIR.burst):
        want(requester)
    with pytest.raises(TooMany):
        want(requester)
    for place in range(PHONE_CODE_NETWORK.burst - PHONE_CODE_PAIR.burst):
        want(CodeRequester(network=7, pair=100 + place))
    with pytest.raises(TooMany):
        want(CodeRequester(network=7, pair=99))
    assert len(text_code(store)) == PHONE_CODE_STRANGERS.burst, "more are not sent, from whichever network"
    want(CodeRequester(network=7, pair=7, device=5, device_account_id=phone.account_id or 0))
    assert len(text_code(store)) == 1

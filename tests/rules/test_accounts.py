"""Sign-up in each mode, approval, suspension, and what an owner may change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.account import (
    MAX_DISPLAY_NAME,
    MAX_NOTE,
    RESERVED_USERNAMES,
    Account,
    AccountState,
    Field,
    ProfileChange,
    Role,
)
from stormpetrel.model.event import AccessChanged, AccountChanged
from stormpetrel.model.post import Visibility
from stormpetrel.rules import accounts as rules
from stormpetrel.rules import instance, search
from stormpetrel.storage.engine.database import Database
from tests.store import Store


def sign_up(store: Store, username: str = "newcomer", **change: Any) -> Account:
    values: dict[str, Any] = {
        "username": username,
        "email": f"{username}@example.org",
        "password_hash": "-",
        "reason": "I like it here",
        "locale": "en",
        "registration": "open",
        "now_ms": store.now_ms,
    }
    return store.do(rules.sign_up, **(values | change))


def change(store: Store, account_id: int, **values: Any) -> Account:
    return store.do(
        rules.update_profile, account_id=account_id, change=ProfileChange(**values), now_ms=store.now_ms
    )


@pytest.mark.parametrize(
    ("registration", "by_operator", "state"),
    [
        ("open", False, AccountState.ACTIVE),
        ("approval", False, AccountState.PENDING),
        ("closed", False, None),
        ("open", True, AccountState.ACTIVE),
        ("approval", True, AccountState.ACTIVE),
        ("closed", True, AccountState.ACTIVE),
    ],
)
def test_who_can_sign_up(
    store: Store, registration: str, by_operator: bool, state: AccountState | None
) -> None:
    if state is None:
        with pytest.raises(Forbidden, match="Sign-ups are closed"):
            sign_up(store, registration=registration, by_operator=by_operator)
        assert rules.users(store.connection, limit=10) == []
        return
    account = sign_up(store, "NewComer", registration=registration, by_operator=by_operator)
    assert (account.username, account.state) == ("NewComer", state)
    user = rules.user(store.connection, account_id=account.id)
    assert (user.email, user.role, user.state) == ("NewComer@example.org", Role.MEMBER, state)


def test_approval_needs_a_reason_and_being_let_in(store: Store) -> None:
    with pytest.raises(Invalid) as refused:
        sign_up(store, registration="approval", reason=" \n\x00 ")
    assert refused.value.fields == {"reason": "can't be blank"}
    first = sign_up(store, "first", registration="approval", reason="x" * 5000)
    store.now_ms += 1
    second = sign_up(store, "second", registration="approval")
    assert [user.username for user in rules.pending_users(store.connection, limit=10)] == ["first", "second"]
    assert len(rules.pending_users(store.connection, limit=10)[0].sign_up_reason) == rules.MAX_REASON
    for read in (
        lambda: rules.account(store.connection, account_id=first.id),
        lambda: rules.account_named(store.connection, username="first"),
    ):
        with pytest.raises(NotFound):
            read()
    store.do(rules.approve, account_id=first.id)
    assert AccountChanged(first.id) in store.events
    assert rules.account_named(store.connection, username="FIRST").id == first.id
    store.do(rules.reject, account_id=second.id)
    assert AccessChanged(second.id) in store.events
    assert rules.pending_users(store.connection, limit=10) == []
    assert rules.user_by_login(store.connection, login="second") is None
    sign_up(store, "second")  # the name is free again
    for again in (rules.approve, rules.reject):
        with pytest.raises(Invalid, match="not waiting"):
            store.do(again, account_id=first.id)
        with pytest.raises(NotFound):
            store.do(again, account_id=12345)


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"username": ""}, {"username": "can't be blank"}),
        ({"username": "with space"}, {"username": "must contain only letters, numbers and underscores"}),
        ({"username": "ünï"}, {"username": "must contain only letters, numbers and underscores"}),
        ({"username": "trailing\n"}, {"username": "must contain only letters, numbers and underscores"}),
        ({"username": "a" * 31}, {"username": "is too long (maximum is 30 characters)"}),
        ({"username": "TAKEN"}, {"username": "has already been taken"}),
        ({"username": "Admin"}, {"username": "is reserved"}),
        ({"email": ""}, {"email": "can't be blank"}),
        ({"email": " TAKEN@example.ORG "}, {"email": "has already been taken"}),
        (
            {"username": "", "email": "nonsense"},
            {"username": "can't be blank", "email": "is not a valid e-mail address"},
        ),
        *(
            ({"email": email}, {"email": "is not a valid e-mail address"})
            for email in (
                *("plain", "@example.org", "a@", "a@b@c", "a b@example.org", "a@-example.org", "a@example..org"),
                *("a\x00@example.org", "a\x7f@example.org", "a@example.org\nBcc: b@c", '"a"@example.org'),
                *("a" * 65 + "@example.org", "a@" + "b" * 260, "a@gmail", "a@ex!ämple.org"),
            )
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_sign_up_is_said_by_field_and_nothing_is_stored(
    store: Store, wrong: dict[str, str], fields: dict[str, str]
) -> None:
    sign_up(store, "taken")
    with pytest.raises(Invalid) as refused:
        sign_up(store, **({"username": "fine", "email": "fine@example.org"} | wrong))
    assert refused.value.fields == fields
    assert refused.value.safe_text.startswith("Validation failed: ")
    assert len(rules.users(store.connection, limit=10)) == 1


def test_reserved_names_are_for_the_operator(store: Store) -> None:
    for name in sorted(RESERVED_USERNAMES):
        with pytest.raises(Invalid, match="reserved"):
            sign_up(store, name)
    assert sign_up(store, "admin", by_operator=True, role=Role.ADMIN).username == "admin"


def test_a_name_that_two_take_at_once_is_given_to_one_and_refused_to_the_other(postgresql_url: str) -> None:
    # SQLite has one writer at a time. On PostgreSQL both look before either has written.
    async def both() -> list[Any]:
        database = Database(postgresql_url)
        await database.open()
        values = {"password_hash": "-", "reason": "", "locale": "en", "registration": "open", "now_ms": 1}
        calls = [
            database.write(rules.sign_up, username="same", email=f"{number}@example.org", **values)
            for number in range(8)
        ]
        found = await asyncio.gather(*calls, return_exceptions=True)
        await database.close()
        return found

    found = asyncio.run(both())
    assert sum(isinstance(one, Account) for one in found) == 1
    refused = [one for one in found if not isinstance(one, Account)]
    assert {type(one) for one in refused} == {Invalid}
    assert {one.fields["username"] for one in refused} == {"has already been taken"}


def test_a_suspended_account_is_gone_for_others_until_it_is_back(store: Store) -> None:
    suspect = sign_up(store, "suspect")
    store.do(rules.suspend, account_id=suspect.id)
    assert {AccountChanged(suspect.id, hidden=True), AccessChanged(suspect.id)} <= set(store.events)
    with pytest.raises(NotFound):
        rules.account(store.connection, account_id=suspect.id)
    assert rules.accounts(store.connection, account_ids=[suspect.id]) == []
    assert (
        search.find_people(store.connection, reader_id=None, text="sus", limit=10, now_ms=store.now_ms) == []
    )
    assert rules.user(store.connection, account_id=suspect.id).state is AccountState.SUSPENDED
    with pytest.raises(Invalid, match="already suspended"):
        store.do(rules.suspend, account_id=suspect.id)
    with pytest.raises(NotFound):
        change(store, suspect.id, note="I am still here")
    store.do(rules.unsuspend, account_id=suspect.id)
    assert rules.account(store.connection, account_id=suspect.id).username == "suspect"
    with pytest.raises(Invalid, match="not suspended"):
        store.do(rules.unsuspend, account_id=suspect.id)
    for rule in (rules.suspend, rules.unsuspend):
        with pytest.raises(NotFound):
            store.do(rule, account_id=12345)


def test_only_an_active_admin_is_one(store: Store) -> None:
    member, admin = sign_up(store), sign_up(store, "chief", role=Role.ADMIN)
    rules.require_admin(store.connection, account_id=admin.id)
    store.do(rules.suspend, account_id=admin.id)
    for nobody in (member.id, admin.id, 12345):
        with pytest.raises(Forbidden):
            rules.require_admin(store.connection, account_id=nobody)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"display_name": "x" * (MAX_DISPLAY_NAME + 1)}, "display_name"),
        ({"note": "x" * (MAX_NOTE + 1)}, "note"),
        ({"fields": tuple(Field(str(n), "v") for n in range(5))}, "fields"),
        ({"fields": (Field("n" * 256, "v"),)}, "fields"),
        ({"fields": (Field("n", "v" * 256),)}, "fields"),
        ({"default_visibility": Visibility.DIRECT}, "default_visibility"),
        ({"default_visibility": 17}, "default_visibility"),
    ],
)
def test_a_profile_beyond_its_limits_is_refused_and_left_as_it_was(
    store: Store, values: dict[str, Any], field: str
) -> None:
    account = sign_up(store)
    with pytest.raises(Invalid) as refused:
        change(store, account.id, bot=True, **values)
    assert list(refused.value.fields) == [field]
    assert rules.account(store.connection, account_id=account.id) == account


def test_a_profile_is_cleaned_and_what_is_not_named_stays(store: Store) -> None:
    account = sign_up(store)
    changed = change(
        store,
        account.id,
        display_name="  New\ncomer\x00 ",
        note="one\r\ntwo\x07",
        fields=(Field(" site ", "https://example.org"), Field("", " "), Field("pronouns", "they")),
        default_language="PT_br",
        default_visibility=Visibility.FOLLOWERS,
        default_sensitive=True,
    )
    assert AccountChanged(account.id) in store.events
    assert (changed.display_name, changed.note) == ("New comer", "one\ntwo")
    assert changed.fields == (Field("site", "https://example.org"), Field("pronouns", "they"))
    assert (changed.default_language, changed.default_visibility) == ("pt-br", Visibility.FOLLOWERS)
    again = change(store, account.id, bot=True)
    assert (again.bot, again.note, again.fields, again.default_sensitive) == (
        True,
        changed.note,
        changed.fields,
        True,
    )
    emptied = change(store, account.id, display_name="", note="", fields=())
    assert (emptied.shown_name, emptied.note, emptied.fields) == ("newcomer", "", ())
    # A link counts as in a post.
    assert change(store, account.id, note="https://example.org/" + "x" * 2000).note.endswith("x")
    with pytest.raises(Invalid):
        change(store, account.id, note=f"https://example.org/x {'y' * 10_000}")


@pytest.mark.parametrize(
    ("language", "kept"),
    [
        ("en", "en"),
        (" DE ", "de"),
        ("pt_BR", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant-TW"),
        ("gsw", "gsw"),
        ("", ""),
    ],
)
def test_a_language_is_a_code(store: Store, language: str, kept: str) -> None:
    assert rules.clean_language(language) == kept


@pytest.mark.parametrize(
    "language", ["english", "e", "12", "en-", "en-ü", "ünï", "en\x00", "a b", "en-" + "x" * 9]
)
def test_what_is_no_language_code_is_refused(language: str) -> None:
    with pytest.raises(Invalid, match="language"):
        rules.clean_language(language)


def test_one_signs_in_by_address_or_name_in_any_case(store: Store) -> None:
    account = sign_up(store, "NewComer")
    for login in ("newcomer", "@NewComer", " NEWCOMER ", "NEWCOMER@example.org", " newcomer@EXAMPLE.org"):
        user = rules.user_by_login(store.connection, login=login)
        assert user is not None, login
        assert user.account_id == account.id
    for login in ("", "@", "nobody", "new comer", "x@example.org", "new\x00 comer", "a" * 5000):
        assert rules.user_by_login(store.connection, login=login) is None, login


def test_accounts_are_given_in_the_order_asked_for(store: Store) -> None:
    first, second, third = (sign_up(store, name).id for name in ("first", "second", "third"))
    store.do(rules.suspend, account_id=second)
    found = rules.accounts(store.connection, account_ids=[third, 12345, second, first, third])
    assert [account.id for account in found] == [third, first]


def test_the_directory_lists_who_wants_to_be_found_last_post_first(store: Store) -> None:
    shy, quiet, loud = (sign_up(store, name).id for name in ("shy", "quiet", "loud"))
    for one, wants in ((shy, False), (quiet, True), (loud, True)):
        change(store, one, discoverable=wants)
    store.post(loud)
    found = rules.directory(store.connection, limit=10)
    assert [account.id for account in found] == [loud, quiet]
    assert [account.id for account in rules.directory(store.connection, limit=10, offset=1)] == [quiet]


def test_the_contact_is_the_first_admin_who_is_there(store: Store) -> None:
    assert instance.contact(store.connection) is None
    first, second = (sign_up(store, name, role=Role.ADMIN).id for name in ("first", "second"))
    found = instance.contact(store.connection)
    assert found is not None
    assert found.id == first
    store.do(rules.suspend, account_id=first)
    found = instance.contact(store.connection)
    assert found is not None
    assert found.id == second


def test_a_profile_names_accounts_that_there_are(store: Store) -> None:
    ann, ben = sign_up(store, username="Ann").id, sign_up(store, username="BenT").id
    note = "With @bent, @BENT@here.example and @nobody; mail me@bent.example. @ben@elsewhere.example"
    found = store.do(
        rules.update_profile,
        account_id=ann,
        change=ProfileChange(note=note, fields=(Field("Boss", "@Ann"), Field("Site", "https://ann.example"))),
        now_ms=store.now_ms,
        domain="here.example",
    )
    assert set(found.named) == {"BenT", "Ann"}
    # Mentions in unchanged fields still count.
    assert change(store, ann, fields=()).named == ("BenT",)
    assert change(store, ann, note="Alone").named == ()
    assert change(store, ben, display_name="Ben").named == ()


def test_a_day_of_posts_writes_once_where_the_directory_looks(store: Store) -> None:
    ann, ben, cal = (sign_up(store, username=name).id for name in ("Ann", "Ben", "Cal"))

    def listed() -> list[int]:
        return [one.id for one in store.do(rules.directory, limit=10)]

    store.post(ann, "one")
    store.now_ms += 86_400_000
    store.post(ben, "two")
    store.post(cal, "three")
    assert listed() == [cal, ben, ann]
    store.now_ms += 86_400_000
    store.post(ann, "four")
    assert listed() == [ann, cal, ben]
    change(store, cal, discoverable=False)
    assert listed() == [ann, ben]

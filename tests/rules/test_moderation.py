"""Moderation: who may act on which accounts, the consequences, and the record of every act."""

from __future__ import annotations

import threading

import pytest

from stormpetrel.errors import Forbidden, Invalid, NotFound, TooMany
from stormpetrel.model.account import AccountState, Role
from stormpetrel.model.event import AccessChanged, AccountChanged, Notified, PostDeleted
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.moderation import COMMAND_LINE, Act, Moderator
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.post import Visibility
from stormpetrel.rules import (
    accounts,
    deletion,
    moderation,
    notifications,
    posts,
    reactions,
    reports,
    threads,
    timelines,
)
from stormpetrel.storage import accounts as stored_accounts
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.statement import ALL
from tests.community import block, boost, follow

ON_ACCOUNTS = ("warn", "silence", "suspend")
ON_POSTS = ("hide", "mark_sensitive", "delete_post")


def of_role(store, role):
    """Create an account with that role and return its id."""
    account_id = store.person(role.value)
    store.do(stored_accounts.set_role, account_id=account_id, role=role)
    return account_id


def actor(store, account_id):
    return moderation.moderator(store.connection, account_id=account_id)


def act(store, who, verb, **target_ids):
    store.do(getattr(moderation, verb), who, reason="rule 2", now_ms=store.now_ms, **target_ids)


def entries(store):
    return moderation.log(store.connection, page=Page(limit=40))


def report(store, reporter, account, *post_ids, **more):
    values = {"comment": "", "category": "", "rule_ids": ()} | more
    return store.do(
        reports.create_report,
        reporter_id=reporter,
        account_id=account,
        post_ids=post_ids,
        now_ms=store.now_ms,
        **values,
    )


# Permissions


@pytest.mark.parametrize("verb", [*ON_ACCOUNTS, *ON_POSTS])
def test_a_moderator_acts_on_members_and_an_admin_on_all_but_themselves(store, verb):
    of_role(store, Role.ADMIN)  # so that no other admin is the last one
    people = {role: of_role(store, role) for role in Role}
    others = {role: of_role(store, role) for role in Role}
    for role in (Role.MODERATOR, Role.ADMIN):
        who = actor(store, people[role])
        for target_role, target in (*others.items(), (role, people[role])):
            post_id = store.post(target)
            target_ids = {"post_id": post_id} if verb in ON_POSTS else {"account_id": target}
            before = len(entries(store))
            allowed = target != people[role] and (role is Role.ADMIN or target_role is Role.MEMBER)
            if allowed:
                act(store, who, verb, **target_ids)
                if verb in ("silence", "suspend"):
                    act(store, who, f"un{verb}", **target_ids)
            else:
                with pytest.raises(Forbidden):
                    act(store, who, verb, **target_ids)
                assert len(entries(store)) == before


def test_members_suspended_moderators_and_strangers_are_no_moderators(store):
    member = store.person()
    gone = of_role(store, Role.MODERATOR)
    act(store, COMMAND_LINE, "suspend", account_id=gone)
    for account_id in (member, gone, 12345):
        with pytest.raises(Forbidden):
            actor(store, account_id)


def test_the_last_admin_is_neither_suspended_nor_made_less_not_even_by_the_command_line(store):
    chief = of_role(store, Role.ADMIN)
    with pytest.raises(Forbidden, match="last admin"):
        act(store, COMMAND_LINE, "suspend", account_id=chief)
    with pytest.raises(Forbidden, match="last admin"):
        act(store, COMMAND_LINE, "set_role", account_id=chief, role=Role.MEMBER)
    second = of_role(store, Role.ADMIN)
    act(store, actor(store, second), "suspend", account_id=chief)


def test_only_an_admin_gives_roles_and_the_new_one_holds_at_once(store):
    chief, helper, nino = (of_role(store, role) for role in (Role.ADMIN, Role.MODERATOR, Role.MEMBER))
    with pytest.raises(Forbidden):
        act(store, actor(store, helper), "set_role", account_id=nino, role=Role.ADMIN)
    act(store, actor(store, chief), "set_role", account_id=nino, role=Role.MODERATOR)
    assert AccessChanged(nino) in store.events
    assert actor(store, nino).role is Role.MODERATOR
    with pytest.raises(Invalid, match="already"):
        act(store, actor(store, chief), "set_role", account_id=nino, role=Role.MODERATOR)


# Records and notifications


ACTS = {
    "warn": Act.WARN,
    "silence": Act.SILENCE,
    "unsilence": Act.UNSILENCE,
    "suspend": Act.SUSPEND,
    "unsuspend": Act.UNSUSPEND,
    "hide": Act.HIDE,
    "unhide": Act.UNHIDE,
    "mark_sensitive": Act.MARK_SENSITIVE,
    "delete_post": Act.DELETE_POST,
}
FIRST = {"unsilence": "silence", "unsuspend": "suspend", "unhide": "hide"}


@pytest.mark.parametrize("verb", ACTS)
def test_each_act_is_written_down_and_its_account_told_with_the_reason(store, verb):
    nino = store.person("Nino")
    name = store.name(nino)
    post_id = store.post(nino)
    on_post = verb in ("hide", "unhide", "mark_sensitive", "delete_post")
    target_ids = {"post_id": post_id} if on_post else {"account_id": nino}
    if verb in FIRST:
        act(store, COMMAND_LINE, FIRST[verb], **target_ids)
    store.do(getattr(moderation, verb), COMMAND_LINE, reason=" so it is ", now_ms=store.now_ms, **target_ids)
    entry = entries(store)[0]
    assert (entry.actor_name, entry.act, entry.account_name) == ("cli", ACTS[verb], name)
    assert (entry.reason, entry.post_id) == ("so it is", post_id if on_post else 0)
    told = notifications.notifications(
        store.connection, account_id=nino, page=Page(limit=5), kinds=[Kind.WARNING], now_ms=store.now_ms
    )
    if verb == "suspend":
        assert told == []  # the account is suspended; the notification is there when they return
        act(store, COMMAND_LINE, "unsuspend", **target_ids)
        told = notifications.notifications(
            store.connection, account_id=nino, page=Page(limit=5), kinds=[Kind.WARNING], now_ms=store.now_ms
        )[1:]
    else:
        assert Notified(nino, told[0].id) in store.events
    warning = moderation.warnings(store.connection, warning_ids=[told[0].id])[told[0].id]
    assert (warning.act, warning.reason) == (ACTS[verb], "so it is")


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 1001])
def test_without_a_reason_nothing_is_done(store, reason):
    nino = store.person()
    post_id = store.post(nino)
    for verb, target_ids in (("silence", {"account_id": nino}), ("delete_post", {"post_id": post_id})):
        with pytest.raises(Invalid, match="Reason"):
            store.do(
                getattr(moderation, verb), COMMAND_LINE, reason=reason, now_ms=store.now_ms, **target_ids
            )
    assert not accounts.account(store.connection, account_id=nino).silenced
    assert posts.posts(store.connection, post_ids=[post_id]) != []
    assert entries(store) == []


def test_no_statement_changes_or_removes_a_line_of_the_audit_log():
    texts = [statement.text for statement in ALL if "audit_log" in statement.text]
    assert texts
    assert all(text.startswith(("INSERT INTO audit_log", "SELECT ")) for text in texts)


@pytest.mark.parametrize(("verb", "again"), [("silence", "unsilence"), ("suspend", "unsuspend")])
def test_what_is_so_already_is_said(store, verb, again):
    nino = store.person()
    with pytest.raises(Invalid):
        act(store, COMMAND_LINE, again, account_id=nino)
    act(store, COMMAND_LINE, verb, account_id=nino)
    with pytest.raises(Invalid):
        act(store, COMMAND_LINE, verb, account_id=nino)
    with pytest.raises(NotFound):
        act(store, COMMAND_LINE, verb, account_id=12345)


# Visibility for others


def reads(store, reader, author, post_id):
    """Return the names of the reading paths on which the reader sees the post."""
    page, now_ms, connection = Page(limit=20), store.now_ms, store.connection
    paths = {
        "public": lambda: timelines.public(connection, reader_id=reader, page=page, now_ms=now_ms),
        "tag": lambda: timelines.tag(connection, reader_id=reader, page=page, name="petrel", now_ms=now_ms),
        "tags": lambda: timelines.tag(
            connection, reader_id=reader, page=page, name="petrel", any_of=["storm"], now_ms=now_ms
        ),
        "profile": lambda: timelines.of_account(
            connection, reader_id=reader, account_id=author, page=page, now_ms=now_ms
        ),
        "profile by tag": lambda: timelines.of_account(
            connection, reader_id=reader, account_id=author, page=page, now_ms=now_ms, tagged="petrel"
        ),
        "alone": lambda: [
            posts.post(connection, reader_id=reader, post_id=post_id, now_ms=now_ms).id,
        ],
    }
    if reader is not None:
        paths |= {
            "home": lambda: timelines.home(connection, reader_id=reader, page=page, now_ms=now_ms),
            "favourites": lambda: [
                row[1]
                for row in timelines.favourites(connection, account_id=reader, page=page, now_ms=now_ms)
            ],
            "bookmarks": lambda: [
                row[1] for row in timelines.bookmarks(connection, account_id=reader, page=page, now_ms=now_ms)
            ],
            "notifications": lambda: [
                one.post_id
                for one in notifications.notifications(
                    connection, account_id=reader, page=page, now_ms=now_ms
                )
            ],
        }
    found = set()
    for name, read in paths.items():
        try:
            if post_id in read():
                found.add(name)
        except NotFound:
            pass
    return found


EVERYWHERE = {"public", "tag", "tags", "profile", "profile by tag", "alone"}
AS_READER = {"favourites", "bookmarks", "notifications"}


@pytest.fixture
def scene(store):
    """Return an author, a follower and a stranger, both mentioned in a post that they favourited and
    bookmarked, a booster of the post, and the ids of post and boost.
    """
    author, fan, stranger, booster = (store.person(name) for name in ("Author", "Fan", "Stranger", "Booster"))
    follow(store, fan, author)
    follow(store, stranger, booster)
    text = f"@{store.name(fan)} @{store.name(stranger)} #petrel"
    post_id = store.post(author, text)
    for reader in (fan, stranger):
        store.do(reactions.favourite, account_id=reader, post_id=post_id, now_ms=store.now_ms)
        store.do(reactions.bookmark, account_id=reader, post_id=post_id, now_ms=store.now_ms)
    boost_id = boost(store, booster, post_id)
    return author, fan, stranger, booster, post_id, boost_id


def test_before_anything_everybody_meets_the_post_everywhere(store, scene):
    author, fan, stranger, _, post_id, _ = scene
    assert reads(store, None, author, post_id) == EVERYWHERE
    assert reads(store, fan, author, post_id) == EVERYWHERE | AS_READER | {"home"}
    assert reads(store, stranger, author, post_id) == EVERYWHERE | AS_READER


def test_a_hidden_post_is_met_nowhere_but_by_its_author_and_alone_by_moderators(store, scene):
    author, fan, stranger, booster, post_id, boost_id = scene
    act(store, COMMAND_LINE, "hide", post_id=post_id)
    gone = next(event for event in store.events if isinstance(event, PostDeleted))
    assert (gone.post_id, gone.boosts) == (post_id, ((boost_id, booster),))
    for reader in (None, fan, stranger, booster):
        assert reads(store, reader, author, post_id) == set()
    assert reads(store, author, author, post_id) == EVERYWHERE | {"home", "notifications"}
    assert reads(store, of_role(store, Role.MODERATOR), author, post_id) == {"alone"}
    # The post is also hidden behind its boost, even from the booster.
    for reader in (None, stranger, booster):
        assert reads(store, reader, booster, boost_id) == set()
    act(store, COMMAND_LINE, "unhide", post_id=post_id)
    assert reads(store, stranger, author, post_id) == EVERYWHERE | AS_READER
    assert "home" in reads(store, stranger, booster, boost_id)


def test_a_hidden_post_stands_in_no_thread_and_cannot_be_answered_kept_or_boosted(store, scene):
    _, fan, *_, post_id, _ = scene
    answer = store.post(fan, "yes", in_reply_to_id=post_id)
    act(store, COMMAND_LINE, "hide", post_id=post_id)
    thread = threads.thread(store.connection, reader_id=fan, post_id=answer, now_ms=store.now_ms)
    assert thread.ancestor_ids == ()
    for rule in (reactions.favourite, reactions.bookmark):
        with pytest.raises(NotFound):
            store.do(rule, account_id=fan, post_id=post_id, now_ms=store.now_ms)
    with pytest.raises(NotFound):
        boost(store, fan, post_id)
    with pytest.raises(NotFound):
        store.post(fan, "no", in_reply_to_id=post_id)


def test_a_silenced_account_is_met_in_lists_only_by_followers_and_on_its_profile(store, scene):
    author, fan, stranger, _, post_id, _ = scene
    act(store, COMMAND_LINE, "silence", account_id=author)
    assert AccountChanged(author, hidden=True) in store.events
    on_its_own = {"profile", "profile by tag", "alone"}
    assert reads(store, None, author, post_id) == on_its_own
    assert reads(store, stranger, author, post_id) == on_its_own | {"favourites", "bookmarks"}
    assert reads(store, fan, author, post_id) == EVERYWHERE | AS_READER | {"home"}
    assert reads(store, author, author, post_id) == EVERYWHERE | {"home", "notifications"}
    found = [one.id for one in accounts.directory(store.connection, limit=40)]
    assert author not in found
    assert fan in found


def test_a_silenced_account_is_in_no_thread_and_tells_nobody_who_does_not_follow_it(store):
    author, fan, stranger = store.person(), store.person(), store.person()
    follow(store, fan, author)
    asked = store.post(stranger)
    act(store, COMMAND_LINE, "silence", account_id=author)
    answer = store.post(author, f"@{store.name(stranger)} @{store.name(fan)}", in_reply_to_id=asked)
    told = [event.account_id for event in store.events if isinstance(event, Notified)]
    assert told == [fan]
    for reader, seen in ((None, ()), (stranger, ()), (fan, (answer,)), (author, (answer,))):
        thread = threads.thread(store.connection, reader_id=reader, post_id=asked, now_ms=store.now_ms)
        assert thread.descendant_ids == seen


def test_suspending_can_be_undone_until_the_account_is_deleted(store, scene):
    author, fan, *_, post_id, boost_id = scene
    act(store, COMMAND_LINE, "suspend", account_id=author)
    assert AccessChanged(author) in store.events
    for reader in (None, fan):
        assert reads(store, reader, author, post_id) == set()
    assert reads(store, None, scene[3], boost_id) == set()

    def deleted(before_ms):
        return store.do(deletion.delete_suspended, before_ms=before_ms, now_ms=store.now_ms, count=10)

    assert deleted(store.now_ms) == 0
    act(store, COMMAND_LINE, "unsuspend", account_id=author)
    assert deleted(store.now_ms + 1) == 0
    assert reads(store, fan, author, post_id) == EVERYWHERE | AS_READER | {"home"}


# Reports


def test_a_report_reaches_every_moderator_but_not_who_is_reported(store):
    chief, helper = of_role(store, Role.ADMIN), of_role(store, Role.MODERATOR)
    nino, lomi = store.person(), store.person()
    post_id = store.post(nino)
    made = report(store, lomi, nino, post_id, comment="again and again", category="spam")
    assert {event.account_id for event in store.events} == {chief, helper}
    assert moderation.report(store.connection, report_id=made.id) == made
    report(store, lomi, helper)
    assert {event.account_id for event in store.events} == {chief}
    told = notifications.notifications(
        store.connection, account_id=chief, page=Page(limit=5), now_ms=store.now_ms
    )
    assert [(one.kind, one.report_id) for one in told][-1] == (Kind.REPORT, made.id)


def test_only_what_one_may_see_and_is_theirs_can_be_reported(store):
    nino, lomi, blocked = store.person(), store.person(), store.person()
    secret = store.post(nino, visibility=Visibility.DIRECT)
    open_post = store.post(nino)
    block(store, nino, blocked)
    for reporter, account, post_id in (
        (lomi, nino, secret),
        (lomi, nino, store.post(lomi)),
        (blocked, nino, open_post),
        (lomi, nino, 12345),
        (lomi, 12345, None),
    ):
        with pytest.raises(NotFound):
            report(store, reporter, account, *([post_id] if post_id else []))
    with pytest.raises(Invalid, match="yourself"):
        report(store, lomi, lomi)
    # A blocked account may still report the account that blocks it.
    assert report(store, blocked, nino).account_id == nino


@pytest.mark.parametrize(
    "wrong",
    [{"comment": "x" * 1001}, {"category": "boring"}, {"rule_ids": (5,)}, {"rule_ids": tuple(range(99))}],
)
def test_what_is_out_of_bounds_is_refused(store, wrong):
    with pytest.raises(Invalid, match="Validation failed"):
        report(store, store.person(), store.person(), **wrong)


def test_nobody_reports_without_end(store):
    lomi, nino = store.person(), store.person()
    for number in range(reports.REPORTS_A_DAY):
        report(store, lomi, nino, comment=f"{number}")
    with pytest.raises(TooMany):
        report(store, lomi, nino, comment="too many")
    # Sent again, the report does not count a second time.
    report(store, lomi, nino, comment="0")
    store.now_ms += reports.DAY_MS + 60_000
    report(store, lomi, nino, comment="another day")


def test_a_report_that_is_sent_again_while_it_is_open_stays_one(store):
    helper = actor(store, of_role(store, Role.MODERATOR))
    lomi, other, nino = store.person(), store.person(), store.person()
    post_id = store.post(nino)
    first = report(store, lomi, nino, post_id, comment="look")
    store.now_ms += 1_000
    assert report(store, lomi, nino, post_id, comment="look") == first
    assert store.events == []
    different = (
        report(store, lomi, nino, comment="look"),
        report(store, lomi, nino, post_id, comment="look again"),
        report(store, lomi, nino, post_id, comment="look", category="spam"),
        report(store, other, nino, post_id, comment="look"),
    )
    assert len({first.id, *(one.id for one in different)}) == 5
    act(store, helper, "resolve", report_id=first.id)
    assert report(store, lomi, nino, post_id, comment="look").id != first.id


def test_a_report_that_is_sent_several_times_at_once_stays_one(store):
    lomi, nino = store.person(), store.person()
    start = threading.Barrier(4)
    made = []

    def send_one(number):
        connection = connect(store.url, ids=IdMaker(10 + number))
        try:
            start.wait()
            with transaction(connection):
                values = {"post_ids": (), "comment": "", "category": "", "rule_ids": ()}
                one = reports.create_report(
                    connection, reporter_id=lomi, account_id=nino, now_ms=store.now_ms, **values
                )
            made.append(one.id)
        finally:
            connection.close()

    threads = [threading.Thread(target=send_one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(set(made))) == (4, 1)
    assert moderation.count_open_reports(store.connection) == 1


def test_open_reports_come_oldest_first_and_are_resolved_once(store):
    lomi, nino = store.person(), store.person()
    helper = actor(store, of_role(store, Role.MODERATOR))
    first, second = report(store, lomi, nino), report(store, lomi, nino, comment="and again")

    def waiting():
        found = moderation.open_reports(store.connection, after_id=0, limit=10)
        return [one.id for one in found]

    assert waiting() == [first.id, second.id]
    act(store, helper, "assign", report_id=second.id)
    assert moderation.report(store.connection, report_id=second.id).assigned_id == helper.account_id
    act(store, helper, "resolve", report_id=first.id)
    assert waiting() == [second.id]
    assert moderation.count_open_reports(store.connection) == 1
    with pytest.raises(Invalid, match="already"):
        act(store, helper, "resolve", report_id=first.id)
    about, done = moderation.history(store.connection, account_id=nino)
    assert [one.id for one in about] == [second.id, first.id]
    assert [entry.act for entry in done] == [Act.RESOLVE, Act.ASSIGN]


def test_nobody_decides_about_a_report_of_themselves(store):
    chief, helper = of_role(store, Role.ADMIN), of_role(store, Role.MODERATOR)
    about_helper = report(store, store.person(), helper)
    about_chief = report(store, store.person(), chief)
    for report_id in (about_helper.id, about_chief.id):
        with pytest.raises(Forbidden):
            act(store, actor(store, helper), "resolve", report_id=report_id)
    act(store, actor(store, chief), "resolve", report_id=about_helper.id)


def test_a_moderator_is_known_by_name_and_rank(store):
    helper = of_role(store, Role.MODERATOR)
    assert actor(store, helper) == Moderator(helper, store.name(helper), Role.MODERATOR)
    assert accounts.user(store.connection, account_id=helper).state is AccountState.ACTIVE

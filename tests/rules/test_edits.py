"""Edits: who may edit, the consequences, and the earlier versions of a post."""

from __future__ import annotations

from typing import Any

import pytest

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.event import PostChanged, PostEdited
from stormpetrel.model.media import Decoded, MediaKind, MediaWords
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.poll import PollDraft
from stormpetrel.model.post import Draft, Post, Visibility
from stormpetrel.rules import edits, media, posts, timelines
from tests.community import block, boost, follow
from tests.rules.test_polls import do_what_is_due, seen, told, vote, votes
from tests.store import Store

TEN = Page(limit=10)


def edit(
    store: Store, who: int, post_id: int, text: str, words: tuple[MediaWords, ...] = (), **draft: Any
) -> None:
    store.now_ms += 1
    store.do(
        edits.edit_post,
        author_id=who,
        post_id=post_id,
        draft=Draft(text, **draft),
        media_words=words,
        max_characters=500,
        domain="here.example",
        now_ms=store.now_ms,
    )


def upload(store: Store, who: int, kind: MediaKind = MediaKind.IMAGE) -> int:
    """Return a processed attachment of this account."""
    store.now_ms += 1
    begun = store.do(
        media.begin, account_id=who, size_bytes=1, description="before", focus=None, now_ms=store.now_ms
    )
    store.do(
        media.finish,
        account_id=who,
        media_id=begun.id,
        decoded=Decoded(kind, key=f"key-{begun.id}"),
    )
    return begun.id


def hung(store: Store, post_id: int) -> list[tuple[int, str]]:
    return [(one.id, one.description) for one in read(store, None, post_id).media]


def read(store: Store, who: int | None, post_id: int) -> Post:
    return posts.post(store.connection, reader_id=who, post_id=post_id, now_ms=store.now_ms)


def texts(store: Store, who: int | None, post_id: int) -> list[str]:
    _, versions = edits.history(store.connection, reader_id=who, post_id=post_id, now_ms=store.now_ms)
    return [version.text for version in versions]


def test_only_its_author_edits_a_post(store: Store) -> None:
    author, fan, stranger, blocked = (store.person() for _ in range(4))
    follow(store, fan, author)
    block(store, author, blocked)
    post_id = store.post(author, "first")
    hidden = store.post(author, "for few", visibility=Visibility.FOLLOWERS)
    boost_id = boost(store, fan, post_id)
    for who in (fan, stranger):
        with pytest.raises(Forbidden):
            edit(store, who, post_id, "not mine")
    for who, which in ((blocked, post_id), (stranger, hidden), (fan, boost_id), (author, 5)):
        with pytest.raises(NotFound):
            edit(store, who, which, "not mine")
    edit(store, author, post_id, "second")
    assert read(store, None, post_id).text == "second"
    assert read(store, None, post_id).edited_at_ms == store.now_ms


def test_every_version_is_kept_the_original_first(store: Store) -> None:
    author, stranger = store.person(), store.person()
    post_id = store.post(author, "first", spoiler_text="careful", visibility=Visibility.FOLLOWERS)
    written = store.now_ms
    edit(store, author, post_id, "second")
    edit(store, author, post_id, "third", poll=PollDraft(("a", "b"), 300))
    _, versions = edits.history(store.connection, reader_id=author, post_id=post_id, now_ms=store.now_ms)
    assert [(one.text, one.spoiler_text, one.poll_options, one.written_at_ms) for one in versions] == [
        ("first", "careful", (), written),
        ("second", "", (), written + 1),
        ("third", "", ("a", "b"), written + 2),
    ]
    for who in (stranger, None):
        with pytest.raises(NotFound):
            texts(store, who, post_id)
    assert read(store, author, post_id).visibility is Visibility.FOLLOWERS


@pytest.mark.parametrize("late_ms", [0, 299_000, 301_000])
def test_a_poll_that_stays_is_left_alone_near_its_end_and_after_it(store: Store, late_ms: int) -> None:
    author, voter = store.person(), store.person()
    post_id = store.post(author, "wich?", poll=PollDraft(("a", "b"), 300))
    vote(store, voter, post_id, 1)
    before = read(store, author, post_id).poll
    store.now_ms += late_ms
    store.do(
        edits.edit_post,
        author_id=author,
        post_id=post_id,
        draft=Draft("which?"),
        max_characters=500,
        domain="here.example",
        now_ms=store.now_ms,
        poll_stays=True,
    )
    assert read(store, author, post_id).poll == before
    assert texts(store, author, post_id) == ["wich?", "which?"]


def test_nothing_happens_when_nothing_changed(store: Store) -> None:
    author = store.person()
    post_id = store.post(author, "the same", spoiler_text="careful", language="en")
    edit(store, author, post_id, " the same", spoiler_text="careful", sensitive=True)
    assert store.events == []
    assert do_what_is_due(store) == 0
    assert read(store, author, post_id).edited_at_ms == 0
    edit(store, author, post_id, "the same", spoiler_text="careful", language="de")
    assert store.events == [PostChanged(post_id, author)]
    assert read(store, author, post_id).language == "de"
    assert texts(store, author, post_id) == ["the same"]


@pytest.mark.parametrize(
    "text", ["", "  ", "x" * 501, "@a " * 51 + "#b", "#" + " #".join(f"t{n}" for n in range(60))]
)
def test_an_edit_keeps_to_the_rules_of_posting(store: Store, text: str) -> None:
    author = store.person()
    post_id = store.post(author, "first")
    if text.startswith("@a"):
        people = [store.person() for _ in range(51)]
        text = " ".join(f"@{store.name(one)}" for one in people)
    with pytest.raises(Invalid):
        edit(store, author, post_id, text)
    assert texts(store, author, post_id) == ["first"]


def test_who_is_mentioned_newly_is_told_once_and_who_is_not_any_more_sees_nothing(store: Store) -> None:
    author, ann, bob = store.person(), store.person(), store.person()
    post_id = store.post(author, f"@{store.name(ann)} a secret", visibility=Visibility.DIRECT)
    assert told(store, ann, Kind.MENTION) == 1
    edit(store, author, post_id, f"@{store.name(bob)} a secret")
    (event,) = [event for event in store.events if isinstance(event, PostEdited)]
    assert event == PostEdited(post_id, author, int(Visibility.DIRECT), mentioned_ids=(bob,), languages=("",))
    edit(store, author, post_id, f"@{store.name(bob)} another secret")
    assert [told(store, who, Kind.MENTION) for who in (ann, bob)] == [0, 1]
    assert read(store, bob, post_id).visibility is Visibility.DIRECT
    with pytest.raises(NotFound):
        read(store, ann, post_id)
    assert [mention.account_id for mention in read(store, author, post_id).mentions] == [bob]


def test_a_post_moves_from_one_hashtag_to_another(store: Store) -> None:
    author = store.person()
    post_id = store.post(author, "#old #both")
    edit(store, author, post_id, "#both #new")
    found = {
        name: timelines.tag(store.connection, reader_id=None, page=TEN, name=name, now_ms=store.now_ms)
        for name in ("old", "both", "new")
    }
    assert found == {"old": [], "both": [post_id], "new": [post_id]}
    (event,) = [event for event in store.events if isinstance(event, PostEdited)]
    assert set(event.tags) == {"old", "both", "new"}


def test_votes_stay_while_the_question_stays(store: Store) -> None:
    author, voter = store.person(), store.person()
    poll = PollDraft(("a", "b"), 300)
    post_id = store.post(author, "Which?", poll=poll)
    vote(store, voter, post_id, 1)
    edit(store, author, post_id, "Which one?", poll=PollDraft(("a", "b"), 600))
    assert votes(seen(store, voter, post_id)[0]) == [0, 1]
    store.now_ms += 300_000
    do_what_is_due(store)
    assert told(store, voter, Kind.POLL) == 0
    store.now_ms += 300_001
    do_what_is_due(store)
    assert told(store, voter, Kind.POLL) == 1
    edit(store, author, post_id, "Which one?", poll=PollDraft(("a", "c"), 600))
    assert votes(seen(store, voter, post_id)[0]) == [0, 0]
    vote(store, voter, post_id, 0)
    edit(store, author, post_id, "Which one?")
    with pytest.raises(NotFound):
        seen(store, voter, post_id)
    assert read(store, None, post_id).poll is None


def test_who_boosted_it_is_told_of_the_newest_edit(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(edits, "TOLD_AT_ONCE", 2)
    author = store.person()
    post_id = store.post(author, "first")
    boosters = [store.person() for _ in range(3)]
    for booster in boosters:
        boost(store, booster, post_id)
    edit(store, author, post_id, "second")
    edit(store, author, post_id, "third")
    while do_what_is_due(store):
        pass
    assert [told(store, who, Kind.UPDATE) for who in (*boosters, author)] == [1, 1, 1, 0]
    edit(store, author, post_id, "fourth")
    while do_what_is_due(store):
        pass
    assert told(store, boosters[0], Kind.UPDATE) == 1


def test_a_post_cannot_be_edited_for_ever(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(edits, "MAX_EDITS", 2)
    author = store.person()
    post_id = store.post(author, "0")
    edit(store, author, post_id, "1")
    edit(store, author, post_id, "2")
    with pytest.raises(Invalid, match="2 times"):
        edit(store, author, post_id, "3")
    assert texts(store, author, post_id) == ["0", "1", "2"]


def test_an_edit_gives_a_post_other_media_in_the_order_named_and_keeps_what_was(store: Store) -> None:
    author = store.person()
    one, two, three = (upload(store, author) for _ in range(3))
    post_id = store.post(author, "look", media_ids=(one, two))
    edit(store, author, post_id, "look", media_ids=(three, one))
    assert hung(store, post_id) == [(three, "before"), (one, "before")]
    assert read(store, None, post_id).edited_at_ms == store.now_ms
    edit(store, author, post_id, "look", media_ids=(one, three))
    assert hung(store, post_id) == [(one, "before"), (three, "before")]
    _, versions = edits.history(store.connection, reader_id=None, post_id=post_id, now_ms=store.now_ms)
    assert [[media_id for media_id, _ in version.media] for version in versions] == [
        [one, two],
        [three, one],
        [one, three],
    ]
    # The removed attachment is free, and may be attached to another post.
    assert media.own(store.connection, account_id=author, media_id=two).post_id is None
    store.post(author, "again", media_ids=(two,))
    before = store.now_ms
    edit(store, author, post_id, "look", media_ids=(one, three))
    assert read(store, None, post_id).edited_at_ms == before - 1
    assert store.events == []
    edit(store, author, post_id, "nothing to look at")
    assert hung(store, post_id) == []
    with pytest.raises(Invalid):
        edit(store, author, post_id, "")
    edit(store, author, post_id, "", media_ids=(one,))
    assert hung(store, post_id) == [(one, "before")]


def test_an_edit_hangs_up_no_media_that_posting_would_refuse(store: Store) -> None:
    author, other = store.person(), store.person()
    mine, theirs = upload(store, author), upload(store, other)
    film, elsewhere = upload(store, author, MediaKind.VIDEO), upload(store, author)
    many = tuple(upload(store, author) for _ in range(5))
    store.post(author, "elsewhere", media_ids=(elsewhere,))
    post_id = store.post(author, "look", media_ids=(mine,))
    for refused in ((theirs,), (elsewhere,), (mine, film), many, (5,)):
        with pytest.raises(Invalid):
            edit(store, author, post_id, "changed", media_ids=refused)
    with pytest.raises(Invalid, match="media or a poll"):
        edit(store, author, post_id, "changed", media_ids=(mine,), poll=PollDraft(("a", "b"), 600))
    with pytest.raises(Forbidden):
        edit(store, other, post_id, "changed", media_ids=(theirs,))
    assert hung(store, post_id) == [(mine, "before")]
    assert read(store, None, post_id).text == "look"
    assert media.own(store.connection, account_id=other, media_id=theirs).post_id is None


def test_what_is_said_about_media_of_the_post_alone_is_an_edit(store: Store) -> None:
    author, other = store.person(), store.person()
    mine, loose, theirs = upload(store, author), upload(store, author), upload(store, other)
    post_id = store.post(author, "look", media_ids=(mine,))
    edit(store, author, post_id, "look", (MediaWords(mine, "A grey sea"),), media_ids=(mine,))
    assert hung(store, post_id) == [(mine, "A grey sea")]
    assert read(store, None, post_id).edited_at_ms == store.now_ms
    edit(store, author, post_id, "look", (MediaWords(mine, focus="0.5,-1"),), media_ids=(mine,))
    assert read(store, None, post_id).media[0].focus == (500, -1000)
    _, versions = edits.history(store.connection, reader_id=None, post_id=post_id, now_ms=store.now_ms)
    assert [version.media for version in versions] == [
        ((mine, "before"),),
        ((mine, "A grey sea"),),
        ((mine, "A grey sea"),),
    ]
    for refused in (
        MediaWords(loose, "x"),
        MediaWords(theirs, "x"),
        MediaWords(0, "x"),
        MediaWords(mine, "x" * 1501),
        MediaWords(mine, focus="2,0"),
    ):
        with pytest.raises(Invalid):
            edit(store, author, post_id, "look", (refused,), media_ids=(mine,))
    assert media.own(store.connection, account_id=author, media_id=loose).description == "before"
    assert media.own(store.connection, account_id=other, media_id=theirs).description == "before"

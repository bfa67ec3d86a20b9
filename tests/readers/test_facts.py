"""The facts that events change."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from stormpetrel.model import event as events
from stormpetrel.readers.facts import Fact, changed_by, keys_of

ADA, BOB, POST, BOOST, PARENT = 11, 12, 21, 22, 23
CHANGES = {
    events.PostCreated(POST, ADA, 0, in_reply_to_id=PARENT): {ADA, PARENT},
    events.PostCreated(BOOST, BOB, 0, boost_of_id=POST, boost_author_id=ADA): {BOB, POST},
    events.PostChanged(POST, ADA): {POST},
    events.PostEdited(POST, ADA, 0): {POST, ADA},
    events.Reacted(ADA, POST): {(Fact.REACTIONS, ADA)},
    events.PostDeleted(POST, ADA, in_reply_to_id=PARENT, boosts=((BOOST, BOB),)): {
        *(POST, ADA, PARENT, BOOST, BOB),
        (Fact.REMOVALS, 0),
    },
    events.AccountChanged(ADA): {ADA},
    events.RelationshipChanged(ADA, BOB): {ADA, BOB, (Fact.RELATIONS, ADA), (Fact.RELATIONS, BOB)},
    events.Notified(ADA, 1): {(Fact.NOTIFICATIONS, ADA)},
    events.NotificationsRemoved(ADA): {(Fact.NOTIFICATIONS, ADA)},
    events.MarkersMoved(ADA): {(Fact.MARKERS, ADA)},
    events.FiltersChanged(ADA): {(Fact.FILTERS, ADA)},
    events.AccessChanged(ADA): {(Fact.ACCESS, ADA), (Fact.INSTANCE, 0)},
    events.InstanceChanged(): {(Fact.INSTANCE, 0)},
}
EVERYTHING = (events.AllChanged(), events.AccountChanged(ADA, hidden=True))
NOTHING = {
    events.ConversationChanged: "no stored answer shows conversations",
    events.ListChanged: "home has a version of its own (readers/home.py), and no stored answer shows lists",
    events.FollowedTagsChanged: "home has a version of its own",
    events.OutboxFilled: "for the courier",
    events.ShieldRuled: "for the shield",
    events.ShieldPaused: "for the shield",
}


@pytest.mark.parametrize("event", CHANGES, ids=lambda event: type(event).__name__)
def test_an_event_changes_the_facts_that_it_tells_of(event: msgspec.Struct) -> None:
    found = changed_by(event)
    assert found is not None
    assert set(found) == CHANGES[event]


@pytest.mark.parametrize("event", EVERYTHING)
def test_after_lost_events_and_a_hidden_account_any_fact_may_have_changed(event: msgspec.Struct) -> None:
    assert changed_by(event) is None


def test_every_kind_of_event_is_decided() -> None:
    decided = {type(event) for event in (*CHANGES, *EVERYTHING)} | set(NOTHING)
    assert decided == set(get_args(events.Event))


def test_the_facts_of_two_readers_have_different_keys_unless_they_are_for_all() -> None:
    for fact in Fact:
        is_for_all = fact in (Fact.REMOVALS, Fact.INSTANCE)
        assert (keys_of((fact,), ADA) == keys_of((fact,), BOB)) is is_for_all

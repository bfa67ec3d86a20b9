"""The facts that stored answers show, as keys, and the keys that each event changes.

The id of a post or an account is a key itself: no two of them have the same. A fact of a reader is the key
(Fact, account).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from stormpetrel.model.event import (
    AccessChanged,
    AccountChanged,
    AllChanged,
    Event,
    FiltersChanged,
    InstanceChanged,
    MarkersMoved,
    NotificationsRemoved,
    Notified,
    PostChanged,
    PostCreated,
    PostDeleted,
    PostEdited,
    Reacted,
    RelationshipChanged,
)

FactKey = int | tuple[int, int]


class Fact(IntEnum):
    """A fact of a reader that an answer can depend on, besides the posts and accounts in it.

    ACCESS: the token's scopes, the account's role. RELATIONS: follows, requests to follow, blocks, mutes, notes.
    REACTIONS: the reader's favourites, boosts, bookmarks, pins, votes and muted threads. REMOVALS and INSTANCE hold
    for all readers: any post was deleted or hidden; the rules and texts of the instance.
    """

    ACCESS = 1
    RELATIONS = 2
    REACTIONS = 3
    FILTERS = 4
    NOTIFICATIONS = 5
    MARKERS = 6
    REMOVALS = 7
    INSTANCE = 8


_FOR_ALL = frozenset({Fact.REMOVALS, Fact.INSTANCE})


def keys_of(facts: Iterable[int], reader_id: int) -> tuple[FactKey, ...]:
    """Return the keys of these facts for a reader."""
    return tuple((fact, 0 if fact in _FOR_ALL else reader_id) for fact in facts)


def changed_by(event: Event) -> tuple[FactKey, ...] | None:
    """Return the keys that the event changes; None if any may have changed."""
    match event:
        case PostChanged(post_id=post_id):
            return (post_id,)
        case PostEdited():
            # It can add the post to a list of the author's posts, or take it out.
            return (event.post_id, event.author_id)
        case PostCreated():
            # Counters changed too: those of the author and of the post replied to or boosted.
            return _ids(event.author_id, event.in_reply_to_id, event.boost_of_id)
        case PostDeleted():
            boosts = (one for boost in event.boosts for one in boost)
            ids = _ids(event.post_id, event.author_id, event.in_reply_to_id, event.boost_of_id, *boosts)
            return (*ids, (Fact.REMOVALS, 0))
        case AccountChanged(account_id=account_id, hidden=False):
            return (account_id,)
        case RelationshipChanged(account_id=account_id, other_id=other_id):
            return (account_id, other_id, (Fact.RELATIONS, account_id), (Fact.RELATIONS, other_id))
        case AccountChanged() | AllChanged():
            # Hiding an account, or showing it again, changes the counters of everything it interacted with.
            return None
        case InstanceChanged():
            return ((Fact.INSTANCE, 0),)
        case _:
            return _of_reader(event)


def _of_reader(event: Event) -> tuple[FactKey, ...]:
    match event:
        case Reacted(account_id=account_id):
            return ((Fact.REACTIONS, account_id),)
        case FiltersChanged(account_id=account_id):
            return ((Fact.FILTERS, account_id),)
        case Notified(account_id=account_id) | NotificationsRemoved(account_id=account_id):
            return ((Fact.NOTIFICATIONS, account_id),)
        case MarkersMoved(account_id=account_id):
            return ((Fact.MARKERS, account_id),)
        case AccessChanged(account_id=account_id):
            # The instance names its first admin as its contact.
            return ((Fact.ACCESS, account_id), (Fact.INSTANCE, 0))
        case _:
            return ()


def _ids(*ids: int) -> tuple[int, ...]:
    return tuple(filter(None, ids))

"""The phones of the drill's members: linked to their accounts, each with the posts of one member as texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from stormpetrel.cli.drill_steps import TimedSteps
from stormpetrel.drill.carrier import ROUTE
from stormpetrel.drill.community import Member
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.rules import phones
from stormpetrel.storage.engine.connection import Connection


def link_phones(
    connection: Connection,
    members: Sequence[Member],
    *,
    keys: PhoneKeys,
    rng: Random,
    since_ms: int,
    steps: TimedSteps,
    follow: Callable[[int, int, int], None],
) -> dict[str, tuple[str, ...]]:
    """Schedule the links and follows in `steps`; return account id of a poster → ids of its readers.

    `follow(follower, followed, at_ms)` follows with texts. The posters have about equally many readers.
    """
    posters = [one.account_id for one in members if one.kind == "posting"]
    rng.shuffle(posters)
    readers: dict[str, list[str]] = {}
    for number, one in enumerate(member for member in members if member.phone):
        poster = posters[number % len(posters)]
        readers.setdefault(poster, []).append(one.account_id)
        steps.at(since_ms + 2 * number, partial(_link, connection, one, keys))
        steps.at(since_ms + 2 * number + 1, partial(follow, int(one.account_id), int(poster)))
    return {poster: tuple(ids) for poster, ids in readers.items()}


def _link(connection: Connection, one: Member, keys: PhoneKeys, at_ms: int) -> None:
    phones.link(
        connection, account_id=int(one.account_id), number=one.phone, route=ROUTE, keys=keys, zone="UTC",
        language="en", now_ms=at_ms,
    )  # fmt: skip

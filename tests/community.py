"""A small community twice over: in a store, through the rules, and in plain tables that say what must be seen.

`ACTIONS` are what people do; hypothesis makes lists of them.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from stormpetrel.errors import NotFound, Refusal
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.page import Page
from stormpetrel.model.post import Visibility
from stormpetrel.rules import accounts, posts, relationships
from tests.store import Store


def follow(store: Store, follower: int, followed: int, **options: Any) -> None:
    store.do(
        relationships.follow,
        follower_id=follower,
        followed_id=followed,
        **({"show_boosts": None, "notify": None} | options),
        now_ms=store.now_ms,
    )


def mute(store: Store, account: int, target: int, duration_s: int = 0) -> None:
    store.do(
        relationships.mute,
        account_id=account,
        target_id=target,
        hide_notifications=True,
        duration_s=duration_s,
        now_ms=store.now_ms,
    )


def block(store: Store, account: int, target: int) -> None:
    store.do(relationships.block, account_id=account, target_id=target, now_ms=store.now_ms)


def boost(store: Store, account: int, post_id: int, visibility: Visibility | None = None) -> int:
    store.now_ms += 1
    return store.do(
        posts.boost, account_id=account, post_id=post_id, visibility=visibility, now_ms=store.now_ms
    )


PEOPLE = 4
VISIBILITIES = (*[Visibility.PUBLIC] * 3, *Visibility)
KINDS = (
    *("post",) * 9,
    *("boost",) * 3,
    *("follow",) * 2,
    *("delete", "unfollow", "block", "unblock", "mute", "mute", "suspend", "unsuspend", "unsuspend"),
)


def actions_of(seed: int) -> list[tuple[Any, ...]]:
    """What people do: first they find each other, then they talk."""
    pick = random.Random(seed)

    def person() -> int:
        return pick.randrange(PEOPLE)

    def action(kind: str) -> tuple[Any, ...]:
        match kind:
            case "post":
                answered = pick.choice([None, pick.randrange(20)])
                return kind, person(), pick.choice(VISIBILITIES), answered, pick.choice([None, person()])
            case "boost":
                return kind, person(), pick.randrange(20)
            case "follow":
                return kind, person(), person(), pick.random() < 0.7
            case "mute":
                return kind, person(), person(), pick.choice([0, 1])
            case "delete":
                return kind, pick.randrange(20)
            case "suspend" | "unsuspend":
                return kind, person()
            case _:
                return kind, person(), person()

    kinds = [*["follow"] * 8, *pick.choices(KINDS, k=pick.randrange(20, 60))]
    return [action(kind) for kind in kinds]


# From a seed rather than action by action: hypothesis's own lists are mostly short and plain, and missed
# four of seven faults put into the rule on purpose. From seeds, all were found.
ACTIONS = st.integers(min_value=0, max_value=2**32 - 1).map(actions_of)


@dataclass
class Said:
    """A post as the plain reading remembers it. A boost has `boosted`."""

    author: int
    visibility: Visibility
    answered: int | None = None
    named: int | None = None
    boosted: int | None = None


@dataclass
class Community:
    """The same people twice: in a store, and in plain tables."""

    store: Store
    people: list[int] = field(default_factory=list)
    said: dict[int, Said] = field(default_factory=dict)
    follows: dict[tuple[int, int], bool] = field(default_factory=dict)
    blocks: set[tuple[int, int]] = field(default_factory=set)
    mutes: dict[tuple[int, int], int] = field(default_factory=dict)
    suspended: set[int] = field(default_factory=set)

    def act(self, action: tuple[Any, ...]) -> None:
        """Does it in both; what the rules refuse happens in neither."""
        with suppress(Refusal):
            getattr(self, action[0])(*action[1:])

    def _post_at(self, index: int) -> int:
        ids = sorted(self.said)
        if not ids:
            raise NotFound
        return ids[index % len(ids)]

    def post(self, who: int, visibility: Visibility, answers: int | None, names: int | None) -> None:
        author = self.people[who]
        parent = None if answers is None else self._post_at(answers)
        named = None if names is None else self.people[names]
        text = "hello" if named is None else f"hello @{self.names[named]}"
        post_id = self.store.post(author, text, visibility=visibility, in_reply_to_id=parent)
        if parent is not None and self.said[parent].boosted is not None:
            parent = self.said[parent].boosted
        answered = None if parent is None else self.said[parent].author
        # Who is suspended is not there to be named.
        self.said[post_id] = Said(author, visibility, answered, None if named in self.suspended else named)

    def boost(self, who: int, which: int) -> None:
        target = self._post_at(which)
        target = self.said[target].boosted or target
        boost_id = boost(self.store, self.people[who], target)
        self.said[boost_id] = Said(self.people[who], self.said[target].visibility, boosted=target)

    def delete(self, which: int) -> None:
        post_id = self._post_at(which)
        self.store.do(
            posts.delete_post,
            author_id=self.said[post_id].author,
            post_id=post_id,
            now_ms=self.store.now_ms,
        )
        self.said = {
            kept: one for kept, one in self.said.items() if kept != post_id and one.boosted != post_id
        }

    def follow(self, who: int, whom: int, boosts: bool) -> None:
        follow(self.store, self.people[who], self.people[whom], show_boosts=boosts)
        self.follows[self.people[who], self.people[whom]] = boosts

    def unfollow(self, who: int, whom: int) -> None:
        pair = self.people[who], self.people[whom]
        self.store.do(
            relationships.unfollow, follower_id=pair[0], followed_id=pair[1], now_ms=self.store.now_ms
        )
        self.follows.pop(pair, None)

    def block(self, who: int, whom: int) -> None:
        pair = self.people[who], self.people[whom]
        block(self.store, *pair)
        self.blocks.add(pair)
        self.follows.pop(pair, None)
        self.follows.pop(pair[::-1], None)

    def unblock(self, who: int, whom: int) -> None:
        pair = self.people[who], self.people[whom]
        self.store.do(relationships.unblock, account_id=pair[0], target_id=pair[1], now_ms=self.store.now_ms)
        self.blocks.discard(pair)

    def mute(self, who: int, whom: int, duration_s: int) -> None:
        pair = self.people[who], self.people[whom]
        mute(self.store, *pair, duration_s=duration_s)
        self.mutes[pair] = self.store.now_ms + duration_s * 1000 if duration_s else MAX_ID

    def suspend(self, who: int) -> None:
        self.store.do(accounts.suspend, account_id=self.people[who])
        self.suspended.add(self.people[who])

    def unsuspend(self, who: int) -> None:
        self.store.do(accounts.unsuspend, account_id=self.people[who])
        self.suspended.discard(self.people[who])

    def settle(self, people: int = PEOPLE) -> Community:
        self.people = [self.store.person() for _ in range(people)]
        self.names = {one: self.store.name(one) for one in self.people}
        return self

    def hides(self, reader: int, other: int) -> bool:
        return (
            (reader, other) in self.blocks
            or (other, reader) in self.blocks
            or self.mutes.get((reader, other), 0) > self.store.now_ms
        )

    def belongs(self, reader: int, one: Said) -> bool:
        """Whether the post is in the reader's home: the rule, said once more."""
        original = self.said[one.boosted] if one.boosted is not None else None
        if original is not None and original.author in self.suspended:
            return False
        if one.author == reader:
            return True
        if (reader, one.author) not in self.follows or self.hides(reader, one.author):
            return False
        if one.author in self.suspended:
            return False
        if one.visibility is Visibility.DIRECT and one.named != reader:
            return False
        if original is not None:
            return self.follows[reader, one.author] and not self.hides(reader, original.author)
        return one.answered in (None, one.author, reader) or (
            (reader, one.answered) in self.follows and not self.hides(reader, one.answered)
        )

    def home(self, reader: int, page: Page) -> list[int]:
        found = sorted(
            post_id
            for post_id, one in self.said.items()
            if page.low < post_id < page.max_id and self.belongs(reader, one)
        )
        return (found[: page.limit] if page.upward else found[-page.limit :])[::-1]

    def pages(self) -> list[Page]:
        """Every shape of page, at ids that matter here."""
        ids = sorted(self.said)
        bounds = [ids[0], ids[len(ids) // 3], ids[-1] + 1] if ids else [1]
        return [
            *(Page(limit=1000), Page(limit=3)),
            *(Page(limit=3, max_id=bound) for bound in bounds),
            *(Page(limit=2, since_id=bound) for bound in bounds),
            *(Page(limit=2, min_id=bound) for bound in (0, *bounds)),
            Page(limit=2, min_id=bounds[0], max_id=bounds[-1]),
        ]

"""Plan a synthetic community: its people, follows, posts, boosts and favourites; everything but the texts.

The plan is stored in arrays of numbers (a few dozen bytes per post), so that every count is known before the
first row is written and no row must be updated. The same size gives the same plan on every machine.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from math import log
from random import Random

from stormpetrel.model.post import Visibility

DAY_MS = 86_400_000
POSTING_DAYS = 90
FOLLOWING_DAYS = 30
FOUNDING_DAYS = 300
POPULARITY_EXPONENT = 0.7
"""Followers fall with rank like rank^-0.7: with 2,000 people and a mean of 126, the first has about
1,600 and the last about 40."""
ACTIVITY_EXPONENT = 0.9
"""Posts fall with rank nearly like Zipf's law; the first few authors write a good part of all posts."""
RECENT_POSTS = 600
"""Replies and boosts go to one of about this many latest posts."""
BOOSTS_SHARE = 0.14
REPLIES_SHARE = 0.28
MENTIONS_SHARE = 0.05
FAVOURITES_MEAN = 1.6
MOST_FAVOURITES = 200
HOUR_WEIGHTS = (3, 2, 1, 1, 1, 2, 4, 7, 9, 9, 8, 8, 9, 8, 7, 7, 8, 9, 10, 11, 11, 10, 8, 5)
"""Relative number of posts in each hour of a day."""


@dataclass(frozen=True, slots=True)
class Size:
    """The requested size. `end_ms` is the time of the last post; `reader` the name of an extra account that
    follows `reader_follows` others, or empty."""

    users: int
    posts: int
    follows: int
    seed: int
    end_ms: int
    reader: str = ""
    reader_follows: int = 0

    @property
    def posting_from_ms(self) -> int:
        """Return the start of the posting period; all accounts and follows are older."""
        return self.end_ms - POSTING_DAYS * DAY_MS


def _numbers() -> array[int]:
    return array("q")


@dataclass(slots=True)
class SeedPlan:
    """People are numbered from 0 in the order they joined, posts in the order of time; -1 means none."""

    joined_ms: array[int] = field(default_factory=_numbers)
    followers: array[int] = field(default_factory=_numbers)
    following: array[int] = field(default_factory=_numbers)
    posted: array[int] = field(default_factory=_numbers)
    last_post_ms: array[int] = field(default_factory=_numbers)
    follow_from: array[int] = field(default_factory=_numbers)
    follow_to: array[int] = field(default_factory=_numbers)
    follow_ms: array[int] = field(default_factory=_numbers)
    author: array[int] = field(default_factory=_numbers)
    post_ms: array[int] = field(default_factory=_numbers)
    visibility: array[int] = field(default_factory=_numbers)
    reply_to: array[int] = field(default_factory=_numbers)
    boost_of: array[int] = field(default_factory=_numbers)
    mentioned: array[int] = field(default_factory=_numbers)
    replies: array[int] = field(default_factory=_numbers)
    boosts: array[int] = field(default_factory=_numbers)
    favourites: array[int] = field(default_factory=_numbers)
    favourite_from: array[int] = field(default_factory=_numbers)
    favourite_to: array[int] = field(default_factory=_numbers)
    favourite_ms: array[int] = field(default_factory=_numbers)


def make_plan(size: Size, *, now_doing: Callable[[str], None]) -> SeedPlan:
    """Return the plan of a community; `now_doing` gets the name of each step."""
    plan = SeedPlan()
    rng = Random(f"stormpetrel community {size.seed}")  # noqa: S311 - content, not a secret
    people = size.users + bool(size.reader)
    founded_ms = size.posting_from_ms - (FOLLOWING_DAYS + FOUNDING_DAYS) * DAY_MS
    plan.joined_ms.extend(_moments(rng, people, founded_ms, FOUNDING_DAYS * DAY_MS))
    for counts in (plan.followers, plan.following, plan.posted, plan.last_post_ms):
        counts.extend([0] * people)
    ranks = list(range(size.users))
    rng.shuffle(ranks)
    now_doing("follows")
    _follow(plan, size, rng, ranks)
    now_doing("posts")
    _post(plan, size, rng, ranks)
    now_doing("favourites")
    _favour(plan, size, rng)
    return plan


def _moments(rng: Random, count: int, from_ms: int, during_ms: int) -> list[int]:
    """Return `count` different times in order: ids are made from them."""
    moments = sorted(int(rng.random() * during_ms) for _ in range(count))
    last = -1
    for position, moment in enumerate(moments):
        last = moment if moment > last else last + 1
        moments[position] = from_ms + last
    return moments


def _degrees(size: Size, rng: Random) -> list[int]:
    """Return how many accounts each follows: few follow many; the mean is exactly `size.follows`."""
    most = size.users - 1
    wanted = [min(most, int(size.follows * (0.3 - 0.7 * log(1.0 - rng.random())))) for _ in range(size.users)]
    missing = size.users * size.follows - sum(wanted)
    position = 0
    while missing:
        step = 1 if missing > 0 else -1
        if 0 <= wanted[position] + step <= most:
            wanted[position] += step
            missing -= step
        position = (position + 1) % size.users
    return wanted


def _follow(plan: SeedPlan, size: Size, rng: Random, ranks: list[int]) -> None:
    weights = [(rank + 2.0) ** -POPULARITY_EXPONENT for rank in ranks]
    cumulative = list(accumulate(weights))
    everybody = range(size.users)
    for follower, wanted in enumerate(_degrees(size, rng)):
        chosen: dict[int, None] = {}
        if wanted * 3 > size.users:
            # Drawing this many would hit the same ones again and again: sort all by weighted chance instead
            # (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
            keys = [(-log(1.0 - rng.random()) / weights[other], other) for other in everybody]
            keys.sort()
            chosen = dict.fromkeys([other for _, other in keys if other != follower][:wanted])
        while len(chosen) < wanted:
            for other in rng.choices(everybody, cum_weights=cumulative, k=wanted - len(chosen) + 2):
                if other != follower and len(chosen) < wanted:
                    chosen[other] = None
        plan.follow_from.extend([follower] * len(chosen))
        plan.follow_to.extend(chosen)
        for other in chosen:
            plan.followers[other] += 1
        plan.following[follower] = len(chosen)
    if size.reader:
        chosen = dict.fromkeys(rng.sample(everybody, size.reader_follows))
        plan.follow_from.extend([size.users] * len(chosen))
        plan.follow_to.extend(chosen)
        for other in chosen:
            plan.followers[other] += 1
        plan.following[size.users] = len(chosen)
    starts_ms = size.posting_from_ms - FOLLOWING_DAYS * DAY_MS
    plan.follow_ms.extend(_moments(rng, len(plan.follow_from), starts_ms, FOLLOWING_DAYS * DAY_MS))


def _post_moments(size: Size, rng: Random) -> list[int]:
    """Return the time of each post, distributed by the hours of the day."""
    hours = rng.choices(range(24), weights=HOUR_WEIGHTS, k=size.posts)
    moments = sorted(
        int(rng.random() * POSTING_DAYS) * DAY_MS + int((hour + rng.random()) * DAY_MS / 24) for hour in hours
    )
    last = -1
    for position, moment in enumerate(moments):
        last = moment if moment > last else last + 1
        moments[position] = size.posting_from_ms + last
    return moments


def _post(plan: SeedPlan, size: Size, rng: Random, ranks: list[int]) -> None:
    random = rng.random
    # Accounts with many followers roughly post more.
    activity = accumulate((rank * (0.3 + 1.4 * random()) + 5.0) ** -ACTIVITY_EXPONENT for rank in ranks)
    plan.author.extend(rng.choices(range(size.users), cum_weights=list(activity), k=size.posts))
    plan.post_ms.extend(_post_moments(size, rng))
    for counts in (plan.replies, plan.boosts, plan.favourites):
        counts.extend([0] * size.posts)
    recent: list[int] = []
    boosted: set[int] = set()
    for post, author in enumerate(plan.author):
        chance = random()
        visibility, reply_to, boost_of, mentioned = Visibility.PUBLIC.value, -1, -1, -1
        other = recent[-1 - int(len(recent) * random() ** 3)] if recent else -1
        if chance < BOOSTS_SHARE and other >= 0 and other * size.users + author not in boosted:
            boosted.add(other * size.users + author)
            boost_of, visibility = other, plan.visibility[other]
            plan.boosts[other] += 1
        elif chance < BOOSTS_SHARE + REPLIES_SHARE and other >= 0:
            reply_to, visibility = other, plan.visibility[other]
            plan.replies[other] += 1
            mentioned = plan.author[other] if plan.author[other] != author else -1
        else:
            visibility = _visibility(random())
            if visibility == Visibility.DIRECT or random() < MENTIONS_SHARE:
                named = int(random() * size.users)
                mentioned = named if named != author else -1
        plan.visibility.append(visibility)
        plan.reply_to.append(reply_to)
        plan.boost_of.append(boost_of)
        plan.mentioned.append(mentioned)
        plan.posted[author] += 1
        plan.last_post_ms[author] = plan.post_ms[post]
        if boost_of < 0 and visibility <= Visibility.UNLISTED:
            recent.append(post)
            if len(recent) > RECENT_POSTS * 2:
                del recent[:RECENT_POSTS]
                # Only recent posts are boosted: an older post cannot be boosted twice any more.
                boosted = {pair for pair in boosted if pair >= recent[0] * size.users}


def _visibility(chance: float) -> int:
    """Return a non-reply's visibility: mostly public, some unlisted, few followers-only or direct."""
    if chance < 0.86:
        return Visibility.PUBLIC.value
    if chance < 0.94:
        return Visibility.UNLISTED.value
    return Visibility.FOLLOWERS.value if chance < 0.99 else Visibility.DIRECT.value


def _favour(plan: SeedPlan, size: Size, rng: Random) -> None:
    random = rng.random
    most = min(MOST_FAVOURITES, size.users // 2)
    mean_followers = max(1, size.follows)
    last_ms = 0
    for post, author in enumerate(plan.author):
        if plan.boost_of[post] >= 0 or plan.visibility[post] > Visibility.UNLISTED:
            continue
        # The square root: an author with ten times the followers gets about three times the favourites.
        popularity = (plan.followers[author] / mean_followers) ** 0.5
        count = min(most, int(-log(1.0 - random()) * FAVOURITES_MEAN * popularity + 0.5))
        chosen = {int(random() * size.users) for _ in range(count)}
        chosen.discard(author)
        for account in sorted(chosen):
            last_ms = max(last_ms + 1, plan.post_ms[post] + 1 + int(random() * 1_000))
            plan.favourite_from.append(account)
            plan.favourite_to.append(post)
            plan.favourite_ms.append(last_ms)
        plan.favourites[post] = len(chosen)

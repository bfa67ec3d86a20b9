"""The drill's instance: a new one with a community, and credentials that are as old as real ones.

All data is as if these people had been members for weeks: tokens of several apps, sessions, follows, the
activist's posts. Only the times are made up; every row is written by the rule that usually writes it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from stormpetrel.cli.drill_steps import TimedSteps
from stormpetrel.cli.store import now_ms, open_store
from stormpetrel.drill.community import (
    ATTACKERS_HOME,
    HOMES,
    Community,
    Member,
    SharedAddresses,
    Victim,
    save,
)
from stormpetrel.drill.loopback import neighbour
from stormpetrel.errors import EnvironmentFailure

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import StoreConnection

COMMUNITY_FILE = "community.json"
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
PASSWORD = "correct-horse-7-battery"
"""The password of all accounts: hashing a different one for each would take a minute for no benefit."""
FOLLOWS = 40
APPS = (
    ("Tusky", 28),
    ("Ivory", 20),
    ("Ice Cubes", 16),
    ("Mona", 12),
    ("Elk", 10),
    ("Phanpy", 8),
    ("toot", 6),
)
"""OAuth clients, and the percentage of people who use each."""
KINDS = (
    ("own", 300),
    ("carrier", 500),
    ("school", 100),
    ("tor", 40),
    ("web", 150),
    ("posting", 100),
    ("streaming", 300),
    ("sign_in", 120),
    ("sms", 100),
    ("sleeper", 60),
)
"""Number of people of each kind."""
WITH_TOKEN = frozenset({"own", "carrier", "school", "tor", "posting", "streaming", "sms", "sleeper"})
WITH_DEVICE = frozenset({"web", "posting", "school", "tor", "sign_in"})
WITH_SESSION = frozenset({"school", "tor", "web", "posting", "sleeper"})
CARRIER_ADDRESSES = 5
TOR_EXITS = 8
VISITORS = 400
KNOWN_DEVICES = 0.7
"""Share of those who sign in during the run with a browser that they used before (drill/people.py relies on
the same order)."""
NEWCOMERS = 100
"""Accounts made within the last hour, for floods of posts."""
FOLLOWED_BY_LISTENERS = 3
VICTIM = "meridian_voice"
VICTIM_POSTS = 24
OLDEST_CREDENTIAL_MS = 25 * DAY_MS
"""Sessions last 30 days."""
YOUNGEST_CREDENTIAL_MS = 2 * DAY_MS
FOLLOWING_SINCE_MS = 40 * DAY_MS

Tell = Callable[[str], None]


def environment(directory: Path, **settings: object) -> dict[str, str]:
    """Return this process's environment with only these settings; `web_port=1` sets STORMPETREL_WEB_PORT."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")}
    chosen = {"data_dir": directory / "data", "registration": "open", "log_level": "warning", **settings}
    return environ | {f"STORMPETREL_{name.upper()}": str(value) for name, value in chosen.items()}


def prepare(
    directory: Path, *, seed: int, users: int, posts: int, popular_followers: int, tell: Tell
) -> None:
    """Make `data/` and COMMUNITY_FILE in `directory`, which must be new. Raise EnvironmentFailure.

    `users`, `posts`: the size of the seeded community. The people of KINDS are chosen from it, so `users`
    must be more than their sum. `popular_followers`: followers of A12's account.
    """
    from stormpetrel.config_loader import load
    from stormpetrel.process import secret
    from stormpetrel.process.cpu_worker import hash_password_now
    from stormpetrel.storage.journal import FILE_NAME, Journal, Networks
    from stormpetrel.storage.seed.community import seed as write_seed
    from stormpetrel.storage.seed.plan import Size

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    environ = environment(directory)
    done = subprocess.run(
        [sys.executable, "-m", "stormpetrel", "init"],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EnvironmentFailure(f"the drill's instance cannot be created: {done.stderr.strip()}")
    config = load(None, environ).config
    password_hash = hash_password_now(PASSWORD)
    with open_store(config.database_url) as connection:
        at_ms = now_ms()
        write_seed(
            connection,
            Size(users=users, posts=posts, follows=FOLLOWS, seed=seed, end_ms=at_ms - 60_000),
            password_hash=password_hash,
            now_ms=at_ms,
            tell=lambda done, total, doing: tell(f"{done * 100 // max(total, 1)} % ({doing})"),
        )
    tell("credentials")
    # Opened again: an id maker never goes back in time, and this part begins weeks ago.
    with open_store(config.database_url) as connection:
        maker = _Maker(
            connection,
            seed=seed,
            users=users,
            popular_followers=popular_followers,
            password_hash=password_hash,
            cookie_secret=secret.load(config),
            now_ms=at_ms,
            domain=config.domain,
        )
        community = maker.community()
    save(community, directory / COMMUNITY_FILE)
    tell("addresses")
    journal = Journal(config.data_dir / FILE_NAME)
    try:
        journal.see_networks(Networks.KNOWN, maker.networks((*community.members, *community.sleepers)))
    finally:
        journal.close()


class _Maker:
    """Gives people of a seeded community the credentials and follows for the drill."""

    def __init__(
        self,
        connection: StoreConnection,
        *,
        seed: int,
        users: int,
        popular_followers: int,
        password_hash: str,
        cookie_secret: bytes,
        now_ms: int,
        domain: str,
    ) -> None:
        from stormpetrel.storage.seed.community import username

        self._connection = connection
        self._rng = Random(f"stormpetrel drill community {seed}")  # noqa: S311 - who is who, not a secret
        self._secret = cookie_secret
        self._password_hash = password_hash
        self._now_ms = now_ms
        self._domain = domain
        self._popular_followers = popular_followers
        self._names = [username(seed, person) for person in range(users)]
        self._apps: dict[str, int] = {}
        self._listens: dict[str, tuple[str, ...]] = {}
        self._texts: dict[str, tuple[str, ...]] = {}
        self._work = TimedSteps()

    def community(self) -> Community:
        """Write all data in one transaction and return the community."""
        from stormpetrel.cli.drill_phones import link_phones
        from stormpetrel.model.event import AllChanged
        from stormpetrel.model.phone import PhoneKeys
        from stormpetrel.storage.engine.connection import transaction
        from stormpetrel.storage.outbox import put_events

        with transaction(self._connection):
            self._register_apps()
            members: list[Member] = []
            chosen = self._rng.sample(self._names, sum(count for _, count in KINDS) + 1)
            popular_name = chosen.pop()
            for kind, count in KINDS:
                for number in range(count):
                    self._member(
                        members,
                        kind,
                        chosen.pop(),
                        self._address(kind, number),
                        has_device=kind != "sign_in" or number < count * KNOWN_DEVICES,
                    )
            self._member(members, "popular", popular_name, neighbour(HOMES["own"], 5_000))
            self._follow_posters(members)
            self._texts = link_phones(
                self._connection,
                members,
                keys=PhoneKeys(self._secret),
                rng=self._rng,
                since_ms=self._now_ms - FOLLOWING_SINCE_MS - HOUR_MS,
                steps=self._work,
                follow=partial(self._follow, notify=True),
            )
            newcomers: list[Member] = []
            for number in range(NEWCOMERS):
                self._newcomer(newcomers, number)
            victims: list[Victim] = []
            self._victim(victims)
            self._work.run()
            self._connection.events.clear()
            # A moment after the seed's own event: both id makers may have had the same slot.
            put_events(self._connection, [AllChanged()], self._now_ms + 1)
        popular = next(member for member in members if member.kind == "popular")
        return Community(
            members=tuple(one for one in members if one.kind not in ("sleeper", "popular")),
            sleepers=tuple(one for one in members if one.kind == "sleeper"),
            newcomers=tuple(newcomers),
            victim=victims[0],
            popular=popular,
            visitors=self._visitor_cookies(),
            shared=SharedAddresses(
                tuple(neighbour(HOMES["carrier"], number) for number in range(CARRIER_ADDRESSES)),
                (neighbour(HOMES["school"], 0),),
                tuple(neighbour(HOMES["tor"], number) for number in range(TOR_EXITS)),
            ),
            names=tuple(self._rng.sample(self._names, min(1000, len(self._names)))),
            tags=_tags(),
            cookies=_cookie_names(),
            listens=self._listens,
            texts=self._texts,
        )

    def _visitor_cookies(self) -> tuple[str, ...]:
        """Return cookies of visitors who came days ago and have never signed in."""
        from stormpetrel.shield.marks import mint_visitor

        return tuple(
            mint_visitor(self._secret, mark_id=self._rng.getrandbits(64), at_s=self._days_ago_ms() // 1000)
            for _ in range(VISITORS)
        )

    def _days_ago_ms(self) -> int:
        return self._now_ms - self._rng.randrange(YOUNGEST_CREDENTIAL_MS, OLDEST_CREDENTIAL_MS)

    def networks(self, members: Sequence[Member]) -> list[tuple[str, int]]:
        """Return (network, last day since 1970) of people with credentials, for the last 14 days."""
        from stormpetrel.shield.prefixes import KNOWN_DAYS, prefix_of

        today = self._now_ms // DAY_MS
        return [(prefix_of(one.address), today - self._rng.randrange(KNOWN_DAYS)) for one in members]

    def _register_apps(self) -> None:
        from stormpetrel.model.access import secret_hash
        from stormpetrel.rules.applications import register

        for number, (name, _) in enumerate(APPS):
            self._apps[name] = register(
                self._connection,
                name=name,
                redirect_uris=["urn:ietf:wg:oauth:2.0:oob"],
                scopes="read write follow push",
                website="",
                client_id=f"drill-{number}",
                client_secret_hash=secret_hash(secrets.token_urlsafe(16)),
                now_ms=self._now_ms - FOLLOWING_SINCE_MS - DAY_MS + number,
            ).id

    def _address(self, kind: str, number: int) -> str:
        if kind == "carrier":
            return neighbour(HOMES["carrier"], number % CARRIER_ADDRESSES)
        if kind == "school":
            return neighbour(HOMES["school"], 0)
        if kind == "tor":
            return neighbour(HOMES["tor"], number % TOR_EXITS)
        if kind == "sleeper":
            return neighbour(ATTACKERS_HOME, number * 300)
        # Spread over many /24 networks, like real people.
        return neighbour(HOMES.get(kind, HOMES["own"]), number * 37)

    def _device(self, account_id: int, at_ms: int) -> str:
        from stormpetrel.shield.marks import mint_device

        return mint_device(
            self._secret, mark_id=self._rng.getrandbits(64), account_id=account_id, at_s=at_ms // 1000
        )

    def _member(
        self, members: list[Member], kind: str, name: str, address: str, *, has_device: bool = True
    ) -> None:
        from stormpetrel.rules.accounts import user_by_login

        user = user_by_login(self._connection, login=name)
        assert user is not None, "the seed wrote everybody"
        since_ms = self._days_ago_ms()
        app = self._rng.choices([one for one, _ in APPS], [weight for _, weight in APPS])[0]
        place = len(members)
        members.append(
            Member(
                kind=kind,
                name=name,
                email=user.email,
                password=PASSWORD,
                account_id=str(user.account_id),
                address=address,
                app=app if kind in WITH_TOKEN or kind == "popular" else "",
                token="",
                session="",
                device=self._device(user.account_id, since_ms) if kind in WITH_DEVICE and has_device else "",
                created_s=since_ms // 1000,
                phone=f"+99555{place:07d}" if kind == "sms" else "",
            )
        )

        def credentials(at_ms: int) -> None:
            one = members[place]
            if one.app:
                one = replace(one, token=self._token(user.account_id, one.app, at_ms))
            if kind in WITH_SESSION:
                one = replace(one, session=self._session(user.account_id, at_ms))
            members[place] = one

        self._work.at(since_ms, credentials)

    def _token(self, account_id: int, app: str, at_ms: int) -> str:
        from stormpetrel.model.access import secret_hash
        from stormpetrel.rules.access import create_token

        token = secrets.token_urlsafe(32)
        create_token(
            self._connection,
            account_id=account_id,
            application_id=self._apps[app],
            scopes=("read", "write", "follow", "push"),
            token_hash=secret_hash(token),
            now_ms=at_ms,
        )
        return token

    def _session(self, account_id: int, at_ms: int) -> str:
        from stormpetrel.rules.access import start_session
        from stormpetrel.shield.cookies import mint

        session_id = start_session(
            self._connection, account_id=account_id, now_ms=at_ms, browser="Firefox on Linux"
        )
        return mint(self._secret, session_id=session_id, account_id=account_id, issued_at_s=at_ms // 1000)

    def _follow_posters(self, members: list[Member]) -> None:
        """Let stream listeners follow some posters, and many people follow the popular account."""
        posters = [one.account_id for one in members if one.kind == "posting"]
        popular = next(int(one.account_id) for one in members if one.kind == "popular")
        pairs: list[tuple[int, int]] = []
        for one in members:
            if one.kind == "streaming":
                chosen = tuple(self._rng.sample(posters, FOLLOWED_BY_LISTENERS))
                self._listens[one.account_id] = chosen
                pairs += [(int(one.account_id), int(other)) for other in chosen]
        for name in self._rng.sample(self._names, min(self._popular_followers, len(self._names))):
            pairs.append((self._account_id(name), popular))
        for position, (follower, followed) in enumerate(pairs):
            self._work.at(
                self._now_ms - FOLLOWING_SINCE_MS + position, partial(self._follow, follower, followed)
            )

    def _account_id(self, name: str) -> int:
        from stormpetrel.rules.accounts import account_named

        return account_named(self._connection, username=name).id

    def _follow(self, follower: int, followed: int, at_ms: int, *, notify: bool | None = None) -> None:
        from stormpetrel.rules.relationships import follow

        if follower != followed:
            follow(
                self._connection,
                follower_id=follower,
                followed_id=followed,
                show_boosts=None,
                notify=notify,
                now_ms=at_ms,
            )

    def _newcomer(self, newcomers: list[Member], number: int) -> None:
        name = f"fresh_{number}_{self._rng.randrange(10**6)}"

        def arrive(at_ms: int) -> None:
            account_id = self._sign_up(name, at_ms)
            newcomers.append(
                Member(
                    kind="new",
                    name=name,
                    email=f"{name}@fresh.invalid",
                    password=PASSWORD,
                    account_id=str(account_id),
                    address=neighbour(ATTACKERS_HOME, 30_000 + number * 300),
                    app="toot",
                    token=self._token(account_id, "toot", at_ms),
                    session="",
                    device="",
                    created_s=at_ms // 1000,
                )
            )

        self._work.at(self._now_ms - HOUR_MS + number * 1000, arrive)

    def _sign_up(self, name: str, at_ms: int) -> int:
        from stormpetrel.rules.accounts import sign_up

        return sign_up(
            self._connection,
            username=name,
            email=f"{name}@fresh.invalid",
            password_hash=self._password_hash,
            reason="",
            locale="en",
            registration="open",
            now_ms=at_ms,
        ).id

    def _victim(self, victims: list[Victim]) -> None:
        """Create the activist, a member for a month who posts twice a day."""
        post_ids: list[int] = []
        account: list[int] = []

        def arrive(at_ms: int) -> None:
            account.append(self._sign_up(VICTIM, at_ms))

        def post(at_ms: int) -> None:
            from stormpetrel.model.post import Draft, Visibility
            from stormpetrel.rules.posts import create_post

            created = create_post(
                self._connection,
                author_id=account[0],
                draft=Draft(
                    text=_SAID[len(post_ids) % len(_SAID)], visibility=Visibility.PUBLIC, language="en"
                ),
                max_characters=500,
                domain=self._domain,
                now_ms=at_ms,
            )
            post_ids.append(created.post_id)

        def finish(at_ms: int) -> None:
            victims.append(
                Victim(
                    name=VICTIM,
                    account_id=str(account[0]),
                    post_ids=tuple(str(post_id) for post_id in reversed(post_ids)),
                    token=self._token(account[0], "Ivory", at_ms),
                    session=self._session(account[0], at_ms + 1),
                    app="Ivory",
                    address=neighbour(HOMES["school"], 0),
                )
            )

        self._work.at(self._now_ms - 29 * DAY_MS, arrive)
        for number in range(VICTIM_POSTS):
            self._work.at(self._now_ms - 15 * DAY_MS + number * DAY_MS // 2, post)
        self._work.at(self._now_ms - YOUNGEST_CREDENTIAL_MS + VICTIM_POSTS, finish)


_SAID = (
    "The bridge at the old mill is closed again. People on the other side have no bread since Tuesday.",
    "I spoke to three families today. Their names stay with me; their stories should not.",
    "They say nothing happened on the square. Here is what I saw, hour by hour.",
    "If this page stops answering: I am well. Look at the mirrors that friends keep.",
)
"""The activist's posts."""


def _tags() -> tuple[str, ...]:
    from stormpetrel.storage.seed import text as seed_text

    return tuple(seed_text.TAGS)


def _cookie_names() -> dict[str, str]:
    from stormpetrel.shield.cookies import COOKIE_NAME
    from stormpetrel.shield.marks import DEVICE_COOKIE, VISITOR_COOKIE

    return {"session": COOKIE_NAME, "visitor": VISITOR_COOKIE, "device": DEVICE_COOKIE}

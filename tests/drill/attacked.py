"""Communities for the tests of attacks: an invented one, and a small real one on a running instance."""

from __future__ import annotations

import time

from stormpetrel.drill.community import Community, Member, SharedAddresses, Victim
from tests.people import PASSWORD, Person, Place

COOKIES = {"session": "stormpetrel_session", "visitor": "", "device": ""}
SHARED = SharedAddresses(
    carrier=("127.50.1.1", "127.50.1.2"),
    school=("127.60.1.1",),
    tor=("127.70.1.1", "127.70.1.2", "127.70.1.3"),
)


def member(kind: str, number: int, **more: str) -> Member:
    """Return an invented member. `more` replaces fields."""
    fields = {
        "name": f"{kind}{number}",
        "account_id": str(1000 + number),
        "token": f"token-of-{kind}-{number}",
        "session": f"session-of-{kind}-{number}",
    } | more
    return Member(
        kind=kind,
        email=f"{kind}{number}@example.org",
        password=PASSWORD,
        address=f"127.47.{len(kind)}.{number + 1}",
        app="Tusky",
        device="",
        created_s=int(time.time()) - 86_400,
        **fields,
    )


def invented_community() -> Community:
    """Return a community whose accounts exist on no instance."""
    return community_of(
        members=[member("own", number) for number in range(10)],
        sleepers=[member("sleeper", number) for number in range(60)],
        newcomers=[member("new", number) for number in range(100)],
        victim=Victim(
            "activist", "4711", ("31", "32", "33", "34"), "his-token", "his-session", "Tusky", "127.48.1.1"
        ),
    )


def real_community(place: Place) -> Community:
    """Create 3 members, 3 sleepers, 3 newcomers and a victim with 4 posts, on a running instance."""
    people = {kind: [place.person(kind) for _ in range(3)] for kind in ("own", "sleeper", "new")}
    activist = place.person("activist")
    posts = tuple(activist.post(f"Report {number} from the square #storm")["id"] for number in range(4))

    def members(kind: str) -> list[Member]:
        return [as_member(person, kind, number) for number, person in enumerate(people[kind])]

    session = place.browser_session(people["sleeper"][0]).cookies["stormpetrel_session"]
    sleepers = members("sleeper")
    return community_of(
        members=members("own"),
        sleepers=[as_member(people["sleeper"][0], "sleeper", 0, session=session), *sleepers[1:]],
        newcomers=members("new"),
        victim=Victim(activist.username, str(activist.id), posts, activist.token, "", "Tusky", "127.48.1.1"),
    )


def as_member(person: Person, kind: str, number: int, *, session: str = "") -> Member:
    """Return the drill's record of a person on a running instance."""
    return member(
        kind, number, name=person.username, account_id=str(person.id), token=person.token, session=session
    )


def community_of(
    *, members: list[Member], sleepers: list[Member], newcomers: list[Member], victim: Victim
) -> Community:
    """Return a community of these accounts. The first member is the popular one."""
    return Community(
        members=tuple(members),
        sleepers=tuple(sleepers),
        newcomers=tuple(newcomers),
        victim=victim,
        popular=members[0],
        visitors=(),
        shared=SHARED,
        names=tuple(one.name for one in members),
        tags=("storm", "harbour"),
        cookies=COOKIES,
    )

"""The accounts and visitors of a drilled instance as frozen values, stored as JSON.

The file holds passwords and tokens of a throw-away instance; only the load generators read it, never the
server. Addresses are in 127.0.0.0/8; `HOMES` maps each kind of people to its prefix.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HOMES = {
    "own": "127.40",
    "carrier": "127.50.1",
    "school": "127.60.1",
    "tor": "127.70.1",
    "web": "127.41",
    "posting": "127.42",
    "streaming": "127.43",
    "visitor": "127.44",
    "feeds": "127.45",
    "new": "127.46",
    "sms": "127.39",
}
"""Kind of legitimate people → prefix of their addresses. Vectors have 127.128.0.0/9 to themselves, except
those that hide behind a shared address (A6, A16)."""
ATTACKERS_HOME = "127.200"
HTTPS_PREFIX = "__Host-"


@dataclass(frozen=True, slots=True)
class Member:
    """An account and its credentials. `kind`: its class of people (own, carrier, school, tor, web, posting,
    streaming, sign_in, sms, sleeper, new). `session`: value of the session cookie, or empty. `token`: or empty.
    `device`: value of the device cookie, or empty. `created_s`: when the credential was made, seconds since
    1970. `phone`: number in E.164, or empty."""

    kind: str
    name: str
    email: str
    password: str
    account_id: str
    address: str
    app: str
    token: str
    session: str
    device: str
    created_s: int
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Victim:
    """The activist under attack: page, posts (newest first), and own credentials."""

    name: str
    account_id: str
    post_ids: tuple[str, ...]
    token: str
    session: str
    app: str
    address: str


@dataclass(frozen=True, slots=True)
class SharedAddresses:
    """Addresses that many people share."""

    carrier: tuple[str, ...]
    school: tuple[str, ...]
    tor: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Community:
    """All people of the drill. `members` are legitimate; `sleepers` look like them and belong to the attacker
    (A7); `newcomers` are accounts made today (A12). `visitors`: values of visitor cookies from before the
    attack. `popular`: an account with very many followers. `names`, `tags`: existing ones, for A4 and A5.
    `listens`: account id of kind streaming → the ids of kind posting that it follows. `cookies`: the names of
    the session, visitor and device cookies here, empty if the server has none. `texts`: account id of kind
    posting → the ids of kind sms that get its posts as texts."""

    members: tuple[Member, ...]
    sleepers: tuple[Member, ...]
    newcomers: tuple[Member, ...]
    victim: Victim
    popular: Member
    visitors: tuple[str, ...]
    shared: SharedAddresses
    names: tuple[str, ...]
    tags: tuple[str, ...]
    cookies: dict[str, str]
    listens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[Member, ...]:
        """Return the members of one kind."""
        return tuple(member for member in self.members if member.kind == kind)


def save(community: Community, path: Path) -> None:
    """Write the community to a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(community)), encoding="utf-8")


def load(path: Path, *, https: bool = False) -> Community:
    """Return the community that `save` wrote. `https`: the instance is reached by https, so that its cookies have
    the prefix that binds them to the host (RFC 6265bis §4.1.3.2).
    """
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    victim, shared = raw["victim"], raw["shared"]
    return Community(
        members=tuple(Member(**one) for one in raw["members"]),
        sleepers=tuple(Member(**one) for one in raw["sleepers"]),
        newcomers=tuple(Member(**one) for one in raw["newcomers"]),
        victim=Victim(**(victim | {"post_ids": tuple(victim["post_ids"])})),
        popular=Member(**raw["popular"]),
        visitors=tuple(raw["visitors"]),
        shared=SharedAddresses(**{name: tuple(addresses) for name, addresses in shared.items()}),
        names=tuple(raw["names"]),
        tags=tuple(raw["tags"]),
        cookies={
            kind: f"{HTTPS_PREFIX}{name}" if https and name else name for kind, name in raw["cookies"].items()
        },
        listens={listener: tuple(posters) for listener, posters in raw.get("listens", {}).items()},
        texts={poster: tuple(readers) for poster, readers in raw.get("texts", {}).items()},
    )

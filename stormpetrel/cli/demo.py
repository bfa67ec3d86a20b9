"""`init --demo`: plays the people and posts of demo/community.toml through the rules, as if they were real.

All of it happens in one transaction and in order of time: a demo is never half there, and ids, counts and
notifications are the same as if the two weeks had really passed.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from stormpetrel.cli.addresses import addresses
from stormpetrel.cli.store import now_ms, open_store
from stormpetrel.errors import EnvironmentFailure, SetupError

if TYPE_CHECKING:
    from stormpetrel.cli.demo_pictures import Pictures, Wanted
    from stormpetrel.config import Config
    from stormpetrel.model.phone import PhoneKeys
    from stormpetrel.storage.engine.connection import Connection

LOGINS_FILE = "demo-logins.txt"
LOGINS = ("demo", "keeper")
"""Accounts that can sign in; the others have no usable password."""
TEXTED = ("keeper", "Marit_Sund", "tides")
"""Accounts whose posts the demo texts to the simulated phone."""
MAIL_DOMAIN = "skerrymouth.example"
"""Reserved, with no mail server. Mails to a domain below `invalid` are dropped before they become files."""
MAX_CHARACTERS = 500
PROFILE_PICTURES: tuple[Literal["avatar", "header"], ...] = ("avatar", "header")

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
ARRIVED_MS = 15 * 24 * HOUR_MS
"""How long ago the first person signed up; the first post is a day later."""
FIRST_REACTION_MS = 3 * MINUTE_MS
REACTION_EVERY_MS = 7 * MINUTE_MS

_WORDS = (
    "amber anchor apple barley basket beacon birch bottle breeze bridge candle cedar cherry clover cobalt "
    "copper coral cotton curlew dinghy ember fennel ferry fiddle garnet ginger granite harbor hazel heron "
    "island ivory jasper kettle lantern lemon linen lobster maple marble meadow mitten nutmeg orchard otter "
    "paddle pebble pepper plover quartz rhubarb saffron sandal signal silver spruce teapot thimble timber "
    "velvet violet walnut willow"
).split()
_PASSWORD_WORDS = 4
_PASSWORD_DIGITS = 4


@dataclass(frozen=True, slots=True)
class _Post:
    """A post of the demo. `answers`: its position in the list of all posts, or None.

    `pictures` are (drawing, description).
    """

    at_ms: int
    author: str
    text: str
    answers: int | None
    visibility: str
    spoiler: str
    sensitive: bool
    language: str
    likes: tuple[str, ...]
    boosts: tuple[str, ...]
    pictures: tuple[tuple[str, str], ...]


def fill(config: Config) -> str:
    """Fill the empty instance of `config`; return addresses and logins for the operator.

    If the demo exists already, only return these. Raise SetupError if there is other data.
    """
    from stormpetrel.cli import demo_pictures
    from stormpetrel.model.demo_phone import demo_route
    from stormpetrel.model.event import AllChanged
    from stormpetrel.model.phone import PhoneKeys
    from stormpetrel.process import secret
    from stormpetrel.process.cpu_worker import hash_password_now
    from stormpetrel.storage.engine.connection import transaction
    from stormpetrel.storage.engine.contents import is_empty
    from stormpetrel.storage.outbox import put_events

    path = config.data_dir / LOGINS_FILE
    with open_store(config.database_url) as connection:
        if not is_empty(connection):
            if path.exists():
                return path.read_text(encoding="utf-8")
            raise SetupError("--demo needs an empty instance, but this one has accounts; nothing was changed")
        passwords = {name: _password() for name in LOGINS}
        hashes = {name: hash_password_now(password) for name, password in passwords.items()}
        community = tomllib.loads(files("stormpetrel").joinpath("demo/community.toml").read_text("utf-8"))
        pictures = demo_pictures.keep(config, pictures_of(community))
        at_ms = now_ms()
        with transaction(connection):
            play(
                connection,
                community,
                hashes=hashes,
                domain=config.domain,
                pictures=pictures,
                now_ms=at_ms,
            )
            if demo_route(config.sms.routes) is not None:
                link_phone(connection, PhoneKeys(secret.load(config)), now_ms=at_ms)
            # One event for a server that may be running, instead of two weeks of events.
            connection.events.clear()
            put_events(connection, [AllChanged()], at_ms)
            text = _logins(config, passwords)
            _write_private(path, text)
    return text


def link_phone(connection: Connection, keys: PhoneKeys, *, now_ms: int) -> None:
    """Link the first number of the phone simulator to the member who can sign in, and text some accounts to it."""
    from stormpetrel.model.demo_phone import NUMBERS, ROUTE
    from stormpetrel.rules import accounts, phones
    from stormpetrel.rules.relationships import follow
    from stormpetrel.sms.numbers import zone_of

    owner = accounts.account_named(connection, username=LOGINS[0])
    phones.link(
        connection,
        account_id=owner.id,
        number=NUMBERS[0],
        route=ROUTE,
        keys=keys,
        zone=zone_of(NUMBERS[0]),
        language="en",
        now_ms=now_ms,
    )
    for name in TEXTED:
        other = accounts.account_named(connection, username=name)
        follow(
            connection,
            follower_id=owner.id,
            followed_id=other.id,
            show_boosts=None,
            notify=True,
            now_ms=now_ms,
        )


def _password() -> str:
    """Return a password of words that are easy to read out and type; 37 bits, behind a slow hash."""
    words = [secrets.choice(_WORDS) for _ in range(_PASSWORD_WORDS)]
    return "-".join([*words, f"{secrets.randbelow(10**_PASSWORD_DIGITS):0{_PASSWORD_DIGITS}}"])


def _logins(config: Config, passwords: dict[str, str]) -> str:
    lines = [*addresses(config), "", "demo logins (also in demo-logins.txt in the data directory):"]
    about = {"demo": "a member", "keeper": "the administrator"}
    lines += [f"  {name:<8}{password}   {about[name]}" for name, password in passwords.items()]
    return "\n".join([*lines, ""])


def _write_private(path: os.PathLike[str], text: str) -> None:
    try:
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentFailure(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)  # also if the file existed before
        file.write(text)


def pictures_of(community: dict[str, Any]) -> list[Wanted]:
    """Return the drawings that `community` (the parsed file) uses, each with its purpose."""
    wanted: list[Wanted] = []
    for person in community["people"]:
        wanted += [(person[purpose], purpose) for purpose in PROFILE_PICTURES if purpose in person]
    for thread in community["threads"]:
        for post in thread["posts"]:
            wanted += [(name, "attachment") for name, _ in post.get("pictures", ())]
    return wanted


def play(
    connection: Connection,
    community: dict[str, Any],
    *,
    hashes: dict[str, str],
    domain: str,
    pictures: Pictures,
    now_ms: int,
) -> None:
    """Let the people of `community` (the parsed file) sign up, follow and post, all before `now_ms`.

    `hashes`: password hashes of those who can sign in. `pictures`: all of `pictures_of`, as stored.
    """
    from stormpetrel.model.moderation import COMMAND_LINE
    from stormpetrel.rules.instance import announce

    ids = _arrive(connection, community["people"], hashes, from_ms=now_ms - ARRIVED_MS)
    _show_faces(connection, community["people"], ids, pictures, now_ms=now_ms)
    posts = _posts(community, now_ms)
    post_ids: dict[int, int] = {}
    for at_ms, position, kind, name in sorted(_happenings(posts, now_ms)):
        if kind == "post":
            post_ids[position] = _post(connection, posts[position], ids, post_ids, domain, pictures)
        else:
            _react(connection, kind, account_id=ids[name], post_id=post_ids[position], now_ms=at_ms)
    for text in community["announcements"]:
        announce(connection, COMMAND_LINE, text=text, now_ms=now_ms)


def _arrive(
    connection: Connection, people: list[dict[str, Any]], hashes: dict[str, str], *, from_ms: int
) -> dict[str, int]:
    """Let all people sign up, write a profile, and follow; return ids by name."""
    from stormpetrel.model.account import Field, ProfileChange, Role
    from stormpetrel.rules.accounts import sign_up, update_profile
    from stormpetrel.rules.relationships import accept_follow, follow
    from stormpetrel.storage.seed.community import UNUSABLE_PASSWORD

    ids: dict[str, int] = {}
    at_ms = from_ms
    for person in people:
        at_ms += 10 * MINUTE_MS
        name = person["name"]
        ids[name] = sign_up(
            connection,
            username=name,
            email=f"{name.lower()}@{MAIL_DOMAIN}",
            password_hash=hashes.get(name, UNUSABLE_PASSWORD),
            reason="",
            locale="en",
            registration="open",
            now_ms=at_ms,
            role=Role(person.get("role", "member")),
            by_operator=True,
        ).id
        profile = ProfileChange(
            display_name=person["display"],
            note=person["note"],
            fields=tuple(Field(key, value) for key, value in person.get("fields", ())),
            locked=person.get("locked", False),
            bot=person.get("bot", False),
            default_language=person.get("language", "en"),
        )
        update_profile(connection, account_id=ids[name], change=profile, now_ms=at_ms)
    accepting = {person["name"]: person.get("accepts", "").split() for person in people}
    unlocked = [person["name"] for person in people if not person.get("locked")]
    for person in people:
        name = person["name"]
        wanted = person["follows"].replace("all", " ".join(unlocked)).split()
        for other in dict.fromkeys(wanted):
            if other == name:
                continue
            at_ms += MINUTE_MS
            follow(
                connection,
                follower_id=ids[name],
                followed_id=ids[other],
                show_boosts=None,
                notify=None,
                now_ms=at_ms,
            )
            if name in accepting[other]:
                accept_follow(connection, account_id=ids[other], follower_id=ids[name], now_ms=at_ms + 1)
    return ids


def _show_faces(
    connection: Connection,
    people: list[dict[str, Any]],
    ids: dict[str, int],
    pictures: Pictures,
    *,
    now_ms: int,
) -> None:
    """Set avatars and headers."""
    from stormpetrel.rules.media import set_avatar, set_header

    for person in people:
        account_id = ids[person["name"]]
        if "avatar" in person:
            avatar = pictures[person["avatar"], "avatar"]
            set_avatar(connection, account_id=account_id, picture=avatar, now_ms=now_ms)
        if "header" in person:
            header = pictures[person["header"], "header"]
            set_header(connection, account_id=account_id, picture=header, now_ms=now_ms)


def _posts(community: dict[str, Any], now_ms: int) -> list[_Post]:
    """Return all posts of all threads, each with its time and the post that it answers."""
    languages = {person["name"]: person.get("language", "en") for person in community["people"]}
    posts: list[_Post] = []
    for thread in community["threads"]:
        first = len(posts)
        at_ms = now_ms - int(thread["ago_h"] * HOUR_MS)
        for number, entry in enumerate(thread["posts"]):
            at_ms += entry.get("after", 0) * MINUTE_MS
            to = entry.get("to", number - 1)
            answers = first + to if to >= 0 else None
            author, text = entry["by"], entry["text"]
            if answers is not None:
                addressed = posts[answers].author
                if addressed != author and f"@{addressed}" not in text:
                    text = f"@{addressed} {text}"
            posts.append(
                _Post(
                    at_ms=at_ms,
                    author=author,
                    text=text,
                    answers=answers,
                    visibility=entry.get("visibility", "public"),
                    spoiler=entry.get("spoiler", ""),
                    sensitive=entry.get("sensitive", False),
                    language=entry.get("lang", languages[author]),
                    likes=tuple(entry.get("likes", "").split()),
                    boosts=tuple(entry.get("boosts", "").split()),
                    pictures=tuple((name, words) for name, words in entry.get("pictures", ())),
                )
            )
    return posts


def _happenings(posts: list[_Post], now_ms: int) -> Iterator[tuple[int, int, str, str]]:
    """Yield (time, position of the post, "post" or a reaction, account), all at `now_ms` or before."""
    for position, post in enumerate(posts):
        yield post.at_ms, position, "post", post.author
        likes = ((name, "favourite") for name in post.likes)
        boosts = ((name, "boost") for name in post.boosts)
        for number, (name, kind) in enumerate((*likes, *boosts)):
            # The newest posts are only minutes old: cap the times of their reactions.
            wait_ms = FIRST_REACTION_MS + number * REACTION_EVERY_MS
            yield min(post.at_ms + wait_ms, now_ms - 1), position, kind, name


def _post(
    connection: Connection,
    post: _Post,
    ids: dict[str, int],
    post_ids: dict[int, int],
    domain: str,
    pictures: Pictures,
) -> int:
    from stormpetrel.model.post import Draft, Visibility
    from stormpetrel.rules import media
    from stormpetrel.rules.posts import create_post

    author_id = ids[post.author]
    media_ids = []
    for name, words in post.pictures:
        begun = media.begin(
            connection, account_id=author_id, size_bytes=0, description=words, focus=None, now_ms=post.at_ms
        )
        decoded = pictures[name, "attachment"]
        media.finish(connection, account_id=author_id, media_id=begun.id, decoded=decoded)
        media_ids.append(begun.id)
    draft = Draft(
        text=post.text,
        spoiler_text=post.spoiler,
        visibility=Visibility[post.visibility.upper()],
        sensitive=post.sensitive,
        language=post.language,
        in_reply_to_id=None if post.answers is None else post_ids[post.answers],
        media_ids=tuple(media_ids),
    )
    return create_post(
        connection,
        author_id=author_id,
        draft=draft,
        max_characters=MAX_CHARACTERS,
        domain=domain,
        now_ms=post.at_ms,
    ).post_id


def _react(connection: Connection, kind: str, *, account_id: int, post_id: int, now_ms: int) -> None:
    from stormpetrel.rules.reactions import boost, favourite

    if kind == "boost":
        boost(connection, account_id=account_id, post_id=post_id, visibility=None, now_ms=now_ms)
    else:
        favourite(connection, account_id=account_id, post_id=post_id, now_ms=now_ms)

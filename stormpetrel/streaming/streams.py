"""The available streams: their names, who may listen, and the keys that index their listeners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stormpetrel.errors import Forbidden, Malformed, NotFound, NotSignedIn
from stormpetrel.model.access import Access
from stormpetrel.model.ids import parse_id
from stormpetrel.model.text import tag_key

MAX_TAG = 100
"""In characters; no hashtag is longer."""

HOME = "home"
NOTIFIED = "notified"
PUBLIC = "public"
MEDIA = "media"
TAG = "tag"
DIRECT = "direct"
LIST = "list"


class Key(NamedTuple):
    """A key of the index of listeners: `value` is an account, a hashtag, a list or 0 for none."""

    kind: str
    value: int | str = 0


@dataclass(frozen=True, slots=True)
class Stream:
    """The stream of a subscription. `names`: its name and parameter in messages, which identify it."""

    names: tuple[str, ...]
    keys: tuple[Key, ...]

    @property
    def is_home(self) -> bool:
        """Return True if it includes the posts of a home timeline."""
        return any(key.kind == HOME for key in self.keys)


# All posts are local, so the local streams have all posts and the remote ones none.
_PUBLIC_KEYS: dict[str, tuple[Key, ...]] = {
    "public": (Key(PUBLIC),),
    "public:local": (Key(PUBLIC),),
    "public:remote": (),
    "public:media": (Key(MEDIA),),
    "public:local:media": (Key(MEDIA),),
    "public:remote:media": (),
}
_TAG_NAMES = ("hashtag", "hashtag:local")
_ACCOUNT_NAMES = ("user", "user:notification", "direct", "list")


def stream_of(
    name: str, *, tag: str | None = None, list_id: str | None = None, access: Access | None
) -> Stream:
    """Return the requested stream. The hub checks that a list is the account's own.

    Raise Malformed for an unknown stream, NotSignedIn if an account is needed, Forbidden if the token does
    not allow it, NotFound for an invalid list id.
    """
    if name in _PUBLIC_KEYS:
        return Stream((name,), _PUBLIC_KEYS[name])
    if name in _TAG_NAMES:
        wanted = (tag or "").strip().removeprefix("#")
        if not wanted:
            raise Malformed("Missing tag name parameter")
        if len(wanted) > MAX_TAG:
            raise Malformed("The tag name is too long")
        return Stream((name, wanted), (Key(TAG, tag_key(wanted)),))
    if name not in _ACCOUNT_NAMES:
        raise Malformed("Unknown stream type")
    if access is None:
        raise NotSignedIn("Missing access token")
    if access.account_id is None:
        raise NotSignedIn("This method requires an authenticated user")
    notified = Key(NOTIFIED, access.account_id)
    if name == "user:notification":
        _require(access, "read:notifications")
        return Stream((name,), (notified,))
    _require(access, "read:statuses")
    if name == "direct":
        return Stream((name,), (Key(DIRECT, access.account_id),))
    if name == "list":
        return _list(list_id or "")
    home = Key(HOME, access.account_id)
    # A token without access to notifications still gets all other events.
    return Stream((name,), (home, notified) if "read:notifications" in access.allowed else (home,))


def _list(wanted: str) -> Stream:
    if not wanted:
        raise Malformed("Missing list name parameter")
    list_id = parse_id(wanted)
    if list_id is None:
        raise NotFound
    return Stream(("list", wanted), (Key(LIST, list_id),))


def _require(access: Access, scope: str) -> None:
    if scope not in access.allowed:
        raise Forbidden("Access token does not have the required scopes")

"""A request as handlers see it: caller, route and parameters. Parts are parsed on first use."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any, TypeVar

import msgspec

from stormpetrel.errors import Busy, Forbidden, Malformed, NotFound, TooLarge, WrongMediaType
from stormpetrel.http.forms import MAX_TEXT_BYTES, MultipartForm, UploadedFile
from stormpetrel.http.parameters import read_json, struct
from stormpetrel.http.site import Site
from stormpetrel.media.job import NO_ROOM
from stormpetrel.media.store import FULL
from stormpetrel.model.access import Access
from stormpetrel.model.ids import parse_id
from stormpetrel.model.quota import network_of, slot
from stormpetrel.model.timeline import NEVER_MS
from stormpetrel.readers.facts import Fact, keys_of
from stormpetrel.shield import percent
from stormpetrel.shield.cookies import pairs
from stormpetrel.shield.marks import Mark, device_in
from stormpetrel.shield.paths import PathFacts

S = TypeVar("S", bound=msgspec.Struct)

FORM_COOKIE = "stormpetrel_form"
"""Binds a form to the browser that it was shown to, before the user signs in."""
_PERSON = b"petrel.csrf.1"


class Headers(Mapping[str, str]):
    """Header values by lower-case name; repeated ones joined by commas, cookies by ";" (RFC 9113, 8.2.3)."""

    __slots__ = ("_raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.encode("latin-1")
        found = [value for key, value in self._raw if key == wanted]
        if not found:
            raise KeyError(name)
        return (b"; " if name == "cookie" else b", ").join(found).decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.decode("latin-1") for key, _ in self._raw))

    def __len__(self) -> int:
        return len({key for key, _ in self._raw})


class Request:
    """One HTTP request. `access` is the identity of the credential, or None without one.

    `now_ms` is the time when processing began, in milliseconds since 1970; `at_s` the same on the monotonic
    clock.
    """

    __slots__ = (
        "_body",
        "_cookies",
        "_form",
        "_has_ended",
        "_masked_token",
        "_query_pairs",
        "_receive",
        "access",
        "at_s",
        "facts",
        "method",
        "new_form_cookie",
        "now_ms",
        "parameters",
        "path",
        "scope",
        "site",
    )

    def __init__(
        self, scope: dict[str, Any], receive: Any, *, site: Site, facts: PathFacts, now_ms: int, at_s: float
    ) -> None:
        self.scope = scope
        self._receive = receive
        self.site = site
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.now_ms = now_ms
        self.at_s = at_s
        self.parameters: dict[str, str] = {}
        self.access: Access | None = None
        self.facts = facts
        self.new_form_cookie: str | None = None
        self._body: bytes | None = None
        self._has_ended = False
        self._cookies: dict[str, str] | None = None
        self._form: list[tuple[str, Any]] | None = None
        self._masked_token: str | None = None
        self._query_pairs: list[tuple[str, str]] | str | None = None

    @property
    def reader_id(self) -> int | None:
        """Return the account of the reader; None for a visitor."""
        return None if self.access is None else self.access.account_id

    @property
    def account_id(self) -> int:
        """Return the account that acts; only for routes that require one."""
        assert self.access is not None
        assert self.access.account_id is not None
        return self.access.account_id

    def release_slot(self) -> None:
        """Release the slot before a long wait that is not work of this loop and has a limit elsewhere."""
        self.scope["release_slot"]()

    @property
    def address(self) -> str:
        """Return the client's address."""
        return str(self.scope["visit"].address)

    @property
    def urgency(self) -> int:
        """Return the visit's lane of the shield (0 first), as the urgency of its jobs in the heavy process."""
        return int(self.scope["lane"])

    @property
    def network_slot(self) -> int:
        """Return the number of the row that counts the client's network."""
        return slot(self.site.secret, f"network {network_of(self.address)}")

    def known_device(self, account_id: int) -> Mark | None:
        """Return the browser's device mark if this account has signed in with it before."""
        device = device_in(self.site.secret, self.headers.get("cookie", ""), epoch_s=self.now_ms / 1000)
        return device if device is not None and device.account_id == account_id else None

    @property
    def headers(self) -> Headers:
        return Headers(self.scope["headers"])

    @property
    def cookies(self) -> dict[str, str]:
        """Return the cookies by name, without malformed ones."""
        if self._cookies is None:
            self._cookies = {}
            # SimpleCookie drops all cookies if it cannot parse one, which another program on the host may
            # have set.
            for name, value in pairs(self.headers.get("cookie", "").encode("latin-1")):
                self._cookies.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        return self._cookies

    def id(self, name: str = "id") -> int:
        """Return the id in the path. Raise NotFound, without the database, if it cannot be an id."""
        value = parse_id(self.parameters[name])
        if value is None:
            raise NotFound
        return value

    # Input

    @property
    def query_pairs(self) -> list[tuple[str, str]]:
        """Return the names and values of the query string, in order; do not change the list.

        Raise Malformed, also when asked again: the error page asks too.
        """
        if self._query_pairs is None:
            try:
                self._query_pairs = _pairs(self.scope["query_string"])
            except Malformed as error:
                # The error itself would have this request in its traceback, and so keep it alive.
                self._query_pairs = error.safe_text
        if isinstance(self._query_pairs, str):
            raise Malformed(self._query_pairs)
        return self._query_pairs

    def query(self, kind: type[S]) -> S:
        """Return the query string as `kind`. Raise Invalid for a value of the wrong type."""
        return struct(kind, self.query_pairs)

    async def input(self, kind: type[S]) -> S:
        """Return query string and body together as `kind`; the body takes precedence.

        The body may be JSON, a form or multipart, also without a content type. Raise Malformed,
        WrongMediaType or Invalid.
        """
        pairs: list[tuple[str, Any]] = list(self.query_pairs)
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
            return struct(kind, pairs + await self._form_pairs())
        body = await self.body()
        if not body.strip():
            return struct(kind, pairs)
        if content_type == "application/json" or content_type.endswith("+json"):
            return struct(kind, pairs, read_json(body))
        if content_type and content_type not in ("text/plain", "application/octet-stream"):
            raise WrongMediaType(f"Unsupported content type {content_type}")
        # Some apps send no type or a wrong one: registration comes without a Content-Type.
        if body.lstrip().startswith(b"{"):
            return struct(kind, pairs, read_json(body))
        return struct(kind, pairs + list(_pairs(body)))

    async def body(self) -> bytes:
        """Return the whole body. Raise TooLarge, and Malformed if the client leaves before its end.

        The edge limits the size by path. Where files are uploaded, it accepts many megabytes, also of bodies
        without a file.
        """
        if self._body is None:
            most = max(MAX_TEXT_BYTES, self.site.config.edge.max_body_bytes)
            parts = bytearray()
            while part := await self._more_body():
                parts += part
                if len(parts) > most:
                    raise TooLarge
            self._body = bytes(parts)
        return self._body

    async def _more_body(self) -> bytes:
        """Return the bytes of the body that arrive next, or b"" at its end. Raise Malformed as `body` does."""
        part = b""
        while not part and not self._has_ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Malformed("The request ended before its body was complete")
            part = message.get("body", b"")
            self._has_ended = not message.get("more_body", False)
        return part

    async def _form_pairs(self) -> list[tuple[str, Any]]:
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self._form is None and content_type == "application/x-www-form-urlencoded":
            # Starlette's parser inserts U+FFFD for undecodable bytes; a post must not be changed silently.
            self._form = list(_pairs(await self.body()))
        if self._form is None and content_type != "multipart/form-data":
            self._form = []
        if self._form is None:
            # A member's files may be large and slow to arrive, so limit how many are in transit per member.
            turn = nullcontext() if self.reader_id is None else self.site.uploads.arriving.one(self.reader_id)
            with turn:
                self._form = await self._multipart()
        return self._form

    async def _multipart(self) -> list[tuple[str, Any]]:
        try:
            return list(await MultipartForm(self.headers["content-type"]).read(self._more_body))
        except OSError as error:
            # Larger files of a form are stored on disk.
            if error.errno not in NO_ROOM and not isinstance(error, FileNotFoundError):
                raise
            raise Busy(FULL) from error

    async def form(self) -> dict[str, str]:
        """Return the fields of a web form without files; the last value of repeated fields."""
        return {name: value for name, value in await self._form_pairs() if isinstance(value, str)}

    async def files(self) -> dict[str, UploadedFile]:
        """Return the files of a multipart form by field name."""
        return {name: value for name, value in await self._form_pairs() if isinstance(value, UploadedFile)}

    def close_files(self) -> None:
        """Free the disk space of a form's files, which must not be read after this."""
        for _, value in self._form or ():
            if isinstance(value, UploadedFile):
                value.file.close()

    # Hot pages

    def keep_hot(self, *tags: str, ttl_s: float | None = None) -> None:
        """Allow other visitors to get this response from the cache: it depends only on the things that `tags`
        name.

        Do nothing for a signed-in user, or if the edge does not cache this path.
        """
        hot = self.scope.get("hot")
        if hot is not None and self.access is None:
            hot.keep(tags, ttl_s=ttl_s)

    @property
    def may_be_finished(self) -> bool:
        """Return True if the edge stores the response, if `keep_finished` allows it."""
        return "finished" in self.scope

    def keep_finished(
        self,
        shown: Iterable[int] = (),
        *,
        until_ms: int = NEVER_MS,
        still_holds: Callable[[], bool] | None = None,
    ) -> None:
        """Allow the next request with this token to get this response from memory.

        The route names the facts of the reader that it depends on. `shown`: the posts and accounts in it.
        `until_ms`: when its content changes by the clock, in milliseconds since 1970. `still_holds`: a further
        condition. Do nothing if the edge does not store it.
        """
        offer = self.scope.get("finished")
        facts = self.facts.finished
        reader_id = self.reader_id
        if offer is None or facts is None or reader_id is None or until_ms <= self.now_ms:
            return
        offer.keep(
            (*shown, *keys_of((Fact.ACCESS, *facts), reader_id)),
            until_s=until_ms / 1000,
            still_holds=still_holds,
        )

    # Forms

    @property
    def csrf_token(self) -> str:
        """Return the token that a form must send back: bound to the session, or before signing in to a cookie of
        this browser.

        It is masked differently in each response (`masked`): responses are compressed, and the sizes of many
        would reveal a text that is the same in all of them (BREACH).
        """
        if self._masked_token is None:
            self._masked_token = masked(csrf_token(self.site.secret, self._form_owner(make=True)))
        return self._masked_token

    async def check_csrf(self) -> None:
        """Raise Forbidden unless the form comes from a page that was shown to this browser."""
        headers = self.headers
        origin = headers.get("origin")
        ours = {headers.get("host", "").lower(), self.site.domain} - {""}
        if origin is not None and origin.lower().partition("://")[2] not in ours:
            raise Forbidden("This form was sent from another site")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise Forbidden("This form was sent from another site")
        owner = self._form_owner(make=False)
        given = headers.get("x-csrf-token") or (await self.form()).get("csrf", "")
        if not owner or not hmac.compare_digest(
            csrf_token(self.site.secret, owner).encode(), unmasked(given).encode("utf-8", "replace")
        ):
            raise Forbidden("This form has expired. Please go back, reload the page and send it again")

    def _form_owner(self, *, make: bool) -> str:
        if self.access is not None and self.access.session_id is not None:
            return f"session:{self.access.session_id}"
        if self.new_form_cookie is None:
            kept = self.cookies.get(FORM_COOKIE, "")
            if kept.isascii() and kept.isalnum() and len(kept) == 32:
                return f"form:{kept}"
            if not make:
                return ""
            self.new_form_cookie = new_form_cookie()
        return f"form:{self.new_form_cookie}"


def csrf_token(secret: bytes, owner: str) -> str:
    """Return the token of forms shown to `owner`: a MAC, so nothing is stored."""
    return hashlib.blake2b(owner.encode(), key=secret[:64], digest_size=18, person=_PERSON).hexdigest()


def masked(token: str) -> str:
    """Return a token of hexadecimal digits as a random pad and the token XOR the pad, different each time."""
    raw = bytes.fromhex(token)
    pad = secrets.token_bytes(len(raw))
    return (pad + bytes(a ^ b for a, b in zip(raw, pad, strict=True))).hex()


def unmasked(text: str) -> str:
    """Return the token that `masked` encoded; "" for a text of another form."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return ""
    half = len(raw) // 2
    return bytes(a ^ b for a, b in zip(raw[:half], raw[half:], strict=False)).hex()


def new_form_cookie() -> str:
    """Return a random value for FORM_COOKIE: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def _pairs(text: bytes) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        found = percent.pairs(text, most=percent.MAX_PARAMETERS)
        return [(name.decode("utf-8"), value.decode("utf-8")) for name, value in found]
    except UnicodeDecodeError as error:
        raise Malformed("The parameters are not valid UTF-8") from error
    except ValueError as error:
        raise Malformed(f"The parameters could not be read: {error}") from error

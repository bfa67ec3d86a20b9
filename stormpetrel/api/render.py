"""The API's answers as bytes: every post and every account is encoded once, then joined.

A post's bytes have gaps where the account's are put in and end where the reader's flags begin, so a counter of
an account drops one entry and not all of its posts, and one encoding serves all readers. The tables are bounded
(`Recent`) and are told what changed (`apply`). Permission is the caller's business: ids come from a rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import msgspec

from stormpetrel.api import convert
from stormpetrel.api.recent import Recent
from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.memory import ReaderFlags
from stormpetrel.model.account import Account
from stormpetrel.model.event import (
    AccountChanged,
    AllChanged,
    Event,
    PostChanged,
    PostCreated,
    PostDeleted,
    RelationshipChanged,
)
from stormpetrel.model.notification import Notification
from stormpetrel.model.post import NO_FLAGS, Flags, Post, Thread
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.database import Database
from stormpetrel.storage.hot import hot

HALF_CACHE_BYTES = 16 * 1024 * 1024
"""Bytes of posts kept in one half of their table, and a quarter of it for accounts: 40 MiB a worker at most,
which is about 20,000 posts; a home timeline of 20 shows few that nobody else reads."""
ENTRY_BYTES = 300
"""What an entry takes besides its text (tuple, bytes objects, place in the dict); measured with tracemalloc."""
HOT_POSTS = 40
"""Up to so many posts that are missing are read in the loop (storage/database.py: hot)."""

_encode = msgspec.json.Encoder().encode


class _PostBytes(NamedTuple):
    """A post's JSON in pieces, its author's account between `head` and `tail`.

    A boost (`original_id` not 0) has the original between `middle` and `tail`. The closing brace is missing:
    the reader's flags end it.
    """

    author_id: int
    original_id: int
    head: bytes
    middle: bytes
    tail: bytes


def _post_size(post: _PostBytes) -> int:
    return len(post.head) + len(post.middle) + len(post.tail) + ENTRY_BYTES


def _account_size(account: bytes) -> int:
    return len(account) + ENTRY_BYTES


def _flags(*, favourited: bool, boosted: bool, bookmarked: bool, own: bool) -> bytes:
    values = {
        "favourited": favourited,
        "reblogged": boosted,
        "muted": False,
        "bookmarked": bookmarked,
        "filtered": [],
    }
    return b"," + _encode(values | ({"pinned": False} if own else {}))[1:]


# What ends a post for a reader: by favourited + 2 boosted + 4 bookmarked + 8 own.
_ENDS = tuple(
    _flags(favourited=bool(n & 1), boosted=bool(n & 2), bookmarked=bool(n & 4), own=bool(n & 8))
    for n in range(16)
)
_PLAIN, _OWN = _ENDS[0], _ENDS[8]


def _end(flags: Flags | None, reader_id: int | None, *, own: bool) -> bytes:
    """The reader's flags and the closing brace; only the brace for a visitor."""
    if reader_id is None:
        return b"}"
    if flags is None:
        return _OWN if own else _PLAIN
    return _ENDS[flags.favourited + 2 * flags.boosted + 4 * flags.bookmarked + 8 * own]


class SharedStatus(NamedTuple):
    """A post for many readers: its bytes up to where the flags of a reader begin, and what follows them.

    `shown_id` is the original of a boost, else the post itself; flags are about that. `tail` is None unless it
    is a boost.
    """

    shown_id: int
    shown_author_id: int
    head: bytes
    tail: bytes | None

    @property
    def has_media(self) -> bool:
        """Whether pictures or sounds are attached."""
        return bool(msgspec.json.decode(self.for_end(VISITOR), type=_Attached).media_attachments)

    def end_for(self, flags: Flags | None, reader_id: int | None) -> int:
        """Which of the few forms is this reader's: as many bodies as forms are made, not as readers."""
        if reader_id is None:
            return VISITOR
        flags = flags or NO_FLAGS
        own = 8 * (self.shown_author_id == reader_id)
        return flags.favourited + 2 * flags.boosted + 4 * flags.bookmarked + own

    def for_end(self, end: int) -> bytes:
        """The post in that form."""
        # Nobody pins a boost, so that has no more than the flags.
        inner, outer = (b"}", b"}") if end == VISITOR else (_ENDS[end], _ENDS[end & 7])
        if self.tail is None:
            return self.head + inner
        return b"".join((self.head, inner, self.tail, outer))


VISITOR = -1


class _Attached(msgspec.Struct):
    media_attachments: list[msgspec.Raw]


class _Loaded(NamedTuple):
    posts: list[Post]
    accounts: list[Account]
    flags: dict[int, Flags]


def _load(
    connection: Connection,
    *,
    post_ids: Sequence[int],
    account_ids: Sequence[int],
    flag_ids: Sequence[int],
    reader_id: int | None,
) -> _Loaded:
    """Posts with what they boost, their authors and `account_ids`, and the reader's flags on all of them."""
    posts = post_rules.posts(connection, post_ids=post_ids) if post_ids else []
    given = {post.id for post in posts}
    originals = [
        post.boost_of_id for post in posts if post.boost_of_id is not None and post.boost_of_id not in given
    ]
    if originals:
        posts += post_rules.posts(connection, post_ids=list(dict.fromkeys(originals)))
    wanted = dict.fromkeys([*account_ids, *(post.author_id for post in posts)])
    accounts = account_rules.accounts(connection, account_ids=list(wanted)) if wanted else []
    flags: dict[int, Flags] = {}
    if reader_id is not None:
        asked = dict.fromkeys([*flag_ids, *(post.id for post in posts if post.boost_of_id is None)])
        flags = post_rules.flags(connection, reader_id=reader_id, post_ids=list(asked))
    return _Loaded(posts, accounts, flags)


@hot
def _load_few(connection: Connection, **wanted: Any) -> _Loaded:
    return _load(connection, **wanted)


class _View:
    """What one answer is made of: everything that it shows, as it was at one time."""

    __slots__ = ("_accounts", "_flags", "_posts", "_reader_id")

    def __init__(
        self,
        posts: dict[int, _PostBytes],
        accounts: dict[int, bytes],
        flags: dict[int, Flags],
        reader_id: int | None,
    ) -> None:
        self._posts = posts
        self._accounts = accounts
        self._flags = flags
        self._reader_id = reader_id

    def add_status(self, parts: list[bytes], post_id: int) -> bool:
        """Appends the post's pieces; False, and nothing, when it or somebody in it does not exist any more."""
        post = self._posts.get(post_id)
        if post is None:
            return False
        account = self._accounts.get(post.author_id)
        if account is None:
            return False
        original_id = post.original_id
        if not original_id:
            end = _end(self._flags.get(post_id), self._reader_id, own=post.author_id == self._reader_id)
            parts += (post.head, account, post.tail, end)
            return True
        original = self._posts.get(original_id)
        if original is None:
            return False
        author = self._accounts.get(original.author_id)
        if author is None:
            return False
        flags = self._flags.get(original_id)
        parts += (
            *(post.head, account, post.middle),
            *(original.head, author, original.tail),
            _end(flags, self._reader_id, own=original.author_id == self._reader_id),
            *(post.tail, _end(flags, self._reader_id, own=False)),
        )
        return True

    def shared(self, post_id: int) -> SharedStatus | None:
        """The post for many readers; None where it, or somebody in it, does not exist any more."""
        parts: list[bytes] = []
        if not self.add_status(parts, post_id):
            return None
        # The parts end with the flags; those of a boost's original stand before its tail.
        post = self._posts[post_id]
        original = self._posts.get(post.original_id)
        if original is None:
            return SharedStatus(post_id, post.author_id, b"".join(parts[:-1]), None)
        return SharedStatus(post.original_id, original.author_id, b"".join(parts[:-3]), parts[-2])

    def statuses(self, post_ids: Iterable[int]) -> bytes:
        """A JSON array; what does not exist any more is left out."""
        parts = [b"["]
        for post_id in post_ids:
            if self.add_status(parts, post_id):
                parts.append(b",")
        return _closed(parts)

    def status(self, post_id: int) -> bytes | None:
        parts: list[bytes] = []
        return b"".join(parts) if self.add_status(parts, post_id) else None

    def account(self, account_id: int) -> bytes | None:
        return self._accounts.get(account_id)

    def accounts(self, account_ids: Iterable[int]) -> bytes:
        """A JSON array; those that do not exist any more are left out."""
        found = (self._accounts.get(account_id) for account_id in account_ids)
        return array(account for account in found if account is not None)


def _closed(parts: list[bytes]) -> bytes:
    """The parts of an array as one; each item's last part ends with a comma."""
    if len(parts) == 1:
        return b"[]"
    parts[-1] = parts[-1][:-1] + b"]"
    return b"".join(parts)


def array(items: Iterable[bytes]) -> bytes:
    """A JSON array of encoded items."""
    return b"[" + b",".join(items) + b"]"


class Renderer:
    """The API's bytes in one web worker. All methods belong to its loop."""

    def __init__(
        self,
        database: Database,
        flags: ReaderFlags,
        *,
        base_url: str,
        half_cache_bytes: int = HALF_CACHE_BYTES,
    ) -> None:
        self._database = database
        self._flags = flags
        self._base_url = base_url
        self._posts: Recent[int, _PostBytes] = Recent(half_cache_bytes, _post_size)
        self._accounts: Recent[int, bytes] = Recent(half_cache_bytes // 4, _account_size)
        # One set for each read that is under way: the ids that changed meanwhile, None for everything. What
        # such a read brings back may be older than the change, so it is answered with and not kept.
        self._reading: dict[int, set[int | None]] = {}
        self._read_numbers = itertools.count()

    # What changed

    def apply(self, event: Event) -> None:
        """Drops what `event` makes wrong."""
        if isinstance(event, PostChanged):
            self._changed(posts=(event.post_id,))
        elif isinstance(event, PostCreated):
            # Counts: of the author, of what is answered or boosted.
            self._changed(posts=(event.in_reply_to_id, event.boost_of_id), accounts=(event.author_id,))
        elif isinstance(event, AccountChanged):
            self._changed(accounts=(event.account_id,))
        elif isinstance(event, RelationshipChanged):
            self._changed(accounts=(event.account_id, event.other_id))
        elif isinstance(event, PostDeleted):
            boosts = (boost_id for boost_id, _ in event.boosts)
            self._changed(
                posts=(event.post_id, event.in_reply_to_id, event.boost_of_id, *boosts),
                accounts=(event.author_id,),
            )
        elif isinstance(event, AllChanged):
            self._posts.clear()
            self._accounts.clear()
            for changed in self._reading.values():
                changed.add(None)

    def _changed(self, *, posts: tuple[int, ...] = (), accounts: tuple[int, ...] = ()) -> None:
        for post_id in posts:
            self._posts.drop(post_id)
        for account_id in accounts:
            self._accounts.drop(account_id)
        for changed in self._reading.values():
            changed.update(posts, accounts)

    @contextmanager
    def watching(self) -> Iterator[set[int | None]]:
        """The ids of posts and accounts that change meanwhile; None among them stands for all."""
        number = next(self._read_numbers)
        changed = self._reading[number] = set()
        try:
            yield changed
        finally:
            del self._reading[number]

    # What is shown

    async def statuses(self, post_ids: Sequence[int], *, reader_id: int | None) -> bytes:
        """Posts as a JSON array in the given order; what does not exist any more is left out."""
        kept = self._posts.young
        try:
            shown = [kept[post_id].original_id or post_id for post_id in post_ids]
        except KeyError:
            shown = []
        if shown:
            flags: dict[int, Flags] = {}
            if reader_id is not None:
                flags = await self._flags.of(reader_id, shown)
            body = self._kept_statuses(post_ids, flags, reader_id)
            if body is not None:
                return body
        return (await self._view(post_ids, (), reader_id)).statuses(post_ids)

    def _kept_statuses(
        self, post_ids: Sequence[int], flags: dict[int, Flags], reader_id: int | None
    ) -> bytes | None:
        """The same where every piece is at hand, which is the usual case; None where one is missing.

        One loop over plain dicts: 20 posts take 9 µs, `_view` takes 24.
        """
        posts, accounts = self._posts.young, self._accounts.young
        parts = [b"["]
        usual = _end(None, reader_id, own=False) + b","
        try:
            for post_id in post_ids:
                author_id, original_id, head, middle, tail = posts[post_id]
                if not original_id:
                    if author_id != reader_id and post_id not in flags:
                        parts += (head, accounts[author_id], tail, usual)
                    else:
                        end = _end(flags.get(post_id), reader_id, own=author_id == reader_id)
                        parts += (head, accounts[author_id], tail, end, b",")
                    continue
                original = posts[original_id]
                found = flags.get(original_id)
                parts += (
                    *(head, accounts[author_id], middle),
                    *(original.head, accounts[original.author_id], original.tail),
                    _end(found, reader_id, own=original.author_id == reader_id),
                    tail,
                    # A boost has its original's flags, and nobody pins a boost.
                    *(_end(found, reader_id, own=False), b","),
                )
        except KeyError:
            return None
        return _closed(parts)

    async def status(self, post_id: int, *, reader_id: int | None) -> bytes:
        """One post. Raises NotFound when it does not exist any more."""
        body = (await self._view((post_id,), (), reader_id)).status(post_id)
        if body is None:
            raise NotFound
        return body

    async def shared_status(self, post_id: int) -> SharedStatus | None:
        """One post for many readers; None when it does not exist any more. No flags are read."""
        return (await self._view((post_id,), (), None)).shared(post_id)

    async def new_status(self, post: Post, *, username: str, changed: set[int | None]) -> bytes:
        """A post that its author has just made, for its author: nothing of it need be read again.

        `changed`: what changed since before it was made (`watching`).
        """
        pieces = self._pieces(post, username)
        if post.id not in changed and None not in changed:
            self._posts.put(post.id, pieces)
        account = await self.account(post.author_id)
        return b"".join((pieces.head, account, pieces.tail, _end(None, post.author_id, own=True)))

    async def deleted_status(self, post: Post, *, reader_id: int) -> bytes:
        """A post that was just deleted, with its `text` so that an app can offer it for redrafting."""
        view = await self._view((), (post.author_id,), None)
        account = view.account(post.author_id)
        if account is None:
            raise NotFound
        ends = {"favourited": False, "reblogged": False, "muted": False, "bookmarked": False, "pinned": False}
        entity = msgspec.structs.replace(
            convert.status(post, author=_username(account), base_url=self._base_url), text=post.text, **ends
        )
        return _encode(entity).replace(convert.RAW_ACCOUNT, account)

    async def context(self, thread: Thread, *, reader_id: int | None) -> bytes:
        """What stands before and after a post in its thread."""
        view = await self._view((*thread.ancestor_ids, *thread.descendant_ids), (), reader_id)
        return b'{"ancestors":%b,"descendants":%b}' % (
            view.statuses(thread.ancestor_ids),
            view.statuses(thread.descendant_ids),
        )

    async def accounts(self, account_ids: Sequence[int]) -> bytes:
        """Accounts as a JSON array in the given order; those that do not exist any more are left out."""
        return (await self._view((), account_ids, None)).accounts(account_ids)

    async def account_list(self, account_ids: Sequence[int]) -> list[bytes]:
        """`accounts` one by one, for answers that put them into something."""
        view = await self._view((), account_ids, None)
        found = (view.account(account_id) for account_id in account_ids)
        return [account for account in found if account is not None]

    async def account(self, account_id: int) -> bytes:
        """One account. Raises NotFound when it does not exist (any more)."""
        found = await self.account_list((account_id,))
        if not found:
            raise NotFound
        return found[0]

    async def notifications(self, notifications: Sequence[Notification], *, reader_id: int) -> list[bytes]:
        """Notifications in the given order; those by or about what does not exist any more are left out."""
        post_ids = [n.post_id for n in notifications if n.post_id is not None]
        view = await self._view(post_ids, [n.from_account_id for n in notifications], reader_id)
        bodies = []
        for notification in notifications:
            account = view.account(notification.from_account_id)
            if account is None:
                continue
            parts = [
                b'{"id":"%d","type":"%b","created_at":"%b","group_key":"ungrouped-%d","account":'
                % (
                    notification.id,
                    convert.KIND_NAMES[notification.kind].encode(),
                    convert.timestamp(notification.created_at_ms).encode(),
                    notification.id,
                ),
                account,
            ]
            if notification.post_id is not None:
                parts.append(b',"status":')
                if not view.add_status(parts, notification.post_id):
                    continue
            parts.append(b"}")
            bodies.append(b"".join(parts))
        return bodies

    # Where it comes from

    async def _view(
        self, post_ids: Sequence[int], account_ids: Sequence[int], reader_id: int | None
    ) -> _View:
        """Everything that these posts and accounts show: kept bytes, and one read for all that is missing."""
        posts: dict[int, _PostBytes] = {}
        accounts: dict[int, bytes] = {}
        missing_posts: list[int] = []
        missing_accounts: list[int] = []
        flag_ids: list[int] = []
        kept_post, kept_account = self._posts.get, self._accounts.get
        queue = list(post_ids)
        for post_id in queue:
            post = kept_post(post_id)
            if post is None:
                missing_posts.append(post_id)
                continue
            posts[post_id] = post
            author_id = post.author_id
            if author_id not in accounts:
                account = kept_account(author_id)
                if account is None:
                    missing_accounts.append(author_id)
                else:
                    accounts[author_id] = account
            if post.original_id:
                if post.original_id not in posts:
                    queue.append(post.original_id)
            else:
                flag_ids.append(post_id)
        for account_id in account_ids:
            if account_id not in accounts:
                account = kept_account(account_id)
                if account is None:
                    missing_accounts.append(account_id)
                else:
                    accounts[account_id] = account
        flags: dict[int, Flags] = {}
        if missing_posts or missing_accounts:
            flags = await self._fetch(
                posts, accounts, missing_posts, missing_accounts, flag_ids, reader_id=reader_id
            )
        elif reader_id is not None and flag_ids:
            flags = await self._flags.of(reader_id, flag_ids)
        return _View(posts, accounts, flags, reader_id)

    async def _fetch(
        self,
        posts: dict[int, _PostBytes],
        accounts: dict[int, bytes],
        missing_posts: Sequence[int],
        missing_accounts: Sequence[int],
        flag_ids: Sequence[int],
        *,
        reader_id: int | None,
    ) -> dict[int, Flags]:
        """Reads what is missing into `posts` and `accounts`, keeps what is still true; gives the flags."""
        with self.watching() as changed:
            loaded: _Loaded = await self._database.read(
                _load_few if len(missing_posts) + len(missing_accounts) <= HOT_POSTS else _load,
                post_ids=missing_posts,
                account_ids=missing_accounts,
                flag_ids=flag_ids,
                reader_id=reader_id,
            )
        usernames = {}
        for account in loaded.accounts:
            usernames[account.id] = account.username
            if account.id in accounts:
                continue
            body = _encode(convert.account(account, base_url=self._base_url))
            accounts[account.id] = body
            if account.id not in changed and None not in changed:
                self._accounts.put(account.id, body)
        for post in loaded.posts:
            author = usernames.get(post.author_id)
            if author is None:
                continue
            pieces = self._pieces(post, author)
            posts[post.id] = pieces
            if post.id not in changed and None not in changed:
                self._posts.put(post.id, pieces)
        return loaded.flags

    def _pieces(self, post: Post, author: str) -> _PostBytes:
        body = _encode(convert.status(post, author=author, base_url=self._base_url))[:-1]
        head, *between, tail = body.split(convert.RAW_ACCOUNT)
        return _PostBytes(post.author_id, post.boost_of_id or 0, head, between[0] if between else b"", tail)


def _username(account: bytes) -> str:
    return msgspec.json.decode(account, type=_Named).username


class _Named(msgspec.Struct):
    username: str


def renderer(request: Request) -> Renderer:
    """The worker's renderer (http/site.py cannot know its type: doors lie above it)."""
    return cast(Renderer, request.site.api)

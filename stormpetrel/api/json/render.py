"""The API's responses as bytes: each post and each account is encoded once, then joined.

A post's bytes have a gap for its author's account, and they end where the reader's flags begin. So a changed
counter of an account drops one entry and not all of its posts, and one encoding serves all readers. The
tables are bounded (`Recent`) and are updated by events (`apply`). Callers check permissions: the ids come
from a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, cast

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.endings import SharedStatus, ending, poll_field
from stormpetrel.api.json.filter_entities import filtered
from stormpetrel.api.json.loaded import HOT_POSTS, LoadedPosts, load, load_few
from stormpetrel.api.json.notification_details import WITH_DETAILS, details
from stormpetrel.api.json.recent import Recent
from stormpetrel.api.json.view import HAS_POLL, PostBytes, View, closed_array
from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.clock import now_ms
from stormpetrel.errors import NotFound
from stormpetrel.freshness import Freshness
from stormpetrel.http.request import Request
from stormpetrel.model.account import Account
from stormpetrel.model.conversation import Conversation
from stormpetrel.model.event import Event, PostCreated, PostDeleted
from stormpetrel.model.filter import NEVER_MS, searched_text
from stormpetrel.model.notification import Notification, key_text
from stormpetrel.model.post import Flags, Post, Thread, Visibility
from stormpetrel.readers.facts import changed_by
from stormpetrel.readers.filters import ReaderFilters
from stormpetrel.readers.flags import ReaderFlags
from stormpetrel.rules import relationships
from stormpetrel.storage.engine.database import Database

HALF_CACHE_BYTES = 16 * 1024 * 1024
"""Size of one half of the table of posts in bytes; the table of accounts has a quarter of it: at most 40 MiB
per worker, about 20,000 posts. Most posts of a home timeline of 20 are also read by other accounts."""
MAX_NEW, READ_AHEAD = 64, 16
"""New posts that are remembered until they are read, and how many are read with what a request needs."""
ENTRY_BYTES = 300
"""Size of an entry without its text (tuple, bytes objects, slot in the dict), measured with tracemalloc."""

_encode = msgspec.json.Encoder().encode


def _post_size(post: PostBytes) -> int:
    return len(post.head) + len(post.middle) + len(post.tail) + len(post.searched) + ENTRY_BYTES


def _account_size(account: bytes) -> int:
    return len(account) + ENTRY_BYTES


class ShownIds(NamedTuple):
    """The ids of the posts and accounts in an answer, and when it changes by the clock, in ms since 1970."""

    ids: tuple[int, ...]
    until_ms: int


class Renderer:
    """The API's bytes in one web worker. All methods must be called on its event loop."""

    def __init__(
        self,
        database: Database,
        flags: ReaderFlags,
        filters: ReaderFilters,
        *,
        base_url: str,
        half_cache_bytes: int = HALF_CACHE_BYTES,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._clock_ms = clock_ms
        self._database = database
        self._flags = flags
        self._filters = filters
        self._base_url = base_url
        self._posts: Recent[int, PostBytes] = Recent(half_cache_bytes, _post_size)
        self._accounts: Recent[int, bytes] = Recent(half_cache_bytes // 4, _account_size)
        # Authors by post. A new post is in no table, and it changes its author's counts.
        self._new: BoundedTable[int, int] = BoundedTable(MAX_NEW, evicts=Eviction.OLDEST)
        # Keys are ids of posts and accounts.
        self.freshness: Freshness[int] = Freshness()

    # What changed

    def apply(self, event: Event) -> None:
        """Drop the entries that `event` makes outdated."""
        keys = changed_by(event)
        if keys is None:
            self._posts.clear()
            self._accounts.clear()
            self._new.clear()
            self.freshness.all_changed()
            return
        ids = [key for key in keys if isinstance(key, int)]
        if ids:
            self.freshness.changed(*ids)
            for one in ids:
                self._posts.drop(one)
                self._accounts.drop(one)
        match event:
            case PostCreated(visibility=visibility, boost_of_id=0) if visibility != Visibility.DIRECT:
                self._new.put(event.post_id, event.author_id)
            case PostDeleted():
                self._new.pop(event.post_id)
            case _:
                pass

    # Responses

    async def statuses(self, post_ids: Sequence[int], *, reader_id: int | None) -> bytes:
        """Return posts as a JSON array in the given order; omit those that no longer exist."""
        kept = self._posts.young
        try:
            shown = [
                post_id if (original_id := kept[post_id].original_id) <= 0 else original_id
                for post_id in post_ids
            ]
        except KeyError:
            shown = []
        if shown and (reader_id is None or await self._filters.of(reader_id) is None):
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
        """Return the same if every piece is cached, which is the usual case, else None.

        One loop over plain dicts: 20 posts take 9 µs, `_view` takes 24.
        """
        posts, accounts = self._posts.young, self._accounts.young
        parts = [b"["]
        usual = ending(None, reader_id, own=False) + b","
        try:
            for post_id in post_ids:
                author_id, original_id, head, middle, tail, poll, _ = posts[post_id]
                if not original_id:
                    if author_id != reader_id and post_id not in flags:
                        parts += (head, accounts[author_id], tail, usual)
                    else:
                        end = ending(flags.get(post_id), reader_id, own=author_id == reader_id)
                        parts += (head, accounts[author_id], tail, end, b",")
                    continue
                if poll is not None:
                    found = flags.get(post_id)
                    parts += (
                        *(head, accounts[author_id], tail),
                        poll_field(poll, found, reader_id, self._clock_ms()),
                        *(ending(found, reader_id, own=author_id == reader_id), b","),
                    )
                    continue
                original = posts[original_id]
                found = flags.get(original_id)
                parts += (
                    *(head, accounts[author_id], middle),
                    *(original.head, accounts[original.author_id], original.tail),
                    b""
                    if original.poll is None
                    else poll_field(original.poll, found, reader_id, self._clock_ms()),
                    ending(found, reader_id, own=original.author_id == reader_id),
                    tail,
                    # A boost has its original's flags, and a boost cannot be pinned.
                    *(ending(found, reader_id, own=False), b","),
                )
        except KeyError:
            return None
        return closed_array(parts)

    async def status(self, post_id: int, *, reader_id: int | None) -> bytes:
        """Return one post. Raise NotFound if it no longer exists."""
        body = (await self._view((post_id,), (), reader_id)).status(post_id)
        if body is None:
            raise NotFound
        return body

    async def shared_status(self, post_id: int) -> SharedStatus | None:
        """Return one post for many readers, without flags, or None if it no longer exists."""
        return (await self._view((post_id,), (), None)).shared(post_id)

    async def filtered_for(self, shared: SharedStatus, reader_id: int) -> bytes:
        """Return the reader's filters that match the post as JSON; empty if there are none."""
        filters = await self._filters.of(reader_id)
        if filters is None:
            return b""
        return filtered(filters, post_id=shared.shown_id, text=shared.searched)

    def new_status(self, post: Post, author: Account, *, began: int) -> bytes:
        """Return a new post for its author, without reading it again.

        `author` is not cached, as it may have posted again since. `began`: when the post was not created yet, for
        `freshness`.
        """
        pieces = self._pieces(post, author.username)
        if self.freshness.is_current(began, post.id):
            self._posts.put(post.id, pieces)
        account = _encode(convert.account(author, base_url=self._base_url))
        parts = [pieces.head, account, pieces.tail]
        if post.poll is not None:
            parts.append(poll_field(post.poll, None, post.author_id, self._clock_ms()))
        parts.append(ending(None, post.author_id, own=True))
        return b"".join(parts)

    async def deleted_status(self, post: Post, *, reader_id: int) -> bytes:
        """Return a post that was just deleted, with its `text` so that an app can offer it for redrafting."""
        view = await self._view((), (post.author_id,), None)
        account = view.account(post.author_id)
        if account is None:
            raise NotFound
        poll = None
        if post.poll is not None:
            poll = convert.poll(post.poll, reader_id=reader_id, votes=0, now_ms=self._clock_ms())
        ends = {"favourited": False, "reblogged": False, "muted": False, "bookmarked": False, "pinned": False}
        entity = msgspec.structs.replace(
            convert.status(post, author=_username(account), base_url=self._base_url),
            text=post.text,
            poll=poll,
            **ends,
        )
        return _encode(entity).replace(convert.RAW_ACCOUNT, account)

    async def context(self, thread: Thread, *, reader_id: int | None) -> bytes:
        """Return a post's ancestors and descendants in its thread."""
        view = await self._view((*thread.ancestor_ids, *thread.descendant_ids), (), reader_id)
        return b'{"ancestors":%b,"descendants":%b}' % (
            view.statuses(thread.ancestor_ids),
            view.statuses(thread.descendant_ids),
        )

    async def accounts(self, account_ids: Sequence[int]) -> bytes:
        """Return accounts as a JSON array in the given order; omit those that no longer exist."""
        return (await self._view((), account_ids, None)).accounts(account_ids)

    async def accounts_by_id(self, account_ids: Sequence[int]) -> dict[int, bytes]:
        """Return `accounts` by id, in the given order, for responses that embed or extend them."""
        view = await self._view((), account_ids, None)
        found = ((account_id, view.account(account_id)) for account_id in account_ids)
        return {account_id: account for account_id, account in found if account is not None}

    async def account(self, account_id: int) -> bytes:
        """Return one account. Raise NotFound if it does not exist (any more)."""
        found = await self.accounts_by_id((account_id,))
        if not found:
            raise NotFound
        return found[account_id]

    async def notifications(self, notifications: Sequence[Notification], *, reader_id: int) -> list[bytes]:
        """Return notifications in the given order; omit those whose account or post no longer exists."""
        post_ids = [n.post_id for n in notifications if n.post_id is not None]
        view = await self._view(post_ids, [n.from_account_id for n in notifications], reader_id)
        extra: dict[int, bytes] = {}
        if any(notification.kind in WITH_DETAILS for notification in notifications):
            extra = await self._database.read(details, notifications=notifications, base_url=self._base_url)
        bodies = []
        for notification in notifications:
            account = view.account(notification.from_account_id)
            if account is None:
                continue
            parts = [
                b'{"id":"%d","type":"%b","created_at":"%b","group_key":"%b","account":'
                % (
                    notification.id,
                    convert.KIND_NAMES[notification.kind].encode(),
                    convert.timestamp(notification.created_at_ms).encode(),
                    key_text(notification).encode(),
                ),
                account,
            ]
            more = extra.get(notification.id)
            if more is not None:
                parts.append(more)
            elif notification.kind in WITH_DETAILS:
                continue
            if notification.post_id is not None:
                parts.append(b',"status":')
                if not view.add_status(parts, notification.post_id):
                    continue
            parts.append(b"}")
            bodies.append(b"".join(parts))
        return bodies

    async def conversations(self, conversations: Sequence[Conversation], *, reader_id: int) -> list[bytes]:
        """Return the reader's conversations in the given order; omit those whose last post is gone."""
        people = [account_id for one in conversations for account_id in one.participant_ids]
        view = await self._view([one.last_post_id for one in conversations], people, reader_id)
        bodies = []
        for one in conversations:
            parts = [
                b'{"id":"%d","unread":%b,"accounts":' % (one.id, b"true" if one.unread else b"false"),
                view.accounts(one.participant_ids),
                b',"last_status":',
            ]
            if view.add_status(parts, one.last_post_id):
                parts.append(b"}")
                bodies.append(b"".join(parts))
        return bodies

    # Answers that are stored (edge/finished.py)

    def shown(self, post_ids: Sequence[int], reader_id: int, *, now_ms: int) -> ShownIds | None:
        """Return what an answer with these posts shows; None if a post of it is not in memory any more.

        `now_ms`: when its request came. A poll that ended since then may be open in the answer.
        """
        ids: list[int] = []
        until_ms = self._filters.until_ms(reader_id) if post_ids else NEVER_MS
        for post_id in post_ids:
            post = self._posts.get(post_id)
            if post is None:
                return None
            ids += (post_id, post.author_id)
            if post.original_id > 0:
                original = self._posts.get(post.original_id)
                if original is None:
                    return None
                ids += (post.original_id, original.author_id)
                post = original
            if post.poll is not None and not post.poll.is_over(now_ms):
                until_ms = min(until_ms, post.poll.expires_at_ms)
        return ShownIds(tuple(dict.fromkeys(ids)), until_ms)

    # Cache and database

    async def _view(self, post_ids: Sequence[int], account_ids: Sequence[int], reader_id: int | None) -> View:
        """Return all that these posts and accounts show: from the cache, and the rest with one read."""
        posts: dict[int, PostBytes] = {}
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
            if post.original_id > 0:
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
            flag_ids += await self._fetch(posts, accounts, missing_posts, missing_accounts)
        if reader_id is not None and flag_ids:
            flags = await self._flags.of(reader_id, flag_ids)
        filters = await self._filters.of(reader_id) if reader_id is not None and post_ids else None
        return View(posts, accounts, flags, reader_id, self._clock_ms(), filters)

    async def _fetch(
        self,
        posts: dict[int, PostBytes],
        accounts: dict[int, bytes],
        missing_posts: Sequence[int],
        missing_accounts: Sequence[int],
    ) -> list[int]:
        """Read the missing entries into `posts` and `accounts`, and cache the current ones.

        Return the ids of the posts on which the reader's flags are needed: a boost has those of its original.
        """
        began = self.freshness.begin()
        most_ahead = HOT_POSTS - len(missing_posts) - len(missing_accounts)
        is_few = most_ahead >= 0
        ahead = self._ahead(most_ahead) if is_few and (posts or missing_posts) else {}
        posts_ahead = {post_id for post_id in ahead if post_id not in self._posts}.difference(missing_posts)
        loaded: LoadedPosts = await self._database.read(
            load_few if is_few else load,
            post_ids=[*missing_posts, *posts_ahead],
            account_ids=[*missing_accounts, *(one for one in ahead.values() if one not in self._accounts)],
            kept=self._accounts,
        )
        self._encode_accounts(loaded.accounts, accounts, began)
        await self._add_authors(loaded.posts, accounts)
        for post in loaded.posts:
            author = accounts.get(post.author_id)
            if author is None:
                continue
            pieces = self._pieces(post, _username(author))
            posts[post.id] = pieces
            if self.freshness.is_current(began, post.id):
                self._posts.put(post.id, pieces)
        return [post.boost_of_id or post.id for post in loaded.posts if post.id not in posts_ahead]

    def _ahead(self, most: int) -> dict[int, int]:
        """Return the newest posts with their authors that have not been read since they came, at most `most`.

        Read alone, each would cost the first request that shows it a read.
        """
        newest = list(self._new.items())[-min(most, READ_AHEAD) :] if most else []
        for post_id, _ in newest:
            self._new.pop(post_id)
        return dict(newest)

    def _encode_accounts(self, found: Iterable[Account], accounts: dict[int, bytes], began: int) -> None:
        """Encode these accounts into `accounts`, and cache the current ones. `began`: before they were read."""
        for account in found:
            if account.id in accounts:
                continue
            body = _encode(convert.account(account, base_url=self._base_url))
            accounts[account.id] = body
            if self.freshness.is_current(began, account.id):
                self._accounts.put(account.id, body)

    async def _add_authors(self, posts: Iterable[Post], accounts: dict[int, bytes]) -> None:
        """Add the posts' authors to `accounts`: from memory, and by a read those that left it meanwhile."""
        left: list[int] = []
        for author_id in {post.author_id for post in posts}:
            if author_id not in accounts:
                account = self._accounts.get(author_id)
                if account is None:
                    left.append(author_id)
                else:
                    accounts[author_id] = account
        if left:
            began = self.freshness.begin()
            loaded = await self._database.read(load, post_ids=(), account_ids=left)
            self._encode_accounts(loaded.accounts, accounts, began)

    def _pieces(self, post: Post, author: str) -> PostBytes:
        body = _encode(convert.status(post, author=author, base_url=self._base_url))[:-1]
        head, *between, tail = body.split(convert.RAW_ACCOUNT)
        original_id = HAS_POLL if post.poll is not None else post.boost_of_id or 0
        return PostBytes(
            post.author_id,
            original_id,
            head,
            between[0] if between else b"",
            tail,
            post.poll,
            searched_text(post),
        )


def _username(account: bytes) -> str:
    return msgspec.json.decode(account, type=_Named).username


class _Named(msgspec.Struct):
    username: str


def renderer(request: Request) -> Renderer:
    """Return the worker's renderer (http/site.py cannot know its type: doors are layers above it)."""
    return cast(Renderer, request.site.api)


async def keep_finished(
    request: Request,
    post_ids: Sequence[int] = (),
    *,
    others: Iterable[int] = (),
    obeys_mutes: bool = False,
    still_holds: Callable[[], bool] | None = None,
) -> None:
    """Allow the next request with this token to get an answer with these posts from memory (`Request.keep_finished`).

    `others`: further posts and accounts in it. `obeys_mutes`: it leaves out accounts that the reader mutes.
    """
    reader_id = request.reader_id
    if reader_id is None or not request.may_be_finished:
        return
    shown = renderer(request).shown(post_ids, reader_id, now_ms=request.now_ms)
    if shown is None:
        return
    until_ms = shown.until_ms
    if obeys_mutes:
        ends_ms = await request.site.database.read(
            relationships.mutes_until_ms, account_id=reader_id, now_ms=request.now_ms
        )
        until_ms = min(until_ms, ends_ms)
    request.keep_finished({*others, *shown.ids}, until_ms=until_ms, still_holds=still_holds)

"""Cache of the part of a post's HTML that is the same for all readers: rendered once, dropped when it
changes.

A page's data is read in one go (`gather`, with a connection), then assembled from cached and new fragments
(`render.Pages.items`). The rule that returned the ids has checked the permissions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minijinja import Markup

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.freshness import Freshness
from stormpetrel.model.account import Account
from stormpetrel.model.event import AccountChanged, AllChanged, Event, PostChanged, PostCreated, PostDeleted
from stormpetrel.model.filter import Treatment
from stormpetrel.model.media import Media, MediaKind
from stormpetrel.model.poll import Poll
from stormpetrel.model.post import NO_FLAGS, Flags, Post, Visibility
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.web.polls import PollView, poll_view

if TYPE_CHECKING:
    from stormpetrel.http.request import Request
    from stormpetrel.storage.engine.connection import Connection

MAX_FRAGMENTS = 8_192
"""About 4 KB each: 32 MB when full. Then the oldest are removed."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One post. `html`: author, time, text (for a boost, the line above); `foot`: counters for visitors.

    `picture`: the image that a link preview may show. `account_ids`: the accounts shown; the fragment is
    dropped when one of them changes. `poll`: its state without a reader's votes. `warned`: the text is behind
    a content warning. `searched`: the text that readers' filters search; `has_media`: True if there is media
    to blur.
    """

    id: int
    author_id: int
    username: str
    shown_name: str
    html: Markup
    foot: Markup
    visibility: Visibility
    in_reply_to_id: int | None
    boost_of_id: int | None
    replies_count: int
    boosts_count: int
    favourites_count: int
    excerpt: str
    account_ids: tuple[int, ...]
    created_at_ms: int = 0
    edited_at_ms: int = 0
    picture: Media | None = None
    poll: Poll | None = None
    warned: bool = False
    searched: str = ""
    has_media: bool = False

    @property
    def boostable(self) -> bool:
        """Return True if others may boost it."""
        return self.visibility in (Visibility.PUBLIC, Visibility.UNLISTED)

    @property
    def pinnable(self) -> bool:
        """Return True if its author may pin it to their profile."""
        return self.visibility is not Visibility.DIRECT


class Fragments:
    """Fragments by post id. Only the loop's thread changes them; other threads may look one up."""

    def __init__(self, *, max_fragments: int = MAX_FRAGMENTS) -> None:
        # OLDEST: a look-up changes nothing, so other threads may make it.
        self._table: BoundedTable[int, Fragment] = BoundedTable(
            max_fragments, evicts=Eviction.OLDEST, on_drop=self._dropped
        )
        self._by_account: dict[int, set[int]] = {}
        # Keys are ids of posts and accounts.
        self.freshness: Freshness[int] = Freshness()

    def __len__(self) -> int:
        return len(self._table)

    def get(self, post_id: int) -> Fragment | None:
        """Return the fragment of a post, or None if it must be rendered."""
        return self._table.get(post_id)

    def put(self, fragment: Fragment, *, began: int) -> None:
        """Cache a fragment made from data read since `began`, unless that has changed meanwhile."""
        if not self.freshness.is_current(began, fragment.id, *fragment.account_ids):
            return
        if self._table.put(fragment.id, fragment):
            for account_id in fragment.account_ids:
                self._by_account.setdefault(account_id, set()).add(fragment.id)

    def apply(self, event: Event) -> None:
        """Drop the fragments that the event makes outdated."""
        match event:
            case PostChanged(post_id=post_id):
                self._drop(post_id)
            case PostDeleted():
                boosts = [boost_id for boost_id, _ in event.boosts]
                self._drop(event.post_id, event.in_reply_to_id, event.boost_of_id, *boosts)
            case PostCreated():
                # The counters of the post replied to or boosted changed.
                self._drop(event.in_reply_to_id, event.boost_of_id)
            case AccountChanged(account_id=account_id, hidden=False):
                self.freshness.changed(account_id)
                for post_id in tuple(self._by_account.get(account_id, ())):
                    self._table.pop(post_id)
            case AllChanged() | AccountChanged():
                # Hiding an account, or showing it again, changes the counters of everything it interacted
                # with.
                self.freshness.all_changed()
                self._table.clear()
                self._by_account.clear()
            case _:
                pass

    def _drop(self, *post_ids: int) -> None:
        """Drop the fragments of these posts; 0 stands for no post."""
        changed = [post_id for post_id in post_ids if post_id]
        if changed:
            self.freshness.changed(*changed)
        for post_id in changed:
            self._table.pop(post_id)

    def _dropped(self, post_id: int, fragment: Fragment) -> None:
        for account_id in fragment.account_ids:
            of_account = self._by_account[account_id]
            of_account.discard(post_id)
            if not of_account:
                del self._by_account[account_id]


@dataclass(slots=True)
class PostListData:
    """The data of a list of posts, read in one go. `found`: the listed posts and the boosted originals."""

    began: int
    ids: tuple[int, ...]
    found: dict[int, Fragment | Post]
    accounts: dict[int, Account]
    flags: dict[int, Flags]
    reader_id: int | None = None
    now_ms: int = 0


@dataclass(frozen=True, slots=True)
class ListedPost:
    """One entry of a list of posts. `id` is the listed id (a boost's own); `fragment` is the post shown.

    `treatment`: how the reader's filters treat it.
    """

    id: int
    fragment: Fragment
    boost: Fragment | None = None
    flags: Flags = NO_FLAGS
    depth: int = 0
    focus: bool = False
    poll: PollView | None = None
    pinned: bool = False
    treatment: Treatment | None = None


NOTHING = PostListData(0, (), {}, {}, {})


@dataclass(frozen=True, slots=True)
class Reading:
    """The context of reading one page: the reader, the time, and the cached fragments.

    `began`: when the read began, for the freshness of `fragments`; a fragment rendered from this read is cached
    only if its post and accounts have not changed since then.
    """

    reader_id: int | None
    now_ms: int
    fragments: Fragments
    began: int


def picture_of(post: Post) -> Media | None:
    """Return a post's first image for a preview; None if it is sensitive or has a content warning."""
    if post.sensitive or post.spoiler_text:
        return None
    return next((media for media in post.media if media.decoded.kind is MediaKind.IMAGE), None)


def reading(request: Request) -> Reading:
    """Return the context of a request's reading. Call it on the event loop, before the database read."""
    fragments: Fragments = request.site.pages.fragments
    return Reading(request.reader_id, request.now_ms, fragments, fragments.freshness.begin())


def gather(connection: Connection, by: Reading, *, post_ids: Sequence[int]) -> PostListData:
    """Read the data that `post_ids` (from a rule) need."""
    found: dict[int, Fragment | Post] = {}
    _find(connection, post_ids, found, by.fragments)
    originals = [item.boost_of_id for item in found.values() if item.boost_of_id]
    _find(connection, [post_id for post_id in originals if post_id not in found], found, by.fragments)
    wanted: set[int] = set()
    for item in found.values():
        if isinstance(item, Post):
            wanted.add(item.author_id)
            if item.in_reply_to_account_id:
                wanted.add(item.in_reply_to_account_id)
    accounts = account_rules.accounts(connection, account_ids=sorted(wanted)) if wanted else []
    flags: dict[int, Flags] = {}
    if by.reader_id is not None and found:
        spoken = [post_id for post_id, item in found.items() if not item.boost_of_id]
        flags = post_rules.flags(connection, reader_id=by.reader_id, post_ids=spoken)
    return PostListData(
        by.began,
        tuple(post_ids),
        found,
        {account.id: account for account in accounts},
        flags,
        by.reader_id,
        by.now_ms,
    )


def _find(
    connection: Connection,
    post_ids: Sequence[int],
    found: dict[int, Fragment | Post],
    fragments: Fragments,
) -> None:
    missing = []
    for post_id in post_ids:
        kept = fragments.get(post_id)
        if kept is None:
            missing.append(post_id)
        else:
            found[post_id] = kept
    if missing:
        found.update((post.id, post) for post in post_rules.posts(connection, post_ids=missing))


def items(
    gathered: PostListData, render: Callable[[Post, PostListData], Fragment | None], *, once: bool = False
) -> list[ListedPost]:
    """Return the entries in order. `render` makes a missing fragment, or returns None if the post cannot be
    shown.

    Omit a boost whose original no longer exists, and a post whose author is hidden. `once`: show each post
    only the first time, though it may be listed again as a boost or as the original.
    """
    shown: list[ListedPost] = []
    seen: set[int] = set()
    for listed_id in gathered.ids:
        fragment = _fragment(listed_id, gathered, render)
        boost = None
        if fragment is not None and fragment.boost_of_id:
            boost, fragment = fragment, _fragment(fragment.boost_of_id, gathered, render)
        if fragment is None or (once and fragment.id in seen):
            continue
        seen.add(fragment.id)
        flags = gathered.flags.get(fragment.id, NO_FLAGS)
        poll = None
        if fragment.poll is not None:
            poll = poll_view(
                fragment.poll, reader_id=gathered.reader_id, votes=flags.votes, now_ms=gathered.now_ms
            )
        shown.append(ListedPost(listed_id, fragment, boost, flags, poll=poll))
    return shown


def _fragment(
    post_id: int, gathered: PostListData, render: Callable[[Post, PostListData], Fragment | None]
) -> Fragment | None:
    item = gathered.found.get(post_id)
    if not isinstance(item, Post):
        return item
    made = render(item, gathered)
    if made is not None:
        gathered.found[post_id] = made
    return made

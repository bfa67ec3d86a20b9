"""The instance's newest posts in memory, shared by all home timelines of a worker: who wrote what, in flat arrays.

A home that is read for the first time is merged from these, and one in memory catches up with them. Posts that
come later have higher serials; those loaded from the store at the start come before them. Bounded by `capacity`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heapreplace

from stormpetrel.model.event import PostCreated, PostDeleted, PostEdited
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.post import Visibility
from stormpetrel.model.timeline import GONE, HomeFilter, RecentPost, TimelineItem

CAPACITY = 100_000
"""Posts that are held; about 25 MB."""
DROPPED_AT_ONCE = 1_000
MAX_REMOVALS = 10_000
FEW = 8
"""Up to so many new posts are looked at one by one: more are found by their authors."""
_DEAD = 0
"""The author of a post that was deleted."""
_BEFORE = -(1 << 62)
"""A serial before all others."""


class RecentPosts:
    """See the module. `floor_id`: every post with a higher id is held; MAX_ID until some are loaded.

    A serial numbers a post in the order of arrival: those from `end` on have not come yet. `removals_end` counts the
    removed posts, `revision` the changes that a query in progress may have missed.
    """

    __slots__ = (
        "_authors",
        "_base",
        "_boost_authors",
        "_boosts_of",
        "_by_author",
        "_capacity",
        "_first_told",
        "_hidden",
        "_ids",
        "_language_numbers",
        "_languages",
        "_late",
        "_latest",
        "_mentioned",
        "_removals",
        "_reply_accounts",
        "_silenced",
        "_tags",
        "_visibilities",
        "_words",
        "floor_id",
        "removals_end",
        "revision",
    )

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self.removals_end = 0
        self.revision = 0
        self._base = 0
        self._ids = array("q")
        self._removals: deque[int] = deque(maxlen=MAX_REMOVALS)
        self._words: list[str] = []
        self._language_numbers: dict[str, int] = {}
        self._empty()

    def _empty(self) -> None:
        # Serials go on, so that a reader of the old ones never takes new ones for them.
        self._base += len(self._ids)
        self._first_told = self._base
        self.floor_id = MAX_ID
        self._ids = array("q")
        self._authors = array("q")
        self._visibilities = array("b")
        self._reply_accounts = array("q")
        self._boost_authors = array("q")
        self._boosts_of = array("q")
        self._languages = array("H")
        # Serials by author, in the order of their ids.
        self._by_author: dict[int, list[int]] = {}
        # By author the highest serial of the posts that came by event; serials that came after newer ids.
        self._latest: dict[int, int] = {}
        self._late: list[int] = []
        # By post: accounts mentioned in a direct post, hashtags; posts hidden by moderators, or by silenced authors.
        self._mentioned: dict[int, tuple[int, ...]] = {}
        self._tags: dict[int, tuple[str, ...]] = {}
        self._hidden: set[int] = set()
        self._silenced: set[int] = set()

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def end(self) -> int:
        """Return the serial of the next post that comes."""
        return self._base + len(self._ids)

    def clear(self) -> None:
        """Drop all posts: any of them may have changed."""
        self.revision += 1
        self._empty()

    # Changes

    def add(self, event: PostCreated) -> None:
        """Take a new post. Ignore an event that comes again."""
        known = self._find(event.author_id, event.post_id)
        if known is not None:
            if known >= self._first_told:
                return
            # The store was read before the event came: for homes that were read earlier still, the post is new.
            self._replace(known)
        self._ids.append(event.post_id)
        self._authors.append(event.author_id)
        self._visibilities.append(event.visibility)
        self._reply_accounts.append(event.in_reply_to_account_id)
        self._boost_authors.append(event.boost_author_id)
        self._boosts_of.append(event.boost_of_id)
        self._languages.append(self._number(event.language))
        if event.visibility == Visibility.DIRECT and event.mentioned_ids:
            self._mentioned[event.post_id] = event.mentioned_ids
        if event.tags:
            self._tags[event.post_id] = event.tags
            if event.author_silenced:
                self._silenced.add(event.post_id)
        serial = self.end - 1
        self._index(event.author_id, serial)
        self._latest[event.author_id] = serial
        if self._by_author[event.author_id][-1] != serial:
            self._late.append(serial)
        if len(self._ids) > self._capacity:
            self._drop_oldest()

    def load(self, posts: Sequence[RecentPost], *, is_all: bool, removals: int) -> bool:
        """Take the posts that follow below `floor_id` in the store, newest first. Return True if more can follow.

        `is_all`: there are no older ones. `removals`: `removals_end` when the query began. The caller ensures that
        `revision` and `floor_id` have not changed since: otherwise it must read the posts again.
        """
        removed = self.removed_since(removals)
        if removed is None or len(self._ids) + len(posts) > self._capacity:
            return False
        # Of the posts below `floor_id`, only those that came by event are held already.
        without = {*removed, *self._ids[max(0, self._first_told - self._base) :]}
        new = [post for post in reversed(posts) if post.post_id not in without]
        self._base -= len(new)
        self._ids = array("q", [post.post_id for post in new]) + self._ids
        self._authors = array("q", [post.author_id for post in new]) + self._authors
        self._visibilities = array("b", [post.visibility for post in new]) + self._visibilities
        self._reply_accounts = (
            array("q", [post.in_reply_to_account_id for post in new]) + self._reply_accounts
        )
        self._boost_authors = array("q", [post.boost_author_id for post in new]) + self._boost_authors
        self._boosts_of = array("q", [post.boost_of_id for post in new]) + self._boosts_of
        self._languages = array("H", [self._number(post.language) for post in new]) + self._languages
        by_author: dict[int, list[int]] = {}
        for serial, post in enumerate(new, self._base):
            if post.mentioned_ids:
                self._mentioned[post.post_id] = post.mentioned_ids
            if post.hidden:
                self._hidden.add(post.post_id)
            by_author.setdefault(post.author_id, []).append(serial)
        for author_id, older in by_author.items():
            serials = self._by_author.setdefault(author_id, [])
            if serials and self._id_of(serials[0]) < self._id_of(older[-1]):
                for serial in older:
                    self._index(author_id, serial)
            else:
                serials[:0] = older
        self.floor_id = 0 if is_all else posts[-1].post_id - 1
        return not is_all

    def delete(self, event: PostDeleted) -> None:
        """Remove a post and its boosts; one hidden by moderators stays for its author alone."""
        for boost_id, booster_id in event.boosts:
            self._remove(boost_id, booster_id)
        if event.hidden:
            self.revision += 1
            if self._find(event.author_id, event.post_id) is not None:
                self._hidden.add(event.post_id)
            self._note_removal(event.post_id)
        else:
            self._remove(event.post_id, event.author_id)

    def edit(self, event: PostEdited) -> None:
        """Take the language after an edit, the first that the event names."""
        self.revision += 1
        serial = self._find(event.author_id, event.post_id)
        if serial is not None and event.languages:
            self._languages[serial - self._base] = self._number(event.languages[0])

    # Questions

    def newest(self, home_filter: HomeFilter, *, count: int) -> list[tuple[int, int]]:
        """Return the newest entries of the home, as (id, id of the shown post), newest first.

        Fewer than `count` if there are no more above `floor_id`. A home with followed hashtags has others besides.
        """
        by_author, ids, base = self._by_author, self._ids, self._base
        visibilities, reply_accounts, boosts_of = self._visibilities, self._reply_accounts, self._boosts_of
        hidden, floor_id, direct = self._hidden, self.floor_id, Visibility.DIRECT.value
        authors, followed, reader_id = self._authors, home_filter.followed, home_filter.reader_id
        # Most posts are no boosts and not direct, and most readers hide no account and read every language: such a
        # post is in the home of each follower, unless it answers an account that the reader does not follow. That
        # needs no item to be made and tested.
        has_limits = bool(home_filter.hidden or home_filter.exclusive_list_members or home_filter.languages)
        found: list[tuple[int, int]] = []
        # The newest post of each author first: a heap gives the next one of all.
        heap = [
            (-ids[serials[-1] - base], len(serials) - 1, serials)
            for author_id in (reader_id, *followed)
            if (serials := by_author.get(author_id)) is not None
        ]
        heapify(heap)
        while heap and len(found) < count:
            negative_id, at, serials = heap[0]
            post_id = -negative_id
            if post_id <= floor_id:
                break
            place = serials[at] - base
            if has_limits or boosts_of[place] or visibilities[place] == direct or post_id in hidden:
                item = self._item(serials[at], home_filter)
                if home_filter.includes(item):
                    found.append((post_id, item.shown_id))
            else:
                answered = reply_accounts[place]
                author_id = authors[place]
                if (
                    not answered
                    or author_id in (answered, reader_id)
                    or answered == reader_id
                    or answered in followed
                ):
                    found.append((post_id, post_id))
            if at:
                heapreplace(heap, (-ids[serials[at - 1] - base], at - 1, serials))
            else:
                heappop(heap)
        return found

    def since(self, seen: int, home_filter: HomeFilter) -> list[TimelineItem] | None:
        """Return the posts that came from serial `seen` on and can belong in the home; None if some were dropped."""
        if seen < self._base:
            return None
        followed, reader_id, base = home_filter.followed, home_filter.reader_id, self._base
        if self.end - seen <= FEW:
            found = [
                serial
                for serial, author_id in enumerate(self._authors[seen - base :], seen)
                if author_id in followed or author_id == reader_id
            ]
        else:
            found = self._of_authors(seen, home_filter)
        if home_filter.tags:
            known = set(found)
            found += [
                serial
                for serial in range(seen, self.end)
                if serial not in known
                and self._authors[serial - base] != _DEAD
                and self._has_tag(serial, home_filter)
            ]
        return [self._item(serial, home_filter) for serial in found]

    def _of_authors(self, seen: int, home_filter: HomeFilter) -> list[int]:
        """Return the serials from `seen` on of the reader's and followed accounts' posts."""
        latest, by_author, reader_id = self._latest, self._by_author, home_filter.reader_id
        found: list[int] = []
        for author_id in (reader_id, *home_filter.followed):
            if latest.get(author_id, _BEFORE) >= seen:
                for serial in reversed(by_author[author_id]):
                    if serial < seen:
                        break
                    found.append(serial)
        known = set(found)
        for serial in reversed(self._late):
            if serial < seen:
                break
            author_id = self._authors[serial - self._base]
            if serial not in known and (author_id == reader_id or author_id in home_filter.followed):
                found.append(serial)
        return found

    def removed_since(self, seen: int) -> list[int] | None:
        """Return the ids of posts removed after the first `seen` removals; None if some were forgotten."""
        count = self.removals_end - seen
        if not count:
            return []
        return None if count > len(self._removals) else list(self._removals)[-count:]

    def _item(self, serial: int, home_filter: HomeFilter) -> TimelineItem:
        at = serial - self._base
        post_id, author_id = self._ids[at], self._authors[at]
        is_gone = post_id in self._hidden and author_id != home_filter.reader_id
        return TimelineItem(
            post_id,
            author_id,
            self._visibilities[at],
            self._reply_accounts[at],
            GONE if is_gone else self._boost_authors[at],
            home_filter.reader_id in self._mentioned.get(post_id, ()),
            self._words[self._languages[at]],
            bool(home_filter.tags) and self._has_tag(serial, home_filter),
            post_id in self._silenced,
            self._boosts_of[at],
        )

    def _has_tag(self, serial: int, home_filter: HomeFilter) -> bool:
        tags = self._tags.get(self._ids[serial - self._base])
        return tags is not None and not home_filter.tags.keys().isdisjoint(tags)

    # The index

    def _find(self, author_id: int, post_id: int) -> int | None:
        """Return the serial of a post; None if it is not held."""
        serials = self._by_author.get(author_id)
        if serials is None:
            return None
        at = bisect_left(serials, post_id, key=self._id_of)
        return serials[at] if at < len(serials) and self._id_of(serials[at]) == post_id else None

    def _index(self, author_id: int, serial: int) -> None:
        serials = self._by_author.setdefault(author_id, [])
        if serials and self._id_of(serials[-1]) > self._id_of(serial):
            insort(serials, serial, key=self._id_of)
        else:
            serials.append(serial)

    def _id_of(self, serial: int) -> int:
        return self._ids[serial - self._base]

    def _number(self, language: str) -> int:
        number = self._language_numbers.get(language)
        if number is None:
            number = self._language_numbers[language] = len(self._words)
            self._words.append(language)
        return number

    def _remove(self, post_id: int, author_id: int) -> None:
        serial = self._find(author_id, post_id)
        if serial is not None:
            self._forget(serial)
            self._authors[serial - self._base] = _DEAD
        self._note_removal(post_id)

    def _replace(self, serial: int) -> None:
        """Forget a loaded post that comes again with a serial of its own, but not that it is hidden."""
        at = serial - self._base
        post_id = self._ids[at]
        is_hidden = post_id in self._hidden
        self._forget(serial)
        self._authors[at] = _DEAD
        # An id would raise `floor_id` when the oldest are dropped.
        self._ids[at] = 0
        if is_hidden:
            self._hidden.add(post_id)

    def _note_removal(self, post_id: int) -> None:
        self._removals.append(post_id)
        self.removals_end += 1

    def _forget(self, serial: int) -> None:
        """Drop the post from the indexes."""
        at = serial - self._base
        post_id, author_id = self._ids[at], self._authors[at]
        if author_id == _DEAD:
            return
        serials = self._by_author[author_id]
        serials.remove(serial)
        if not serials:
            del self._by_author[author_id]
            self._latest.pop(author_id, None)
        self._mentioned.pop(post_id, None)
        self._tags.pop(post_id, None)
        self._hidden.discard(post_id)
        self._silenced.discard(post_id)

    def _drop_oldest(self) -> None:
        count = min(DROPPED_AT_ONCE, len(self._ids) - 1)
        for serial in range(self._base, self._base + count):
            self._forget(serial)
        self.floor_id = max(self.floor_id, *self._ids[:count])
        for column in self._columns():
            del column[:count]
        self._base += count
        self._late = [serial for serial in self._late if serial >= self._base]

    def _columns(self) -> Iterable[array[int]]:
        return (
            self._ids,
            self._authors,
            self._visibilities,
            self._reply_accounts,
            self._boost_authors,
            self._boosts_of,
            self._languages,
        )

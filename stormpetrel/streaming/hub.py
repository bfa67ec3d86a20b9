"""Deliver events to the listeners concerned.

`apply` takes the events of the bus in order, on the loop, and costs nothing without listeners. One task
delivers them in that order: a post is rendered once, framed once per form, and written to the listeners that
the index finds. Between batches of writes the task yields to the loop.

Events that a worker missed (it was restarted, or the bus had a gap) are not delivered later: apps request
posts after the last one they have (`since_id`), as after any lost connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from stormpetrel.config import StreamingConfig
from stormpetrel.errors import NotFound, NotSignedIn, Refusal
from stormpetrel.model.conversation import Conversation
from stormpetrel.model.event import (
    AccessChanged,
    AllChanged,
    ConversationChanged,
    Event,
    FiltersChanged,
    FollowedTagsChanged,
    ListChanged,
    Notified,
    PostCreated,
    PostDeleted,
    PostEdited,
    RelationshipChanged,
)
from stormpetrel.model.notification import Notification
from stormpetrel.model.post import Flags
from stormpetrel.readers.home import HomeLists
from stormpetrel.rules import access as access_rules
from stormpetrel.rules import conversations, notifications, posts
from stormpetrel.storage.engine.database import Database
from stormpetrel.streaming.audiences import Audiences
from stormpetrel.streaming.listeners import Listener, Listeners, Subscription
from stormpetrel.streaming.messages import Message
from stormpetrel.streaming.readers import Readers
from stormpetrel.streaming.shown import Shown
from stormpetrel.streaming.streams import DIRECT, HOME, LIST, NOTIFIED, Key, Stream

log = logging.getLogger(__name__)

WRITES_AT_ONCE = 100
"""Listeners that one turn of the loop writes to: about 1 ms of system calls."""
FLAGS_AT_ONCE = 500
HOMES_AT_ONCE = 200
"""Home timelines that one boost may load into memory; further readers get it even if it is a repeat."""
MAX_WAITING = 10_000
"""Events that may be pending. Beyond this, listeners are disconnected and must catch up by `since_id`."""
TRY_AGAIN_S = 0.5
RESTART = 1012
REVOKED = 1008
_CHANGES = RelationshipChanged | FollowedTagsChanged | ListChanged
"""Events after which other readers see a post."""
_PLAIN = 0
"""The form of a payload that is the same for all readers."""


class SharedPost(Protocol):
    """A post for many readers (api/json/render.py). Readers who see the same share a form."""

    @property
    def shown_id(self) -> int: ...
    @property
    def has_media(self) -> bool: ...
    def end_for(self, flags: Flags | None, reader_id: int | None, filtered: bytes = b"") -> int: ...
    def for_end(self, end: int) -> bytes: ...


class Rendering(Protocol):
    """The part of the renderer that the hub uses; the renderer is a layer above."""

    async def shared_status(self, post_id: int) -> SharedPost | None: ...
    async def filtered_for(self, shared: Any, reader_id: int) -> bytes: ...
    async def notifications(
        self, notifications: Sequence[Notification], *, reader_id: int
    ) -> list[bytes]: ...
    async def conversations(
        self, conversations: Sequence[Conversation], *, reader_id: int
    ) -> list[bytes]: ...


class Hub:
    """The streams of one worker. `drain` applies bus events of other processes that are not read yet."""

    def __init__(
        self,
        database: Database,
        rendering: Rendering,
        homes: HomeLists,
        *,
        caps: StreamingConfig,
        drain: Callable[[], None],
        clock_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._rendering = rendering
        self._homes = homes
        self._drain = drain
        self._clock_ms = clock_ms
        self.listeners = Listeners(caps)
        self.readers = Readers(database, clock_ms=clock_ms)
        self._audiences = Audiences(database)
        self._shown = Shown(self.listeners, self.readers, self._audiences)
        # Events with the process that made each.
        self._waiting: deque[tuple[Event, str]] = deque()
        # How many of them are changes, by process.
        self._waiting_changes: Counter[str] = Counter()
        self._doubtful: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None

    # Listeners

    async def enter(self, listener: Listener) -> None:
        """Let the listener receive events from now on. Raise NotSignedIn if its token is no longer valid.

        The token was checked before the listener was registered, and may have been revoked in between.
        """
        if listener.reader_id is not None:
            listener.has_entered = True
            await self.readers.enter(listener.reader_id)
        if not await self._is_valid(listener):
            raise NotSignedIn

    async def subscribe(self, listener: Listener, stream: Stream) -> None:
        """Subscribe a listener, which has entered, to the stream. A repeated subscription has no effect.

        Raise TooMany, and NotFound for a list that is not the listener's own.
        """
        if stream.names in listener.subscriptions:
            return
        entered = []
        try:
            for list_id in _list_ids(stream):
                await self._audiences.enter(list_id, owner_id=listener.reader_id or 0)
                entered.append(list_id)
            self.listeners.subscribe(listener, stream)
        except BaseException:
            for list_id in entered:
                self._audiences.leave(list_id)
            raise

    def unsubscribe(self, listener: Listener, names: tuple[str, ...]) -> None:
        """End a subscription; do nothing if there is none."""
        subscription = listener.subscriptions.get(names)
        if subscription is not None:
            self.listeners.unsubscribe(listener, names)
            for list_id in _list_ids(subscription.stream):
                self._audiences.leave(list_id)

    def leave(self, listener: Listener) -> None:
        """Remove a listener, also one that did not finish entering."""
        for names in tuple(listener.subscriptions):
            self.unsubscribe(listener, names)
        self.listeners.remove(listener)
        self._doubtful.discard(listener)
        if listener.has_entered and listener.reader_id is not None:
            self.readers.leave(listener.reader_id)

    async def _is_valid(self, listener: Listener) -> bool:
        if listener.token_hash is None:
            return True
        access = await self._database.read(access_rules.access_by_token, token_hash=listener.token_hash)
        return access is not None and access.account_id == listener.reader_id

    # Events

    def apply(self, event: Event, *, source: str = "") -> None:
        """Record an event; the task delivers it soon, in order. `source`: the process that made it.

        A change of who sees which posts waits behind earlier posts of its process, so that it does not apply to them.
        Events of different processes may come in another order than they were made in, so a change applies before any
        waiting post of another process.
        """
        if not self.listeners:
            return
        match event:
            case (
                PostCreated()
                | PostEdited()
                | PostDeleted()
                | Notified()
                | ConversationChanged()
                | FiltersChanged()
            ):
                self._wait(event, source)
            case RelationshipChanged() | FollowedTagsChanged() | ListChanged():
                if self._task is not None and not self._task.done():
                    # A client may make it as soon as its post is answered, while the post is still being delivered.
                    self._waiting_changes[source] += 1
                    self._wait(event, source)
                else:
                    self._change(event)
            case AccessChanged(token_hash=token_hash, account_id=account_id):
                listeners = self.listeners.of_account(account_id) if account_id else self.listeners
                if token_hash:
                    for listener in listeners:
                        if listener.token_hash == token_hash:
                            listener.end(REVOKED)
                else:
                    # A browser session may have ended: look up each listener's token.
                    self._doubtful.update(listeners)
            case AllChanged():
                self.readers.all_changed()
                self._audiences.all_changed()
                self._doubtful.update(self.listeners)
            case _:
                return
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def _wait(self, event: Event, source: str) -> None:
        self._waiting.append((event, source))
        if len(self._waiting) > MAX_WAITING:
            self._send_away()

    def _change(self, event: Event) -> None:
        """Note that who sees which posts has changed."""
        match event:
            case RelationshipChanged():
                self.readers.changed((event.account_id, event.other_id))
            case FollowedTagsChanged():
                self.readers.changed((event.account_id,))
            case ListChanged():
                # Members of exclusive lists do not appear in the home timeline.
                self.readers.changed((event.account_id,))
                self._audiences.changed(event.list_id)
            case _:
                pass

    def _next(self) -> Event:
        """Return the next waiting event; before a post, the changes made by other processes than the post's."""
        event, source = self._waiting[0]
        changes = self._waiting_changes
        # Searched only if there is one to find: thousands of posts may wait.
        if not isinstance(event, _CHANGES) and changes.total() > changes[source]:
            for at, (later, made_by) in enumerate(self._waiting):
                if made_by != source and isinstance(later, _CHANGES):
                    del self._waiting[at]
                    changes[made_by] -= 1
                    return later
        self._waiting.popleft()
        changes[source] -= isinstance(event, _CHANGES)
        return event

    def _send_away(self) -> None:
        log.warning(
            "%d events are queued: disconnecting %d listeners", len(self._waiting), len(self.listeners)
        )
        changes = [event for event, _ in self._waiting if isinstance(event, _CHANGES)]
        self._waiting.clear()
        self._waiting_changes.clear()
        for event in changes:
            self._change(event)
        for listener in self.listeners:
            listener.end(RESTART)

    async def _run(self) -> None:
        while self._waiting or self._doubtful or self.readers.is_stale or self._audiences.is_stale:
            # First apply changes made before the post in other processes: they decide who may see it.
            self._drain()
            try:
                while self._doubtful:
                    listener = self._doubtful.pop()
                    if not await self._is_valid(listener):
                        listener.end(REVOKED)
                # Repeat until both are current at once: an event during one read may concern the other.
                while True:
                    await self.readers.refresh()
                    if not self._audiences.is_stale:
                        break
                    await self._audiences.refresh()
            except Refusal:
                # The database fails: deliver nothing until permissions are known again.
                self._doubtful.update(self.listeners)
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            if not self._waiting:
                continue
            event = self._next()
            try:
                await self._tell(event)
            except (
                Exception
            ):  # top level of a task: one bad event must not stop the delivery of the following ones
                log.exception("cannot deliver an event to listeners: %s", type(event).__name__)

    async def _tell(self, event: Event) -> None:
        match event:
            case PostCreated():
                await self._tell_post(event, "update")
            case PostEdited():
                await self._tell_post(event, "status.update")
            case PostDeleted():
                await self._tell_delete(event)
            case Notified(account_id=account_id, notification_id=notification_id):
                await self._tell_notification(account_id, notification_id)
            case ConversationChanged():
                await self._tell_conversation(event)
            case FiltersChanged(account_id=account_id):
                message = Message("filters_changed", lambda _: None)
                await self._write(message, self.listeners.of(Key(HOME, account_id)))
            case _:
                self._change(event)

    async def _tell_post(self, event: PostCreated | PostEdited, name: str) -> None:
        to, with_media = self._shown.to_whom(event)
        if not to and not with_media:
            return
        facts = await self._database.read(posts.standing, post_id=event.post_id)
        if facts is None:
            return
        to, with_media = self._shown.allowed(facts, to), self._shown.allowed(facts, with_media)
        if not to and not with_media:
            return
        if isinstance(event, PostCreated) and event.boost_of_id:
            to = await self._without_repeats(event.post_id, to)
        shared = await self._rendering.shared_status(event.post_id)
        if shared is None:
            return
        if with_media and shared.has_media:
            to += with_media
        flags: dict[int, Flags] = {}
        if isinstance(event, PostEdited) or event.boost_of_id:
            # A new post has no reader's flags yet; a boosted or edited one may have some.
            flags = await self._flags(shared.shown_id, to)
        forms: dict[int | None, int] = {}
        for subscription in to:
            reader_id = subscription.listener.reader_id
            if reader_id not in forms:
                filtered = b"" if reader_id is None else await self._rendering.filtered_for(shared, reader_id)
                forms[reader_id] = shared.end_for(flags.get(reader_id or 0), reader_id, filtered)
        await self._write(Message(name, shared.for_end), to, forms)

    async def _without_repeats(self, boost_id: int, to: list[Subscription]) -> list[Subscription]:
        """Return `to` without the home timelines that show the post already, where the boost is left out."""
        left_out: set[int | None] = set()
        loads = HOMES_AT_ONCE
        for reader_id in {one.listener.reader_id for one in to if one.stream.is_home}:
            if reader_id is None:
                continue
            loads -= not self._homes.holds(reader_id)
            if loads >= 0 and not await self._homes.shows(reader_id, boost_id):
                left_out.add(reader_id)
        return [one for one in to if not (one.stream.is_home and one.listener.reader_id in left_out)]

    async def _flags(self, post_id: int, to: Iterable[Subscription]) -> dict[int, Flags]:
        reader_ids = sorted({one.listener.reader_id for one in to if one.listener.reader_id is not None})
        found: dict[int, Flags] = {}
        for at in range(0, len(reader_ids), FLAGS_AT_ONCE):
            found |= await self._database.read(
                posts.flags_of_readers, post_id=post_id, reader_ids=reader_ids[at : at + FLAGS_AT_ONCE]
            )
        return found

    async def _tell_delete(self, event: PostDeleted) -> None:
        """Report a deleted post to readers who may have seen it, and each boost under its own id."""
        await self._gone(event.post_id, self._shown.who_saw(event))
        for boost_id, booster_id in event.boosts:
            await self._gone(boost_id, self._shown.who_saw_boost(booster_id))

    async def _gone(self, post_id: int, to: list[Subscription]) -> None:
        if to:
            await self._write(Message("delete", lambda _: b"%d" % post_id), to)

    async def _tell_notification(self, account_id: int, notification_id: int) -> None:
        to = self.listeners.of(Key(NOTIFIED, account_id))
        if not to:
            return
        try:
            notification = await self._database.read(
                notifications.notification, account_id=account_id, notification_id=notification_id
            )
        except NotFound:
            return  # withdrawn meanwhile
        bodies = await self._rendering.notifications([notification], reader_id=account_id)
        if bodies:
            await self._write(Message("notification", lambda _: bodies[0]), to)

    async def _tell_conversation(self, event: ConversationChanged) -> None:
        reader_id = event.account_id
        to = self.listeners.of(Key(DIRECT, reader_id))
        if not to:
            return
        try:
            found = await self._database.read(
                conversations.conversation,
                account_id=reader_id,
                conversation_id=event.thread_id,
                now_ms=self._clock_ms(),
            )
        except NotFound:
            return  # removed meanwhile, or without a post for this reader
        if event.post_id > found.last_post_id:
            return  # the reader may not see the new post
        bodies = await self._rendering.conversations([found], reader_id=reader_id)
        if bodies:
            await self._write(Message("conversation", lambda _: bodies[0]), to)

    async def _write(
        self,
        message: Message,
        to: Sequence[Subscription],
        forms: dict[int | None, int] | None = None,
    ) -> None:
        """Write to each subscription its form of the message (`forms`: by reader)."""
        for number, subscription in enumerate(to, start=1):
            listener = subscription.listener
            wire = listener.wire
            if wire is not None:
                form = _PLAIN if forms is None else forms[listener.reader_id]
                if listener.is_socket:
                    wire.push(message.frame(subscription.stream.names, form))
                else:
                    wire.push(message.server_sent(form))
            if number % WRITES_AT_ONCE == 0:
                await asyncio.sleep(0)


def _list_ids(stream: Stream) -> list[int]:
    return [int(key.value) for key in stream.keys if key.kind == LIST]

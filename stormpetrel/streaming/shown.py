"""Find the streams that a post belongs to, by the timelines' own rules (model/timeline.py)."""

from __future__ import annotations

from collections.abc import Iterable

from stormpetrel.model.event import PostCreated, PostDeleted, PostEdited
from stormpetrel.model.post import Visibility
from stormpetrel.model.timeline import HomeFilter, TimelineItem, in_public, in_tags, list_includes
from stormpetrel.model.visibility import Facts
from stormpetrel.streaming.audiences import Audiences
from stormpetrel.streaming.listeners import Listeners, Subscription
from stormpetrel.streaming.readers import Readers
from stormpetrel.streaming.streams import DIRECT, HOME, LIST, MEDIA, PUBLIC, TAG, Key


class Shown:
    """Queries listeners, home filters and lists; it has no state of its own."""

    def __init__(self, listeners: Listeners, readers: Readers, audiences: Audiences) -> None:
        self._listeners = listeners
        self._readers = readers
        self._audiences = audiences

    def to_whom(self, event: PostCreated | PostEdited) -> tuple[list[Subscription], list[Subscription]]:
        """Return the subscriptions that get the post, and those only if it has media; `allowed` follows."""
        listeners, readers = self._listeners, self._readers
        author_id = event.author_id
        plain = _items(event, None)[0]
        to: list[Subscription] = []
        sources: list[int | str] = [author_id]
        if in_tags(plain):
            sources += event.tags
        for reader_id in {author_id, *self._followers(sources)}:
            key = Key(HOME, reader_id)
            if listeners.has(key):
                home_filter = readers.home_filter(reader_id)
                if home_filter is not None and any(map(home_filter.includes, _items(event, home_filter))):
                    to += listeners.of(key)
        for audience in self._audiences.with_member(author_id):
            home_filter = readers.home_filter(audience.owner_id)
            if home_filter is not None and any(
                list_includes(audience, home_filter, item) for item in _items(event, home_filter)
            ):
                to += listeners.of(Key(LIST, audience.list_id))
        # A new direct post is reported by the conversation event, which each participant gets.
        if plain.visibility == Visibility.DIRECT and isinstance(event, PostEdited):
            for reader_id in {author_id, *event.mentioned_ids}:
                if not readers.hides(reader_id, author_id):
                    to += listeners.of(Key(DIRECT, reader_id))
        if in_tags(plain):
            for tag in event.tags:
                to += self._not_hidden(author_id, Key(TAG, tag))
        with_media: list[Subscription] = []
        if in_public(plain):
            to += self._not_hidden(author_id, Key(PUBLIC))
            with_media = self._not_hidden(author_id, Key(MEDIA))
        return to, with_media

    def allowed(self, facts: Facts, to: list[Subscription]) -> list[Subscription]:
        """Return those of `to` that moderation permits: only the author of a hidden post, only the author and
        followers of a silenced account; none if the author is suspended."""
        if not facts.author_active or facts.original_hidden:
            return []
        author_id = facts.author_id
        if facts.post_hidden:
            return [one for one in to if one.listener.reader_id == author_id]
        if facts.author_silenced and facts.visibility != Visibility.DIRECT:
            readers = {author_id, *self._readers.followers_of(author_id)}
            return [one for one in to if one.listener.reader_id in readers]
        return to

    def who_saw(self, event: PostDeleted) -> list[Subscription]:
        """Return the subscriptions that may have shown the deleted post."""
        to = self._who_saw(event)
        if event.hidden:
            return [one for one in to if one.listener.reader_id != event.author_id]
        return to

    def _who_saw(self, event: PostDeleted) -> list[Subscription]:
        author_id = event.author_id
        if event.visibility == Visibility.DIRECT:
            concerned = {author_id, *event.mentioned_ids}
            return [
                subscription
                for reader_id in concerned
                if not self._readers.hides(reader_id, author_id)
                for kind in (HOME, DIRECT)
                for subscription in self._listeners.of(Key(kind, reader_id))
            ] + self._lists_with(author_id, concerned)
        to = self._lists_with(author_id)
        if event.visibility != Visibility.PUBLIC:
            return to + self._home_of_followers(author_id)
        to += self._home_of_followers(author_id, event.tags)
        for key in (Key(PUBLIC), Key(MEDIA), *(Key(TAG, tag) for tag in event.tags)):
            to += self._not_hidden(author_id, key)
        return to

    def who_saw_boost(self, booster_id: int) -> list[Subscription]:
        """Return the subscriptions that may have shown a deleted boost."""
        return self._home_of_followers(booster_id) + self._lists_with(booster_id)

    def _followers(self, sources: Iterable[int | str]) -> set[int]:
        return {reader_id for source in sources for reader_id in self._readers.followers_of(source)}

    def _home_of_followers(self, author_id: int, tags: tuple[str, ...] = ()) -> list[Subscription]:
        return [
            subscription
            for reader_id in {author_id, *self._followers((author_id, *tags))}
            if not self._readers.hides(reader_id, author_id)
            for subscription in self._listeners.of(Key(HOME, reader_id))
        ]

    def _lists_with(self, author_id: int, owner_ids: set[int] | None = None) -> list[Subscription]:
        return [
            subscription
            for audience in self._audiences.with_member(author_id)
            if owner_ids is None or audience.owner_id in owner_ids
            for subscription in self._not_hidden(author_id, Key(LIST, audience.list_id))
        ]

    def _not_hidden(self, author_id: int, key: Key) -> list[Subscription]:
        return [
            subscription
            for subscription in self._listeners.of(key)
            if not self._readers.hides(subscription.listener.reader_id, author_id)
        ]


def _items(event: PostCreated | PostEdited, home_filter: HomeFilter | None) -> list[TimelineItem]:
    """Return the post as that reader sees it; for an edit, one item per language, old and new."""
    return [
        TimelineItem(
            post_id=event.post_id,
            author_id=event.author_id,
            visibility=event.visibility,
            in_reply_to_account_id=event.in_reply_to_account_id,
            boost_author_id=event.boost_author_id if isinstance(event, PostCreated) else 0,
            mentions_reader=home_filter is not None and home_filter.reader_id in event.mentioned_ids,
            language=language,
            has_followed_tag=home_filter is not None and not home_filter.tags.keys().isdisjoint(event.tags),
        )
        for language in ((event.language,) if isinstance(event, PostCreated) else event.languages or ("",))
    ]

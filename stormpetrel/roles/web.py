"""Builds one web worker: edge, application, database, and caches.

`Memory.apply` is the one place that decides which caches an event makes stale.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from dataclasses import replace
from typing import Any

from stormpetrel import clock
from stormpetrel.api.json.render import Renderer
from stormpetrel.api.routes import ROUTES as API_ROUTES
from stormpetrel.api.routes import SOCKETS
from stormpetrel.audience.counter import VisitorCounter
from stormpetrel.bus.local import Bus
from stormpetrel.config import Config
from stormpetrel.control.audience_link import AudienceLink
from stormpetrel.control.looking import standing
from stormpetrel.control.messages import Look, Standing
from stormpetrel.control.reporter import Reporter
from stormpetrel.edge.server import EdgeServer
from stormpetrel.edge.worker import EdgeParts, EdgeWorker
from stormpetrel.errors import Busy, EnvironmentFailure
from stormpetrel.http.application import WebApplication, token_entry
from stormpetrel.http.passwords import Passwords
from stormpetrel.http.routing import BodySize, Router
from stormpetrel.http.site import Site
from stormpetrel.media.open_store import open_store
from stormpetrel.media.uploads import Uploads
from stormpetrel.model.event import (
    AccessChanged,
    AccountChanged,
    AllChanged,
    Event,
    InstanceChanged,
    PostChanged,
    PostCreated,
    PostDeleted,
    PostEdited,
)
from stormpetrel.model.filter import MAX_KEYWORD_CHARACTERS
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.moderation import MAX_TEXT
from stormpetrel.model.post import Visibility
from stormpetrel.model.quota import network_of
from stormpetrel.process.cpu_worker import Heavy
from stormpetrel.readers.counts import place_activity, place_counts
from stormpetrel.readers.facts import changed_by
from stormpetrel.readers.filters import ReaderFilters
from stormpetrel.readers.flags import ReaderFlags
from stormpetrel.readers.home import HomeLists
from stormpetrel.shield.evidence import FailedSignIns
from stormpetrel.shield.token_index import CAPACITY as TOKENS_CAPACITY
from stormpetrel.storage.access import newest_tokens
from stormpetrel.storage.engine.database import Database
from stormpetrel.streaming.hub import Hub
from stormpetrel.web.render import Pages
from stormpetrel.web.routes import ROUTES as WEB_ROUTES

_log = logging.getLogger("stormpetrel.web")

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 5.0
"""Delays between attempts to reach the database at the start."""
FORM_BYTES = 65_536
"""Size of a form's fields without its files."""
TOKENS_AT_ONCE = 5_000
"""Tokens that a query loads at the start."""
WARM_TOKENS = 20_000
"""So many of the newest are not looked up again for the first minute: some 15 MB."""
ROUTES = (*API_ROUTES, *WEB_ROUTES)


async def run(
    *, config: Config, sock: socket.socket, bus: Bus, heavy: Heavy, stop: asyncio.Event, secret: bytes
) -> None:
    """Serve on `sock` until `stop` is set, then drain. Refuse requests until the database can be reached."""
    application: WebApplication

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await application(scope, receive, send)

    router = Router(ROUTES, sockets=SOCKETS, body_bytes=body_bytes(config))

    def writer_wait_s() -> float:
        return database.writer_wait_s()

    def failed_sign_ins() -> FailedSignIns:
        return site.passwords.failed.take()

    def has_home(account_id: int) -> bool:
        return site.home.holds(account_id)

    visitors = VisitorCounter() if config.audience.enabled else None
    parts = EdgeParts(
        edge=config.edge,
        shield=config.shield,
        paths=router.facts,
        secret=secret,
        public_https=config.base_url.startswith("https:"),
        status_url=config.status_url,
        number=int(bus.name.rpartition("-")[2]),
        writer_wait_s=writer_wait_s,
        visitors=visitors,
        host=config.domain,
        failed_sign_ins=failed_sign_ins,
        has_home=has_home,
    )
    edge = EdgeServer(app, parts, sock=sock)
    memory = Memory()

    def publish(events: list[Event]) -> None:
        # Update the other processes, then this one, before our own caller gets the answer.
        bus.publish(events)
        memory.apply(events, source=bus.name)

    database = Database(config.database_url, publish=publish, pending=bus.pending)
    site = Site(
        config=config,
        database=database,
        heavy=heavy,
        uploads=Uploads(config, open_store(config)),
        tokens=edge.tokens,
        cache=edge.cache,
        finished=edge.finished,
        home=HomeLists(database),
        flags=ReaderFlags(database),
        filters=ReaderFilters(database),
        counts=place_counts(database),
        activity=place_activity(database),
        passwords=Passwords(database, heavy, secret=secret, about=(config.title, config.domain)),
        secret=secret,
        base_url=config.base_url,
        domain=config.domain,
        drain=bus.drain,
        is_stressed=lambda: edge.worker.shield.is_stressed,
    )
    site.api = Renderer(database, site.flags, site.filters, base_url=site.base_url)
    pages = Pages(site)
    site.pages = pages
    memory.site = site
    site.streaming = Hub(
        database,
        site.api,
        site.home,
        caps=config.streaming,
        drain=bus.drain,
        clock_ms=clock.now_ms,
    )
    application = WebApplication(site, router, error_page=pages.error, sockets=SOCKETS)
    bus.on_events = lambda events: memory.apply(events, source=bus.sender)
    edge.finished.catch_up = bus.drain
    started = False
    wait_s = FIRST_RETRY_S
    while True:
        try:
            await database.open()
            break
        except EnvironmentFailure as error:
            # Visitors must not hang on a socket that does not accept: refuse their requests meanwhile.
            _log.error("%s; refusing requests until it can be", error.safe_text)
            application.is_away = True
            if not started:
                await edge.start()
                started = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait_s)
            if stop.is_set():
                await edge.drain()
                site.uploads.close()
                return
            wait_s = min(wait_s * 2, LAST_RETRY_S)
    application.is_away = False
    try:
        await _load_tokens(site)
        try:
            await site.home.load_newest()
        except Busy as error:
            _log.warning("recent posts are loaded later: %s", error.safe_text)
        if not started:
            await edge.start()
        # At 500,000 accounts it takes half a second: the first page should not wait for it.
        site.counts.warm(now_ms=clock.now_ms())
        site.activity.warm(now_ms=clock.now_ms())
        beside = [
            asyncio.ensure_future(_reporter(bus.name, config, edge.worker, site.streaming).run(stop)),
            asyncio.ensure_future(site.home.run(stop)),
        ]
        if visitors is not None:

            def forget_visitors() -> None:
                edge.worker.forget_visitors()
                # The quotas remember addresses with their networks.
                network_of.cache_clear()

            link = AudienceLink(visitors, name=bus.name, data_dir=config.data_dir, on_period=forget_visitors)
            beside.append(asyncio.ensure_future(link.run(stop)))
        try:
            await edge.serve_until(stop)
        finally:
            for task in beside:
                task.cancel()
    finally:
        site.uploads.close()
        await database.close()


async def _load_tokens(site: Site) -> None:
    """Load the members' tokens before the first request, so that members do not count as strangers.

    The newest are loaded as if they had been looked up; of the others, the index holds the account.
    """
    tokens: list[tuple[bytes, int, int]] = []
    below_id = MAX_ID
    try:
        while len(tokens) < TOKENS_CAPACITY:
            began = site.access_freshness.begin()
            found = await site.database.read(newest_tokens, below_id=below_id, count=TOKENS_AT_ONCE)
            is_warm = len(tokens) < WARM_TOKENS and site.access_freshness.is_current(began)
            at_s = time.monotonic()
            for token_hash, access in found:
                if access.account_id is not None:
                    tokens.append((token_hash, access.account_id, access.created_at_ms))
                    if is_warm:
                        site.tokens.put(token_hash, token_entry(access, at_s))
            if len(found) < TOKENS_AT_ONCE:
                break
            below_id = found[-1][1].token_id
    except Busy as error:
        _log.warning("tokens could not be loaded, so each is looked up first: %s", error.safe_text)
    site.tokens.index.fill(tokens)


def _reporter(name: str, config: Config, worker: EdgeWorker, hub: Hub) -> Reporter:
    """Return the reporter, which sends reports to the watch and receives directions."""

    def look(asked: Look) -> Standing:
        at_s = worker.loop.time()
        return standing(worker.shield, asked, at_s=at_s, epoch_s=worker.epoch_s(at_s))

    return Reporter(
        name=name,
        data_dir=config.data_dir,
        # The edge does not know whose a stream is.
        report=lambda: replace(worker.shield_report(), streaming_members=hub.listeners.members),
        direct=worker.direct,
        look=look,
    )


def body_bytes(config: Config) -> dict[BodySize, int]:
    """Return the largest body in bytes of each size, at least `edge.max_body_bytes`."""
    # A form takes up to nine bytes for a character.
    sizes = {
        BodySize.KEYWORDS: 9 * MAX_KEYWORD_CHARACTERS,
        BodySize.TEXTS: 9 * MAX_TEXT,
        BodySize.PICTURES: 2 * config.media.max_image_bytes,
        BodySize.FILES: 4 * config.media.max_image_bytes + config.media.max_video_bytes,
    }
    return {size: max(config.edge.max_body_bytes, bytes_ + FORM_BYTES) for size, bytes_ in sizes.items()}


class Memory:
    """All caches of a worker that an event can make stale. `site` is set before the first event.

    ConversationChanged makes only the number on pages stale: conversations are read from the store each time.
    """

    site: Site

    def apply(self, events: list[Event], *, source: str = "") -> None:
        """Update the caches by events of this or another process. `source`: its name; "" for other machines."""
        site = self.site
        for event in events:
            site.home.apply(event)
            site.flags.apply(event)
            site.filters.apply(event)
            site.api.apply(event)
            site.pages.apply(event)
            self._hot_pages(event)
            self._finished(event)
            self._access(event)
            # Last: listeners get content that comes from the other caches.
            site.streaming.apply(event, source=source)

    def _hot_pages(self, event: Event) -> None:
        """Anonymous answers: changed ones are rendered again, those that must disappear are dropped at once.

        A new post does not invalidate the public and tag pages: they are at most a second old, and under many
        writers they would be rendered for each post.
        """
        cache = self.site.cache
        match event:
            case PostCreated():
                cache.invalidate(f"account:{event.author_id}")
                if event.in_reply_to_id:
                    cache.invalidate(f"post:{event.in_reply_to_id}")
            case PostChanged():
                cache.invalidate(f"post:{event.post_id}")
            case PostEdited():
                # Text that an edit removed must not be served any more.
                cache.purge(f"post:{event.post_id}")
                cache.purge(f"account:{event.author_id}")
                for name in event.tags:
                    cache.purge(f"tag:{name}")
                if event.visibility == Visibility.PUBLIC:
                    cache.purge("public")
            case PostDeleted():
                for tag in (
                    f"post:{event.post_id}",
                    f"account:{event.author_id}",
                    "public",
                    *(f"tag:{name}" for name in event.tags),
                    *(f"account:{booster_id}" for _, booster_id in event.boosts),
                ):
                    cache.purge(tag)
                if event.in_reply_to_id:
                    cache.invalidate(f"post:{event.in_reply_to_id}")
            case AccountChanged(account_id=account_id, hidden=hidden):
                if hidden:
                    # It may be on any page: in threads, in boosts, in lists.
                    cache.purge_all()
                else:
                    cache.invalidate(f"account:{account_id}")
            case InstanceChanged():
                cache.invalidate("instance")
            case AllChanged():
                cache.purge_all()
            case _:
                pass

    def _finished(self, event: Event) -> None:
        """Members' answers: those that show a changed fact are answered again by the application."""
        keys = changed_by(event)
        if keys is None:
            self.site.finished.all_changed()
        elif keys:
            self.site.finished.changed(keys)

    def _access(self, event: Event) -> None:
        site = self.site
        match event:
            case AccessChanged(account_id=account_id, token_hash=token_hash):
                site.access_freshness.all_changed()
                if token_hash:
                    site.tokens.forget(token_hash)
                else:
                    site.tokens.forget_account(account_id)
                    site.tokens.forget_all_unknown()
            case AllChanged():
                site.access_freshness.all_changed()
                site.tokens.clear()
            case _:
                pass

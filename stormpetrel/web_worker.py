"""One web worker put together: edge, application, database, and what is held in memory.

Also the one place that says what an event makes stale (`Memory.apply`).
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

from stormpetrel.api.render import Renderer
from stormpetrel.api.routes import ROUTES as API_ROUTES
from stormpetrel.api.routes import SOCKETS
from stormpetrel.bus import Bus
from stormpetrel.config import Config
from stormpetrel.control.looking import standing
from stormpetrel.control.messages import Look, Standing
from stormpetrel.control.reporter import Reporter
from stormpetrel.edge.server import EdgeServer
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.heavy import Heavy
from stormpetrel.http.application import Application
from stormpetrel.http.routing import Router
from stormpetrel.http.site import Site
from stormpetrel.media.store import open_store
from stormpetrel.media.uploads import Uploads
from stormpetrel.memory import HomeLists, PlaceCounts, ReaderFlags
from stormpetrel.model.event import (
    AccessChanged,
    AccountChanged,
    AllChanged,
    Event,
    PostChanged,
    PostCreated,
    PostDeleted,
    PostEdited,
)
from stormpetrel.model.post import Visibility
from stormpetrel.reader_filters import ReaderFilters
from stormpetrel.storage.database import Database
from stormpetrel.streaming.hub import Hub
from stormpetrel.web.render import Pages
from stormpetrel.web.routes import ROUTES as WEB_ROUTES

FORM_BYTES = 65_536
"""What a form with files has besides them."""
ROUTES = (*API_ROUTES, *WEB_ROUTES)


async def run(
    *, config: Config, sock: socket.socket, bus: Bus, heavy: Heavy, stop: asyncio.Event, secret: bytes
) -> None:
    """Serves on `sock` until `stop` is set, then drains. Raises EnvironmentFailure without a database."""
    application: Application

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await application(scope, receive, send)

    router = Router(ROUTES)

    def writer_wait_s() -> float:
        return database.writer_wait_s()

    edge = EdgeServer(
        app,
        sock=sock,
        edge=config.edge,
        shield=config.shield,
        hot_key=router.hot_key,
        secret=secret,
        public_https=config.base_url.startswith("https:"),
        status_url=config.status_url,
        body_limit=body_limits(config),
        number=int(bus.name.rpartition("-")[2]),
        leads=router.leads,
        writer_wait_s=writer_wait_s,
    )
    memory = Memory()

    def publish(events: list[Event]) -> None:
        # The others are told before our own caller is answered, and so are we.
        bus.publish(events)
        memory.apply(events)

    database = Database(config.database_url, publish=publish)
    site = Site(
        config=config,
        database=database,
        heavy=heavy,
        uploads=Uploads(config, open_store(config)),
        tokens=edge.tokens,
        cache=edge.cache,
        home=HomeLists(database),
        flags=ReaderFlags(database),
        filters=ReaderFilters(database),
        counts=PlaceCounts(database),
        secret=secret,
        base_url=config.base_url,
        domain=config.domain,
        drain=bus.drain,
    )
    site.api = Renderer(database, site.flags, site.filters, base_url=site.base_url)
    site.pages = Pages(site)
    memory.site = site
    site.streaming = Hub(
        database,
        site.api,
        site.home,
        caps=config.streaming,
        drain=bus.drain,
        clock_ms=lambda: time.time_ns() // 1_000_000,
    )
    application = Application(site, router, sockets=SOCKETS)
    bus.on_events = memory.apply
    await database.open()
    try:
        await edge.start()
        reporting = asyncio.ensure_future(_reporter(bus.name, config, edge.worker).run(stop))
        try:
            await edge.serve_until(stop)
        finally:
            reporting.cancel()
    finally:
        site.uploads.close()
        await database.close()


def _reporter(name: str, config: Config, worker: EdgeWorker) -> Reporter:
    """Tells the watch how it goes here, and hears from it what to do."""

    def look(asked: Look) -> Standing:
        at_s = worker.loop.time()
        return standing(worker.shield, asked, at_s=at_s, epoch_s=worker.epoch_s(at_s))

    return Reporter(
        name=name,
        data_dir=config.data_dir,
        report=worker.shield_report,
        direct=worker.direct,
        look=look,
    )


def body_limits(config: Config) -> Callable[[bytes], int]:
    """The largest body by path: where files are uploaded it may be larger."""
    plain = config.edge.max_body_bytes
    pictures = max(plain, 2 * config.media.max_image_bytes + FORM_BYTES)
    files = max(plain, 4 * config.media.max_image_bytes + config.media.max_video_bytes + FORM_BYTES)
    by_path = {
        b"/api/v1/media": files,
        b"/api/v2/media": files,
        b"/compose": files,
        b"/api/v1/accounts/update_credentials": pictures,
        b"/settings/profile": pictures,
    }

    def limit(path: bytes) -> int:
        known = by_path.get(path)
        if known is not None:
            return known
        return pictures if path.startswith(b"/api/v1/media/") else plain

    return limit


class Memory:
    """Everything a worker holds that an event can make stale. `site` is set before the first event.

    ConversationChanged makes nothing stale: conversations are read anew each time. It is there for streams.
    """

    site: Site

    def apply(self, events: list[Event]) -> None:
        """Brings it up to what has just changed, here or in another process."""
        site = self.site
        for event in events:
            site.home.apply(event)
            site.flags.apply(event)
            site.filters.apply(event)
            site.api.apply(event)
            site.pages.apply(event)
            self._hot_pages(event)
            self._access(event)
            # Last: what is told to listeners is made of what the others hold.
            site.streaming.apply(event)

    def _hot_pages(self, event: Event) -> None:
        """Anonymous answers: what was written is asked for anew, what must disappear goes at once.

        A new post does not renew the public and tag pages: they are a second old at most, and under many
        writers they would otherwise be rendered for each of them.
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
                # What was taken back by an edit must not be read on.
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
                    # It may stand on any page: in threads, in boosts, in lists.
                    cache.purge_all()
                else:
                    cache.invalidate(f"account:{account_id}")
            case AllChanged():
                cache.purge_all()
            case _:
                pass

    def _access(self, event: Event) -> None:
        site = self.site
        match event:
            case AccessChanged(account_id=account_id, token_hash=token_hash):
                site.access_changes += 1
                if token_hash:
                    site.tokens.forget(token_hash)
                else:
                    site.tokens.forget_account(account_id)
                    site.tokens.forget_all_unknown()
            case AllChanged():
                site.access_changes += 1
                site.tokens.clear()
            case _:
                pass

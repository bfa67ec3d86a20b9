"""The parts of a web worker, passed to every handler with the request."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from stormpetrel.config import Config
from stormpetrel.edge.cache import HotCache
from stormpetrel.edge.finished import FinishedAnswers
from stormpetrel.freshness import Freshness
from stormpetrel.http.passwords import Passwords
from stormpetrel.media.uploads import Uploads
from stormpetrel.model.mail import NewLink, new_link
from stormpetrel.process.cpu_worker import Heavy
from stormpetrel.readers.counts import Recounted
from stormpetrel.readers.filters import ReaderFilters
from stormpetrel.readers.flags import ReaderFlags
from stormpetrel.readers.home import HomeLists
from stormpetrel.rules.instance import InstanceCounts, Week
from stormpetrel.shield.identify import TokenTable
from stormpetrel.storage.engine.database import Database

if TYPE_CHECKING:
    from stormpetrel.model.event import Event

NONCE_BYTES = 32
"""Random bytes in a link of a mail."""


class AppliesEvents(Protocol):
    """A part that holds data in memory and hears of changes."""

    def apply(self, event: Event) -> None:
        """Drop or update what the event changed."""
        ...


class Streams(Protocol):
    """The open streams of a worker (streaming/hub.py)."""

    def apply(self, event: Event, *, source: str = "") -> None:
        """Deliver the event. `source`: the process that made it."""
        ...


class PageRenderer(AppliesEvents, Protocol):
    """The web's pages. `fragments`: the rendered posts that they store (web/fragments.py)."""

    fragments: Any


@dataclass(slots=True)
class Site:
    """The parts of one web worker. `tokens`, `cache` and `finished` are the edge's own tables.

    - `api`: the API's renderer (api/json/render.py), `pages`: the web's (web/render.py), `streaming`: this worker's
      streams (streaming/hub.py). Each is made with the site and set afterwards. Doors are layers above this
      module, which knows only a part of them; they get the whole by `renderer`, `pages_of` and `_hub`.
    - `access_freshness`: a look-up of a credential that began before a revocation is not cached. A look-up
      learns the account only afterwards, so each revocation counts for all of them.
    - `drain` applies the bus events of other processes that this worker has not read yet.
    - `is_stressed` returns True while the worker is overloaded.
    """

    config: Config
    database: Database
    heavy: Heavy
    uploads: Uploads
    tokens: TokenTable
    cache: HotCache
    finished: FinishedAnswers
    home: HomeLists
    flags: ReaderFlags
    filters: ReaderFilters
    counts: Recounted[InstanceCounts]
    activity: Recounted[list[Week]]
    passwords: Passwords
    secret: bytes
    base_url: str
    domain: str
    drain: Callable[[], None] = lambda: None
    is_stressed: Callable[[], bool] = lambda: False
    api: AppliesEvents = field(init=False)
    pages: PageRenderer = field(init=False)
    streaming: Streams = field(init=False)
    access_freshness: Freshness[int] = field(default_factory=Freshness)

    def fresh_link(self) -> NewLink:
        """Return an unguessable link for a mail."""
        return new_link(self.secret, secrets.token_hex(NONCE_BYTES))

    @property
    def https(self) -> bool:
        """Return True if the public URL is https; then cookies are sent only over https."""
        return self.base_url.startswith("https:")

    @property
    def streaming_url(self) -> str:
        """Return the URL of the streaming API: the public one with ws for http."""
        return "ws" + self.base_url.removeprefix("http")

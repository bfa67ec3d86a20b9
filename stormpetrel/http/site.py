"""What a web worker holds, handed to every handler with the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stormpetrel.config import Config
from stormpetrel.edge.cache import HotCache
from stormpetrel.heavy import Heavy
from stormpetrel.memory import HomeLists, ReaderFlags
from stormpetrel.shield.identify import TokenTable
from stormpetrel.storage.database import Database


@dataclass(slots=True)
class Site:
    """One web worker's parts. `tokens` and `cache` are the edge's own tables.

    `api` is the API's renderer (api/render.py), `pages` the web's (web/render.py): doors lie above this
    module, so their types are not known here. Both have `apply(event)`; `pages` also `error(request, refusal)`.
    `streaming`: who listens in this worker (streaming/hub.py); it is made with the renderer.
    `access_changes` counts what was revoked: a look-up that began before it may be out of date.
    `drain` takes in what other processes told on the bus and nobody has read yet.
    """

    config: Config
    database: Database
    heavy: Heavy
    tokens: TokenTable
    cache: HotCache
    home: HomeLists
    flags: ReaderFlags
    secret: bytes
    base_url: str
    domain: str
    drain: Callable[[], None] = lambda: None
    api: Any = None
    pages: Any = None
    streaming: Any = None
    access_changes: int = 0

    @property
    def https(self) -> bool:
        """Whether people reach the place by https: cookies are then only sent so."""
        return self.base_url.startswith("https:")

    @property
    def streaming_url(self) -> str:
        """The address of the streaming API: the public one's scheme, ws for http."""
        return "ws" + self.base_url.removeprefix("http")

"""The parts of a web worker, passed to every handler with the request."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stormpetrel.config import Config
from stormpetrel.edge.cache import HotCache
from stormpetrel.heavy import Heavy
from stormpetrel.http.passwords import Passwords
from stormpetrel.media.uploads import Uploads
from stormpetrel.memory import HomeLists, ReaderFlags
from stormpetrel.model.mail import NewLink, new_link
from stormpetrel.place_counts import Recounted
from stormpetrel.reader_filters import ReaderFilters
from stormpetrel.rules.instance import InstanceCounts, Week
from stormpetrel.shield.identify import TokenTable
from stormpetrel.storage.database import Database

NONCE_BYTES = 32
"""Random bytes in a link of a mail."""


@dataclass(slots=True)
class Site:
    """The parts of one web worker. `tokens` and `cache` are the edge's own tables.

    - `api`: the API's renderer (api/render.py), `pages`: the web's (web/render.py). Doors are layers above
      this module, so their types are not known here. Both have `apply(event)`; `pages` also `error(request,
      refusal)`.
    - `streaming`: this worker's streams (streaming/hub.py), created with the renderer.
    - `access_changes` counts revocations: a look-up that began before one may be out of date.
    - `drain` applies the bus events of other processes that this worker has not read yet.
    """

    config: Config
    database: Database
    heavy: Heavy
    uploads: Uploads
    tokens: TokenTable
    cache: HotCache
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
    api: Any = None
    pages: Any = None
    streaming: Any = None
    access_changes: int = 0

    def fresh_link(self) -> NewLink:
        """Return an unguessable link for a mail."""
        return new_link(self.secret, secrets.token_hex(NONCE_BYTES))

    @property
    def https(self) -> bool:
        """True if the public URL is https; then cookies are sent only over https."""
        return self.base_url.startswith("https:")

    @property
    def streaming_url(self) -> str:
        """The URL of the streaming API: the public one with ws for http."""
        return "ws" + self.base_url.removeprefix("http")

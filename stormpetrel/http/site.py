"""What a web worker holds, handed to every handler with the request."""

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
"""Of randomness in a link of a mail."""


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
        """A link for a mail, that nobody can guess."""
        return new_link(self.secret, secrets.token_hex(NONCE_BYTES))

    @property
    def https(self) -> bool:
        """Whether people reach the place by https: cookies are then only sent so."""
        return self.base_url.startswith("https:")

    @property
    def streaming_url(self) -> str:
        """The address of the streaming API: the public one's scheme, ws for http."""
        return "ws" + self.base_url.removeprefix("http")

"""Writes the status page as static files, to a folder or a bucket that nothing of this instance can take down."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from stormpetrel.config import Config
from stormpetrel.errors import Busy
from stormpetrel.process.document import HTML, Document
from stormpetrel.watch.status.site import paths, rendered
from stormpetrel.watch.status.view import StatusView

EVERY_S = 60.0
SUFFIX = ".html"
MAX_INCIDENTS = 500
"""Older incidents have no page of their own in an export; those written before stay."""
BUCKET_MAX_AGE_S = 30
_S3 = "s3://"

log = logging.getLogger(__name__)


class ExportTarget(Protocol):
    """Where the files go. Calls block: make them in a thread."""

    def put(self, name: str, document: Document) -> bool:
        """Write a document whose bytes changed, as a whole; return True if it was written. Raise OSError, Busy."""


class FolderTarget:
    """A folder. All files are readable for everyone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, document: Document) -> bool:
        file = self._folder / name
        with contextlib.suppress(FileNotFoundError):
            if file.read_bytes() == document.body:
                return False
        for directory in reversed([file.parent, *file.parent.parents]):
            if directory == self._folder or self._folder in directory.parents:
                directory.mkdir(exist_ok=True)
                directory.chmod(0o755)
        unfinished = file.with_name(f".{file.name}.part")
        unfinished.write_bytes(document.body)
        unfinished.chmod(0o644)
        # A reader never finds half of a file.
        os.replace(unfinished, file)
        return True


class BucketTarget:
    """A bucket of an S3-compatible service."""

    def __init__(self, config: Config) -> None:
        # Imported only if it is used: boto3 takes 20 MB and half a second.
        from stormpetrel.media.s3 import S3Documents

        bucket, _, prefix = config.status.export.removeprefix(_S3).partition("/")
        self._documents = S3Documents(
            config.media, bucket=bucket, prefix=f"{prefix.strip('/')}/".removeprefix("/")
        )
        self._written: dict[str, bytes] = {}

    def put(self, name: str, document: Document) -> bool:
        digest = hashlib.blake2b(document.body, digest_size=16).digest()
        if self._written.get(name) == digest:
            return False
        self._documents.put(
            name, document.body, content_type=document.content_type, max_age_s=BUCKET_MAX_AGE_S
        )
        self._written[name] = digest
        return True


def export_target(config: Config) -> ExportTarget | None:
    """Return the target that the configuration names; None for no export."""
    if not config.status.export:
        return None
    if config.status.export.startswith(_S3):
        return BucketTarget(config)
    return FolderTarget(Path(config.status.export))


def export(view: StatusView, target: ExportTarget) -> int:
    """Write every document whose bytes changed; return how many. Raise OSError, Busy."""
    return sum(target.put(name, document) for name, document in files(view))


def files(view: StatusView) -> Iterator[tuple[str, Document]]:
    """Yield the documents of an export by the names of their files."""
    shown = replace(view, suffix=SUFFIX, incidents=view.incidents[:MAX_INCIDENTS])
    for path in paths(shown):
        document = rendered(path, shown)
        assert document is not None, path
        name = path or "index"
        yield (f"{name}{SUFFIX}" if document.content_type == HTML else name), document


async def keep_exported(view: Callable[[], StatusView], config: Config, stop: asyncio.Event) -> None:
    """Export at once and then every EVERY_S, until `stop` is set; return if there is no target.

    A failure is logged, and tried again.
    """
    target = await asyncio.to_thread(export_target, config)
    while target is not None and not stop.is_set():
        try:
            # In a thread: the folder may be on a slow disk, and a bucket is remote.
            await asyncio.to_thread(export, view(), target)
        except (OSError, Busy) as error:
            reason = error.safe_text if isinstance(error, Busy) else error.strerror or error
            log.warning("the status page cannot be written to %s: %s", config.status.export, reason)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_S)

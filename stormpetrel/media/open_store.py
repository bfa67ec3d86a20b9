"""Opens the store of media files that the configuration names."""

from __future__ import annotations

from stormpetrel.config import Config
from stormpetrel.media.folder import FolderStore
from stormpetrel.media.store import MediaStore


def open_store(config: Config) -> MediaStore:
    """Return the store that the configuration names."""
    if config.media.store == "s3":
        # Imported only if it is used: boto3 takes 20 MB and half a second.
        from stormpetrel.media.s3 import S3Store

        return S3Store(config.media)
    return FolderStore(config.media_folder)

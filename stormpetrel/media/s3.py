"""Files in a bucket of an S3-compatible service. Imported only if it is configured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from stormpetrel.config import MediaConfig
from stormpetrel.errors import Busy
from stormpetrel.media.formats import SERVED_TYPES
from stormpetrel.media.store import SILENT, StoreAway

CONNECT_TIMEOUT_S = 3
ATTEMPTS = 2
_FOR_EVER = "public, max-age=31536000, immutable"


class S3Store:
    """A bucket whose objects are publicly readable at `s3_public_url`."""

    def __init__(self, media: MediaConfig) -> None:
        self._bucket = media.s3_bucket
        self._public = (media.s3_public_url or f"{media.s3_endpoint.rstrip('/')}/{media.s3_bucket}").rstrip(
            "/"
        )
        self._client = _client(media)

    def put(self, path: Path, key: str) -> None:
        try:
            with path.open("rb") as body:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType=SERVED_TYPES[key.rpartition(".")[2]].decode(),
                    CacheControl=_FOR_EVER,
                )
        except (BotoCoreError, ClientError, OSError) as error:
            raise StoreAway(SILENT) from error

    def delete(self, keys: Sequence[str]) -> None:
        try:
            for key in keys:
                self._client.delete_object(Bucket=self._bucket, Key=key)
        except (BotoCoreError, ClientError, OSError) as error:
            raise StoreAway(SILENT) from error

    def path(self, key: str) -> Path | None:
        return None

    def url(self, key: str) -> str:
        return f"{self._public}/{key}"

    def check(self) -> None:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except (BotoCoreError, ClientError, OSError) as error:
            raise Busy(f"the bucket {self._bucket} cannot be reached: {type(error).__name__}") from error


class S3Documents:
    """Small documents below a prefix of a bucket, written by name. `media`: the service and its credentials."""

    def __init__(self, media: MediaConfig, *, bucket: str, prefix: str) -> None:
        self._client = _client(media)
        self._bucket = bucket
        self._prefix = prefix

    def put(self, name: str, body: bytes, *, content_type: str, max_age_s: int) -> None:
        """Write a document, replacing it as a whole. Raise StoreAway."""
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=f"{self._prefix}{name}",
                Body=body,
                ContentType=content_type,
                CacheControl=f"public, max-age={max_age_s}",
            )
        except (BotoCoreError, ClientError) as error:
            raise StoreAway(SILENT) from error


def _client(media: MediaConfig) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=media.s3_endpoint,
        region_name=media.s3_region,
        aws_access_key_id=media.s3_key,
        aws_secret_access_key=media.s3_secret,
        config=ClientConfig(
            connect_timeout=min(CONNECT_TIMEOUT_S, media.s3_timeout_s),
            read_timeout=media.s3_timeout_s,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            s3={"addressing_style": "path"},
            # Services other than Amazon's do not support checksums in trailers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            proxies={},
        ),
    )

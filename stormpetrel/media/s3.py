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
        self._client: Any = boto3.client(
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

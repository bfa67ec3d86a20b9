"""The S3 store against a real S3 server, one that hangs, and one that is broken."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from stormpetrel.config import MediaConfig
from stormpetrel.errors import Busy
from stormpetrel.media import s3
from stormpetrel.media.store import new_key
from tests.media_files import png
from tests.media_s3 import s3_server, silent_server


def store_at(endpoint: str, *, timeout_s: float = 10.0) -> s3.S3Store:
    return s3.S3Store(
        MediaConfig(
            store="s3",
            s3_endpoint=endpoint,
            s3_bucket="pictures",
            s3_key="S3RVER",
            s3_secret="S3RVER",
            s3_timeout_s=timeout_s,
        )
    )


def test_a_file_is_put_read_by_people_and_deleted(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(png())
    with s3_server(tmp_path / "bucket") as endpoint:
        store = store_at(endpoint)
        store.check()
        key = new_key("png")
        store.put(source, key)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(store.url(key))
        assert any((tmp_path / "bucket").rglob(f"{key}*"))
        store.delete([key, new_key("png")])
        assert not any((tmp_path / "bucket").rglob(f"{key}*"))
        with pytest.raises(urllib.error.HTTPError):
            opener.open(request, timeout=5)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n"])
def test_a_server_that_hangs_or_fails_is_busy_and_not_for_ever(tmp_path: Path, answer: bytes) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(png())
    with silent_server(answer) as endpoint:
        store = store_at(endpoint, timeout_s=0.3)
        with pytest.raises(Busy):
            store.put(source, new_key("png"))
        with pytest.raises(Busy):
            store.check()

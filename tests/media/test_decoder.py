"""The decoder's process: whatever it dies of, one upload is refused and the next is taken."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import os
import signal
from pathlib import Path

import pytest

from stormpetrel.config import Config
from stormpetrel.errors import Invalid, TooMany
from stormpetrel.media import decoding
from stormpetrel.media.store import open_store
from stormpetrel.media.uploads import Uploads
from tests.media_files import jpeg, png


def uploads_in(directory: Path) -> Uploads:
    config = dataclasses.replace(Config(), data_dir=directory)
    return Uploads(config, open_store(config))


async def decode(uploads: Uploads, data: bytes, account_id: int = 1) -> None:
    with uploads.place_for(account_id) as directory:
        await uploads.write_down(io.BytesIO(data), directory)
        await uploads.decode(directory)


def test_a_killed_decoder_fails_one_upload_and_no_other(tmp_path: Path) -> None:
    async def run() -> None:
        uploads = uploads_in(tmp_path)
        dying = asyncio.create_task(decode(uploads, jpeg((5000, 4000))))
        killed = False
        while not killed and not dying.done():
            await asyncio.sleep(0)
            for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
                for pid in child.read_text().split():
                    if b"stormpetrel.media.decode" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(int(pid), signal.SIGKILL)
                        killed = True
        with pytest.raises(Invalid):
            await dying
        await decode(uploads, png())
        uploads.close()

    asyncio.run(run())
    assert list((tmp_path / "media-spool").iterdir()) == []


def test_a_decoder_that_takes_too_long_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "DECODER_TIMEOUT_S", 0.01)

    async def run() -> None:
        uploads = uploads_in(tmp_path)
        with pytest.raises(Invalid):
            await decode(uploads, png())
        uploads.close()

    asyncio.run(run())


def test_an_account_uploads_only_so_many_at_once_and_others_go_on(tmp_path: Path) -> None:
    uploads = uploads_in(tmp_path)
    most = Config().media.uploads_per_account
    held = [uploads.place_for(1) for _ in range(most)]
    for place in held:
        place.__enter__()
    with pytest.raises(TooMany), uploads.place_for(1):
        pass
    with uploads.place_for(2):
        pass
    held.pop().__exit__(None, None, None)
    with uploads.place_for(1):
        pass

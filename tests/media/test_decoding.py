"""The process of the decoder: however it dies, only one upload is refused, and the next is accepted."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from pathlib import Path

import pytest

from stormpetrel.errors import Invalid
from stormpetrel.media import decoding
from stormpetrel.media.uploads import Uploads
from tests.media_files import jpeg, png, uploads_in
from tests.processes import decoders


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
            for pid in decoders():
                os.kill(pid, signal.SIGKILL)
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

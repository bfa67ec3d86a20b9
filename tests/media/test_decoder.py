"""The decoder's process: however it dies, only one upload is refused, and the next is accepted."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import os
import random
import signal
from pathlib import Path

import pytest
from PIL import Image

from stormpetrel.config import Config
from stormpetrel.errors import Invalid, TooMany
from stormpetrel.media import decoding, pictures
from stormpetrel.media.formats import SNIFFED_BYTES, sniff
from stormpetrel.media.job import UploadRefused
from stormpetrel.media.open_store import open_store
from stormpetrel.media.uploads import Uploads
from tests.media_files import jpeg, png
from tests.processes import decoders


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


def test_frames_of_noise_take_bounded_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one pixel changes per frame: the upload is as small as its first frame, the decoded frames are
    not.
    """
    monkeypatch.setattr(pictures, "MAX_WRITTEN_BYTES", 1_000_000)
    noise = Image.frombytes("RGB", (300, 300), random.Random(1).randbytes(270_000))
    frames = []
    for number in range(20):
        frame = noise.copy()
        frame.putpixel((number, 0), (0, 0, 0))
        frames.append(frame)
    upload = tmp_path / "noise.png"
    frames[0].save(upload, "PNG", save_all=True, append_images=frames[1:], duration=100)
    assert upload.stat().st_size < 300_000
    found = sniff(upload.read_bytes()[:SNIFFED_BYTES])
    assert found is not None
    image = pictures.open_checked(upload, found, max_pixels=100_000)
    assert pictures.frames_of(image) == 20
    made = tmp_path / "made"
    made.mkdir()
    with pytest.raises(UploadRefused, match="too large"):
        pictures.write_frames(image, made, 640)
    assert sum(file.stat().st_size for file in made.iterdir()) < 1_300_000

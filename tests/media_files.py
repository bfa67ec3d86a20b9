"""Files to upload, made by the test that needs them."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import struct
import subprocess
import zlib
from pathlib import Path

from PIL import Image

from stormpetrel.config import Config
from stormpetrel.media.open_store import open_store
from stormpetrel.media.uploads import Uploads
from stormpetrel.model.media import Decoded

GPS = 0x8825
ORIENTATION = 0x0112
MAKER = 0x010F


def jpeg(size: tuple[int, int] = (320, 200), *, exif: bool = False, colour: str = "teal") -> bytes:
    """Return a JPEG. With `exif` it is stored sideways and contains the place and the camera."""
    made = io.BytesIO()
    tags = Image.Exif()
    if exif:
        tags[ORIENTATION] = 6
        tags[MAKER] = "SecretCam"
        tags.get_ifd(GPS)[1] = "N"
    Image.new("RGB", size, colour).save(made, "JPEG", exif=tags, comment=b"a secret" if exif else b"")
    return made.getvalue()


def png(size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a PNG."""
    made = io.BytesIO()
    Image.new("RGBA", size, (1, 2, 3, 128)).save(made, "PNG")
    return made.getvalue()


def gif(frames: int, size: tuple[int, int] = (40, 30)) -> bytes:
    """Return an animated GIF whose successive frames differ."""
    made = io.BytesIO()
    pictures = [Image.new("P", size, index % 250) for index in range(2)]
    pictures[0].save(made, "GIF", save_all=True, append_images=pictures[1:], duration=40)
    data = made.getvalue()
    # Repeat everything after the header and its tables: short data for many frames, like a bomb.
    start = data.index(b"\x21\xf9")
    return data[:start] + data[start:-1] * (frames // 2) + b"\x3b"


def animation(kind: str, shown_ms: list[int], size: tuple[int, int] = (64, 48)) -> bytes:
    """Return an animated WEBP or PNG. Each frame has another colour, is half transparent, and has its own
    duration.
    """
    made = io.BytesIO()
    pictures = [Image.new("RGBA", size, (250 - 60 * n, 60 * n, 99, 255)) for n in range(len(shown_ms))]
    for picture in pictures:
        picture.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    pictures[0].save(made, kind, save_all=True, append_images=pictures[1:], duration=shown_ms)
    return made.getvalue()


def png_bomb(side: int = 50_000) -> bytes:
    """Return a valid PNG of side x side pixels in a few hundred kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = b"\0" * (side // 8 + 2)
    packed = b"".join(packer.compress(row * 1000) for _ in range(side // 1000)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def film(directory: Path, *, sound: bool = True) -> bytes:
    """Return a second of H.264 with a secret title."""
    path = directory / "film.mp4"
    tone = ["-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac"] if sound else []
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=d=1:s=160x120:r=10", *tone),
            *("-metadata", "title=SecretTitle", "-c:v", "libx264", "-pix_fmt", "yuv420p", str(path)),
        ],
        check=True,
    )
    return path.read_bytes()


def uploads_in(directory: Path) -> Uploads:
    """Return the uploads of a worker whose files are in `directory`."""
    config = dataclasses.replace(Config(), data_dir=directory)
    return Uploads(config, open_store(config))


def kept(data: bytes, directory: Path) -> tuple[Decoded, Path]:
    """Process an upload. Return the result and the path of its file. Raise Invalid."""

    async def run() -> Decoded:
        uploads = uploads_in(directory)
        try:
            with uploads.place_for(1) as place:
                await uploads.write_down(io.BytesIO(data), place)
                decoded = await uploads.decode(place)
        finally:
            uploads.close()
        assert decoded is not None
        return decoded

    decoded = asyncio.run(run())
    path = open_store(dataclasses.replace(Config(), data_dir=directory)).path(decoded.key)
    assert path is not None
    return decoded, path

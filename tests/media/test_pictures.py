"""Images: the formats that are read, the files that are written, and the bounds of both."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from stormpetrel.media import pictures
from stormpetrel.media.formats import SNIFFED_BYTES, sniff
from stormpetrel.media.job import UploadRefused
from stormpetrel.model.media import MediaKind
from tests.media_files import kept


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


def swapped_profile() -> bytes:
    """Return a profile that swaps red and green: software that drops it shows the wrong colours."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", data, 128)
    at = {bytes(data[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    red, green = at[b"rXYZ"], at[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


def picture(mode: str, format_: str, profile: bytes, colour: tuple[int, ...]) -> bytes:
    made = io.BytesIO()
    image = Image.new("RGBA" if len(colour) == 4 else "RGB", (40, 30), colour)
    if mode == "P":
        image = image.quantize(8)
    lossless = {"lossless": True} if format_ == "WEBP" else {"quality": 95} if format_ == "JPEG" else {}
    image.save(made, format_, icc_profile=profile, **lossless)
    return made.getvalue()


@pytest.mark.parametrize(
    ("mode", "format_", "colour"),
    [
        ("RGB", "JPEG", (250, 0, 0)),
        ("RGB", "PNG", (250, 0, 0)),
        ("RGBA", "PNG", (250, 0, 0, 100)),
        ("P", "PNG", (250, 0, 0)),
        ("RGB", "WEBP", (250, 0, 0)),
        ("RGB", "AVIF", (250, 0, 0)),
    ],
)
def test_a_picture_with_a_colour_profile_keeps_its_colours_and_not_the_profile(
    tmp_path: Path, mode: str, format_: str, colour: tuple[int, ...]
) -> None:
    _, path = kept(picture(mode, format_, swapped_profile(), colour), tmp_path)
    shown = Image.open(path)
    assert "icc_profile" not in shown.info
    assert b"acsp" not in path.read_bytes()
    red, green, blue, *alpha = shown.convert("RGBA" if len(colour) == 4 else "RGB").getpixel((20, 15))
    assert (red < 20, green > 230, blue < 20) == (True, True, True), (red, green, blue)
    assert alpha == list(colour[3:])


def test_a_profile_that_is_broken_costs_no_picture(tmp_path: Path) -> None:
    decoded, path = kept(picture("RGB", "PNG", b"no profile at all" * 20, (250, 0, 0)), tmp_path)
    assert decoded.kind is MediaKind.IMAGE
    assert Image.open(path).convert("RGB").getpixel((0, 0)) == (250, 0, 0)


def test_grey_of_sixteen_bits_stays_grey(tmp_path: Path) -> None:
    image = Image.new("I;16", (40, 30), 32_768)
    made = io.BytesIO()
    image.save(made, "PNG")
    _, path = kept(made.getvalue(), tmp_path)
    assert Image.open(path).convert("RGB").getpixel((20, 15)) == (128, 128, 128)

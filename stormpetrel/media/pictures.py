"""Pictures: read, turned upright, made small and written anew, so that nothing of the original's bytes is kept.

Only runs in the decoder's process (decode.py). What is checked before a pixel is decoded: the format by its
first bytes, width times height, and frames times pixels.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import blurhash
from PIL import Image, ImageCms, ImageOps, ImageSequence

from stormpetrel.media.formats import Format
from stormpetrel.media.job import Refused

MAX_SIDE = 16_384
SHOWN_PIXELS = 8_294_400
"""3840 x 2160, what the reference server scales to."""
PREVIEW_PIXELS = 230_400
"""640 x 360, as the reference server."""
MAX_FRAMES = 500
MAX_FRAME_PIXELS = 200_000_000
"""All frames of an animation together."""
AVATAR_SIZE = (400, 400)
HEADER_SIZE = (1500, 500)
MAX_WRITTEN_BYTES = 250_000_000
"""All frames of an animation as files, which take disk until the film is made. An upload of 1.2 MB, noise of which
one pixel changes, made 600 MB of them."""
_USUAL_FRAME_MS = 100.0
_LONGEST_FRAME_MS = 10_000.0
_BLURHASH_SIDE = 32
_JPEG_QUALITY = 90
_WITH_PROFILES = ("RGB", "RGBA", "CMYK", "L")
"""How pixels lie where a colour profile can be applied to them."""


@dataclass(frozen=True, slots=True)
class Written:
    """A picture that was written: file name, and size in pixels."""

    name: str
    width: int
    height: int


def open_checked(path: Path, found: Format, *, max_pixels: int) -> Image.Image:
    """The picture, its head read and nothing decoded. Raises Refused."""
    # The limit is ours, below; Pillow would only warn at first.
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    try:
        image = Image.open(path, formats=[found.reader])
    except Exception as error:  # Pillow raises what its readers meet: OSError, ValueError, struct.error, …
        raise Refused("The file could not be read as a picture") from error
    width, height = image.size
    if width < 1 or height < 1 or max(width, height) > MAX_SIDE or width * height > max_pixels:
        raise Refused(
            f"{width}x{height} is too large for a picture (maximum is {max_pixels} pixels, "
            f"{MAX_SIDE} on a side)"
        )
    return image


def frames_of(image: Image.Image) -> int:
    """How many frames there are; 1 for a still. Raises Refused for more than may be decoded."""
    pixels = image.size[0] * image.size[1]
    count = 0
    try:
        while count <= MAX_FRAMES:
            image.seek(count)
            count += 1
            if count > 1 and count * pixels > MAX_FRAME_PIXELS:
                break
    except EOFError:
        image.seek(0)
        return max(count, 1)
    except Exception as error:  # a broken frame: whatever its reader meets
        raise Refused("The animation could not be read") from error
    raise Refused(f"The animation is too long (maximum is {MAX_FRAMES} frames)")


def pixels_of(image: Image.Image) -> Image.Image:
    """The first frame, upright, in sRGB, as RGB or RGBA with nothing else in it. Raises Refused."""
    try:
        image.load()
        profile = image.info.get("icc_profile")
        upright = ImageOps.exif_transpose(image)
        has_alpha = "A" in upright.getbands() or "transparency" in upright.info
        mode = "RGBA" if has_alpha else "RGB"
        if upright.mode.startswith("I"):
            # 16 bits of grey; converted as they are, all but the darkest would be white.
            upright = upright.convert("I").point(lambda grey: grey / 256).convert("L")
        if profile and (has_alpha or upright.mode not in _WITH_PROFILES):
            # A palette's colours are of the profile too; and what is transparent must stay so.
            upright = upright.convert(mode)
        if profile:
            upright = _to_srgb(upright, profile, mode)
        plain = upright.convert(mode)
    except Refused:
        raise
    except Exception as error:  # a broken file: whatever its reader meets
        raise Refused("The file could not be read as a picture") from error
    plain.info = {}
    return plain


def _to_srgb(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        changed = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A profile that cannot be read is dropped: the colours are a little off, the picture is there.
        return image
    return image if changed is None else changed


def within(image: Image.Image, pixels: int) -> Image.Image:
    """The picture in its own shape, of at most so many pixels."""
    width, height = image.size
    if width * height <= pixels:
        return image
    scale = (pixels / (width * height)) ** 0.5
    return image.resize(
        (max(1, int(width * scale)), max(1, int(height * scale))), Image.Resampling.LANCZOS, reducing_gap=2.0
    )


def write(image: Image.Image, directory: Path, stem: str, found: Format) -> Written:
    """Writes it as what it was if that is a format of the web, else as JPEG."""
    if found.name == "webp":
        name = f"{stem}.webp"
        image.save(directory / name, "WEBP", quality=_JPEG_QUALITY, exif=b"", icc_profile=b"")
    elif image.mode == "RGBA" or found.name in ("png", "gif"):
        name = f"{stem}.png"
        image.save(directory / name, "PNG")
    else:
        name = f"{stem}.jpg"
        image.save(directory / name, "JPEG", quality=_JPEG_QUALITY, progressive=True)
    return Written(name, *image.size)


def write_preview(image: Image.Image, directory: Path, found: Format) -> Written:
    """The small form of it."""
    return write(within(image, PREVIEW_PIXELS), directory, "preview", found)


def blurhash_of(image: Image.Image) -> str:
    """Some twenty characters that stand for it while it is loading."""
    small = image.convert("RGB")
    small.thumbnail((_BLURHASH_SIDE, _BLURHASH_SIDE))
    width, height = small.size
    data = small.tobytes()
    rows = [
        [list(data[(y * width + x) * 3 : (y * width + x) * 3 + 3]) for x in range(width)]
        for y in range(height)
    ]
    text: str = blurhash.encode(rows, 4, 3)
    return text


def write_profile_picture(
    image: Image.Image, directory: Path, size: tuple[int, int], found: Format
) -> Written:
    """Cut to `size`'s shape and made no larger than it."""
    plain = pixels_of(image)
    width = min(size[0], plain.size[0])
    height = max(1, width * size[1] // size[0])
    return write(ImageOps.fit(plain, (width, height)), directory, "main", found)


def write_frames(image: Image.Image, directory: Path, most_width: int) -> Path:
    """Write each frame of an animation as a picture at most so wide, on white; the list of them for ffmpeg.

    Raises Refused for a broken frame, and past MAX_WRITTEN_BYTES.
    """
    lines = ["ffconcat version 1.0"]
    written_bytes = 0
    scale = min(1.0, most_width / image.size[0])
    size = (max(2, round(image.size[0] * scale)), max(2, round(image.size[1] * scale)))
    try:
        for number, frame in enumerate(ImageSequence.Iterator(image)):
            shown = frame.convert("RGBA").resize(size, Image.Resampling.LANCZOS)
            on_white = Image.new("RGB", size, "white")
            on_white.paste(shown, mask=shown.getchannel("A"))
            name = f"frame{number:03}.png"
            on_white.save(directory / name, "PNG", compress_level=1)
            written_bytes += (directory / name).stat().st_size
            if written_bytes > MAX_WRITTEN_BYTES:
                raise Refused("The animation is too large to make a film of it")
            shown_ms = min(max(float(frame.info.get("duration") or _USUAL_FRAME_MS), 10.0), _LONGEST_FRAME_MS)
            lines += (f"file {name}", f"duration {shown_ms / 1000:.3f}")
    except Refused:
        raise
    except Exception as error:  # a broken frame: whatever its reader meets
        raise Refused("The animation could not be read") from error
    names = directory / "frames.txt"
    # The last one is named again: without that its time does not count.
    names.write_text("\n".join([*lines, lines[-2], ""]))
    return names


def write_animated_avatar(image: Image.Image, directory: Path) -> Written:
    """All frames, cut to a square, as an animated WebP."""
    side = min(AVATAR_SIZE[0], *image.size)
    frames, durations = [], []
    for frame in ImageSequence.Iterator(image):
        durations.append(int(frame.info.get("duration", 100)))
        frames.append(ImageOps.fit(frame.convert("RGBA"), (side, side)))
    for frame in frames:
        frame.info = {}
    frames[0].save(
        directory / "animated.webp",
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        quality=80,
    )
    return Written("animated.webp", side, side)

"""Images: read, rotated upright, resized and written again, so that no bytes of the original remain.

Runs only in the decoder's process (decode.py). Before any pixel is decoded, these are checked: the format by
its first bytes, width times height, and frames times pixels.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import blurhash
from PIL import Image, ImageCms, ImageOps, ImageSequence

from stormpetrel.media.formats import Format
from stormpetrel.media.job import UploadRefused

MAX_SIDE = 16_384
SHOWN_PIXELS = 8_294_400
"""3840 x 2160, the size to which the reference server scales."""
PREVIEW_PIXELS = 230_400
"""640 x 360, as the reference server."""
MAX_FRAMES = 500
MAX_FRAME_PIXELS = 200_000_000
"""Limit for all frames of an animation together."""
AVATAR_SIZE = (400, 400)
HEADER_SIZE = (1500, 500)
MAX_WRITTEN_BYTES = 250_000_000
"""Limit for all frames of an animation as files, which take disk space until the video is made. An upload of
1.2 MB, noise of which one pixel changes, made 600 MB of them.
"""
_USUAL_FRAME_MS = 100.0
_LONGEST_FRAME_MS = 10_000.0
_BLURHASH_SIDE = 32
_JPEG_QUALITY = 90
_WITH_PROFILES = ("RGB", "RGBA", "CMYK", "L")
"""Pixel modes to which a colour profile can be applied."""


@dataclass(frozen=True, slots=True)
class Written:
    """An image that was written: file name, and size in pixels."""

    name: str
    width: int
    height: int


def open_checked(path: Path, found: Format, *, max_pixels: int) -> Image.Image:
    """Open the image, reading its header and decoding nothing. Raise Refused."""
    # The limit is checked below; Pillow would only warn at first.
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    try:
        image = Image.open(path, formats=[found.reader])
    except Exception as error:  # Pillow's readers raise OSError, ValueError, struct.error, …
        raise UploadRefused("The file could not be read as an image") from error
    width, height = image.size
    if width < 1 or height < 1 or max(width, height) > MAX_SIDE or width * height > max_pixels:
        raise UploadRefused(
            f"{width}x{height} is too large for an image (maximum is {max_pixels} pixels, "
            f"{MAX_SIDE} on a side)"
        )
    return image


def frames_of(image: Image.Image) -> int:
    """Return the number of frames; 1 for a still image. Raise Refused above the limits."""
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
    except Exception as error:  # a broken frame: any error of its reader
        raise UploadRefused("The animation could not be read") from error
    raise UploadRefused(f"The animation is too long (maximum is {MAX_FRAMES} frames)")


def pixels_of(image: Image.Image) -> Image.Image:
    """Return the first frame, upright, in sRGB, as RGB or RGBA without metadata. Raise Refused."""
    try:
        image.load()
        profile = image.info.get("icc_profile")
        upright = ImageOps.exif_transpose(image)
        has_alpha = "A" in upright.getbands() or "transparency" in upright.info
        mode = "RGBA" if has_alpha else "RGB"
        if upright.mode.startswith("I"):
            # 16 bits of grey: a plain conversion would turn all but the darkest values white.
            upright = upright.convert("I").point(lambda grey: grey / 256).convert("L")
        if profile and (has_alpha or upright.mode not in _WITH_PROFILES):
            # A palette's colours use the profile too, and transparency must be preserved.
            upright = upright.convert(mode)
        if profile:
            upright = _to_srgb(upright, profile, mode)
        plain = upright.convert(mode)
    except UploadRefused:
        raise
    except Exception as error:  # a broken file: any error of its reader
        raise UploadRefused("The file could not be read as an image") from error
    plain.info = {}
    return plain


def _to_srgb(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        changed = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # Drop a profile that cannot be read: slightly wrong colours are better than no image.
        return image
    return image if changed is None else changed


def within(image: Image.Image, pixels: int) -> Image.Image:
    """Return the image with its aspect ratio, scaled down to at most `pixels` pixels."""
    width, height = image.size
    if width * height <= pixels:
        return image
    scale = (pixels / (width * height)) ** 0.5
    return image.resize(
        (max(1, int(width * scale)), max(1, int(height * scale))), Image.Resampling.LANCZOS, reducing_gap=2.0
    )


def write(image: Image.Image, directory: Path, stem: str, found: Format) -> Written:
    """Write the image in its own format if that is a web format, else as JPEG."""
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
    """Write the image's preview."""
    return write(within(image, PREVIEW_PIXELS), directory, "preview", found)


def blurhash_of(image: Image.Image) -> str:
    """Return the image's blurhash: some twenty characters, shown while it loads."""
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
    """Write the image cropped to the aspect ratio of `size`, and no larger than `size`."""
    plain = pixels_of(image)
    width = min(size[0], plain.size[0])
    height = max(1, width * size[1] // size[0])
    return write(ImageOps.fit(plain, (width, height)), directory, "main", found)


def write_frames(image: Image.Image, directory: Path, most_width: int) -> Path:
    """Write each frame of an animation, at most `most_width` wide, on white; return the
    list of frames for ffmpeg.

    Raise Refused for a broken frame, and above MAX_WRITTEN_BYTES.
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
                raise UploadRefused("The animation is too large to convert to video")
            shown_ms = min(max(float(frame.info.get("duration") or _USUAL_FRAME_MS), 10.0), _LONGEST_FRAME_MS)
            lines += (f"file {name}", f"duration {shown_ms / 1000:.3f}")
    except UploadRefused:
        raise
    except Exception as error:  # a broken frame: any error of its reader
        raise UploadRefused("The animation could not be read") from error
    names = directory / "frames.txt"
    # Name the last frame twice: otherwise ffmpeg ignores its duration.
    names.write_text("\n".join([*lines, lines[-2], ""]))
    return names


def write_animated_avatar(image: Image.Image, directory: Path) -> Written:
    """Write all frames, cropped to a square, as an animated WebP."""
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

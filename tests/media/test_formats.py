"""Each format that phones, cameras and recorders write is accepted with its content intact and its metadata
removed, or refused with a reason. ffmpeg makes the video and audio files, once for this file.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import struct
import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from stormpetrel.config import Config
from stormpetrel.errors import Invalid
from stormpetrel.media.formats import FILM_TYPES, PICTURE_TYPES, SERVED_TYPES, sniff
from stormpetrel.media.open_store import open_store
from stormpetrel.media.uploads import Uploads
from stormpetrel.model.media import Decoded, MediaKind
from tests.parts import require

SECRET = "SecretTitle"
TONE = ("-f", "lavfi", "-i", "sine=d=0.3")
PATTERN = ("-f", "lavfi", "-i", "testsrc=d=0.3:s=64x48:r=10")
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
TAKEN = {
    # name: (ffmpeg's arguments, resulting kind, codecs retained, content type when served)
    "opus.ogg": ((*TONE, "-c:a", "libopus"), MediaKind.AUDIO, ["opus"], "audio/ogg"),
    "vorbis.ogg": ((*TONE, "-c:a", "libvorbis"), MediaKind.AUDIO, ["vorbis"], "audio/ogg"),
    "sound.wav": (TONE, MediaKind.AUDIO, ["pcm_s16le"], "audio/wav"),
    "sound.flac": (TONE, MediaKind.AUDIO, ["flac"], "audio/flac"),
    "sound.mp3": ((*TONE, "-c:a", "libmp3lame"), MediaKind.AUDIO, ["mp3"], "audio/mpeg"),
    "bare.mp3": (
        (*TONE, "-c:a", "libmp3lame", "-id3v2_version", "0", "-write_xing", "0"),
        MediaKind.AUDIO,
        ["mp3"],
        "audio/mpeg",
    ),
    "sound.m4a": ((*TONE, "-c:a", "aac"), MediaKind.AUDIO, ["aac"], "audio/mp4"),
    "sound.webm": ((*TONE, "-c:a", "libopus"), MediaKind.AUDIO, ["opus"], "video/webm"),
    "film.webm": (
        (*PATTERN, *TONE, "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
        MediaKind.VIDEO,
        ["h264", "aac"],
        "video/mp4",
    ),
    "film-422.mp4": (
        (*PATTERN, *TONE, "-c:v", "libx264", "-pix_fmt", "yuv422p", "-c:a", "aac"),
        MediaKind.VIDEO,
        ["h264", "aac"],
        "video/mp4",
    ),
    "film-hevc.mp4": (
        (
            *PATTERN,
            *TONE,
            "-c:v",
            "libx265",
            "-x265-params",
            "log-level=error",
            "-tag:v",
            "hvc1",
            "-c:a",
            "aac",
        ),
        MediaKind.VIDEO,
        ["h264", "aac"],
        "video/mp4",
    ),
    "film.mp4": ((*PATTERN, *TONE, *H264, "-c:a", "aac"), MediaKind.VIDEO, ["h264", "aac"], "video/mp4"),
    "silent.mp4": ((*PATTERN, *H264), MediaKind.GIFV, ["h264"], "video/mp4"),
    "film.mov": ((*PATTERN, *TONE, *H264, "-c:a", "aac"), MediaKind.VIDEO, ["h264", "aac"], "video/mp4"),
}
REFUSED = {
    "lossless.m4a": ((*TONE, "-c:a", "alac"), "Validation failed: Audio must be AAC"),
    "studio.mov": ((*PATTERN, "-c:v", "prores"), "Validation failed: Video must be H.264"),
    "theora.ogg": ((*PATTERN, "-c:v", "libtheora"), "Validation failed: Video must be H.264"),
    "old.avi": ((*PATTERN, "-c:v", "mpeg4"), "Validation failed: This file type"),
    "sound.aiff": (TONE, "Validation failed: This file type"),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with all files, each made by one run of ffmpeg and with a secret title."""
    require("ffmpeg")
    directory = tmp_path_factory.mktemp("recorded")
    made = {name: how[0] for name, how in (TAKEN | REFUSED).items()}
    running = []
    for name, how in made.items():
        command = ["ffmpeg", "-nostdin", "-v", "error", *how, "-metadata", f"title={SECRET}"]
        running.append(subprocess.Popen([*command, str(directory / name)]))
    assert [process.wait(60) for process in running] == [0] * len(made)
    return directory


def kept(data: bytes, directory: Path) -> tuple[Decoded, Path]:
    """Process an upload. Return the result and the path of its file. Raise Invalid."""
    store = open_store(dataclasses.replace(Config(), data_dir=directory))

    async def run() -> Decoded:
        uploads = Uploads(dataclasses.replace(Config(), data_dir=directory), store)
        try:
            with uploads.place_for(1) as place:
                await uploads.write_down(io.BytesIO(data), place)
                decoded = await uploads.decode(place)
        finally:
            uploads.close()
        assert decoded is not None
        return decoded

    decoded = asyncio.run(run())
    path = store.path(decoded.key)
    assert path is not None
    return decoded, path


@pytest.mark.parametrize("name", TAKEN)
def test_a_recording_plays_everywhere_and_says_nothing_of_its_maker(
    recorded: Path, tmp_path: Path, name: str
) -> None:
    _, kind, codecs, served = TAKEN[name]
    data = (recorded / name).read_bytes()
    decoded, path = kept(data, tmp_path)
    assert decoded.kind is kind
    assert 200 <= decoded.duration_ms <= 500
    assert SERVED_TYPES[path.suffix[1:]].decode() == served
    assert SECRET.encode() not in path.read_bytes()
    probe = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)]
    said = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)
    assert [stream["codec_name"] for stream in said["streams"]] == codecs
    assert {stream.get("pix_fmt", "yuv420p") for stream in said["streams"]} == {"yuv420p"}
    if kind is MediaKind.AUDIO:
        assert (decoded.width, decoded.preview_key, decoded.blurhash) == (0, "", "")
    else:
        assert (decoded.width, decoded.height, decoded.frame_rate) == (64, 48, "10/1")
        assert decoded.preview_key


@pytest.mark.parametrize("name", REFUSED)
def test_a_recording_that_browsers_cannot_play_is_refused_with_the_reason(
    recorded: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(Invalid, match=REFUSED[name][1]):
        kept((recorded / name).read_bytes(), tmp_path)


def test_what_the_instance_says_it_takes_is_taken(recorded: Path) -> None:
    heads = [(recorded / name).read_bytes()[:64] for name in TAKEN]
    found = {format_.content_type for head in heads if (format_ := sniff(head))}
    # Other content types that apps use for the same formats.
    found |= {
        "audio/wave",
        "audio/x-wav",
        "audio/vorbis",
        "audio/mp3",
        "audio/webm",
        "audio/m4a",
        "audio/x-m4a",
    }
    assert found == set(FILM_TYPES)


# Images with a colour profile ----------------------------------------------------------------------------


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


def test_every_kind_of_picture_that_the_instance_names_is_taken() -> None:
    found = set()
    for format_ in ("JPEG", "PNG", "GIF", "WEBP", "AVIF"):
        made = io.BytesIO()
        Image.new("RGB", (8, 8)).save(made, format_)
        taken = sniff(made.getvalue()[:64])
        assert taken is not None
        found.add(taken.content_type)
    assert found == set(PICTURE_TYPES)


def test_a_film_that_is_shown_upright_is_measured_so(tmp_path: Path) -> None:
    require("ffmpeg")
    flat, upright = tmp_path / "flat.mp4", tmp_path / "upright.mp4"
    for command in (
        [*PATTERN, *TONE, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", flat],
        # Like a phone's recording: the frames lie on their side, and a matrix gives the rotation.
        ["-display_rotation:v:0", "90", "-i", flat, "-c", "copy", upright],
    ):
        done = subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            # Older releases lack the option, so write the matrix into the file instead.
            data = bytearray(flat.read_bytes())
            at = data.find(b"tkhd")
            matrix = at + 4 + 4 + (20 if data[at + 4] == 0 else 32) + 16
            turned = (0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000)
            data[matrix : matrix + 36] = b"".join(value.to_bytes(4, signed=True) for value in turned)
            upright.write_bytes(data)
    decoded, _ = kept(upright.read_bytes(), tmp_path)
    assert (decoded.width, decoded.height) == (48, 64)
    assert decoded.preview_width * 64 == decoded.preview_height * 48

"""Videos and sound: each recording plays everywhere without its metadata, or is refused with the reason.

ffmpeg makes the files, once for this file.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from stormpetrel.errors import Invalid
from stormpetrel.media.formats import FILM_TYPES, SERVED_TYPES, sniff
from stormpetrel.model.media import MediaKind
from tests.media_files import kept
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

"""Videos and sound, by ffprobe and ffmpeg: inspect them, strip their metadata, extract a frame.

Runs only in the decoder's process (decode.py), whose limits the programs inherit. Each call names the
one demuxer that may read the file, and allows no protocol but `file`: a playlist that names other files
or addresses is not read.
"""

from __future__ import annotations

import ctypes
import errno
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stormpetrel.media.formats import Format
from stormpetrel.media.job import UploadRefused

MAX_MATRIX = 8_294_400
MAX_FRAME_RATE = 120
MAX_DURATION_S = 6 * 3600
PROBE_TIMEOUT_S = 10
WORK_TIMEOUT_S = 60
GIFV_WIDTH = 1280
"""Maximum width in pixels of a video made from an animation."""
_VIDEO_CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})
_AUDIO_CODECS = frozenset({"aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le", "pcm_s24le", "pcm_u8"})
_PLAIN_PIXELS = frozenset({"yuv420p", "yuvj420p"})
_NO_ROOM_TEXT = b"No space left on device"
_PR_SET_PDEATHSIG = 1
_FLAGS = ("-nostdin", "-v", "error", "-protocol_whitelist", "file")


class TooSlow(UploadRefused):
    """A program did not finish in time."""


@dataclass(frozen=True, slots=True)
class Film:
    """The result of ffprobe. Sound alone has no width and height; those of a video are as
    displayed, after rotation.

    `plays_everywhere`: H.264 with 4:2:0 in MP4, and its sound, if any, is AAC or MP3.
    """

    width: int
    height: int
    duration_ms: int
    bit_rate: int
    frame_rate: str
    has_sound: bool
    plays_everywhere: bool = True


class _SideData(msgspec.Struct):
    rotation: float = 0.0


class _Stream(msgspec.Struct):
    codec_type: str = ""
    codec_name: str = ""
    width: int = 0
    height: int = 0
    avg_frame_rate: str = "0/0"
    pix_fmt: str = ""
    disposition: dict[str, int] = {}
    side_data_list: list[_SideData] = []

    @property
    def is_on_its_side(self) -> bool:
        """Return True if the video is displayed rotated by 90 degrees, as phones record upright videos."""
        return any(round(one.rotation) % 180 == 90 for one in self.side_data_list)


class _Container(msgspec.Struct):
    duration: str = "0"
    bit_rate: str = "0"


class _Probed(msgspec.Struct):
    streams: list[_Stream] = []
    format: _Container = msgspec.field(default_factory=_Container)


def is_there() -> bool:
    """Return True if both programs are installed."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def probe(path: Path, found: Format) -> Film:
    """Return the contents of the file. Raise Refused for contents that are not accepted."""
    said = _run(
        "ffprobe",
        *("-v", "error", "-protocol_whitelist", "file", "-f", found.reader),
        *("-show_format", "-show_streams", "-of", "json", f"file:{path}"),
        timeout_s=PROBE_TIMEOUT_S,
    )
    try:
        probed = msgspec.json.decode(said, type=_Probed, strict=False)
        duration_s = float(probed.format.duration)
        bit_rate = int(probed.format.bit_rate)
    except (msgspec.DecodeError, ValueError) as error:
        raise UploadRefused("The file could not be read as video or audio") from error
    films = [
        one
        for one in probed.streams
        if one.codec_type == "video" and not one.disposition.get("attached_pic", 0)
    ]
    sounds = [one for one in probed.streams if one.codec_type == "audio"]
    if not films and not sounds:
        raise UploadRefused("The file contains neither video nor audio")
    if films and films[0].codec_name not in _VIDEO_CODECS:
        raise UploadRefused("Video must be H.264, H.265, VP8, VP9 or AV1")
    if sounds and sounds[0].codec_name not in _AUDIO_CODECS:
        raise UploadRefused("Audio must be AAC, MP3, Opus, Vorbis, FLAC or WAV")
    if not 0 <= duration_s <= MAX_DURATION_S:
        raise UploadRefused("The video is too long")
    if not films:
        return Film(0, 0, int(duration_s * 1000), bit_rate, "", has_sound=True)
    film = films[0]
    if film.width * film.height > MAX_MATRIX or min(film.width, film.height) < 1:
        raise UploadRefused(
            f"{film.width}x{film.height} is too large for a video (maximum is {MAX_MATRIX} pixels)"
        )
    if _rate(film.avg_frame_rate) > MAX_FRAME_RATE:
        raise UploadRefused(f"The video has too many frames per second (maximum is {MAX_FRAME_RATE})")
    width, height = (film.height, film.width) if film.is_on_its_side else (film.width, film.height)
    return Film(
        width,
        height,
        int(duration_s * 1000),
        bit_rate,
        film.avg_frame_rate,
        has_sound=bool(sounds),
        plays_everywhere=found.extension == "mp4"
        and film.codec_name == "h264"
        and film.pix_fmt in _PLAIN_PIXELS
        and (not sounds or sounds[0].codec_name in ("aac", "mp3")),
    )


def _rate(text: str) -> float:
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return 0.0


def strip(path: Path, found: Format, directory: Path) -> str:
    """Copy the video or sound without metadata and chapters; return the new file's name."""
    name = f"main.{found.extension}"
    faststart: tuple[str, ...] = ("-movflags", "+faststart") if found.extension in ("mp4", "m4a") else ()
    _run(
        "ffmpeg",
        *(*_FLAGS, "-f", found.reader, "-i", f"file:{path}", "-map", "0:V:0?", "-map", "0:a:0?"),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-map_metadata:s", "-1", "-c", "copy"),
        *("-fflags", "+bitexact", *faststart, "-y", f"file:{directory / name}"),
        timeout_s=WORK_TIMEOUT_S,
    )
    return name


def playable(path: Path, found: Format, directory: Path) -> str:
    """Convert a video to a form that every browser and app plays (H.264 with 4:2:0 and AAC,
    in MP4); return its name.

    If the conversion takes too long, store the video as it came: some players play it.
    """
    try:
        _run(
            "ffmpeg",
            *(*_FLAGS, "-f", found.reader, "-i", f"file:{path}", "-map", "0:V:0", "-map", "0:a:0?"),
            *("-map_metadata", "-1", "-map_chapters", "-1", "-map_metadata:s", "-1", "-threads", "1"),
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p"),
            *("-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2", "-c:a", "aac", "-ac", "2"),
            *("-fflags", "+bitexact", "-movflags", "+faststart", "-y", f"file:{directory / 'main.mp4'}"),
            timeout_s=WORK_TIMEOUT_S,
        )
    except TooSlow:
        return strip(path, found, directory)
    return "main.mp4"


def from_gif(path: Path, directory: Path) -> str:
    """Write an animated GIF as a video without sound; return the new file's name."""
    return _silent(("-f", "gif", "-i", f"file:{path}"), directory)


def from_frames(names: Path, directory: Path) -> str:
    """Do the same for images of one size, listed with their durations (ffmpeg's concat format)."""
    return _silent(("-f", "concat", "-i", f"file:{names}"), directory)


def _silent(source: Sequence[str], directory: Path) -> str:
    _run(
        "ffmpeg",
        *(*_FLAGS, *source, "-an", "-map_metadata", "-1", "-threads", "1"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p"),
        *("-vf", f"scale='min({GIFV_WIDTH},iw)':-2,crop=trunc(iw/2)*2:trunc(ih/2)*2", "-fps_mode", "vfr"),
        *("-fflags", "+bitexact", "-movflags", "+faststart", "-y", f"file:{directory / 'main.mp4'}"),
        timeout_s=WORK_TIMEOUT_S,
    )
    return "main.mp4"


def first_frame(path: Path, found: Format, directory: Path) -> Path:
    """Write the video's first frame as a PNG and return its path."""
    frame = directory / "frame.png"
    _run(
        "ffmpeg",
        *(*_FLAGS, "-f", found.reader, "-i", f"file:{path}", "-map", "0:V:0", "-frames:v", "1"),
        *("-threads", "1", "-c:v", "png", "-f", "image2", "-update", "1", "-y", f"file:{frame}"),
        timeout_s=WORK_TIMEOUT_S,
    )
    if not frame.exists():
        raise UploadRefused("The video contains no image")
    return frame


def die_with_parent() -> None:
    """End this process as soon as its parent ends, however that happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _run(program: str, *arguments: str, timeout_s: float) -> bytes:
    found: Any = shutil.which(program)
    if found is None:
        raise UploadRefused("This server does not accept video")
    try:
        done = subprocess.run(
            [found, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            # Safe here, because the decoder has one thread.
            preexec_fn=die_with_parent,
        )
    except subprocess.TimeoutExpired as error:
        raise TooSlow("Reading the file took too long") from error
    if _NO_ROOM_TEXT in done.stderr:
        raise OSError(errno.ENOSPC, program)
    if done.returncode != 0:
        raise UploadRefused("The file could not be read as video or audio")
    return done.stdout

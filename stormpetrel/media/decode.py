"""The decoder: a separate process for each upload, with limited memory and time, so that a
file can harm nothing else.

`python -m stormpetrel.media.decode` reads a job from stdin and writes the answer to stdout. It has no access
to the database, the configuration or secrets, and all its files are in one directory.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from pathlib import Path

import msgspec

from stormpetrel.media import films, pictures
from stormpetrel.media.formats import SNIFFED_BYTES, Format, sniff
from stormpetrel.media.job import NO_ROOM, DecodeJob, DecodeResult, UploadRefused
from stormpetrel.model.media import MediaKind

NICENESS = 10
MEMORY_BYTES = 2 * 1024 * 1024 * 1024
"""Address space: a copy of the largest image takes 130 MB as RGBA, and ffmpeg maps much
memory that it never touches.
"""
CPU_S = 90
FILES = 64


def decode(job: DecodeJob) -> DecodeResult:
    """Decode the upload and return the answer. Raise Refused."""
    directory = Path(job.directory)
    path = Path(job.source)
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    found = sniff(head)
    if found is None:
        raise UploadRefused("This file type is not supported")
    size_bytes = path.stat().st_size
    if size_bytes > (job.max_image_bytes if found.is_picture else job.max_video_bytes):
        raise UploadRefused("The file is too large")
    if not found.is_picture:
        if job.purpose != "attachment":
            raise UploadRefused("The file must be an image")
        return _film(path, found, directory)
    return _picture(path, found, directory, job)


def _picture(path: Path, found: Format, directory: Path, job: DecodeJob) -> DecodeResult:
    image = pictures.open_checked(path, found, max_pixels=job.max_image_pixels)
    frames = pictures.frames_of(image)
    if job.purpose in ("avatar", "header"):
        size = pictures.AVATAR_SIZE if job.purpose == "avatar" else pictures.HEADER_SIZE
        still = pictures.write_profile_picture(image, directory, size, found)
        main, static = still.name, ""
        if frames > 1 and job.purpose == "avatar":
            main, static = pictures.write_animated_avatar(image, directory).name, still.name
        return DecodeResult(
            kind=MediaKind.IMAGE, main=main, preview=static, width=still.width, height=still.height
        )
    plain = pictures.pixels_of(image)
    preview = pictures.write_preview(plain, directory, found)
    said = DecodeResult(
        kind=MediaKind.IMAGE,
        preview=preview.name,
        preview_width=preview.width,
        preview_height=preview.height,
        blurhash=pictures.blurhash_of(plain),
    )
    if job.purpose == "thumbnail":
        return said
    if frames > 1 and films.is_there():
        if found.name == "gif":
            main = films.from_gif(path, directory)
        else:
            # Debian's ffmpeg does not read animated WebP; Pillow does.
            main = films.from_frames(pictures.write_frames(image, directory, films.GIFV_WIDTH), directory)
        film = films.probe(directory / main, sniffed(directory / main))
        return msgspec.structs.replace(
            said,
            kind=MediaKind.GIFV,
            main=main,
            width=film.width,
            height=film.height,
            duration_ms=film.duration_ms,
            bit_rate=film.bit_rate,
            frame_rate=film.frame_rate,
        )
    shown = pictures.write(pictures.within(plain, pictures.SHOWN_PIXELS), directory, "main", found)
    return msgspec.structs.replace(said, main=shown.name, width=shown.width, height=shown.height)


def sniffed(path: Path) -> Format:
    """Return the format of a file that the decoder has written."""
    with path.open("rb") as file:
        found = sniff(file.read(SNIFFED_BYTES))
    if found is None:
        raise UploadRefused("The file could not be read")
    return found


def _film(path: Path, found: Format, directory: Path) -> DecodeResult:
    if not films.is_there():
        raise UploadRefused("This server does not accept video or audio")
    film = films.probe(path, found)
    if not film.width:
        main = films.strip(path, found, directory)
        return DecodeResult(
            kind=MediaKind.AUDIO, main=main, duration_ms=film.duration_ms, bit_rate=film.bit_rate
        )
    if film.plays_everywhere:
        main = films.strip(path, found, directory)
    else:
        main = films.playable(path, found, directory)
        film = films.probe(directory / main, sniffed(directory / main))
    frame = films.first_frame(path, found, directory)
    image = pictures.open_checked(frame, sniffed(frame), max_pixels=films.MAX_MATRIX)
    plain = pictures.pixels_of(image)
    # Drop transparency, which a video frame does not need: with it the preview would be a PNG.
    preview = pictures.write_preview(plain.convert("RGB"), directory, found)
    return DecodeResult(
        kind=MediaKind.VIDEO if film.has_sound else MediaKind.GIFV,
        main=main,
        preview=preview.name,
        width=film.width,
        height=film.height,
        preview_width=preview.width,
        preview_height=preview.height,
        duration_ms=film.duration_ms,
        bit_rate=film.bit_rate,
        frame_rate=film.frame_rate,
        blurhash=pictures.blurhash_of(plain),
    )


def _limit(job: DecodeJob) -> None:
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    written = 4 * max(job.max_image_bytes, job.max_video_bytes)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    written = written if most == resource.RLIM_INFINITY else min(written, most)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))


def main() -> None:
    """Read one job, answer it, and exit."""
    # Before reading the job: if the parent dies before this call, no job arrives.
    films.die_with_parent()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=DecodeJob)
    _limit(job)
    try:
        answer = decode(job)
    except UploadRefused as refused:
        answer = DecodeResult(refused=str(refused))
    except MemoryError:
        answer = DecodeResult(refused="The file needs too much memory to process")
    except OSError as error:
        if error.errno == errno.EFBIG:
            answer = DecodeResult(refused="The file becomes too large")
        elif error.errno in NO_ROOM:
            answer = DecodeResult(no_room=True)
        else:
            raise
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    main()

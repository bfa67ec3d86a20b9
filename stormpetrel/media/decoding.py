"""Runs decoders (decode.py) for one upload. Blocking: run it in a thread; it can be ended from another."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import msgspec

from stormpetrel.config import MediaConfig
from stormpetrel.errors import Busy, Invalid
from stormpetrel.media.job import NO_ROOM, DecodeJob, DecodeResult, Purpose
from stormpetrel.media.spool import THUMBNAIL, UPLOAD
from stormpetrel.media.store import FULL

log = logging.getLogger(__name__)

DECODER_TIMEOUT_S = 120.0
"""Wall-clock time; the limit of processor time may be lower (decode.py)."""
_OF_THE_THUMBNAIL = ("preview", "preview_width", "preview_height", "blurhash")


class Decoding:
    """The decoding of the upload in `place`, and of its custom thumbnail if there is one."""

    def __init__(self, place: Path, media: MediaConfig, purpose: Purpose = "attachment") -> None:
        self._place = place
        self._media = media
        self._purpose = purpose
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()

    def run(self) -> DecodeResult | None:
        """Return the answer, with file names relative to the place; None when it was ended.

        Raise Invalid, Busy.
        """
        answer = self._decode(UPLOAD, self._purpose)
        if answer is None or not (self._place / THUMBNAIL).exists():
            return answer
        small = self._decode(THUMBNAIL, "thumbnail")
        if small is None:
            return None
        return msgspec.structs.replace(answer, **{name: getattr(small, name) for name in _OF_THE_THUMBNAIL})

    def end(self) -> None:
        """End the decoding, from any thread, if it is still running."""
        with self._lock:
            self._ended.set()
            if self._process is not None:
                _end_group(self._process.pid)

    def _decode(self, source: str, purpose: Purpose) -> DecodeResult | None:
        try:
            # Use a directory per attempt, so that a decoder left over from an earlier attempt cannot write
            # into it.
            directory = Path(tempfile.mkdtemp(prefix="made-", dir=self._place))
        except OSError as error:
            raise Busy(FULL if error.errno in NO_ROOM else None) from error
        answer = self._ask(
            DecodeJob(
                directory=str(directory),
                source=str(self._place / source),
                purpose=purpose,
                max_image_bytes=self._media.max_image_bytes,
                max_video_bytes=self._media.max_video_bytes,
                max_image_pixels=self._media.max_image_pixels,
            )
        )
        if answer is None:
            return None
        if answer.no_room:
            raise Busy(FULL)
        if answer.refused:
            raise Invalid(f"Validation failed: {answer.refused}")
        names = {
            name: f"{directory.name}/{getattr(answer, name)}"
            for name in ("main", "preview")
            if getattr(answer, name)
        }
        return msgspec.structs.replace(answer, **names)

    def _ask(self, job: DecodeJob) -> DecodeResult | None:
        """Run one decoder from start to end. If it dies, only this upload is refused."""
        with self._lock:
            if self._ended.is_set():
                return None
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "stormpetrel.media.decode"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # A group of its own, so that all its child processes end with it.
                start_new_session=True,
                env=_environment(job),
            )
        with process:
            try:
                said, _ = process.communicate(msgspec.json.encode(job), timeout=DECODER_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                said = b""
            finally:
                with self._lock:
                    self._process = None
                _end_group(process.pid)
        try:
            return msgspec.json.decode(said, type=DecodeResult)
        except msgspec.DecodeError:
            if self._ended.is_set():
                return None
            log.warning("a decoder ended with %s and said nothing", process.returncode)
            return DecodeResult(refused="The file could not be processed")


def _environment(job: DecodeJob) -> dict[str, str]:
    """Return the variables that a decoder needs to start, without settings or secrets of the server."""
    kept = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG")
    package = str(Path(__file__).parents[2])
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (package, environ.get("PYTHONPATH", ""))))
    return environ | {"TMPDIR": job.directory}


def _end_group(group_id: int) -> None:
    try:
        os.killpg(group_id, signal.SIGKILL)
    except ProcessLookupError:
        return

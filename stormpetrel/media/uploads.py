"""One web worker's uploads: bounded per account, spooled to disk, decoded in a process each, kept in the store.

Nothing here runs in the loop but waiting: files are copied and processes waited for in threads of our own, so
that a store or a decoder that hangs takes no thread from anybody else.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, ParamSpec, TypeVar

import msgspec

from stormpetrel.config import Config
from stormpetrel.errors import Busy, Invalid, TooMany
from stormpetrel.media.job import Answer, Job
from stormpetrel.media.store import FULL, MediaStore, new_key
from stormpetrel.model.media import Decoded

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Purpose = Literal["attachment", "avatar", "header", "thumbnail"]

DECODERS = 1
"""Per worker: a machine of two cores then decodes two files at most, both niced."""
DECODERS_WAITING = 16
DECODER_TIMEOUT_S = 120.0
"""By the clock; of processor time it may have less (decode.py)."""
SPOOL = "media-spool"
_THREADS = 4
_CHUNK_BYTES = 1024 * 1024


class Uploads:
    """Takes uploads of one worker."""

    def __init__(self, config: Config, store: MediaStore) -> None:
        self.store = store
        self._media = config.media
        self._spool = config.data_dir / SPOOL
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="media")
        self._decoder = asyncio.Semaphore(DECODERS)
        self._waiting = 0
        self._by_account: dict[int, int] = {}

    @contextmanager
    def place_for(self, account_id: int) -> Iterator[Path]:
        """A directory for one upload of the account, gone afterwards. Raises TooMany, Busy."""
        held = self._by_account.get(account_id, 0)
        if held >= self._media.uploads_per_account:
            raise TooMany("Too many uploads at once; wait until one is done", retry_after_s=2)
        self._by_account[account_id] = held + 1
        try:
            directory = self._directory()
            try:
                yield directory
            finally:
                shutil.rmtree(directory, ignore_errors=True)
        finally:
            left = self._by_account[account_id] - 1
            if left:
                self._by_account[account_id] = left
            else:
                del self._by_account[account_id]

    def _directory(self) -> Path:
        try:
            self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
            return Path(tempfile.mkdtemp(dir=self._spool))
        except OSError as error:
            raise Busy(FULL) from error

    async def spool(self, source: BinaryIO, directory: Path, name: str) -> None:
        """Copies an upload into its directory. Raises Busy when there is no room."""
        await self.in_thread(_copy, source, directory / name)

    async def decode(self, directory: Path, name: str, purpose: Purpose) -> Decoded:
        """Decodes the spooled file and keeps what comes of it. Raises Invalid for a file that is refused, Busy."""
        if self._waiting >= DECODERS_WAITING:
            raise Busy(
                "Many files are being processed; nothing was stored. Please try again", retry_after_s=5
            )
        self._waiting += 1
        try:
            async with self._decoder:
                answer = await self.in_thread(_decode, self._job(directory, name, purpose))
        finally:
            self._waiting -= 1
        if answer.refused:
            raise Invalid(f"Validation failed: File {answer.refused[:1].lower()}{answer.refused[1:]}")
        return await self.in_thread(self._keep, directory, answer)

    def _job(self, directory: Path, name: str, purpose: Purpose) -> Job:
        return Job(
            directory=str(directory),
            source=name,
            purpose=purpose,
            max_image_bytes=self._media.max_image_bytes,
            max_video_bytes=self._media.max_video_bytes,
            max_image_pixels=self._media.max_image_pixels,
        )

    def _keep(self, directory: Path, answer: Answer) -> Decoded:
        keys: dict[str, str] = {}
        try:
            for name in dict.fromkeys((answer.main, answer.preview)):
                if name:
                    key = new_key(name.rpartition(".")[2])
                    self.store.put(directory / name, key)
                    keys[name] = key
        except Busy:
            # What was kept of it has no row, and would be swept tomorrow.
            try:
                self.store.delete(list(keys.values()))
            except Busy:
                log.warning("a file that belongs to nothing was left in the store")
            raise
        return Decoded(
            kind=answer.kind,
            key=keys.get(answer.main, ""),
            preview_key=keys.get(answer.preview, ""),
            width=answer.width,
            height=answer.height,
            preview_width=answer.preview_width,
            preview_height=answer.preview_height,
            duration_ms=answer.duration_ms,
            bit_rate=answer.bit_rate,
            frame_rate=answer.frame_rate,
            blurhash=answer.blurhash,
        )

    async def forget(self, decoded: Decoded) -> None:
        """What was decoded is not wanted after all."""
        keys = [key for key in (decoded.key, decoded.preview_key) if key]
        try:
            await self.in_thread(self.store.delete, keys)
        except Busy:
            log.warning("a file that belongs to nothing was left in the store")

    async def in_thread(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn` gives, run in one of the threads for files."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(fn, *args, **kwargs))

    def close(self) -> None:
        """Waits for nobody: what is under way ends with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _copy(source: BinaryIO, target: Path) -> None:
    try:
        source.seek(0)
        with target.open("wb") as copy:
            shutil.copyfileobj(source, copy, _CHUNK_BYTES)
    except OSError as error:
        raise Busy(FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else None) from error


def _decode(job: Job) -> Answer:
    """One decoder's whole life. Whatever it dies of, only this upload is refused."""
    with subprocess.Popen(
        [sys.executable, "-m", "stormpetrel.media.decode"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A group of its own, so that what it started ends with it.
        start_new_session=True,
        env=_environment(job),
    ) as process:
        try:
            said, _ = process.communicate(msgspec.json.encode(job), timeout=DECODER_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            said = b""
        finally:
            _end_group(process.pid)
    try:
        return msgspec.json.decode(said, type=Answer)
    except msgspec.DecodeError:
        log.warning("a decoder ended with %s and said nothing", process.returncode)
        return Answer(refused="The file could not be processed")


def _environment(job: Job) -> dict[str, str]:
    """What a decoder needs to start, and none of the settings or secrets of the server."""
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

"""Writing to the store: a hanging or absent store refuses at once, and no files are left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from stormpetrel.errors import Busy
from stormpetrel.media import guarded_store as module
from stormpetrel.media.folder import FolderStore
from stormpetrel.media.guarded_store import AT_ONCE, PAUSE_S, GuardedStore
from stormpetrel.media.job import DecodeResult
from stormpetrel.media.store import FULL, SILENT, StoreAway
from stormpetrel.model.media import MediaKind

ANSWER = DecodeResult(kind=MediaKind.IMAGE, main="main.png", preview="preview.png")


class Slow(FolderStore):
    """A store whose answers wait until `go` is set. With `why`, it refuses from the second file on."""

    def __init__(self, folder: Path, why: Busy | None = None) -> None:
        super().__init__(folder)
        self.go = threading.Event()
        self.why = why
        self.asked = 0
        self.deleted = threading.Event()

    def put(self, path: Path, key: str) -> None:
        self.asked += 1
        self.go.wait(30)
        if self.why is not None and self.asked > 1:
            raise self.why
        super().put(path, key)

    def delete(self, keys: Sequence[str]) -> None:
        super().delete(keys)
        self.deleted.set()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with the output of a decoder."""
    for name in ("main.png", "preview.png"):
        (tmp_path / name).write_bytes(b"made")
    return tmp_path


def kept(store: FolderStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


def test_a_store_that_hangs_is_not_waited_for_and_what_arrives_late_is_taken_away(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_S", 0.01)
    store = Slow(place / "store")
    now_s = [0.0]

    async def run() -> None:
        keeper = GuardedStore(store, clock_s=lambda: now_s[0])
        with pytest.raises(StoreAway, match="is not responding"):
            await keeper.keep(place, ANSWER)
        # For a while, no new upload is started.
        with pytest.raises(StoreAway) as refused:
            keeper.check()
        assert refused.value.retry_after_s == PAUSE_S
        now_s[0] = PAUSE_S
        keeper.check()
        store.go.set()
        while not store.deleted.is_set():
            await asyncio.sleep(0.001)

    asyncio.run(run())
    assert kept(store) == []


def test_only_so_many_hang_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_S", 0.01)
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    store = Slow(place / "store")

    async def run() -> None:
        keeper = GuardedStore(store)
        for _ in range(AT_ONCE + 2):
            with pytest.raises(StoreAway):
                await keeper.keep(place, ANSWER)
        assert store.asked == AT_ONCE
        store.go.set()
        while True:
            try:
                await keeper.keep(place, ANSWER)
                return
            except StoreAway:
                await asyncio.sleep(0.001)

    asyncio.run(run())


@pytest.mark.parametrize(("why", "pauses"), [(StoreAway(SILENT), True), (Busy(FULL), False)])
def test_of_two_files_neither_is_kept_when_one_cannot_be(place: Path, why: Busy, pauses: bool) -> None:
    store = Slow(place / "store", why)
    store.go.set()

    async def run() -> None:
        keeper = GuardedStore(store)
        with pytest.raises(type(why)):
            await keeper.keep(place, ANSWER)
        if pauses:
            with pytest.raises(StoreAway):
                keeper.check()
        else:
            # A full disk is checked again each time, because that costs nothing.
            keeper.check()

    asyncio.run(run())
    assert kept(store) == []

"""The folder store, and the sweep of its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stormpetrel.errors import Busy
from stormpetrel.media.folder import FolderStore
from stormpetrel.media.store import new_key


def test_a_file_is_kept_under_its_key_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"picture")
    store = FolderStore(tmp_path / "media")
    store.check()
    key = new_key("png")
    store.put(source, key)
    kept = store.path(key)
    assert kept is not None
    assert kept.read_bytes() == b"picture"
    with pytest.raises(Busy):
        store.put(tmp_path / "missing", new_key("png"))
    assert [path.name for path in (tmp_path / "media").rglob("*.*")] == [key]
    store.delete([key, new_key("jpg")])
    assert store.path(key) is None


@pytest.mark.parametrize("key", ["../secret.key", "x.png", "0" * 32 + ".svg", "0" * 32 + ".png\n"])
def test_what_is_no_key_reaches_no_file(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        FolderStore(tmp_path).path(key)


def test_the_sweep_sees_old_files_only_and_clears_half_written_ones(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"picture")
    store = FolderStore(tmp_path / "media")
    key = new_key("png")
    store.put(source, key)
    kept = store.path(key)
    assert kept is not None
    half = kept.with_name(new_key("png") + ".part")
    half.write_bytes(b"ha")
    part = int(key[:2], 16)
    assert list(store.keys_older_than(0, part=part)) == []
    os.utime(kept, (1, 1))
    os.utime(half, (1, 1))
    assert list(store.keys_older_than(2, part=part)) == [key]
    assert not half.exists()

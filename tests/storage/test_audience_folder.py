"""The files of the audience: written in place, for their owner alone, and overwritten before they are removed."""

from __future__ import annotations

import os
import stat

import pytest

from stormpetrel.storage.audience_folder import AudienceFolder

KEY = bytes(range(32))


@pytest.fixture
def folder(tmp_path):
    made = AudienceFolder(tmp_path)
    made.make()
    return made


def test_only_the_owner_may_read_the_files(folder):
    folder.put_key("2026-11", KEY)
    folder.put_sketches("2026-11", [b"a", b"b"])
    folder.put_counts("2026-11", {"a": 1})
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}
    assert folder.periods() == ["2026-11"]


def test_what_a_crash_has_left_of_a_period_is_found(folder):
    folder.put_key("2026-11", KEY)
    folder.put_sketches("2026-W48", [b"a"])
    folder.put_counts("ended", {})
    assert folder.periods() == ["2026-11", "2026-W48"]
    assert (folder.has_key("2026-11"), folder.has_key("2026-W48")) == (True, False)


def test_a_key_is_read_into_the_memory_that_the_caller_can_overwrite(folder):
    folder.put_key("2026-11", KEY)
    key = bytearray(32)
    assert folder.read_key("2026-11", key)
    assert key == KEY
    assert not folder.read_key("2026-12", key)
    assert not folder.read_key("2026-11", bytearray(33))


def test_sketches_are_replaced_where_they_are(folder):
    folder.put_sketches("2026-11", [b"aaaa", b"bbbb"])
    path = folder.path / "2026-11.sketches"
    inode = path.stat().st_ino
    folder.put_sketches("2026-11", [b"cccc", b"dddd"])
    assert path.stat().st_ino == inode
    assert folder.sketches("2026-11", count=2, size=4) == [b"cccc", b"dddd"]
    assert folder.sketches("2026-11", count=3, size=4) is None
    assert folder.sketches("2026-12", count=2, size=4) is None


def test_destroyed_files_are_overwritten_before_they_are_removed(folder):
    folder.put_key("2026-11", KEY)
    folder.put_sketches("2026-11", [b"aaaa", b"bbbb"])
    folder.put_counts("2026-11", {"a": 1})
    handles = [os.open(folder.path / f"2026-11.{suffix}", os.O_RDONLY) for suffix in ("key", "sketches")]
    folder.destroy("2026-11")
    try:
        assert [os.pread(handle, 100, 0) for handle in handles] == [bytes(32), bytes(8)]
    finally:
        for handle in handles:
            os.close(handle)
    assert list(folder.path.iterdir()) == []


def test_counts_that_cannot_be_read_are_none(folder):
    assert folder.counts("2026-11") is None
    folder.put_counts("2026-11", {"a": 1})
    assert folder.counts("2026-11") == {"a": 1}
    (folder.path / "2026-11.json").write_bytes(b'{"a":')
    assert folder.counts("2026-11") is None
    folder.put_counts("2026-11", {"a": 2})
    assert folder.counts("2026-11") == {"a": 2}

"""The spool: one lane per spool, and every acknowledged upload is found again."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stormpetrel.config import Config
from stormpetrel.errors import Busy
from stormpetrel.media.spool import UPLOAD, Spool


def spool_in(directory: Path) -> Spool:
    return Spool(dataclasses.replace(Config(), data_dir=directory))


def test_all_processes_of_a_machine_have_one_lane_and_other_machines_another(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        lanes = set(pool.map(lambda _: spool_in(tmp_path / "here").lane(), range(32)))
    assert len(lanes) == 1
    assert lanes.isdisjoint({spool_in(tmp_path / "there").lane(), 0, 1, 2})
    assert [path.name for path in (tmp_path / "here/media-spool").iterdir()] == ["lane"]


def test_an_upload_that_is_kept_is_found_by_its_id_until_it_is_dropped(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    place = spool.new_place()
    (place / UPLOAD).write_bytes(b"picture")
    spool.keep(place, 123)
    assert (spool.kept(123) / UPLOAD).read_bytes() == b"picture"
    assert not place.exists()
    spool.drop(123)
    assert not spool.kept(123).exists()


def test_a_place_that_is_gone_is_not_said_to_be_kept(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    place = spool.new_place()
    place.rmdir()
    with pytest.raises(Busy):
        spool.keep(place, 123)


def test_the_sweep_takes_what_is_old_and_leaves_the_lane(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    lane = spool.lane()
    old, young = spool.new_place(), spool.new_place()
    (old / UPLOAD).write_bytes(b"picture")
    for path in (old, spool.directory / "lane"):
        os.utime(path, (1, 1))
    assert spool.sweep(2) == 1
    assert not old.exists()
    assert young.exists()
    assert spool.lane() == lane

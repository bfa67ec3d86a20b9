"""The folder of reports: permissions, bounds, and a disk that is full."""

from __future__ import annotations

import os
import stat

import pytest

from stormpetrel.storage import insight_folder
from stormpetrel.storage.insight_folder import InsightFolder, ReportAbout

FILES = {("public", "html"): "<p>public", ("internal", "html"): "<p>internal"}


def about(number):
    return ReportAbout(number, 1_000, 2_000, 3_000, ("A sentence.",))


def test_a_report_is_read_back_and_only_its_owner_can_read_the_files(tmp_path):
    folder = InsightFolder(tmp_path)
    assert folder.reports() == []
    folder.write(about(3), FILES)
    folder.write(about(12), FILES)
    assert [one.number for one in folder.reports()] == [12, 3]
    assert folder.read(3, "public", "html") == b"<p>public"
    assert folder.read(3, "public", "csv") is None
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_the_newest_reports_and_those_that_were_published_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(insight_folder, "MAX_REPORTS", 2)
    folder = InsightFolder(tmp_path)
    for number in (1, 11, 2, 3):
        folder.write(about(number), FILES)
        if number == 1:
            folder.publish(1)
    assert [(one.number, one.is_published) for one in folder.reports()] == [
        (11, False),
        (3, False),
        (1, True),
    ]
    assert {path.name.split("-")[1].split(".")[0] for path in folder.path.iterdir()} == {"11", "3", "1"}


def test_a_line_that_cannot_be_read_is_left_out(tmp_path):
    folder = InsightFolder(tmp_path)
    folder.write(about(3), FILES)
    (folder.path / "attack-4.about").write_bytes(b"half")
    assert [one.number for one in folder.reports()] == [3]


def test_a_full_disk_raises_and_leaves_no_half_of_a_file(tmp_path):
    folder = InsightFolder(tmp_path)
    folder.write(about(3), FILES)
    # A folder that takes no new file fails as a full disk does; root ignores permissions, so it is a file here.
    before = sorted(os.listdir(folder.path))
    (folder.path / ".attack-3-public.html.new").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - any error of the file system
        folder.write(about(3), {("public", "html"): "new"})
    (folder.path / ".attack-3-public.html.new").rmdir()
    assert sorted(os.listdir(folder.path)) == before
    assert folder.read(3, "public", "html") == b"<p>public"

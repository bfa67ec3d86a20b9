"""The export: the same documents as files, whole, readable, and with links that work as files."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request

from stormpetrel.config import Config, MediaConfig, StatusConfig
from stormpetrel.watch.status import export as export_module
from stormpetrel.watch.status.export import (
    BUCKET_MAX_AGE_S,
    FolderTarget,
    export,
    export_target,
    keep_exported,
)
from tests.media_s3 import s3_server
from tests.watch.status.viewing import a_maintenance, a_view, an_incident

VIEW = a_view(
    incidents=[an_incident("one", "two"), a_maintenance(), an_incident(id="0000000000dd", status="resolved")]
)


def test_every_document_is_a_file_and_every_link_of_a_page_leads_to_one(tmp_path):
    folder = tmp_path / "page"
    assert export(VIEW, FolderTarget(folder)) == len([path for path in folder.rglob("*") if path.is_file()])
    assert json.loads((folder / "api/v2/summary.json").read_bytes())["page"]["name"] == "Stormpetrel"
    assert (folder / "badge/sms_in.svg").read_bytes().startswith(b"<svg")
    pages = [folder / "index.html", folder / "history.html", *folder.glob("*/*.html")]
    assert len(pages) == 6
    for page in pages:
        for link in re.findall(r'href="([^"#]*)"', page.read_text(encoding="utf-8")):
            if link and not link.startswith("https://"):
                place = (page.parent / link).resolve()
                assert place.is_file() or (place / "index.html").is_file(), (page, link)


def test_the_page_tells_when_it_was_written(tmp_path):
    export(VIEW, FolderTarget(tmp_path))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Written 2027-01-15 08:00 UTC, each minute." in page


def test_only_what_changed_is_written_and_everyone_may_read_it(tmp_path):
    folder = tmp_path / "page"
    export(VIEW, FolderTarget(folder))
    assert export(VIEW, FolderTarget(folder)) == 0
    assert (folder / "index.html").stat().st_mode & 0o777 == 0o644
    assert (folder / "api" / "v2").stat().st_mode & 0o777 == 0o755
    assert not list(folder.rglob(".*"))


def test_a_folder_that_cannot_be_written_is_logged_and_tried_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(export_module, "EVERY_S", 0.01)
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "page"

    async def main():
        stop = asyncio.Event()
        task = asyncio.create_task(
            keep_exported(lambda: VIEW, Config(status=StatusConfig(export=str(folder))), stop)
        )
        while not caplog.records:
            await asyncio.sleep(0.01)
        (tmp_path / "file").unlink()
        (tmp_path / "file").mkdir()
        while not (folder / "index.html").exists():
            await asyncio.sleep(0.01)
        stop.set()
        await task

    asyncio.run(asyncio.wait_for(main(), 20))
    assert f"cannot be written to {folder}: Not a directory" in caplog.text


def test_an_export_to_a_bucket_writes_only_what_changed_and_says_how_long_it_may_be_cached(tmp_path):
    with s3_server(tmp_path / "bucket") as endpoint:
        media = MediaConfig(s3_endpoint=endpoint, s3_key="S3RVER", s3_secret="S3RVER")
        config = Config(media=media, status=StatusConfig(export="s3://pictures/status/page"))
        target = export_target(config)
        assert export(VIEW, target) > 20
        assert export(VIEW, target) == 0
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{endpoint}/pictures/status/page/index.html", timeout=20) as answer:
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert answer.headers["Cache-Control"] == f"public, max-age={BUCKET_MAX_AGE_S}"
            assert answer.read().startswith(b"<!doctype html>")
        with opener.open(f"{endpoint}/pictures/status/page/api/v2/summary.json", timeout=20) as answer:
            assert json.loads(answer.read())["page"]["name"] == "Stormpetrel"


def test_a_bucket_that_does_not_answer_is_logged_by_its_name_without_its_key(monkeypatch, caplog):
    media = MediaConfig(s3_endpoint="http://127.0.0.1:1", s3_key="key", s3_secret="secret", s3_timeout_s=0.5)
    config = Config(media=media, status=StatusConfig(export="s3://pictures"))

    async def main():
        stop = asyncio.Event()
        task = asyncio.create_task(keep_exported(lambda: VIEW, config, stop))
        while not caplog.records:
            await asyncio.sleep(0.01)
        stop.set()
        await task

    asyncio.run(asyncio.wait_for(main(), 30))
    assert "cannot be written to s3://pictures: The file storage is not responding" in caplog.text
    assert "secret" not in caplog.text


def test_without_the_key_there_is_no_export():
    async def main():
        await keep_exported(lambda: VIEW, Config(), asyncio.Event())

    asyncio.run(asyncio.wait_for(main(), 10))

"""The export: the same documents as files, whole, readable, and with links that work as files."""

from __future__ import annotations

import asyncio
import json
import re

from stormpetrel.watch.status import export as export_module
from stormpetrel.watch.status.export import export, keep_exported
from tests.watch.status.viewing import a_maintenance, a_view, an_incident

VIEW = a_view(
    incidents=[an_incident("one", "two"), a_maintenance(), an_incident(id="0000000000dd", status="resolved")]
)


def test_every_document_is_a_file_and_every_link_of_a_page_leads_to_one(tmp_path):
    folder = tmp_path / "page"
    assert export(VIEW, folder) == len([path for path in folder.rglob("*") if path.is_file()])
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
    export(VIEW, tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Written 2027-01-15 08:00 UTC, each minute." in page


def test_only_what_changed_is_written_and_everyone_may_read_it(tmp_path):
    folder = tmp_path / "page"
    export(VIEW, folder)
    assert export(VIEW, folder) == 0
    assert (folder / "index.html").stat().st_mode & 0o777 == 0o644
    assert (folder / "api" / "v2").stat().st_mode & 0o777 == 0o755
    assert not list(folder.rglob(".*"))


def test_a_folder_that_cannot_be_written_is_logged_and_tried_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(export_module, "EVERY_S", 0.01)
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "page"

    async def main():
        stop = asyncio.Event()
        task = asyncio.create_task(keep_exported(lambda: VIEW, folder, stop))
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

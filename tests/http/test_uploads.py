"""Misbehaving uploads and stores, against the real server: refused, without leftovers or effect on others."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.disks import small_disk
from tests.instance import running_instance
from tests.media_files import png
from tests.media_s3 import s3_server, silent_server
from tests.people import Person, Place, csrf_of, place_of
from tests.ports import reserved_ports
from tests.processes import named
from tests.waiting import eventually

GIVE_UP_S = 60.0
HEAD = (
    "POST /api/v2/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
)
ROLLED_BYTES = 1_200_000
"""More of a file than is held in memory."""


@contextlib.contextmanager
def a_place(url: str, directory: Path, **settings: object) -> Iterator[Place]:
    with (
        running_instance(directory, url, **({"web_workers": 1} | settings)) as instance,
        place_of(instance, url) as running,
    ):
        yield running


def worker(place: Place) -> int:
    """Return the web worker's pid."""
    (pid,) = named(place.instance.pid, "petrel-web-")
    return pid


def temporary_files(pid: int) -> list[str]:
    """Return the deleted files that the process holds open: parts of forms are buffered in these."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(entry)
            if target.startswith(tempfile.gettempdir()) and target.endswith("(deleted)"):
                found.append(target)
    return found


def upload(person: Person, data: bytes, *, version: int = 2) -> Any:
    return person.http.post(f"/api/v{version}/media", files={"file": ("a.png", data)})


def dripping(place: Place, person: Person) -> socket.socket:
    """Return the connection of an unfinished upload that has sent more than is held in memory."""
    where = urlsplit(place.base_url)
    client = socket.create_connection((where.hostname, where.port), timeout=GIVE_UP_S)
    head = HEAD.format(token=person.token, length=2 * ROLLED_BYTES)
    client.sendall(head.encode())
    with contextlib.suppress(OSError):  # refused before all of it was read
        client.sendall(b"x" * ROLLED_BYTES)
    return client


def test_uploads_that_drip_are_ended_at_their_deadline_and_others_are_served_meanwhile(
    sqlite_url: str, tmp_path: Path
) -> None:
    settings = {"edge_body_timeout_s": 60, "edge_body_stall_s": 60}
    with a_place(sqlite_url, tmp_path, **settings) as place, contextlib.ExitStack() as stack:
        slow, other = place.person(), place.person()
        pid = worker(place)
        clients = [stack.enter_context(dripping(place, slow)) for _ in range(4)]
        eventually(lambda: len(temporary_files(pid)) == 4)
        # Each account has a limit of simultaneous uploads: the next one is refused before its body is read.
        with dripping(place, slow) as one_more:
            assert one_more.recv(12) == b"HTTP/1.1 429"
        assert len(temporary_files(pid)) == 4
        for client in clients:
            client.sendall(b"x")
        other.post("meanwhile")
        assert upload(other, png()).status_code == 200
        for client in clients:
            client.close()
        eventually(lambda: temporary_files(pid) == [])
        assert upload(slow, png()).status_code == 200


def test_an_upload_that_stalls_gets_408_and_leaves_no_file(sqlite_url: str, tmp_path: Path) -> None:
    settings = {"edge_body_timeout_s": 60, "edge_body_stall_s": 0.5}
    with a_place(sqlite_url, tmp_path, **settings) as place:
        person = place.person()
        pid = worker(place)
        with dripping(place, person) as client:
            eventually(lambda: temporary_files(pid) != [])
            assert client.recv(12) == b"HTTP/1.1 408"
        eventually(lambda: temporary_files(pid) == [])
        assert files_below(tmp_path / "data/media-spool") == []
        person.post("and on it goes")


# A full disk ---------------------------------------------------------------------------------------------


def noise(side: int) -> bytes:
    """Return an image that cannot be compressed."""
    image = Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3))
    path = Path("/dev/shm") / f"noise-{os.getpid()}.png"
    try:
        image.save(path)
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def files_below(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file() and path.name != "lane")


@pytest.mark.parametrize("full", ["tmp", "data/media-spool", "data/media"])
def test_an_upload_onto_a_full_disk_is_refused_in_whole_and_taken_when_there_is_room(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    picture = noise(700 if full == "tmp" else 300)
    disk = tmp_path / full
    with a_place(postgresql_url, tmp_path) as place, small_disk(disk, 4 * len(picture)) as is_small:
        person = place.person()
        pid = worker(place)
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        filler = disk / "filler"
        if is_small:
            # The filler leaves room for the upload only, or not even for that.
            filler.write_bytes(
                b"\0" * (4 * len(picture) - (len(picture) + 65_536 if "spool" in full else 65_536))
            )
        else:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (len(picture) // 2, unlimited[1]))
        for version in (1, 2):
            answer = upload(person, picture, version=version)
            assert answer.status_code == 503, answer.text
            assert "storage is full" in answer.json()["error"]
            assert int(answer.headers["retry-after"]) > 0
        person.post("posting goes on")
        for directory in ("tmp", "data/media-spool", "data/media"):
            assert files_below(tmp_path / directory) in ([], ["filler"])
        assert temporary_files(pid) == []
        filler.unlink(missing_ok=True)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        answer = upload(person, picture)
        assert answer.status_code == 200, answer.text
        person.post("", media_ids=[answer.json()["id"]])


# Remote stores --------------------------------------------------------------------------------------------


def test_a_dead_or_hanging_store_refuses_uploads_and_holds_up_nothing_else(
    sqlite_url: str, tmp_path: Path
) -> None:
    with reserved_ports(1) as (port,):
        settings = {
            "media_store": "s3",
            "media_s3_endpoint": f"http://127.0.0.1:{port}",
            "media_s3_bucket": "pictures",
            "media_s3_key": "S3RVER",
            "media_s3_secret": "S3RVER",
        }
        with a_place(sqlite_url, tmp_path, **settings) as place:
            person, other = place.person(), place.person()
            with s3_server(tmp_path / "bucket", port=port):
                kept = upload(person, png())
                assert kept.status_code == 200, kept.text
                status = person.post("", media_ids=[kept.json()["id"]])
            _while_it_is_dead(place, person)
            os.kill(worker(place), signal.SIGKILL)
            place.instance.wait_for_health(place.base_url)
            with ThreadPoolExecutor(1) as pool:
                with silent_server(port=port):
                    hanging = pool.submit(upload, person, png())
                    _while_it_hangs(place, other)
                    # The courier asks the store to remove files, and still sends a mail.
                    person.http.delete(f"/api/v1/statuses/{status['id']}", params={"delete_media": "true"})
                    visitor = place.client()
                    form = {
                        "user[email]": other.email,
                        "csrf": csrf_of(visitor.get("/auth/password/new").text),
                    }
                    assert visitor.post("/auth/password/new", data=form).status_code in (200, 303)
                    eventually(lambda: any((tmp_path / "data/mail").glob("*.eml")))
                    assert not hanging.done()
                # The store's connections have ended, and so does the request that waited for them.
                answer = hanging.result(GIVE_UP_S)
            assert answer.status_code == 503, answer.text
            assert "is not responding" in answer.json()["error"]
    assert list((tmp_path / "data/media-spool").glob("*/*")) == []


def _while_it_is_dead(place: Place, person: Person) -> None:
    for _ in range(2):
        answer = upload(person, png())
        assert answer.status_code == 503, answer.text
        assert "is not responding" in answer.json()["error"]
        assert int(answer.headers["retry-after"]) > 0
    person.post("posting goes on")
    assert person.get("/api/v1/timelines/home")
    # The text that the user typed into the form is preserved.
    browser = place.browser_session(person)
    for path, name, text in (("/compose", "file_0", "text"), ("/settings/profile", "avatar", "display_name")):
        form = {"csrf": csrf_of(browser.get(path).text), text: "typed with care"}
        given_back = browser.post(path, data=form, files={name: ("a.png", png())})
        assert given_back.status_code == 503
        assert "typed with care" in given_back.text
        assert "is not responding" in given_back.text


def _while_it_hangs(place: Place, other: Person) -> None:
    other.post("posting goes on")
    assert other.get("/api/v1/timelines/home")
    refused = upload(other, b"<svg onload=alert(1)>")
    assert refused.status_code == 422, refused.text

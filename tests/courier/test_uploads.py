"""Uploads answered with 202: the courier finishes each exactly once, even if processes are killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.media_files import jpeg, png
from tests.people import Person, Place
from tests.processes import decoders, is_running, named
from tests.waiting import eventually

GIVE_UP_S = 60.0


@pytest.fixture(scope="module")
def place_settings() -> dict[str, object]:
    """Make uploads answer at once instead of waiting for the decoder."""
    return {"web_workers": 1, "media_wait_s": 0}


def upload(person: Person, data: bytes, **more: tuple[str, bytes]) -> Any:
    return person.http.post("/api/v2/media", files={"file": ("a.png", data), **more})


def finished(person: Person, media_id: str) -> Any:
    """Return the answer as soon as the file is no longer being processed."""
    give_up_s = time.monotonic() + GIVE_UP_S
    while True:
        answer = person.http.get(f"/api/v1/media/{media_id}")
        if answer.status_code != 206:
            return answer
        assert answer.json()["url"] is None
        assert time.monotonic() < give_up_s, "it is still being processed"
        time.sleep(0.05)


def spooled(place: Place) -> list[Path]:
    return [path for path in (place.instance.directory / "data/media-spool").iterdir() if path.is_dir()]


@pytest.mark.parametrize("killed", ["web", "courier"])
def test_a_file_that_was_acknowledged_can_be_posted_though_the_worker_or_the_courier_is_killed(
    place: Place, killed: str
) -> None:
    person = place.person()
    answer = upload(person, png())
    assert answer.status_code == 202, answer.text
    assert answer.json()["url"] is None
    for pid in named(place.instance.pid, f"petrel-{killed}"):
        os.kill(pid, signal.SIGKILL)
    place.instance.wait_for_health(place.base_url)
    media = finished(person, answer.json()["id"])
    assert media.status_code == 200, media.text
    assert place.visitor.get(media.json()["url"]).status_code == 200
    status = person.post("", media_ids=[media.json()["id"]])
    assert len(status["media_attachments"]) == 1
    eventually(lambda: spooled(place) == [])


def test_a_courier_killed_while_it_decodes_takes_the_decoder_along_and_its_successor_begins_anew(
    place: Place,
) -> None:
    person = place.person()
    (courier,) = named(place.instance.pid, "petrel-courier")
    answer = upload(person, jpeg((5000, 4000)))
    assert answer.status_code == 202
    eventually(lambda: decoders(courier) != [])
    (decoder,) = decoders(courier)
    os.kill(courier, signal.SIGKILL)
    eventually(lambda: not is_running(decoder))
    assert finished(person, answer.json()["id"]).status_code == 200


def test_a_file_and_the_picture_that_stands_for_it_are_finished_together(place: Place) -> None:
    person = place.person()
    answer = upload(person, png((640, 480)), thumbnail=("t.png", png((30, 20))))
    assert answer.status_code == 202
    media = finished(person, answer.json()["id"]).json()
    assert media["meta"]["original"]["size"] == "640x480"
    assert media["meta"]["small"]["size"] == "30x20"
    # The unwanted image was removed.
    eventually(lambda: spooled(place) == [])


def test_what_a_place_keeps_is_closed_to_other_users_of_the_machine(place: Place) -> None:
    person = place.person()
    media_id = upload(person, png((64, 48))).json()["id"]
    assert finished(person, media_id).status_code == 200
    eventually(lambda: spooled(place) == [])  # no file disappears from now on
    kept = [path for path in (place.instance.directory / "data").rglob("*") if not path.is_socket()]
    assert ".png" in {path.suffix for path in kept}
    open_ones = {str(path): oct(path.stat().st_mode) for path in kept if path.stat().st_mode & 0o027}
    assert not open_ones


def test_a_file_that_is_refused_after_all_is_said_to_be_broken(place: Place) -> None:
    person = place.person()
    answer = upload(person, b"<svg onload=alert(1)>")
    assert answer.status_code == 202
    media = finished(person, answer.json()["id"])
    assert media.status_code == 422
    assert "Error processing" in media.json()["error"]
    eventually(lambda: spooled(place) == [])


def test_a_file_that_is_deleted_before_it_is_processed_leaves_nothing(place: Place) -> None:
    person = place.person()
    kept = sorted((place.instance.directory / "data/media").rglob("*.png"))
    for pid in named(place.instance.pid, "petrel-courier"):
        os.kill(pid, signal.SIGSTOP)
    try:
        media_id = upload(person, png()).json()["id"]
        assert person.http.delete(f"/api/v1/media/{media_id}").status_code == 200
    finally:
        for pid in named(place.instance.pid, "petrel-courier"):
            os.kill(pid, signal.SIGCONT)
    eventually(lambda: spooled(place) == [])
    assert sorted((place.instance.directory / "data/media").rglob("*.png")) == kept


def test_an_account_has_only_so_many_files_waiting_and_others_go_on(place: Place) -> None:
    greedy, other = place.person(), place.person()
    for pid in named(place.instance.pid, "petrel-courier"):
        os.kill(pid, signal.SIGSTOP)
    try:
        answers = [upload(greedy, png()) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [202] * 4 + [429]
        assert answers[-1].headers["retry-after"] == "10"
        assert len(spooled(place)) == 4
        last = upload(other, png())
        assert last.status_code == 202
        # A file that is still being processed cannot be posted, and is invisible to other accounts.
        waiting = {"media_ids": [answers[0].json()["id"]]}
        assert greedy.http.post("/api/v1/statuses", json=waiting).status_code == 422
        assert other.http.get(f"/api/v1/media/{answers[0].json()['id']}").status_code == 404
    finally:
        for pid in named(place.instance.pid, "petrel-courier"):
            os.kill(pid, signal.SIGCONT)
    for answer in answers[:4]:
        assert finished(greedy, answer.json()["id"]).status_code == 200
    assert finished(other, last.json()["id"]).status_code == 200

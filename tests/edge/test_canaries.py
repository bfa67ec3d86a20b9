"""The watch's own requests at the edge are recognised by their mark, and by nothing else."""

from __future__ import annotations

import time

import pytest

from stormpetrel.shield.canary import mark
from tests.edge.place import SECRET, a_place, get


def header(secret=SECRET, at_s=None, person="member"):
    return f"X-Stormpetrel-Canary: {mark(secret, at_epoch_s=int(at_s or time.time()), person=person)}"


def test_a_marked_request_is_past_the_ceiling_and_a_forged_one_is_not():
    with a_place(shield={"requests_per_5min": 1}) as place:
        assert place.ask(get("/echo")).status == 200
        assert place.ask(get("/echo")).status == 429
        for forged in (
            header(b"another secret, long enough"),
            header(at_s=time.time() - 3_600),
            "X-Stormpetrel-Canary: 1",
            "X-Stormpetrel-Canary: ",
        ):
            assert place.ask(get("/echo", forged)).status == 429
        # Two marks count as none: the joined header has no valid MAC.
        assert place.ask(get("/echo", header(), header())).status == 429
        for _ in range(3):
            assert place.ask(get("/echo", header())).status == 200


@pytest.mark.parametrize(
    ("person", "method", "lane"),
    [("member", "GET", "K1"), ("member", "POST", "K0"), ("visitor", "GET", "K3"), ("visitor", "POST", "K3")],
)
def test_canaries_wait_in_the_class_of_their_person_and_in_no_channel_of_people(person, method, lane):
    with a_place() as place:
        place.call(place.server.worker.shield_report)
        place.ask(get("/echo", header(person=person), "Content-Length: 0", method=method))
        report = place.call(place.server.worker.shield_report)
        assert report.classes == {lane: {"served": 1}}
        assert report.channels == {"canary": {"served": 1}}

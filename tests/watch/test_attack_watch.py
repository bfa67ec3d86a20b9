"""The watch's second: from the workers' reports to moments, phases, the record and the journal."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from stormpetrel.shield.evidence import MAX_SAMPLE, Evidence
from stormpetrel.storage.attack_record import FILE_NAME, read_attacks
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.attack_book import AttackBook, FoundAttack
from stormpetrel.watch.attack_watch import BEFORE_S, COARSE_S, FINE_S, AttackWatch
from stormpetrel.watch.moments import MomentBuilder
from tests.watch.phases import traffic
from tests.watch.phases.traffic import people
from tests.watch.reporting import a_report

START_S = 1_900_000_000


class Watching:
    """An attack watch over a real record, and workers that report each second."""

    def __init__(self, directory, found=None, *, at_s=START_S):
        self.thread = ThreadPoolExecutor(1)
        self.path = directory / FILE_NAME
        self.book = AttackBook(directory, self.thread)
        self.at_s = at_s
        self.watch = AttackWatch(MomentBuilder(), self.book, found or FoundAttack(), at_s=float(at_s))
        self.rng = Random(1)
        self.notes = []

    def play(self, seconds, *mixes, calm=70, attack=None):
        for _ in range(seconds):
            self.at_s += 1
            rows = [people(self.rng) for _ in range(calm)]
            rows += [maker(self.rng) for maker, per_s in mixes for _ in range(per_s)]
            self.rng.shuffle(rows)
            evidence = Evidence(requests=len(rows), sample=tuple(rows[:MAX_SAMPLE]))
            self.watch.builder.add("web-0", a_report(evidence=evidence))
            if self.at_s % 100 == 0:
                asyncio.run(self.book.flush())
            self.notes += self.watch.turn(["web-0"], attack or Attack(), now_epoch_s=float(self.at_s))
        return self

    def record(self):
        asyncio.run(self.book.flush())
        return read_attacks(self.path, from_ms=0, until_ms=self.at_s * 2_000)


@pytest.fixture
def watching(tmp_path):
    found = Watching(tmp_path)
    yield found
    asyncio.run(found.book.close())
    found.thread.shutdown()


def test_nothing_is_written_in_calm(watching) -> None:
    watching.play(200)
    assert watching.record() == type(watching.record())()
    assert not watching.path.exists()
    assert watching.notes == []


def test_an_attack_is_written_with_the_minute_before_and_the_minute_after(watching) -> None:
    watching.play(90).play(20, (traffic.few_sources, 500)).play(90)
    found = watching.record()
    (span,) = found.spans
    assert span.onset_ms == pytest.approx((START_S + 90) * 1000, abs=1_500)
    first_s, last_s = found.moments[0].at_s, found.moments[-1].at_s
    assert first_s == pytest.approx(START_S + 90 - BEFORE_S, abs=2)
    assert last_s == pytest.approx(span.ended_ms / 1000 + 60, abs=2)
    # Without a gap, and with the measures.
    assert [one.at_s for one in found.moments] == list(range(first_s, last_s + 1))
    assert found.moments[70].features["few_per_s"] > 400
    assert [phase.verdict for phase in found.phases] == ["attack", "calm"]
    assert {note.kind for note in watching.notes} == {"phase"}
    assert len(watching.notes) <= 4
    assert "few sources" in watching.notes[0].text
    assert "usual traffic again" in watching.notes[-1].text


def test_a_watch_that_restarts_in_an_attack_continues_it(tmp_path) -> None:
    before = Watching(tmp_path)
    before.play(60).play(10, (traffic.few_sources, 500)).record()
    # No end: as after kill -9.
    before.thread.shutdown()
    reader = Watching(tmp_path)
    found = asyncio.run(reader.book.found(now_ms=before.at_s * 1000))
    after = Watching(tmp_path, found, at_s=before.at_s + 3)
    after.play(10, (traffic.few_sources, 500)).play(80)
    record = after.record()
    (span,) = record.spans
    assert span.ended_ms
    assert {phase.attack for phase in record.phases} == {span.number}
    assert [(p.verdict, [v.name for v in p.vectors]) for p in record.phases] == [
        ("attack", ["few_sources"]),
        ("calm", []),
    ]
    for one in (reader, after):
        asyncio.run(one.book.close())
        one.thread.shutdown()


def test_after_half_an_hour_ten_seconds_are_written_as_one(watching) -> None:
    long = Attack(float(START_S + 20), float(START_S + 20), float(START_S + 20))
    watching.play(20).play(int(FINE_S) + 100, calm=3, attack=long)
    moments = watching.record().moments
    assert len(moments) == pytest.approx(20 + FINE_S + 100 / COARSE_S, abs=5)
    assert moments[-1].period_s == COARSE_S


def test_without_workers_there_are_no_moments(watching) -> None:
    assert watching.watch.turn([], Attack(), now_epoch_s=START_S + 50.0) == []
    assert len(watching.watch.ring) == 0

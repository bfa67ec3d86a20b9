"""A record of an attack and the journal beside it, with everything that a report shows, for tests and trials."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from stormpetrel.insight.make import read, window_of
from stormpetrel.model.attack import AttackPhase, AttackSpan, EvidenceItem, Moment, NamedVector
from stormpetrel.model.insight import ReportData, ReportWindow
from stormpetrel.storage.attack_record import AttackRecord
from stormpetrel.storage.journal import Direction, Journal, Note
from tests.repository import ROOT

ONSET_S = 1_790_000_000
SECONDS = 600
ADDRESS = "203.0.113.77"
TOKEN = "token:9f86d081884c7d65"
PERSON = "account:117"
IN_IVORY = {"application": "Ivory", "channel": "apps", "because": "queue/full"}
PAGE = "/@marta_writes"
TEXTS = {"in": 3, "out": 2, "new": 1}
SPAN = AttackSpan(3, ONSET_S * 1000 + 400, ONSET_S * 1000 + 1900, (ONSET_S + SECONDS) * 1000)
VECTOR = NamedVector(
    "page_flood", 0.91, (EvidenceItem("pages_per_s", 2710.5, 14.0), EvidenceItem("page_programs", 0.97, 0.1))
)
CROWD = AttackPhase(
    number=7,
    attack=3,
    began_ms=SPAN.onset_ms,
    ended_ms=(ONSET_S + SECONDS // 3) * 1000,
    verdict="crowd",
    attack_share=0.08,
    evidence_against=(EvidenceItem("page_links", 0.7, 0.2),),
    volume_rule_says_attack=True,
    addresses=41_000,
    networks=9_400,
    pages=((PAGE, 812),),
)
FLOOD = AttackPhase(
    number=8,
    attack=3,
    began_ms=(ONSET_S + SECONDS // 3) * 1000,
    ended_ms=SPAN.ended_ms,
    verdict="attack",
    attack_share=0.93,
    vectors=(VECTOR, NamedVector("unknown", 0.05)),
    evidence_for=(EvidenceItem("new_networks", 0.88, 0.12), EvidenceItem("ignored_retry", 0.41, 0.0)),
    evidence_against=(EvidenceItem("page_links", 0.3, 0.2),),
    volume_rule_says_attack=True,
    addresses=182_000,
    networks=40_100,
    pages=((PAGE, 9_120), ("/", 55)),
)


def moment(at_s: int, *, load: int = 0, texts: dict[str, int] = TEXTS) -> Moment:
    """Return a second: calm for `load` 0, else with that many requests of strangers more, and with these texts."""
    refused, hurt = load * 9 // 10, 1 if load and at_s % 50 == 0 else 0
    return Moment(
        at_s,
        1.0,
        is_overloaded=load > 0,
        requests=120 + load,
        sampled=100,
        worst_wait_ms=4.0 + load / 10,
        loop_lag_ms=1.5,
        writer_wait_ms=0.5,
        classes={
            "K1": {"served": 60, "refused": hurt},
            "K3": {"served": 20, "cached": 40 + load - refused, "refused": refused, "gone": 2 if load else 0},
        },
        channels={
            "apps": {"served": 30, "refused": hurt},
            "web": {"served": 18},
            "posting": {"served": 6},
            "streaming": {"served": 1},
            "feeds": {"served": 1, "cached": 4, "refused": 0},
            "returning": {"served": 2, "cached": 12},
            "new": {"served": 18, "cached": 24 + load - refused, "refused": refused, "gone": 2 if load else 0},
        },
        applications={"Tusky": {"served": 20}, "Ivory": {"served": 10, "refused": hurt}},
        known={
            "apps": {"served": 30, "refused": hurt, "failed": 0},
            "web": {"served": 18},
            "posting": {"served": 6},
        },
        known_applications={
            "Tusky": {"served": 20},
            "Ivory": {"served": 10, "refused": hurt, "excess": 0},
        },
        because={"queue/full": refused} if load else {},
        kinds={"cached": 40 + load // 100, "page": 20, "api": 30, "feed": 5, "write": 5},
        cost_ms={"page": 220.5 + load / 7, "api": 180.25, "write": 40.0},
        sources={"member": 50, "returning": 14, "known_network": 10, "new_network": 6 + load // 100},
        agents={"browser": 60 + load // 200, "app": 30, "reader": 5, "program": load // 100},
        referrers={"none": 70, "own": 20, "mail": 3 + load // 400, "other": 7},
        connections={"opened": 12 + load // 4, "idle": 80, "slow_head": load // 90},
        features={"page_links": 0.2 + load / 9000, "new_networks": 0.06 + load / 6000},
        pages={"/": 12, PAGE: 3 + load // 50, "/tags/rain": 2, "/@ana/feed.atom": 2, "/@ana/115": 1},
        texts=texts if load else {},
    )  # fmt: skip


def moments(seconds: int = SECONDS, texts: dict[str, int] = TEXTS) -> list[Moment]:
    """Return a minute of calm, an attack that begins as a crowd, and a minute of calm."""
    before = [moment(ONSET_S + at_s) for at_s in range(-60, 0)]
    during = [
        moment(
            ONSET_S + at_s, load=900 if at_s < seconds // 3 else 2400 + 600 * (at_s // 20 % 2), texts=texts
        )
        for at_s in range(seconds)
    ]
    return [*before, *during, *(moment(ONSET_S + seconds + at_s) for at_s in range(1, 61))]


def notes() -> list[Note]:
    """Return entries of every kind that a report reads, with addresses and identities in them."""

    def note(after_s: int, kind: str, text: str, **more: object) -> Note:
        return Note(at_ms=(ONSET_S + after_s) * 1000 + 900, kind=kind, text=text, **more)  # type: ignore[arg-type]

    return [
        note(1, "overload", "overload began at 12:00:00 UTC; clients known before then are established"),
        note(9, "canary", "canary web_visitor fails: no answer within 4 s", channel="web", because="timeout"),
        note(40, "canary", "canary web_visitor succeeds again after 9 failures", channel="web", because="ok"),
        note(60, "incident", "Slow pages", because="start", who="operator"),
        note(75, "offender", "used 0.81 s of CPU in a second", who="address", address=ADDRESS, count=310),
        note(80, "deny", "until 2026-09-21 18:00 UTC: flood from a data centre", who="address", address=ADDRESS),
        note(90, "allow", "until 2026-09-21 18:00 UTC: a school", who=PERSON),
        note(100, "collateral", f"{PERSON} was refused (queue/full)", who=PERSON, count=7, **IN_IVORY),
        note(150, "collateral", f"{TOKEN} was refused (queue/full)", who=TOKEN, count=5, **IN_IVORY),
        note(200, "phase", "the traffic changed: an attack, page flood from many new networks"),
        note(300, "worker", "worker web-1 was restarted (process 22 replaces 21)", who="web-1"),
        note(SECONDS + 60, "calm", f"overload ended after {SECONDS} s"),
        note(SECONDS + 61, "check", "posts are in the store", because="posts", who="attack:3", count=3120),
        note(SECONDS + 90, "check", "of the attack before", because="posts", who="attack:2", count=9),
        note(SECONDS + 61, "check", "posts are missing", because="posts_missing", who="attack:3", count=0),
    ]  # fmt: skip


def write_record(data_dir: Path, *, seconds: int = SECONDS, texts: dict[str, int] = TEXTS) -> None:
    """Write the record of attacks."""
    record = AttackRecord(data_dir / "attacks.sqlite")
    record.write(attack=3, moments=moments(seconds, texts), phases=[CROWD, FLOOD], spans=[SPAN])
    record.close()


def write_journal(data_dir: Path) -> None:
    """Write the journal, with rules that are still on."""
    journal = Journal(data_dir / "journal.sqlite")
    journal.write(notes())
    journal.set_direction(
        Direction("deny", "address", ADDRESS, (ONSET_S + 86_400) * 1000, "flood from a data centre")
    )
    journal.close()


def write_both(data_dir: Path, *, texts: dict[str, int] = TEXTS) -> None:
    """Write record and journal. `texts`: in each second of the attack."""
    write_record(data_dir, texts=texts)
    write_journal(data_dir)


WINDOW = window_of(SPAN, now_ms=SPAN.ended_ms + 70_000)


_read: dict[tuple[str, ReportWindow], ReportData] = {}


def data_of(data_dir: Path, window: ReportWindow = WINDOW) -> ReportData:
    """Return the data of a report about the record in `data_dir`.

    Files with the same content are read once: most tests have the same record, and reading one takes a third of a
    second.
    """
    files = sorted(data_dir.glob("attacks.sqlite*")) + sorted(data_dir.glob("journal.sqlite*"))
    key = (
        hashlib.sha256(b"|".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest(),
        window,
    )
    if key not in _read:
        _read[key] = read(data_dir, window, domain="petrel.example")
    return _read[key]


def recomputed(report: Path, data_dir: Path, *more: str) -> str:
    """Return what the foreign script prints about a report."""
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "recompute_insight.py", report, data_dir, *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout

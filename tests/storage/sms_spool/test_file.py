"""The file of the spool: its hot statements find rows by an index, however many the file has."""

from __future__ import annotations

from pathlib import Path

from stormpetrel.storage.sms_spool import inbox, money, outbox
from stormpetrel.storage.sms_spool.file import SpoolDb, SpoolFile
from stormpetrel.storage.sms_spool.money import Caps

NOW = 1_790_000_000_000
NUMBER = "+995599123456"


def one_text_each_way(db: SpoolDb) -> None:
    inbox.put(
        db, key="a", route="one", number=NUMBER, receiver="1", text="a", now_ms=NOW, klass=inbox.MEMBERS
    )
    (message,) = inbox.waiting(db, klass=inbox.MEMBERS, after_id=0, count=10)
    inbox.unsettle(db, route="one", key="a")
    inbox.settle(db, route="one", keys=["a"])
    inbox.done(db, message_id=message.id, effect="post", error=None, status_id=None, now_ms=NOW)
    outbox.put(
        db, key="a", route="one", number=NUMBER, text="a", kind="delivery", lane=3, segments=1, now_ms=NOW,
        expires_ms=NOW + 1000,
    )  # fmt: skip
    outbox.deliveries(db, number=NUMBER, now_ms=NOW)
    (text,) = outbox.queued(db, route="one", now_ms=NOW, count=10)
    caps = Caps(1_000_000, 1_000_000, 1_000_000, 0.1)
    outbox.reserve(db, message=text, price=1000, prefix="+995", caps=caps, now_ms=NOW)
    for number in range(2):
        (unit,) = outbox.begin(db, message=text, wants=[True], now_ms=NOW)
        if number == 0:
            outbox.put_back(db, unit=unit, due_ms=NOW, counts=True, error="", now_ms=NOW)
    outbox.accepted(db, unit=unit, carrier_id="c1", price=None, now_ms=NOW)
    for carrier_id in ("c1", "early"):
        outbox.receipt(
            db, route="one", carrier_id=carrier_id, unit=None, state="delivered", error="", now_ms=NOW
        )
    outbox.stop(db, number=NUMBER, now_ms=NOW)
    assert money.of_day(db, day=money.day_of(NOW)) == (1000, 0)


def test_no_hot_statement_looks_through_a_whole_table(tmp_path: Path) -> None:
    spool = SpoolFile(tmp_path)
    statements: list[str] = []
    spool.raw.set_trace_callback(statements.append)
    with spool.transaction() as db:
        one_text_each_way(db)
    spool.raw.set_trace_callback(None)
    scans = {
        statement: row[3]
        for statement in statements
        if statement.split()[0] in ("SELECT", "UPDATE", "DELETE")
        for row in spool.raw.execute(f"EXPLAIN QUERY PLAN {statement}")
        if row[3].startswith("SCAN") and row[3] != "SCAN CONSTANT ROW"
    }
    spool.close()
    assert len(statements) > 30
    assert scans == {}

"""The watch asks the accounts behind hot pages, and names in public those that agreed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from stormpetrel import clock
from stormpetrel.config_loader import load
from stormpetrel.model.naming import NamingAnswer
from stormpetrel.rules import naming as rules
from stormpetrel.storage.insight_folder import FORMS, InsightFolder, ReportAbout
from stormpetrel.watch import naming
from stormpetrel.watch.naming import NamedAccounts
from stormpetrel.watch.status.view import PublicReport
from tests.store import store_at

BEGAN_MS = 1_790_000_000_000
REPORT = PublicReport(3, BEGAN_MS, "It came.", {form: b"{}" if form == "json" else b"text" for form in FORMS})


@pytest.fixture
def config(tmp_path, monkeypatch, store):
    monkeypatch.setattr(naming, "EVERY_S", 0.02)
    settings = {"STORMPETREL_DATA_DIR": str(tmp_path), "STORMPETREL_DATABASE_URL": store.url}
    return load(environ=settings).config


def write_report(config, name, *, made_ms=0, sampled=100):
    """Store a report in which most requests went to an account's page."""
    internal = {
        "numbers": {"sampled": {"value": sampled}},
        "tables": {"pages": [{"key": {"page": f"/@{name}"}, "numbers": {"sampled": {"value": 60}}}]},
    }
    files = {(edition, form): "" for edition in ("internal", "public") for form in FORMS}
    folder = InsightFolder(config.data_dir)
    about = ReportAbout(3, BEGAN_MS, BEGAN_MS + 60_000, made_ms or clock.now_ms(), ("It came.",))
    folder.write(about, files | {("internal", "json"): json.dumps(internal)})
    folder.publish(3)
    return folder


def run(config, is_so):
    """Run the part of the watch until `is_so`; return it."""

    async def main():
        stop, found = asyncio.Event(), NamedAccounts(config)
        running = asyncio.create_task(found.run(stop))
        async with asyncio.timeout(20):
            while not is_so(found):
                await asyncio.sleep(0.02)
        stop.set()
        await running
        return found

    return asyncio.run(main())


def test_the_account_is_asked_and_named_once_it_agrees_and_no_longer_when_it_declines(store, config):
    ana = store.person("Ana")
    folder = write_report(config, store.name(ana))
    found = run(config, lambda _: folder.is_asked(3))
    assert found.named(REPORT) is REPORT
    (question,) = store.do(rules.questions_of, account_id=ana)
    assert (question.began_ms, question.percent) == (BEGAN_MS, 60)

    def answer(answer):
        store.do(rules.answer, account_id=ana, question_id=question.id, answer=answer, now_ms=store.now_ms)

    answer(NamingAnswer.AGREED)
    found = run(config, lambda found: found.named(REPORT) is not REPORT)
    for form in FORMS:
        assert store.name(ana) in found.named(REPORT).forms[form].decode()
    assert found.named(REPORT) is found.named(REPORT)
    other = PublicReport(4, BEGAN_MS + 1, REPORT.summary, REPORT.forms)
    assert found.named(other) is other
    answer(NamingAnswer.DECLINED)
    assert asyncio.run(one_step(found)).named(REPORT) is REPORT


async def one_step(found):
    stop = asyncio.Event()
    running = asyncio.create_task(found.run(stop))
    await asyncio.sleep(0.3)
    stop.set()
    await running
    return found


def test_a_store_that_is_down_is_asked_again_later(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.setattr(naming, "EVERY_S", 0.02)
    settings = {"STORMPETREL_DATA_DIR": str(tmp_path), "STORMPETREL_DATABASE_URL": sqlite_url}
    config = load(environ=settings).config
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    away = path.with_suffix(".away")
    with store_at(sqlite_url) as store:
        ana = store.person("Ana")
        folder = write_report(config, store.name(ana))

    async def main():
        path.rename(away)
        stop, found = asyncio.Event(), NamedAccounts(config)
        running = asyncio.create_task(found.run(stop))
        await asyncio.sleep(0.3)
        assert not folder.is_asked(3)
        away.rename(path)
        async with asyncio.timeout(20):
            while not folder.is_asked(3):
                await asyncio.sleep(0.02)
        stop.set()
        await running

    asyncio.run(main())
    with store_at(sqlite_url) as store:
        assert len(store.do(rules.questions_of, account_id=ana)) == 1


def test_reports_of_the_past_and_reports_that_cannot_be_read_ask_no_account(store, config):
    ana = store.person("Ana")
    folder = write_report(config, store.name(ana), made_ms=clock.now_ms() - naming.ASKED_WITHIN_MS)
    asyncio.run(one_step(NamedAccounts(config)))
    assert not folder.is_asked(3)
    write_report(config, store.name(ana))
    (config.data_dir / "insight" / "attack-3-internal.json").write_text("[]")
    run(config, lambda _: folder.is_asked(3))
    assert store.do(rules.questions_of, account_id=ana) == []

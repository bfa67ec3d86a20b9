"""Attachments in processing: handed to the courier once, limited per account, and failed if they are lost."""

from __future__ import annotations

import pytest

from stormpetrel.errors import Busy, TooMany
from stormpetrel.model.media import Decoded, Media, MediaKind, MediaState
from stormpetrel.rules import media
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.statement import sql
from tests.store import Store

LANE = 1 << 30
DONE = Decoded(MediaKind.IMAGE, key="0" * 32 + ".png")
JOBS = sql("SELECT id, lane FROM outbox WHERE kind = 'media_upload' ORDER BY id")


def begun(store: Store, who: int) -> Media:
    store.now_ms += 1
    return store.do(
        media.begin, account_id=who, size_bytes=1, description=None, focus=None, now_ms=store.now_ms
    )


def handed_over(store: Store, who: int, *, lane: int = LANE) -> Media:
    one = begun(store, who)
    store.do(media.hand_over, media=one, lane=lane, most_own=4, now_ms=store.now_ms)
    return one


def state(store: Store, one: Media) -> MediaState:
    return media.own(store.connection, account_id=one.account_id, media_id=one.id).state


def test_a_job_has_its_attachment_s_id_and_waits_in_its_own_lane(store: Store) -> None:
    one = handed_over(store, store.person())
    assert store.connection.all(JOBS) == [(one.id, LANE)]
    with pytest.raises(TooMany):
        for _ in range(5):
            handed_over(store, one.account_id)
    # Uploads that wait on another machine use no disk of this one.
    handed_over(store, one.account_id, lane=LANE + 1)


def test_a_machine_has_only_so_many_uploads_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MOST_WAITING", 3)
    for _ in range(3):
        handed_over(store, store.person())
    with pytest.raises(Busy):
        handed_over(store, store.person())


def test_what_waits_for_the_courier_is_not_lost_and_what_nobody_works_on_is(store: Store) -> None:
    who = store.person()
    waiting, lost = handed_over(store, who), begun(store, who)
    store.now_ms += media.PROCESSING_KEPT_MS + 1
    assert store.do(media.fail_lost, now_ms=store.now_ms, count=10) == 1
    assert (state(store, waiting), state(store, lost)) == (MediaState.PROCESSING, MediaState.FAILED)
    # The courier gave up the job, so no process will finish the file.
    (job,) = store.do(outbox.lease, now_ms=store.now_ms, lease_ms=1000, count=9, lane=LANE)
    store.do(outbox.bury, job, error="no", now_ms=store.now_ms)
    assert store.do(media.fail_lost, now_ms=store.now_ms, count=10) == 1
    assert state(store, waiting) is MediaState.FAILED


def test_what_a_lost_machine_never_finished_goes_with_its_job_after_a_day(store: Store) -> None:
    one = handed_over(store, store.person())
    store.now_ms += media.LOOSE_KEPT_MS + 1
    assert store.do(media.remove_old_loose, now_ms=store.now_ms, count=10) == 1
    assert store.connection.all(JOBS) == []
    assert media.unfinished(store.connection, media_id=one.id) is None


def test_what_is_done_or_given_up_is_not_finished_again(store: Store) -> None:
    who = store.person()
    done, failed = begun(store, who), begun(store, who)
    store.do(media.finish, account_id=who, media_id=done.id, decoded=DONE)
    store.do(media.fail, media_id=failed.id)
    for one in (done, failed):
        assert media.unfinished(store.connection, media_id=one.id) is None
    store.do(media.fail, media_id=done.id)
    assert state(store, done) is MediaState.DONE

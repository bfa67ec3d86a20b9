"""The record of attacks as the watch writes it: in the journal's thread, bounded, and read by the next watch."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

from stormpetrel.model.attack import AttackPhase, AttackSpan, Moment
from stormpetrel.storage.attack_record import FILE_NAME, read_attacks
from stormpetrel.watch.attack_book import MAX_WAITING, AttackBook, FoundAttack

NOW_MS = 1_900_000_000_000
SPAN = AttackSpan(4, NOW_MS - 5_000, NOW_MS - 4_000, 0)
PHASE = AttackPhase(9, 4, NOW_MS - 5_000, 0, "attack", 0.9)


@contextlib.contextmanager
def a_book(directory):
    with ThreadPoolExecutor(1) as thread:
        yield AttackBook(directory, thread)


def moment(at_s):
    return Moment(at_s, 1.0, is_overloaded=False, requests=3)


def read_all(directory):
    return read_attacks(directory / FILE_NAME, from_ms=0, until_ms=NOW_MS * 2)


def test_nothing_is_written_in_calm(tmp_path) -> None:
    async def scenario() -> None:
        with a_book(tmp_path) as book:
            assert await book.found(now_ms=NOW_MS) == FoundAttack()
            await book.flush()
            await book.close()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_an_open_attack_is_found_by_the_next_watch_with_what_was_usual(tmp_path) -> None:
    async def scenario() -> FoundAttack:
        with a_book(tmp_path) as book:
            book.put_span(SPAN)
            book.put_phase(PHASE)
            book.put_moment(4, moment(NOW_MS // 1000))
            book.put_usual('{"seconds":60}')
            await book.flush()
            # No close: as after kill -9.
        with a_book(tmp_path) as book:
            return await book.found(now_ms=NOW_MS)

    assert asyncio.run(scenario()) == FoundAttack(4, 9, SPAN, PHASE, '{"seconds":60}')
    assert read_all(tmp_path).moments == (moment(NOW_MS // 1000),)


def test_a_disk_that_is_full_costs_moments_and_the_newest_are_written_when_it_is_not(tmp_path) -> None:
    # A directory in the place of the file: it cannot be opened.
    (tmp_path / FILE_NAME).mkdir()

    async def scenario() -> None:
        with a_book(tmp_path) as book:
            for second in range(MAX_WAITING + 5):
                book.put_moment(4, moment(second))
            book.put_span(SPAN)
            await book.flush()
            assert book.problem
            assert book.lost == 5
            (tmp_path / FILE_NAME).rmdir()
            await book.flush()
            assert book.problem == ""
            await book.close()

    asyncio.run(scenario())
    found = read_all(tmp_path)
    assert found.spans == (SPAN,)
    assert [one.at_s for one in found.moments] == list(range(5, MAX_WAITING + 5))


def test_a_state_that_changed_while_the_last_was_written_is_written_next(tmp_path) -> None:
    async def scenario() -> None:
        with a_book(tmp_path) as book:
            book.put_phase(PHASE)
            flushing = asyncio.ensure_future(book.flush())
            await asyncio.sleep(0)
            book.put_phase(AttackPhase(9, 4, NOW_MS - 5_000, NOW_MS, "attack", 0.8))
            await flushing
            await book.flush()
            await book.close()

    asyncio.run(scenario())
    (phase,) = read_all(tmp_path).phases
    assert phase.ended_ms == NOW_MS

"""What members with phones expect: answers and posts, each in its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random

import pytest

from stormpetrel.drill import phones as phones_module
from stormpetrel.drill.client import Course
from stormpetrel.drill.community import Community
from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.phones import PhonePeople
from stormpetrel.drill.record import Line
from tests.drill.attacked import community_of, invented_community, member

NUMBER = "+995550000001"
POST = "drill-1-2-3 and this is what happened today"


def community() -> Community:
    reader = member("sms", 1, phone=NUMBER)
    poster = member("posting", 2)
    found = community_of(
        members=[reader, poster], sleepers=[], newcomers=[], victim=invented_community().victim
    )
    found.texts[poster.account_id] = (reader.account_id,)
    return found


def lines_of(act: Callable[[PhonePeople], None], *, port: int = 1) -> list[Line]:
    """Return the lines after `act` and the end of the run."""
    lines: list[Line] = []

    async def run() -> None:
        course = Course(
            target=Address("127.0.0.1", port),
            host="drill.example",
            start_s=time.monotonic(),
            budget=TrafficBudget.of(connections=10, seconds=30),
            phase_at=lambda t: "calm",
            put=lines.append,
        )
        people = PhonePeople(course, community(), Random(1))
        act(people)
        await people.finish()

    asyncio.run(run())
    return lines


@pytest.mark.parametrize("is_early", [False, True])
def test_a_post_is_expected_at_the_phones_of_its_readers(is_early: bool) -> None:
    poster = community().of("posting")[0].account_id

    def act(people: PhonePeople) -> None:
        if is_early:
            # The text may come before the poster has the acknowledgement.
            people.hear(NUMBER, f"@poster: {POST} #3")
        people.expect_post(poster, POST, time.monotonic())
        if not is_early:
            people.hear(NUMBER, "@other: drill-1-2-4 and this #2")
            people.hear(NUMBER, f"@poster: {POST} #3")

    (line,) = lines_of(act)
    assert (line.channel, line.who, line.outcome) == ("sms_deliveries", "sms1", "ok")


def test_a_text_that_comes_too_late_or_never_is_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    poster = community().of("posting")[0].account_id
    monkeypatch.setattr(phones_module, "DELIVERY_S", 0.0)

    def late(people: PhonePeople) -> None:
        people.expect_post(poster, POST, time.monotonic())
        people.hear(NUMBER, f"@poster: {POST} #3")

    assert [line.outcome for line in lines_of(late)] == ["late"]
    assert [
        line.outcome for line in lines_of(lambda people: people.expect_post(poster, POST, time.monotonic()))
    ] == ["timeout"]


def test_a_post_of_an_author_without_readers_by_text_is_not_expected() -> None:
    assert lines_of(lambda people: people.expect_post("17", POST, time.monotonic())) == []


def test_a_question_that_was_not_acknowledged_has_no_answer_to_wait_for() -> None:
    lines: list[Line] = []

    async def run() -> None:
        course = Course(
            target=Address("127.0.0.1", 1),
            host="drill.example",
            start_s=time.monotonic(),
            budget=TrafficBudget.of(connections=10, seconds=30),
            phase_at=lambda t: "calm",
            put=lines.append,
        )
        people = PhonePeople(course, community(), Random(1))
        await people.ask(time.monotonic())
        await people.finish()

    asyncio.run(run())
    assert [(line.channel, line.outcome) for line in lines] == [("sms_in", "failed")]


def test_a_text_that_comes_twice_is_counted_and_two_answers_to_two_questions_are_not() -> None:
    people = None

    def act(phones: PhonePeople) -> None:
        nonlocal people
        people = phones
        name = phones.any().name
        phones._due[NUMBER, f"@{name}"] += 2
        for _ in range(3):
            phones.hear(NUMBER, f"@{name} Ann: 3 posts, 2 followers.")
        for number in (NUMBER, NUMBER, "+15550000001", "+15550000001"):
            phones.hear(number, f"@{name}: {POST} #3")
        phones.hear(NUMBER, "Your text is saved and will be posted.")

    lines_of(act)
    assert people is not None
    assert people.doubled == 2, "one answer and one post; other numbers are attackers"

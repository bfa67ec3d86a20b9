"""The sms role's counts of texts, over a real control socket."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from stormpetrel.control import wire
from stormpetrel.control.messages import TextCounts, decode_first
from stormpetrel.control.text_counts import report_texts


def test_only_new_texts_are_reported_and_a_missing_watch_is_no_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("stormpetrel.control.text_counts.REPORT_EVERY_S", 0.02)
    counts = iter([5, 5, 5, 12, 12, *[15] * 1_000])

    def totals() -> TextCounts:
        strangers = next(counts)
        return TextCounts(strangers, strangers * 10, 100 - strangers, ("203.0.113.0/24",))

    came: list[msgspec.Struct] = []

    async def scenario() -> None:
        stop = asyncio.Event()
        reporting = asyncio.create_task(report_texts(totals, tmp_path, stop))
        await asyncio.sleep(0.03)

        async def take(reader, writer) -> None:
            with contextlib.suppress(OSError):
                body = await wire.receive(reader)
                assert body is not None
                came.append(decode_first(body))
                writer.close()

        server = await asyncio.start_unix_server(take, sock=wire.listen(tmp_path))
        while not came:
            await asyncio.sleep(0.01)
        stop.set()
        await reporting
        server.close()

    asyncio.run(scenario())
    for one in came:
        assert isinstance(one, TextCounts)
        assert one.strangers > 0
        assert (one.received, one.sent) == (one.strangers * 10, 0)
        assert one.networks == ("203.0.113.0/24",)

"""After the run: check, as their authors, that every acknowledged post exists on the server exactly once."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import TextIO

from stormpetrel.drill.client import Course
from stormpetrel.drill.community import Member
from stormpetrel.drill.record import FoundPost, found_json
from stormpetrel.drill.wire import Broken, WireResponse, connect, request

WITHIN_S = 60.0
"""The server may still be busy or starting; a post not found after this time counts as lost."""
AGAIN_S = 1.0
"""Delay between two attempts, unless the server sends Retry-After."""
MAX_PAGES = 50
PAGE = 40
_TAGS = re.compile(r"<[^>]*>")


async def look_for(course: Course, posted: Mapping[str, Member], out: TextIO) -> None:
    """Write a Found for each text of `posted`: every text that a member tried to post."""
    by_author: dict[str, tuple[Member, list[str]]] = {}
    for text, member in posted.items():
        by_author.setdefault(member.account_id, (member, []))[1].append(text)
    until_s = time.monotonic() + WITHIN_S
    for member, texts in by_author.values():
        there = await _texts_of(course, member, until_s)
        for text in texts:
            out.write(found_json(FoundPost(text, sum(text in one for one in there))) + "\n")
    out.flush()


async def _texts_of(course: Course, member: Member, until_s: float) -> list[str]:
    """Return the author's posts, newest first, as far back as the drill posted."""
    found: list[str] = []
    max_id = ""
    for _ in range(MAX_PAGES):
        path = f"/api/v1/accounts/{member.account_id}/statuses?limit={PAGE}{max_id}"
        answer = await _get(course, member, path, until_s)
        if answer is None:
            return found
        posts = json.loads(answer.text)
        found += [_TAGS.sub("", post["content"]) for post in posts]
        if len(posts) < PAGE or not any("drill-" in post["content"] for post in posts):
            return found
        max_id = f"&max_id={posts[-1]['id']}"
    return found


async def _get(course: Course, member: Member, path: str, until_s: float) -> WireResponse | None:
    """Request `path` until a JSON answer with status 200 arrives; None at `until_s`."""
    data = request(
        "GET",
        path,
        host=course.host,
        headers={"Authorization": f"Bearer {member.token}", "Connection": "close"},
    )
    while True:
        wait_s = AGAIN_S
        try:
            exchange = await connect(
                course.target, source=member.address, budget=course.budget, tls=course.tls_client()
            )
            try:
                answer = await exchange.send(data, timeout_s=10)
            finally:
                exchange.close()
            # A challenge may come with 200 too (mode overcompensate): retry as after a refusal.
            if answer.status == 200 and answer.header("content-type").startswith("application/json"):
                return answer
            if answer.header("retry-after").isdigit():
                wait_s = min(5.0, float(answer.header("retry-after")))
        except (OSError, Broken, TimeoutError):
            pass
        if time.monotonic() + wait_s > until_s:
            return None
        await asyncio.sleep(wait_s)

"""Turns posts that wait for phones into texts: one each, or a digest, at hours and in numbers that people accept.

The text and its tag are chosen in one transaction of the store; the spool takes a delivery under its id; only then
is it removed from the store. A process killed in between chooses the same text again, and the spool has it already.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.clock import now_ms
from stormpetrel.config import SmsConfig
from stormpetrel.errors import Busy
from stormpetrel.gateway.compose import DigestLine, digest
from stormpetrel.gateway.polling import work_until
from stormpetrel.gateway.provider import NotStored
from stormpetrel.gateway.reading import delivery_of, text_of_post
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.model.phone import Phone, PhoneKeys, next_time_ms, quiet_until_ms
from stormpetrel.model.post import Post
from stormpetrel.rules import accounts, phones, posts
from stormpetrel.sms.split import split
from stormpetrel.storage import phone_queue
from stormpetrel.storage import phones as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.phone_queue import PhoneDelivery
from stormpetrel.storage.sms_spool import outbox
from stormpetrel.storage.sms_spool.file import SpoolDb
from stormpetrel.storage.sms_spool.outbox import DIGESTS, PERSONAL, POSTS

log = logging.getLogger(__name__)

PHONES_AT_ONCE = 64
MOST_OF_PHONE = 200
"""Posts of one phone that are looked at together, and the most lines of a digest."""
LOOK_EVERY_S = 0.25
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
URGENCY = 2
TIMEOUT_S = 10.0
_LANES = {"delivery": POSTS, "mention": PERSONAL, "dm": PERSONAL, "digest": DIGESTS}
_DELIVERED_TEXT = re.compile(r"(?:DM )?@(\w+): (.*?)(?: MORE \d+)? #(\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PhoneText:
    """A text for the outbox, and the deliveries that it stands for. `expires_ms`: too late to send from then on."""

    key: str
    text: str
    kind: str
    delivery_ids: tuple[int, ...]
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Room:
    """How many deliveries a phone may still get, and whether one more digest."""

    texts: int
    digest: bool


@dataclass(slots=True)
class Deliverer:
    """Moves deliveries from the store to the spool until it is stopped."""

    spool: SpoolThread
    config: SmsConfig
    keys: PhoneKeys
    routes: frozenset[str]
    database: Callable[[], Database | None]
    on_texts: Callable[[], None]
    done: int = 0
    _numbers: BoundedTable[str, str] = field(
        default_factory=lambda: BoundedTable(20_000, evicts=Eviction.LRU)
    )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        await work_until(stop, self.once, every_s=LOOK_EVERY_S)

    async def once(self) -> int:
        """Move due deliveries of some phones; return how many texts were made. Raise Busy or NotStored."""
        db = self.database()
        if db is None:
            return 0
        phone_ids = await db.read(phone_queue.due_phones, now_ms=now_ms(), count=PHONES_AT_ONCE)
        made = await asyncio.gather(*(self._try_phone(db, phone_id) for phone_id in phone_ids))
        return sum(made)

    async def _try_phone(self, db: Database, phone_id: int) -> int:
        try:
            return await self._of_phone(db, phone_id)
        except (Busy, NotStored):
            raise
        except Exception:  # one phone must not stop the others; its deliveries are tried again later
            log.exception("the deliveries of phone %d could not be made", phone_id)
            await db.write_as(
                URGENCY, TIMEOUT_S, phone_queue.hold_all, phone_id=phone_id, due_at_ms=now_ms() + HOUR_MS
            )
            return 0

    async def _of_phone(self, db: Database, phone_id: int) -> int:
        phone = await db.read(stored.by_id, phone_id=phone_id)
        if phone is None:
            return 0
        number = self._number(phone)
        at_ms = now_ms()
        room = await self.spool.call(self._room, number, at_ms)
        texts = await db.write_as(
            URGENCY, TIMEOUT_S, choose, phone_id, room, self.config.expires_s * 1000, at_ms
        )
        if not texts:
            return 0
        await self.spool.call(self._put, number, phone.route, texts, at_ms)
        ids = [one for text in texts for one in text.delivery_ids]
        await db.write_as(URGENCY, TIMEOUT_S, phone_queue.drop, delivery_ids=ids)
        self.done += len(texts)
        self.on_texts()
        return len(texts)

    def _number(self, phone: Phone) -> str:
        number = self._numbers.get(phone.sealed_number)
        if number is None:
            number = self.keys.open(phone.sealed_number)
            self._numbers.put(phone.sealed_number, number)
        return number

    def _room(self, db: SpoolDb, number: str, at_ms: int) -> Room:
        hour, day, digests = outbox.deliveries(db, number=number, now_ms=at_ms)
        in_hour, in_day = self.config.out_per_hour - hour, self.config.out_per_day - day
        return Room(max(0, min(in_hour, in_day)), in_hour > 0 and (in_day > 0 or digests == 0))

    def _put(self, db: SpoolDb, number: str, route: str, texts: list[PhoneText], at_ms: int) -> None:
        route = route if route in self.routes else next(iter(sorted(self.routes)), route)
        if outbox.has_stopped_since(db, number=number, since_ms=at_ms):
            # STOP came after these texts were chosen. They are dropped as those in the outbox were.
            return
        for one in texts:
            outbox.put(
                db, key=one.key, route=route, number=number, text=one.text, kind=one.kind,
                lane=_LANES[one.kind], segments=len(split(one.text)), now_ms=at_ms, expires_ms=one.expires_ms,
            )  # fmt: skip


def choose(
    connection: Connection, phone_id: int, room: Room, expires_after_ms: int, now_ms: int
) -> list[PhoneText]:
    """Return the texts to send to a phone now, with their tags stored; let the rest wait.

    In quiet hours nothing is sent. What has waited, or is older than `expires_after_ms`, becomes one digest.
    """
    phone = stored.by_id(connection, phone_id=phone_id)
    due = phone_queue.due_of(connection, phone_id=phone_id, now_ms=now_ms, count=MOST_OF_PHONE)
    if phone is None or phone.stopped or not phone.delivers:
        phone_queue.drop(connection, delivery_ids=[one.id for one in due])
        return []
    quiet_ms = quiet_until_ms(phone.quiet, zone=phone.zone, now_ms=now_ms)
    if quiet_ms:
        _hold(connection, due, quiet_ms)
        return []
    found = _visible(connection, phone, due, now_ms)
    begun = [one for one in due if one.tag]
    late = [one for one in due if one.was_held or now_ms - one.created_at_ms > expires_after_ms]
    if phone.digest:
        later = [one for one in due if one.kind == "delivery" and not one.was_held]
        _hold(connection, later, next_time_ms(phone.digest, zone=phone.zone, now_ms=now_ms))
        due = [one for one in due if one not in later]
    late = [one for one in late if one in due and (one.tag or not begun)]
    fresh = [one for one in due if one not in late]
    if len(late) == 1 and now_ms - late[0].created_at_ms <= expires_after_ms:
        fresh, late = late + fresh, []
    texts: list[PhoneText] = []
    if late:
        if room.digest:
            texts.append(_digest(connection, phone, late, found, now_ms))
        else:
            _hold(connection, late, now_ms + HOUR_MS)
    left = max(0, room.texts - len(texts))
    _hold(connection, fresh[left:], now_ms + HOUR_MS)
    for one in fresh[:left]:
        tag = _tag(connection, phone, one)
        text, next_offset = delivery_of(connection, phone=phone, post=found[one.post_id], tag=tag)
        stored.move_tag(
            connection, phone_id=phone.id, tag=tag, position=-1 if next_offset is None else next_offset
        )
        texts.append(
            PhoneText(f"d:{one.id}", text, one.kind, (one.id,), one.created_at_ms + expires_after_ms)
        )
    return texts


def _visible(connection: Connection, phone: Phone, due: list[PhoneDelivery], now_ms: int) -> dict[int, Post]:
    """Return the posts that may be texted, and drop the deliveries of the others, also from `due`."""
    shown = posts.visible_ids(
        connection,
        reader_id=phone.account_id,
        post_ids=[one.post_id for one in due],
        now_ms=now_ms,
        # Not of an account that was blocked or muted meanwhile.
        without_hidden=True,
    )
    found = {post.id: post for post in posts.posts(connection, post_ids=shown)}
    authors = {
        one.id for one in accounts.accounts(connection, account_ids=[p.author_id for p in found.values()])
    }
    gone = [one for one in due if one.post_id not in found or found[one.post_id].author_id not in authors]
    if gone:
        phone_queue.drop(connection, delivery_ids=[one.id for one in gone])
        due[:] = [one for one in due if one not in gone]
    return found


def _hold(connection: Connection, held: list[PhoneDelivery], due_at_ms: int) -> None:
    if held:
        phone_queue.hold(connection, delivery_ids=[one.id for one in held], due_at_ms=due_at_ms)


def _tag(connection: Connection, phone: Phone, one: PhoneDelivery) -> int:
    if one.tag:
        return one.tag
    tag = phones.take_tag(connection, phone=phone, post_id=one.post_id)
    phone_queue.set_tag(connection, delivery_id=one.id, tag=tag)
    return tag


def _digest(
    connection: Connection, phone: Phone, late: list[PhoneDelivery], found: dict[int, Post], now_ms: int
) -> PhoneText:
    """Return one text for posts that waited, the newest first."""
    late = sorted(late, key=lambda one: one.id, reverse=True)
    lines = []
    for one in late:
        post = found[one.post_id]
        author = accounts.account(connection, account_id=post.author_id)
        text = post.spoiler_text or text_of_post(post, phone.language)
        tag = _tag(connection, phone, one)
        stored.move_tag(connection, phone_id=phone.id, tag=tag, position=0)
        lines.append(DigestLine(author.username, text, tag))
    made = digest(lines, segments=phone.segments)
    key = f"g:{late[0].id}-{late[-1].id}"
    return PhoneText(key, made.text, "digest", tuple(one.id for one in late), now_ms + DAY_MS)


def digest_expired(db: SpoolDb, expired: list[tuple[int, str, str, str]], route: str, at_ms: int) -> int:
    """Queue one digest per number for deliveries that waited too long for the carrier; return how many."""
    by_number: dict[str, list[tuple[int, DigestLine]]] = {}
    for message_id, number, text, kind in expired:
        match = _DELIVERED_TEXT.fullmatch(text)
        if kind in ("delivery", "mention", "dm") and match is not None:
            line = DigestLine(match[1], match[2], int(match[3]))
            by_number.setdefault(number, []).append((message_id, line))
    for number, lines in by_number.items():
        text = digest([line for _, line in reversed(lines)]).text
        outbox.put(
            db, key=f"x:{lines[0][0]}-{lines[-1][0]}", route=route, number=number, text=text, kind="digest",
            lane=DIGESTS, segments=len(split(text)), now_ms=at_ms, expires_ms=at_ms + DAY_MS,
        )  # fmt: skip
    return len(by_number)

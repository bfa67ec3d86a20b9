"""The phone simulator of the demo: texts from fictitious numbers, by files of the route `demo`, and what comes back.

Without that route (every instance but a demo) there is no such page.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from stormpetrel.errors import Busy, NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.demo_phone import NUMBERS, SENDER, demo_route
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import phones
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PAGE = "/demo/phone"
SHOWN = 50
KEPT = SHOWN * len(NUMBERS)
"""Files of each kind that stay in the directory; older ones are deleted."""
MOST_WAITING = 20
"""More texts are not taken while the sms role does not read them."""
MAX_TEXT = 1000
MAX_FILE_BYTES = 65_536


class PhoneQuery(msgspec.Struct):
    """`number`: which of the phones, from 1."""

    number: int = 1


@dataclass(frozen=True, slots=True)
class SimulatedText:
    """A text on the phone. `is_own`: the phone sent it."""

    at_ms: int
    text: str
    is_own: bool


def read_owners(
    connection: Connection, *, reader_id: int | None, keys: PhoneKeys, now_ms: int
) -> tuple[Reader | None, list[str]]:
    """Read the reader, and the username that each of NUMBERS is linked to, "" for none."""
    linked = [phones.phone_with(connection, number=number, keys=keys) for number in NUMBERS]
    ids = [0 if phone is None or phone.account_id is None else phone.account_id for phone in linked]
    names = account_rules.names(connection, account_ids=ids)
    return (
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
        [names.get(one, "") for one in ids],
    )


def texts_of(directory: Path, number: str) -> list[SimulatedText]:
    """Return the newest SHOWN texts from and to a number, oldest first."""
    found = []
    for path, at_ms in _files(directory / "out"):
        record = _record(path)
        if record.get("to") == number:
            found.append(SimulatedText(at_ms, str(record.get("text", "")), is_own=False))
    for path, at_ms in _files(directory / "sent"):
        record = _record(path)
        if record.get("from") == number:
            found.append(SimulatedText(at_ms, str(record.get("text", "")), is_own=True))
    return sorted(found, key=lambda one: one.at_ms)[-SHOWN:]


def put_text(directory: Path, number: str, text: str, *, message_id: str) -> bool:
    """Let the number send a text; return False if too many wait to be read. Delete what is older than KEPT files."""
    incoming = directory / "in"
    for one in (incoming, directory / "sent"):
        one.mkdir(parents=True, exist_ok=True)
    if len(_files(incoming)) >= MOST_WAITING:
        return False
    content = json.dumps({"id": message_id, "from": number, "to": SENDER, "text": text}).encode()
    _write(directory / "sent" / f"{message_id}.json", content)
    _write(incoming / f"{message_id}.json", content)
    for one in (directory / "sent", directory / "out"):
        _delete(path for path, _ in _files(one)[:-KEPT])
    return True


def _files(directory: Path) -> list[tuple[Path, int]]:
    """Return the finished files of a directory and their times in ms, oldest first."""
    found = []
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            # Another process may take a file away at any time.
            with suppress(FileNotFoundError):
                if (
                    entry.name.endswith(".json")
                    and entry.name[0] != "."
                    and entry.is_file(follow_symlinks=False)
                ):
                    found.append((entry.stat().st_mtime_ns, entry.name))
    return [(directory / name, at_ns // 1_000_000) for at_ns, name in sorted(found)]


def _record(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            record = json.loads(file.read(MAX_FILE_BYTES))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _directory(request: Request) -> Path:
    """Return the directory of the demo's route. Raise NotFound on an instance without it."""
    found = demo_route(request.site.config.sms.routes)
    if found is None:
        raise NotFound
    return found[1]


async def show(request: Request) -> Response:
    """GET /demo/phone: show the texts of one of the phones."""
    return await _page(request)


async def _page(request: Request, *, typed: str = "", problem: str = "") -> Response:
    directory = _directory(request)
    place = min(max(request.query(PhoneQuery).number, 1), len(NUMBERS))
    reader, owners = await request.site.database.read(
        read_owners,
        reader_id=request.reader_id,
        keys=PhoneKeys(request.site.secret),
        now_ms=request.now_ms,
    )
    return pages_of(request).page(
        request,
        "demo_phone.html",
        status=422 if problem else 200,
        reader=reader,
        phones=list(zip(NUMBERS, owners, strict=True)),
        place=place,
        # A link to the page's own address, with a fragment, would not load it again.
        at_ms=request.now_ms,
        texts=await asyncio.to_thread(texts_of, directory, NUMBERS[place - 1]),
        sender=SENDER,
        typed=typed,
        max_text=MAX_TEXT,
        problem=problem,
    )


async def send(request: Request) -> Response:
    """POST /demo/phone: send a text from one of the phones."""
    directory = _directory(request)
    form = await request.form()
    text = form.get("text", "").replace("\r\n", "\n")
    if not text.strip() or len(text) > MAX_TEXT:
        problem = f"Write a text of at most {MAX_TEXT} characters."
        return await _page(request, typed=text[:MAX_TEXT], problem=problem)
    place = min(max(request.query(PhoneQuery).number, 1), len(NUMBERS))
    message_id = f"demo-{request.now_ms}-{secrets.token_hex(4)}"
    try:
        is_taken = await asyncio.to_thread(
            put_text, directory, NUMBERS[place - 1], text, message_id=message_id
        )
    except OSError as error:
        raise Busy(f"The text could not be written: {error.strerror}") from error
    if not is_taken:
        raise Busy("The sms role does not read its texts. Start it and try again")
    return redirect(f"{PAGE}?number={place}#newest")

"""Forms to change the reader's own profile and defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormpetrel.errors import Busy, Invalid, Refusal, TooMany
from stormpetrel.http.forms import UploadedFile
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.http.uploads import a_file, profile_with_pictures
from stormpetrel.media.job import Purpose
from stormpetrel.model.account import (
    MAX_DISPLAY_NAME,
    MAX_FIELD_CHARACTERS,
    MAX_FIELDS,
    MAX_NOTE,
    Field,
    ProfileChange,
)
from stormpetrel.model.post import Visibility
from stormpetrel.web.compose import LANGUAGES, VISIBILITIES
from stormpetrel.web.links import profile_path
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PURPOSES: tuple[Purpose, ...] = ("avatar", "header")
_BY_NAME = {visibility.name.lower(): visibility for visibility in Visibility}
_CODES = {code for code, _ in LANGUAGES}


def read_self(connection: Connection, *, reader_id: int, now_ms: int) -> Reader:
    """Read the reader with their profile."""
    reader = read_reader(connection, reader_id=reader_id, now_ms=now_ms)
    assert reader is not None
    return reader


async def own_profile(request: Request) -> Response:
    """GET /profile: redirect to the reader's own page, for links that do not know the name."""
    reader = await request.site.database.read(read_self, reader_id=request.account_id, now_ms=request.now_ms)
    return redirect(profile_path(reader.account.username), 302)


async def first(request: Request) -> Response:
    """GET /settings: redirect to the first page of the settings, for people who type the address."""
    return redirect("/settings/profile", 302)


async def edit_profile(request: Request) -> Response:
    """GET /settings/profile: show the form with the current profile."""
    reader = await request.site.database.read(read_self, reader_id=request.account_id, now_ms=request.now_ms)
    account = reader.account
    change = ProfileChange(
        display_name=account.display_name,
        note=account.note,
        fields=account.fields,
        locked=account.locked,
        bot=account.bot,
        discoverable=account.discoverable,
        indexable=account.indexable,
        default_visibility=account.default_visibility,
        default_language=account.default_language,
    )
    return _form(request, reader, change)


async def save_profile(request: Request) -> Response:
    """POST /settings/profile: save, or show the form again with the submitted values."""
    fields = await request.form()
    files = await request.files()
    change = ProfileChange(
        display_name=fields.get("display_name", ""),
        note=fields.get("note", ""),
        fields=_fields(fields),
        # Browsers do not send an unchecked box.
        locked="locked" in fields,
        bot="bot" in fields,
        discoverable="discoverable" in fields,
        indexable="indexable" in fields,
        default_visibility=int(_BY_NAME.get(fields.get("default_visibility", ""), Visibility.PUBLIC)),
        default_language=fields["default_language"] if fields.get("default_language") in _CODES else "",
    )
    try:
        pictures: dict[Purpose, UploadedFile | None] = {}
        for purpose in PURPOSES:
            file = a_file(files.get(purpose), purpose)
            if file is not None or f"no_{purpose}" in fields:
                pictures[purpose] = file
        account = await profile_with_pictures(request, change, pictures)
    except (Invalid, TooMany, Busy) as refusal:
        reader = await request.site.database.read(
            read_self, reader_id=request.account_id, now_ms=request.now_ms
        )
        return _form(request, reader, change, refusal)
    return redirect(profile_path(account.username))


def _fields(form: dict[str, str]) -> tuple[Field, ...]:
    rows = (
        Field(form.get(f"field_name_{row}", "").strip(), form.get(f"field_value_{row}", "").strip())
        for row in range(MAX_FIELDS)
    )
    return tuple(field for field in rows if field.name or field.value)


def _form(
    request: Request, reader: Reader, change: ProfileChange, refusal: Refusal | None = None
) -> Response:
    rows = (*(change.fields or ()), *(Field("", "") for _ in range(MAX_FIELDS)))[:MAX_FIELDS]
    return pages_of(request).page(
        request,
        "settings_profile.html",
        status=200 if refusal is None else refusal.status,
        reader=reader,
        profile=change,
        rows=rows,
        visibilities=[choice for choice in VISIBILITIES if choice[0] != "direct"],
        visibility=Visibility(change.default_visibility or 0).name.lower(),
        languages=LANGUAGES,
        max_display_name=MAX_DISPLAY_NAME,
        max_note=MAX_NOTE,
        max_field=MAX_FIELD_CHARACTERS,
        problem="" if refusal is None else refusal.safe_text,
        problems=refusal.fields if isinstance(refusal, Invalid) else {},
    )

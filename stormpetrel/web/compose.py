"""The form for writing a post: show it, and create the post or show the form again with the problem."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from stormpetrel.errors import NotFound, Refusal
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.http.uploads import a_file, take
from stormpetrel.model.account import Account
from stormpetrel.model.ids import parse_id
from stormpetrel.model.media import MAX_PER_POST
from stormpetrel.model.post import Draft, Post, Visibility
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import media as media_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.web.fragments import NOTHING, PostListData, Reading, gather, reading
from stormpetrel.web.links import post_path, same_site
from stormpetrel.web.polls import PollFields, poll_fields
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

LANGUAGES = (
    ("ar", "العربية"),
    ("bn", "বাংলা"),
    ("ca", "Català"),
    ("cs", "Čeština"),
    ("da", "Dansk"),
    ("de", "Deutsch"),
    ("el", "Ελληνικά"),
    ("en", "English"),
    ("eo", "Esperanto"),
    ("es", "Español"),
    ("eu", "Euskara"),
    ("fa", "فارسی"),
    ("fi", "Suomi"),
    ("fr", "Français"),
    ("gl", "Galego"),
    ("he", "עברית"),
    ("hi", "हिन्दी"),
    ("hu", "Magyar"),
    ("id", "Bahasa Indonesia"),
    ("is", "Íslenska"),
    ("it", "Italiano"),
    ("ja", "日本語"),
    ("ka", "ქართული"),
    ("ko", "한국어"),
    ("nl", "Nederlands"),
    ("no", "Norsk"),
    ("pl", "Polski"),
    ("pt", "Português"),
    ("ro", "Română"),
    ("ru", "Русский"),
    ("sv", "Svenska"),
    ("sw", "Kiswahili"),
    ("ta", "தமிழ்"),
    ("th", "ไทย"),
    ("tr", "Türkçe"),
    ("uk", "Українська"),
    ("ur", "اردو"),
    ("vi", "Tiếng Việt"),
    ("zh", "中文"),
)
"""ISO 639-1 codes that the form offers, each with its own name. A post may have others (set by apps)."""

VISIBILITIES = (
    ("public", "Public", "everyone, also on the public timeline"),
    ("unlisted", "Quiet public", "everyone, but not on the public timeline"),
    ("followers", "Followers", "only people who follow you"),
    ("direct", "Mentioned", "only people you mention"),
)
_BY_NAME = {visibility.name.lower(): visibility for visibility in Visibility}
_LANGUAGE = re.compile(r"[a-z]{2,3}\Z")
_KEY = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class ComposeForm:
    """The form's content. `key`: submitting the form twice posts once; `next`: the page shown next."""

    text: str
    spoiler_text: str
    visibility: str
    language: str
    in_reply_to_id: int | None
    key: str
    next: str
    problem: str = ""
    poll: PollFields = field(default_factory=PollFields)
    sensitive: bool = False
    descriptions: tuple[str, ...] = ("",) * MAX_PER_POST

    @property
    def visibilities(self) -> tuple[tuple[str, str, str], ...]:
        """Return the name, label and meaning of each choice."""
        return VISIBILITIES

    @property
    def languages(self) -> tuple[tuple[str, str], ...]:
        """Return the code and name of each choice, always including the chosen one."""
        return offered_languages(self.language)


def offered_languages(chosen: str) -> tuple[tuple[str, str], ...]:
    """Return code and name of each language, including the chosen one, which an app may have set."""
    if chosen and chosen not in dict(LANGUAGES):
        return (*LANGUAGES, (chosen, chosen))
    return LANGUAGES


def known_language(given: str) -> str | None:
    """Return the submitted language, or None if it cannot be one."""
    return given if _LANGUAGE.match(given) else None


def blank_form(request: Request, account: Account, *, next_path: str = "/") -> ComposeForm:
    """Return an empty form with the author's own defaults."""
    language = account.default_language or request.site.config.languages.partition(",")[0].strip()
    return ComposeForm(
        text="",
        spoiler_text="",
        visibility=Visibility(account.default_visibility).name.lower(),
        language=language,
        in_reply_to_id=None,
        key=secrets.token_hex(16),
        next=next_path,
    )


def reply_form(request: Request, account: Account, answered: Post, author: Account) -> ComposeForm:
    """Return a reply form: it mentions the author and the same accounts, and is no more public."""
    form = blank_form(request, account, next_path="")
    names = [author.username, *(mention.username for mention in answered.mentions)]
    names = [name for name in dict.fromkeys(names) if name != account.username]
    circle = max(Visibility(account.default_visibility), answered.visibility)
    return dataclasses.replace(
        form,
        text="".join(f"@{name} " for name in names),
        spoiler_text=answered.spoiler_text,
        visibility=circle.name.lower(),
        language=answered.language or form.language,
        in_reply_to_id=answered.id,
    )


class ComposeQuery(msgspec.Struct):
    """`in_reply_to`: the post to reply to. `text`: the initial text, for links that share something."""

    in_reply_to: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ComposeView:
    """The data of the page. `answered` and its author are None if the post is not a reply."""

    reader: Reader
    answered: Post | None
    author: Account | None
    gathered: PostListData


def read_compose(connection: Connection, by: Reading, *, in_reply_to_id: int | None) -> ComposeView:
    """Read the data of the page. Raise NotFound if the reader may not see the post to reply to."""
    reader = read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms)
    assert reader is not None
    if in_reply_to_id is None:
        return ComposeView(reader, None, None, NOTHING)
    answered = post_rules.visible_original(
        connection, reader_id=by.reader_id, post_id=in_reply_to_id, now_ms=by.now_ms
    )
    gathered = gather(connection, by, post_ids=[answered.id])
    author = account_rules.account(connection, account_id=answered.author_id)
    return ComposeView(reader, answered, author, gathered)


async def compose(request: Request) -> Response:
    """GET /compose: show the form on its own page."""
    query = request.query(ComposeQuery)
    in_reply_to_id = None
    if query.in_reply_to:
        in_reply_to_id = parse_id(query.in_reply_to)
        if in_reply_to_id is None:
            raise NotFound
    seen = await _read(request, in_reply_to_id)
    if seen.answered is not None and seen.author is not None:
        form = reply_form(request, seen.reader.account, seen.answered, seen.author)
    else:
        form = dataclasses.replace(
            blank_form(request, seen.reader.account),
            text=query.text[: request.site.config.posts.max_characters],
        )
    return _page(request, seen, form)


async def send(request: Request) -> Response:
    """POST /compose: create the post, or show the form again with the submitted values."""
    fields = await request.form()
    in_reply_to_id = parse_id(fields.get("in_reply_to_id", ""))
    visibility = _BY_NAME.get(fields.get("visibility", ""))
    poll = poll_fields(fields)
    spoiler_text = fields.get("spoiler_text", "").strip()
    draft = Draft(
        text=fields.get("text", ""),
        spoiler_text=spoiler_text,
        visibility=visibility,
        # Mark a post with a warning as sensitive, so that apps hide its media too.
        sensitive=True if spoiler_text or "sensitive" in fields else None,
        language=known_language(fields.get("language", "")),
        in_reply_to_id=in_reply_to_id,
        poll=poll.draft,
    )
    key = fields.get("key", "")
    form = ComposeForm(
        text=draft.text,
        spoiler_text=draft.spoiler_text,
        visibility=(visibility or Visibility.PUBLIC).name.lower(),
        language=draft.language or "",
        in_reply_to_id=in_reply_to_id,
        key=key if _KEY.match(key) else secrets.token_hex(16),
        next=same_site(fields.get("next", ""), ""),
        poll=poll,
        sensitive="sensitive" in fields,
        descriptions=tuple(fields.get(f"description_{number}", "") for number in range(MAX_PER_POST)),
    )
    try:
        with_files = msgspec.structs.replace(draft, media_ids=await _uploaded(request, fields))
        created = await request.site.database.write(
            post_rules.create_post,
            author_id=request.account_id,
            draft=with_files,
            idempotency_key=idempotency_key(form.key, draft, await _file_names(request)),
            max_characters=request.site.config.posts.max_characters,
            domain=request.site.domain,
            now_ms=request.now_ms,
        )
    except Refusal as refusal:
        # For any refusal, preserve the submitted text.
        return await _give_back(request, form, refusal)
    if form.next:
        return redirect(f"{form.next}#post-{created.post_id}")
    seen = await _read(request, None)
    return redirect(post_path(seen.reader.account.username, created.post_id))


async def _file_names(request: Request) -> tuple[str, ...]:
    """Return the names and sizes of the files: the form's key must differ for other files."""
    files = await request.files()
    return tuple(f"{name}={file.filename}:{file.size}" for name, file in sorted(files.items()) if file.size)


async def _uploaded(request: Request, fields: dict[str, str]) -> tuple[int, ...]:
    """Process the chosen files; return the ids of the attachments in the form's order."""
    files = await request.files()
    chosen = []
    for number in range(MAX_PER_POST):
        file = a_file(files.get(f"file_{number}"))
        if file is not None:
            media_rules.checked_description(fields.get(f"description_{number}"))
            chosen.append((file, fields.get(f"description_{number}")))
    # Process them one by one: a form has few, and an account may upload only some at the same time.
    return tuple([(await take(request, file, description=text)).id for file, text in chosen])


def idempotency_key(form_key: str, draft: Draft, files: tuple[str, ...] = ()) -> str:
    """Return one key for the same form with the same content; other content gives another key.

    A browser's "back" shows the old form with its old key: new content in it must not be lost.
    """
    content = repr(
        (draft.text, draft.spoiler_text, draft.visibility, draft.in_reply_to_id, draft.poll, files)
    )
    return f"web:{form_key}:{hashlib.blake2b(content.encode('utf-8', 'replace'), digest_size=12).hexdigest()}"


async def _give_back(request: Request, form: ComposeForm, refusal: Refusal) -> Response:
    problem = refusal.safe_text.removeprefix("Validation failed: ")
    form = dataclasses.replace(form, problem=problem)
    try:
        seen = await _read(request, form.in_reply_to_id)
    except NotFound:
        # The post replied to no longer exists or is hidden: offer to post the text on its own.
        form = dataclasses.replace(
            form,
            in_reply_to_id=None,
            problem="The post you replied to is no longer available. Your text is still here",
        )
        seen = await _read(request, None)
    return _page(request, seen, form, status=refusal.status)


async def _read(request: Request, in_reply_to_id: int | None) -> ComposeView:
    return await request.site.database.read(read_compose, reading(request), in_reply_to_id=in_reply_to_id)


def _page(request: Request, seen: ComposeView, form: ComposeForm, *, status: int = 200) -> Response:
    return pages_of(request).page(
        request,
        "compose.html",
        status=status,
        reader=seen.reader,
        form=form,
        items=pages_of(request).items(seen.gathered),
        author=seen.author,
    )

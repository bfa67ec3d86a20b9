"""Write a synthetic community: for benchmarks, drills, and tests at scale.

The same numbers and seed give the same rows, ids included (unless `end_ms` differs), on either store. An id
consists of its row's own time and the seed, so ids lie in the past, in order, and those of two seeds never
collide. Rows are written once, with their final counts, many in a transaction; existing rows are not changed.
No notifications are written.

Each transaction is one step, and stores the number of steps so far (as a fact, until the community is
complete): if the process ends for any reason, the same call continues with the next step. If it is
interrupted, the counts are recomputed from the existing rows; a call that continues does the same at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

from stormpetrel.clock import DAY_MS
from stormpetrel.errors import SetupError
from stormpetrel.model.event import AllChanged
from stormpetrel.model.ids import SHIFT_BITS, time_ms
from stormpetrel.model.post import Visibility
from stormpetrel.model.search import name_words
from stormpetrel.model.text import tag_key
from stormpetrel.storage.engine.connection import PostgresqlConnection, Row, StoreConnection, transaction
from stormpetrel.storage.engine.statement import sql
from stormpetrel.storage.outbox import put_events
from stormpetrel.storage.seed import text as seed_text
from stormpetrel.storage.seed.plan import SeedPlan, Size, make_plan
from stormpetrel.storage.seed.steps import Begun, analyze, count_again, note, steps_of

MAX_SEED = (1 << SHIFT_BITS) - 1
"""The seed is the low part of every id."""
BASE_END_MS = 1_751_328_000_000
"""2025-07-01 00:00 UTC; plus the seed in seconds, it is the default time of the last post."""
ROWS_PER_COMMIT = 50_000
"""About a second on SQLite, during which a running server's writers wait."""
SQLITE_CACHE_KIB = 256 * 1024
"""SQLite's cache while seeding, so that the pages of big indexes are not read repeatedly."""
POSTGRESQL_STEP_LIMIT = "10min"
"""The statement timeout, instead of a request's 15 s: on two busy cores, 25,000 posts took 12 s."""
UNUSABLE_PASSWORD = "!"  # not a hash: no password matches it
FIRST_NAMES, LAST_NAMES = seed_text.FIRST_NAMES, seed_text.LAST_NAMES
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TAGGED_SHARE = 0.3
SPOILER_SHARE = 0.03

_COLUMNS: dict[str, tuple[str, ...]] = {
    "accounts": (
        "id",
        "username",
        "username_lower",
        "display_name",
        "note",
        "language",
        "followers_count",
        "following_count",
        "posts_count",
        "last_post_at_ms",
        "created_at_ms",
        "last_post_day",
    ),
    "users": ("account_id", "email", "email_lower", "password_hash", "created_at_ms"),
    "account_words": ("word", "account_id"),
    "tags": ("id", "name", "display"),
    "follows": ("id", "follower_id", "followed_id"),
    "posts": (
        "id",
        "author_id",
        "text",
        "spoiler_text",
        "visibility",
        "sensitive",
        "language",
        "in_reply_to_id",
        "in_reply_to_account_id",
        "thread_id",
        "boost_of_id",
        "replies_count",
        "boosts_count",
        "favourites_count",
        "created_at_ms",
    ),
    "mentions": ("post_id", "account_id"),
    "post_tags": ("tag_id", "post_id"),
    "conversations": ("account_id", "thread_id", "last_post_id", "read_to_id"),
    "conversation_posts": ("account_id", "thread_id", "post_id"),
    "favourites": ("id", "account_id", "post_id"),
}
"""The columns written in each table; the others have their defaults."""

_NAME_TAKEN = sql("SELECT 1 FROM accounts WHERE username_lower = :name AND domain = ''")
_TAG_IDS = sql("SELECT name, id FROM tags WHERE name IN :names[text]")

Tell = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Seeded:
    """A written community: rows by table, and the reader's name, if one was requested. `rows_before`: the
    number of rows written by an earlier call."""

    rows: dict[str, int]
    reader: str
    rows_before: int

    @property
    def total(self) -> int:
        """Return the number of all rows."""
        return sum(self.rows.values())


def end_ms_of(seed: int) -> int:
    """Return the default end of this seed's community."""
    return BASE_END_MS + seed * 1000


def seed(
    connection: StoreConnection,
    size: Size,
    *,
    password_hash: str = UNUSABLE_PASSWORD,
    now_ms: int,
    tell: Tell,
) -> Seeded:
    """Write the community of `size`; report progress by `tell(rows written, all rows, current work)`.

    Continue where an earlier call for the same size ended. Raise SetupError if this seed's community exists,
    was begun with another size, or is being written by another process, or if the reader's name is taken.
    """
    steps = steps_of(connection, Begun(size, ROWS_PER_COMMIT, 0))
    _require_possible(connection, size, now_ms=now_ms, is_new=not steps)
    plan = make_plan(size, now_doing=lambda what: tell(0, 1, f"planning: {what}"))
    writer = _Writer(connection, size, plan, tell, steps_before=steps)
    people = _People(plan, size)
    if connection.dialect == "sqlite":
        connection.raw.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KIB}")
        # Each row refers to rows of this community, written before it: looking them up takes 13 % of the CPU.
        connection.raw.execute("PRAGMA foreign_keys=OFF")
    else:
        connection.raw.execute(f"SET statement_timeout = '{POSTGRESQL_STEP_LIMIT}'")
    try:
        _write(writer, people, plan, size, connection, password_hash)
        if steps:
            count_again(connection, account_ids=people.ids, post_ids=_post_ids(plan, size))
    except KeyboardInterrupt:
        if writer.steps:
            tell(0, 0, "updating counts")
            count_again(connection, account_ids=people.ids, post_ids=_post_ids(plan, size))
            with transaction(connection):
                put_events(connection, [AllChanged()], now_ms)
        raise
    with transaction(connection):
        writer.end()
        put_events(connection, [AllChanged()], now_ms)
    analyze(connection)
    return Seeded(writer.written, size.reader, writer.rows_before)


def _post_ids(plan: SeedPlan, size: Size) -> list[int]:
    return [_id(moment, size.seed) for moment in plan.post_ms]


def _write(
    writer: _Writer,
    people: _People,
    plan: SeedPlan,
    size: Size,
    connection: StoreConnection,
    password_hash: str,
) -> None:
    """Run all steps, in an order in which each row finds the rows that it refers to."""
    writer.write("accounts", people.accounts())
    writer.write("users", people.users(password_hash))
    writer.write("account_words", people.words())
    tag_ids = _tags(connection, writer, size)
    writer.write("follows", people.follows())
    for rows in _Posts(plan, size, people, tag_ids).chunks():
        writer.write_together(rows)
    writer.write("favourites", people.favourites())


def _require_possible(connection: StoreConnection, size: Size, *, now_ms: int, is_new: bool) -> None:
    if size.follows > max(size.users - 1, 0):
        raise SetupError(
            f"--follows {size.follows} needs more than {size.follows} users: each follows others"
        )
    if size.reader_follows > size.users:
        raise SetupError(f"--reader-follows {size.reader_follows} needs as many users")
    if size.posts and not size.users:
        raise SetupError("--posts needs at least one account: --users 1 or more")
    if size.end_ms > now_ms - 1000:
        raise SetupError("--until must be in the past")
    if not is_new:
        return
    if connection.one(_NAME_TAKEN, name=username(size.seed, 0)) is not None:
        raise SetupError(f"the community of seed {size.seed} already exists: use another --seed")
    if size.reader and connection.one(_NAME_TAKEN, name=size.reader.lower()) is not None:
        raise SetupError(f"the name {size.reader!r} is taken: choose another --reader")


def username(seed: int, person: int) -> str:
    """Return a name that no other seed gives, and hardly any member chooses: first name, seed, number."""
    return f"{FIRST_NAMES[person % len(FIRST_NAMES)].lower()}_{_base36(seed)}_{_base36(person)}"


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits


class _Writer:
    """Writes rows into tables, many in a transaction, as fast as possible. `steps`: number of steps written.

    The rows of the first `steps_before` steps, which an earlier call wrote, are only counted.
    """

    def __init__(
        self, connection: StoreConnection, size: Size, plan: SeedPlan, tell: Tell, *, steps_before: int
    ) -> None:
        self._connection = connection
        self._size = size
        self._passed = 0
        self.steps = steps_before
        self.rows_before = 0
        self._tell = tell
        # For progress only: assume one mention or tag for every second post.
        self._expected = (
            len(plan.joined_ms) * 5
            + len(plan.follow_from)
            + len(plan.author) * 3 // 2
            + len(plan.favourite_to)
        )
        self.written: dict[str, int] = {}

    def write(self, table: str, rows: Iterator[Row]) -> None:
        """Write all `rows`, in as many transactions as needed."""
        while chunk := list(islice(rows, ROWS_PER_COMMIT)):
            self.write_together({table: chunk})

    def write_together(self, rows: dict[str, list[Row]]) -> None:
        """Write one step: the rows of several tables in one transaction, in that order."""
        self._passed += 1
        if self._passed <= self.steps:
            for table, chunk in rows.items():
                self.written[table] = self.written.get(table, 0) + len(chunk)
                self.rows_before += len(chunk)
            return
        with transaction(self._connection):
            note(self._connection, was=self._begun(self.steps), now=self._begun(self.steps + 1))
            for table, chunk in rows.items():
                if isinstance(self._connection, PostgresqlConnection):
                    self._copy(table, chunk)
                else:
                    self._connection.raw.executemany(_insert(table), chunk)
        for table, chunk in rows.items():
            self.written[table] = self.written.get(table, 0) + len(chunk)
        self.steps += 1
        done = sum(self.written.values())
        self._tell(min(done, self._expected), self._expected, f"{done:,} rows")

    def end(self) -> None:
        """Note that the community is complete. Call it in a transaction."""
        note(self._connection, was=self._begun(self.steps), now=None)

    def _begun(self, steps: int) -> Begun:
        return Begun(self._size, ROWS_PER_COMMIT, steps)

    def _copy(self, table: str, chunk: list[Row]) -> None:
        assert isinstance(self._connection, PostgresqlConnection)
        text = f"COPY {table} ({', '.join(_COLUMNS[table])}) FROM STDIN"
        with self._connection.raw.cursor() as cursor, cursor.copy(text.encode()) as copy:
            for row in chunk:
                copy.write_row(row)


def _insert(table: str) -> str:
    columns = _COLUMNS[table]
    # Both come from the table above, never from outside.
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


class _People:
    """Rows about people: accounts, users, follows, and favourites."""

    def __init__(self, plan: SeedPlan, size: Size) -> None:
        self.plan = plan
        self.size = size
        self.ids = [_id(moment, size.seed) for moment in plan.joined_ms]
        self.names = [username(size.seed, person) for person in range(size.users)]
        if size.reader:
            self.names.append(size.reader)
        rng = Random(f"stormpetrel people {size.seed}")  # noqa: S311 - content, not a secret
        self.languages = rng.choices(seed_text.LANGUAGES, seed_text.LANGUAGE_WEIGHTS, k=len(self.names))
        self._rng = rng
        self.shown: list[str] = []

    def accounts(self) -> Iterator[Row]:
        plan, rng = self.plan, self._rng
        for person, name in enumerate(self.names):
            first = FIRST_NAMES[person % len(FIRST_NAMES)]
            last = LAST_NAMES[int(rng.random() * len(LAST_NAMES))]
            language = self.languages[person]
            note = seed_text.say(rng, language) if rng.random() < 0.8 else ""
            self.shown.append(f"{first} {last}")
            yield (
                self.ids[person],
                name,
                name.lower(),
                self.shown[person],
                note[:500],
                language,
                plan.followers[person],
                plan.following[person],
                plan.posted[person],
                plan.last_post_ms[person],
                plan.joined_ms[person],
                plan.last_post_ms[person] // DAY_MS,
            )

    def words(self) -> Iterator[Row]:
        """Yield the words by which each account is found. Call it after `accounts`, which sets the names."""
        for person, name in enumerate(self.names):
            for word in name_words(name, self.shown[person]):
                yield (word, self.ids[person])

    def users(self, password_hash: str) -> Iterator[Row]:
        for person, name in enumerate(self.names):
            email = f"{name.lower()}@seed.invalid"
            yield (self.ids[person], email, email, password_hash, self.plan.joined_ms[person])

    def follows(self) -> Iterator[Row]:
        plan, ids, seed = self.plan, self.ids, self.size.seed
        for moment, follower, followed in zip(plan.follow_ms, plan.follow_from, plan.follow_to, strict=True):
            yield (moment << SHIFT_BITS | seed, ids[follower], ids[followed])

    def favourites(self) -> Iterator[Row]:
        plan, ids, seed, post_ms = self.plan, self.ids, self.size.seed, self.plan.post_ms
        for moment, account, post in zip(
            plan.favourite_ms, plan.favourite_from, plan.favourite_to, strict=True
        ):
            yield (moment << SHIFT_BITS | seed, ids[account], post_ms[post] << SHIFT_BITS | seed)


def _id(moment_ms: int, seed: int) -> int:
    made = moment_ms << SHIFT_BITS | seed
    assert time_ms(made) == moment_ms
    return made


def _tags(connection: StoreConnection, writer: _Writer, size: Size) -> list[int]:
    """Return the id of each of seed_text.TAGS; add missing ones. This is always one step, even without rows:
    the missing tags may differ when a later call continues."""
    known = {
        str(name): int(tag_id)
        for name, tag_id in connection.all(_TAG_IDS, names=[tag_key(tag) for tag in seed_text.TAGS])
    }
    missing = [tag for tag in seed_text.TAGS if tag_key(tag) not in known]
    new = [
        (_id(size.posting_from_ms + position, size.seed), tag_key(tag), tag)
        for position, tag in enumerate(missing)
    ]
    writer.write_together({"tags": new})
    known.update((name, tag_id) for tag_id, name, _ in new)
    return [known[tag_key(tag)] for tag in seed_text.TAGS]


class _Posts:
    """Rows about posts, with their texts."""

    def __init__(self, plan: SeedPlan, size: Size, people: _People, tag_ids: list[int]) -> None:
        self._plan = plan
        self._seed = size.seed
        self._people = people
        self._tag_ids = tag_ids
        self._rng = Random(f"stormpetrel posts {size.seed}")  # noqa: S311 - content, not a secret

    def chunks(self) -> Iterator[dict[str, list[Row]]]:
        """Yield posts with their mentions, tags and conversations, one transaction's rows at a time."""
        tables = ("posts", "mentions", "post_tags", "conversations", "conversation_posts")
        rows: dict[str, list[Row]] = {table: [] for table in tables}
        for post in range(len(self._plan.author)):
            self._add(post, rows)
            if len(rows["posts"]) >= ROWS_PER_COMMIT // 2:
                yield rows
                rows = {table: [] for table in rows}
        if rows["posts"]:
            yield rows

    def _add(self, post: int, rows: dict[str, list[Row]]) -> None:
        plan, seed, ids = self._plan, self._seed, self._people.ids
        moment = plan.post_ms[post]
        post_id = moment << SHIFT_BITS | seed
        author, reply_to, boost_of = plan.author[post], plan.reply_to[post], plan.boost_of[post]
        parent: Any = None
        parent_author: Any = None
        thread: Any = None
        original: Any = None
        text, spoiler, language = "", "", ""
        if boost_of >= 0:
            original = plan.post_ms[boost_of] << SHIFT_BITS | seed
        else:
            if reply_to >= 0:
                parent = plan.post_ms[reply_to] << SHIFT_BITS | seed
                root = reply_to
                while plan.reply_to[root] >= 0:
                    root = plan.reply_to[root]
                thread = plan.post_ms[root] << SHIFT_BITS | seed
                parent_author = ids[plan.author[reply_to]]
            language = self._people.languages[author]
            text = self._text(post, language)
            if reply_to < 0 and self._rng.random() < SPOILER_SHARE:
                spoiler = seed_text.SPOILERS[int(self._rng.random() * len(seed_text.SPOILERS))]
            if plan.mentioned[post] >= 0:
                rows["mentions"].append((post_id, ids[plan.mentioned[post]]))
            if self._rng.random() < TAGGED_SHARE and plan.visibility[post] != Visibility.DIRECT:
                text = self._tag(post_id, text, rows["post_tags"])
            if plan.visibility[post] == Visibility.DIRECT:
                # Each begins a conversation: no seeded post replies to a direct one.
                for person in {author, plan.mentioned[post]} - {-1}:
                    read_to_id = post_id if person == author else 0
                    rows["conversations"].append((ids[person], post_id, post_id, read_to_id))
                    rows["conversation_posts"].append((ids[person], post_id, post_id))
        rows["posts"].append(
            (
                post_id,
                ids[author],
                text,
                spoiler,
                plan.visibility[post],
                bool(spoiler),
                language,
                parent,
                parent_author,
                thread,
                original,
                plan.replies[post],
                plan.boosts[post],
                plan.favourites[post],
                moment,
            )
        )

    def _text(self, post: int, language: str) -> str:
        plan = self._plan
        words = seed_text.say if plan.reply_to[post] < 0 else seed_text.answer
        text = words(self._rng, language)
        mentioned = plan.mentioned[post]
        return f"@{self._people.names[mentioned]} {text}" if mentioned >= 0 else text

    def _tag(self, post_id: int, text: str, rows: list[Row]) -> str:
        """Return `text` with one or two hashtags; the square makes the first ones frequent."""
        chosen = {int(len(self._tag_ids) * self._rng.random() ** 2)}
        if self._rng.random() < 0.3:
            chosen.add(int(len(self._tag_ids) * self._rng.random() ** 2))
        for tag in sorted(chosen):
            text += f" #{seed_text.TAGS[tag]}"
            rows.append((self._tag_ids[tag], post_id))
        return text

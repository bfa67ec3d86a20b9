"""All tables. Times are milliseconds since 1970; ids are snowflakes (model/ids.py)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# SQLite keeps a table in the order of its key only when that is declared INTEGER (64 bits there).
_Key = BigInteger().with_variant(Integer, "sqlite")


def _id(name: str = "id") -> Column[int]:
    return Column(name, _Key, primary_key=True, autoincrement=False)


def _ref(name: str, target: str, *, nullable: bool = False, ondelete: str = "CASCADE") -> Column[int]:
    return Column(name, BigInteger, ForeignKey(target, ondelete=ondelete), nullable=nullable)


def _number(name: str, default: int | None = None) -> Column[int]:
    server_default = text(str(default)) if default is not None else None
    return Column(name, BigInteger, nullable=False, server_default=server_default)


def _flag(name: str, *, default: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("TRUE" if default else "FALSE"))


# Looked up by prefix: in byte order on both stores, whatever the server's locale.
_Bytewise = Text().with_variant(Text(collation="C"), "postgresql")


def _text(name: str, default: str | None = None) -> Column[str]:
    server_default = text(f"'{default}'") if default is not None else None
    return Column(name, Text, nullable=False, server_default=server_default)


accounts = Table(
    "accounts",
    metadata,
    _id(),
    _text("username"),  # as its owner writes it; capital letters are kept
    Column("username_lower", _Bytewise, nullable=False),
    _text("domain", ""),  # empty: ours
    _text("display_name", ""),
    _text("note", ""),  # as written
    _text("fields", "[]"),  # JSON: [[name, value], …], as written
    _flag("locked"),
    _flag("bot"),
    _flag("discoverable", default=True),
    Column("visibility", SmallInteger, nullable=False, server_default=text("0")),  # default of new posts
    _flag("sensitive"),  # default of new posts
    _text("language", ""),  # default of new posts; empty: none
    _number("followers_count", 0),
    _number("following_count", 0),
    _number("posts_count", 0),
    _number("last_post_at_ms", 0),
    _number("created_at_ms"),
    _text("state", "active"),  # active, pending (sign-up awaits approval), suspended
    UniqueConstraint("username_lower", "domain"),
)

users = Table(  # who can sign in
    "users",
    metadata,
    Column(
        "account_id",
        _Key,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    _text("email"),
    _text("email_lower"),
    _text("password_hash"),
    _text("role", "member"),  # member, admin
    _text("sign_up_reason", ""),
    _text("locale", "en"),
    _number("created_at_ms"),
    UniqueConstraint("email_lower"),
    Index("ix_users_created_at_ms", "created_at_ms"),
)

sessions = Table(  # signed-in browsers
    "sessions",
    metadata,
    _id(),
    _ref("account_id", "accounts.id"),
    _number("created_at_ms"),
    Index(None, "account_id"),
)

applications = Table(  # OAuth clients
    "applications",
    metadata,
    _id(),
    _text("client_id"),
    Column("client_secret_hash", LargeBinary, nullable=False),
    _text("name"),
    _text("website", ""),
    _text("redirect_uris"),  # one a line
    _text("scopes"),
    _number("created_at_ms"),
    UniqueConstraint("client_id"),
)

oauth_codes = Table(
    "oauth_codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    _ref("application_id", "applications.id"),
    _ref("account_id", "accounts.id"),
    _text("redirect_uri"),
    _text("scopes"),
    _text("code_challenge", ""),  # S256; empty: none was given
    _number("expires_at_ms"),
    Index(None, "expires_at_ms"),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    Column("token_hash", LargeBinary, nullable=False),
    _ref("application_id", "applications.id"),
    _ref("account_id", "accounts.id", nullable=True),  # null: client credentials
    _text("scopes"),
    _number("created_at_ms"),
    UniqueConstraint("token_hash"),
    Index(None, "account_id"),
)

posts = Table(  # boosts too: those have boost_of_id and no text
    "posts",
    metadata,
    _id(),
    _ref("author_id", "accounts.id"),
    _text("text", ""),  # as written
    _text("spoiler_text", ""),
    Column("visibility", SmallInteger, nullable=False),  # model/post.py: Visibility
    _flag("sensitive"),
    _text("language", ""),
    # No foreign key: a reply outlives what it answers, and then says "in reply to nothing".
    Column("in_reply_to_id", BigInteger),
    Column("in_reply_to_account_id", BigInteger),
    _ref("boost_of_id", "posts.id", nullable=True),
    _ref("application_id", "applications.id", nullable=True, ondelete="SET NULL"),
    _number("replies_count", 0),
    _number("boosts_count", 0),
    _number("favourites_count", 0),
    _number("created_at_ms"),
    Index(None, "author_id", "id"),
    Index(
        "ix_posts_replies",
        "in_reply_to_id",
        "id",
        sqlite_where=text("in_reply_to_id IS NOT NULL"),
        postgresql_where=text("in_reply_to_id IS NOT NULL"),
    ),
    Index(
        "uq_posts_boosts",
        "boost_of_id",
        "author_id",
        unique=True,
        sqlite_where=text("boost_of_id IS NOT NULL"),
        postgresql_where=text("boost_of_id IS NOT NULL"),
    ),
    Index(
        "ix_posts_public",
        "id",
        sqlite_where=text("visibility = 0 AND boost_of_id IS NULL"),
        postgresql_where=text("visibility = 0 AND boost_of_id IS NULL"),
    ),
    Index("ix_posts_application_id", "application_id"),
)

mentions = Table(
    "mentions",
    metadata,
    _ref("post_id", "posts.id"),
    _ref("account_id", "accounts.id"),
    PrimaryKeyConstraint("post_id", "account_id"),
    Index(None, "account_id", "post_id"),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    _id(),
    Column("name", _Bytewise, nullable=False),  # folded: model/text.py tag_key
    _text("display"),  # as first written
    UniqueConstraint("name"),
)

post_tags = Table(
    "post_tags",
    metadata,
    _ref("tag_id", "tags.id"),
    _ref("post_id", "posts.id"),
    PrimaryKeyConstraint("tag_id", "post_id"),
    Index(None, "post_id"),
    sqlite_with_rowid=False,
)

follows = Table(
    "follows",
    metadata,
    _id(),
    _ref("follower_id", "accounts.id"),
    _ref("followed_id", "accounts.id"),
    _flag("show_boosts", default=True),
    _flag("notify"),
    UniqueConstraint("follower_id", "followed_id"),
    Index(None, "followed_id", "id"),
    Index("ix_follows_notify", "followed_id", sqlite_where=text("notify"), postgresql_where=text("notify")),
)

follow_requests = Table(
    "follow_requests",
    metadata,
    _id(),
    _ref("follower_id", "accounts.id"),
    _ref("followed_id", "accounts.id"),
    _flag("show_boosts", default=True),
    _flag("notify"),
    UniqueConstraint("follower_id", "followed_id"),
    Index(None, "followed_id", "id"),
)

blocks = Table(
    "blocks",
    metadata,
    _id(),
    _ref("account_id", "accounts.id"),
    _ref("target_id", "accounts.id"),
    UniqueConstraint("account_id", "target_id"),
    Index(None, "target_id"),
)

mutes = Table(
    "mutes",
    metadata,
    _id(),
    _ref("account_id", "accounts.id"),
    _ref("target_id", "accounts.id"),
    _flag("hide_notifications", default=True),
    _number("expires_at_ms", 0),  # 0: never
    UniqueConstraint("account_id", "target_id"),
    Index(None, "target_id"),
    Index(
        "ix_mutes_expiry",
        "expires_at_ms",
        sqlite_where=text("expires_at_ms > 0"),
        postgresql_where=text("expires_at_ms > 0"),
    ),
)

favourites = Table(
    "favourites",
    metadata,
    _id(),
    _ref("account_id", "accounts.id"),
    _ref("post_id", "posts.id"),
    UniqueConstraint("account_id", "post_id"),
    Index(None, "post_id", "id"),
    Index(None, "account_id", "id"),
)

bookmarks = Table(
    "bookmarks",
    metadata,
    _id(),
    _ref("account_id", "accounts.id"),
    _ref("post_id", "posts.id"),
    UniqueConstraint("account_id", "post_id"),
    Index(None, "post_id"),
    Index(None, "account_id", "id"),
)

notifications = Table(
    "notifications",
    metadata,
    _id(),
    _ref("account_id", "accounts.id"),
    _text("kind"),  # model/notification.py: Kind
    _ref("from_account_id", "accounts.id"),
    _ref("post_id", "posts.id", nullable=True),
    Index(None, "account_id", "id"),
    Index(None, "from_account_id", "account_id"),
    Index(None, "post_id"),
)

markers = Table(  # how far a reader has read
    "markers",
    metadata,
    _ref("account_id", "accounts.id"),
    _text("timeline"),
    _number("last_read_id"),
    _number("version", 1),
    _number("updated_at_ms"),
    PrimaryKeyConstraint("account_id", "timeline"),
    sqlite_with_rowid=False,
)

idempotency = Table(  # what a key was answered with, for an hour
    "idempotency",
    metadata,
    _ref("account_id", "accounts.id"),
    _text("key"),
    _number("post_id"),
    _number("created_at_ms"),
    PrimaryKeyConstraint("account_id", "key"),
    Index(None, "created_at_ms"),
    sqlite_with_rowid=False,
)

outbox = Table(  # side effects that are due; written in the transaction that causes them
    "outbox",
    metadata,
    _id(),
    _text("kind"),
    _text("payload"),  # JSON
    _number("due_at_ms"),
    _number("attempts", 0),
    _number("leased_until_ms", 0),
    _text("last_error", ""),
    Index("ix_outbox_due", "due_at_ms"),
)

outbox_dead = Table(  # given up after the last attempt, kept for people to look at
    "outbox_dead",
    metadata,
    _id(),
    _text("kind"),
    _text("payload"),
    _number("attempts"),
    _text("last_error"),
    _number("died_at_ms"),
)

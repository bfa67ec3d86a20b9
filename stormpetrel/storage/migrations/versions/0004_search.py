"""Full-text search and trends."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stormpetrel.model.search import name_words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ACCOUNTS_AT_ONCE = 5_000

# What an index row holds, of a post `{row}`: `words`, and `marks` that filters ask for (storage/search.py).
_SQLITE_VALUES = (
    "search_words({row}.spoiler_text || char(10) || {row}.text), "
    "'xa' || {row}.author_id "
    "|| CASE WHEN {row}.in_reply_to_account_id IS NULL THEN '' ELSE ' xreply' END "
    "|| CASE WHEN {row}.sensitive THEN ' xsensitive' ELSE '' END "
    "|| CASE WHEN {row}.media_count > 0 THEN ' xmedia' ELSE '' END "
    "|| CASE WHEN {row}.has_poll THEN ' xpoll' ELSE '' END "
    "|| CASE WHEN instr({row}.text, 'http://') OR instr({row}.text, 'https://') THEN ' xlink' ELSE '' END "
    "|| CASE WHEN {row}.language = '' THEN '' "
    "ELSE ' xl' || lower(substr({row}.language, 1, instr({row}.language || '-', '-') - 1)) END"
)
# A post's media are hung on it, and its poll opened, after its row is there.
_INDEXED = "text, spoiler_text, sensitive, language, media_count, has_poll"
_SQLITE = (
    # Without a copy of the texts, and without lengths: results are by time, never by rank.
    "CREATE VIRTUAL TABLE post_words USING fts5(words, marks, content='', columnsize=0, "
    "tokenize=\"unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'\")",
    "INSERT INTO post_words (rowid, words, marks) "
    f"SELECT p.id, {_SQLITE_VALUES.format(row='p')} FROM posts p WHERE p.boost_of_id IS NULL ORDER BY p.id",
    "CREATE TRIGGER post_words_insert AFTER INSERT ON posts WHEN NEW.boost_of_id IS NULL BEGIN "
    f"INSERT INTO post_words (rowid, words, marks) VALUES (NEW.id, {_SQLITE_VALUES.format(row='NEW')}); END",
    "CREATE TRIGGER post_words_delete AFTER DELETE ON posts WHEN OLD.boost_of_id IS NULL BEGIN "
    "INSERT INTO post_words (post_words, rowid, words, marks) "
    f"VALUES ('delete', OLD.id, {_SQLITE_VALUES.format(row='OLD')}); END",
    f"CREATE TRIGGER post_words_update AFTER UPDATE OF {_INDEXED} ON posts "
    "WHEN NEW.boost_of_id IS NULL BEGIN "
    "INSERT INTO post_words (post_words, rowid, words, marks) "
    f"VALUES ('delete', OLD.id, {_SQLITE_VALUES.format(row='OLD')}); "
    f"INSERT INTO post_words (rowid, words, marks) VALUES (NEW.id, {_SQLITE_VALUES.format(row='NEW')}); END",
)
# As model/search.py search_words, and punctuation as spaces: the parser would make one word of an address.
_PUNCTUATION = "!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"
_UNSPACED = (
    r"([\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])"
)
_POSTGRESQL = (
    f"""
    CREATE FUNCTION search_words(body text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
      SELECT translate(
        CASE WHEN octet_length(body) = length(body) THEN body
        ELSE regexp_replace(
          normalize(regexp_replace(normalize(body, NFKD),
            '[\\u0300-\\u036f\\u0591-\\u05c7\\u064b-\\u0652\\u0670]', '', 'g'), NFKC),
          '{_UNSPACED}', ' \\1 ', 'g') END,
        '{_PUNCTUATION}', repeat(' ', 32)) $$
    """,
    """
    CREATE FUNCTION post_words_of(post posts) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
      SELECT to_tsvector('simple', search_words(post.spoiler_text || chr(10) || post.text))
        || array_to_tsvector(array_remove(ARRAY[
          'xa' || post.author_id,
          CASE WHEN post.in_reply_to_account_id IS NOT NULL THEN 'xreply' END,
          CASE WHEN post.sensitive THEN 'xsensitive' END,
          CASE WHEN post.media_count > 0 THEN 'xmedia' END,
          CASE WHEN post.has_poll THEN 'xpoll' END,
          CASE WHEN post.text LIKE '%http://%' OR post.text LIKE '%https://%' THEN 'xlink' END,
          CASE WHEN post.language <> '' THEN 'xl' || lower(split_part(post.language, '-', 1)) END
        ], NULL)) $$
    """,
    """
    CREATE FUNCTION keep_post_words() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO post_words (post_id, words) VALUES (NEW.id, post_words_of(NEW))
      ON CONFLICT (post_id) DO UPDATE SET words = EXCLUDED.words;
      RETURN NULL;
    END $$
    """,
    "CREATE TABLE post_words (post_id bigint PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE, "
    "words tsvector NOT NULL)",
    "INSERT INTO post_words (post_id, words) "
    "SELECT p.id, post_words_of(p) FROM posts p WHERE p.boost_of_id IS NULL ORDER BY p.id",
    "CREATE INDEX ix_post_words_words ON post_words USING gin (words)",
    "CREATE TRIGGER post_words_insert AFTER INSERT ON posts "
    "FOR EACH ROW WHEN (NEW.boost_of_id IS NULL) EXECUTE FUNCTION keep_post_words()",
    f"CREATE TRIGGER post_words_update AFTER UPDATE OF {_INDEXED} ON posts "
    "FOR EACH ROW WHEN (NEW.boost_of_id IS NULL) EXECUTE FUNCTION keep_post_words()",
)


def upgrade() -> None:
    op.add_column(
        "accounts", sa.Column("indexable", sa.Boolean(), server_default=sa.text("TRUE"), nullable=False)
    )
    op.add_column("tags", sa.Column("uses", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    _tables()
    _suggest()
    _name_accounts()
    bind = op.get_bind()
    # Past SQLAlchemy, which would read ":"; psycopg reads "%".
    if bind.dialect.name == "sqlite":
        for statement in _SQLITE:
            bind.exec_driver_sql(statement)
    else:
        for statement in _POSTGRESQL:
            bind.exec_driver_sql(statement.replace("%", "%%"))


def _suggest() -> None:
    """Index follows by time, and the most followed accounts (storage/suggestions.py)."""
    op.create_index(op.f("ix_follows_follower_id_id"), "follows", ["follower_id", "id"])
    wanted = sa.text("state = 'active' AND discoverable = TRUE")
    op.create_index(
        "ix_accounts_popular",
        "accounts",
        ["followers_count", "id"],
        sqlite_where=wanted,
        postgresql_where=wanted,
    )


def _tables() -> None:
    bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "account_words",
        sa.Column("word", bytewise, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        _foreign("account_words", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("word", "account_id", name=op.f("pk_account_words")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_account_words_account_id"), "account_words", ["account_id"])
    op.create_table(
        "tag_days",
        sa.Column("tag_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("uses", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("accounts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        _foreign("tag_days", "tag_id", "tags"),
        sa.PrimaryKeyConstraint("tag_id", "day", name=op.f("pk_tag_days")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_tag_days_day"), "tag_days", ["day"])
    op.create_table(
        "tag_day_accounts",
        sa.Column("tag_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        _foreign("tag_day_accounts", "tag_id", "tags"),
        sa.PrimaryKeyConstraint("tag_id", "day", "account_id", name=op.f("pk_tag_day_accounts")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_tag_day_accounts_day"), "tag_day_accounts", ["day"])
    op.create_table(
        "trends",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", name=op.f("pk_trends")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "trend_cursors",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_trend_cursors")),
    )
    op.create_table(
        "suggestion_dismissals",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=False),
        _foreign("suggestion_dismissals", "account_id", "accounts"),
        _foreign("suggestion_dismissals", "target_id", "accounts"),
        sa.PrimaryKeyConstraint("account_id", "target_id", name=op.f("pk_suggestion_dismissals")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_suggestion_dismissals_target_id"), "suggestion_dismissals", ["target_id"])
    op.create_table(
        "featured_tags",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("tag_id", sa.BigInteger(), nullable=False),
        _foreign("featured_tags", "account_id", "accounts"),
        _foreign("featured_tags", "tag_id", "tags"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_featured_tags")),
        sa.UniqueConstraint("account_id", "tag_id", name=op.f("uq_featured_tags_account_id_tag_id")),
    )
    op.create_index(op.f("ix_featured_tags_tag_id"), "featured_tags", ["tag_id"])


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE"
    )


def _name_accounts() -> None:
    """The words of the names of all accounts that are there already."""
    bind = op.get_bind()
    last_id = 0
    while True:
        rows = bind.execute(
            sa.text(
                "SELECT id, username, display_name FROM accounts WHERE id > :last_id ORDER BY id LIMIT :count"
            ),
            {"last_id": last_id, "count": ACCOUNTS_AT_ONCE},
        ).all()
        if not rows:
            return
        bind.execute(
            sa.text("INSERT INTO account_words (word, account_id) VALUES (:word, :account_id)"),
            [
                {"word": word, "account_id": account_id}
                for account_id, username, display_name in rows
                for word in name_words(username, display_name)
            ],
        )
        last_id = rows[-1][0]


def downgrade() -> None:
    bind = op.get_bind()
    for trigger in ("post_words_insert", "post_words_update", "post_words_delete"):
        if bind.dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {trigger}")
        else:
            op.execute(f"DROP TRIGGER IF EXISTS {trigger} ON posts")
    op.execute("DROP TABLE post_words")
    if bind.dialect.name != "sqlite":
        op.execute("DROP FUNCTION keep_post_words()")
        op.execute("DROP FUNCTION post_words_of(posts)")
        op.execute("DROP FUNCTION search_words(text)")
    op.drop_index("ix_accounts_popular", table_name="accounts")
    op.drop_index("ix_follows_follower_id_id", table_name="follows")
    for table in (
        "featured_tags",
        "suggestion_dismissals",
        "trend_cursors",
        "trends",
        "tag_day_accounts",
        "tag_days",
        "account_words",
    ):
        op.drop_table(table)
    op.drop_column("tags", "uses")
    op.drop_column("accounts", "indexable")

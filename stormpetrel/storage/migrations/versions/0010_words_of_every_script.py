"""The index of words anew: scripts without spaces by cluster; names and answers whose direction ran on, closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stormpetrel.model.search import name_words
from stormpetrel.model.text import one_line

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ACCOUNTS_AT_ONCE = 5_000

# model/search.py search_words, of which PostgreSQL has this copy: letters of scripts without spaces, and the marks
# that follow them, and the characters it leaves out. A test compares the two copies.
_BASES = (
    "e01-e30 e32-e33 e40-e46 e50-e59 e81-e82 e84 e86-e8a e8c-ea3 ea5 ea7-eb0 eb2-eb3 ebd ec0-ec4 ec6 ed0-ed9 "
    "edc-edf f00 f20-f29 f40-f47 f49-f6c f88-f8c 1000-102a 103f-1049 1050-1055 105a-105d 1061 1065-1066 "
    "106e-1070 1075-1081 108e 1090-1099 1100-11ff 1780-17b3 17d7 17dc 17e0-17e9 1950-196d 1970-1974 1980-19ab "
    "19b0-19c9 1a20-1a54 1aa7 1b05-1b33 1b45-1b4c 1b50-1b59 3005 3007 3021-3029 3038-303b 3041-3096 309d-309f "
    "30a1-30fa 30fc-30ff 3105-312f 3131-318e 31a0-31bf 31f0-31ff 3400-4dbf 4e00-a48c a960-a97c a984-a9b2 "
    "a9d0-a9d9 a9e0-a9e4 a9e6-a9fe aa60-aa76 aa7a aa7e-aaaf aab1 aab5-aab6 aab9-aabd aac0 aac2 aadb-aadd "
    "ac00-d7a3 d7b0-d7c6 d7cb-d7fb f900-fa6d fa70-fad9 ff66-ff9d ffa0-ffbe ffc2-ffc7 ffca-ffcf ffd2-ffd7 "
    "ffda-ffdc 116d0-116e3 11700-1171a 11740-11746 16fe0-16fe1 16fe3 16ff2-16ff6 17000-18cda 18cff-18d20 "
    "18d80-18df2 1aff0-1aff3 1aff5-1affb 1affd-1affe 1b000-1b128 1b132 1b150-1b152 1b155 1b164-1b168 "
    "1b170-1b2fb 20000-2a6df 2a700-2b81e 2b820-2cead 2ceb0-2ebe0 2ebf0-2ee5d 2f800-2fa1d 30000-3134a "
    "31350-33479 "
)
_MARKS = (
    "e31 e34-e3a e47-e4e eb1 eb4-ebc ec8-ece f18-f19 f35 f37 f39 f3e-f3f f71-f84 f86-f87 f8d-f97 f99-fbc fc6 "
    "102b-103e 1056-1059 105e-1060 1062-1064 1067-106d 1071-1074 1082-108d 108f 109a-109d 17b4-17d3 17dd "
    "1a55-1a5e 1a60-1a7c 1b00-1b04 1b34-1b44 1b6b-1b73 302e-302f a980-a983 a9b3-a9c0 a9e5 aa7b-aa7d aab0 "
    "aab2-aab4 aab7-aab8 aabe-aabf aac1 1171d-1172b 16fe4 16ff0-16ff1 "
)
_POINTS = (
    "300-36f 591-5c7 64b-652 670 ad 61c 180b-180f 200d-200f 202a-202e 2060-206f fe00-fe0f feff e0100-e01ef"
)
_PUNCTUATION = "!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"


def characters_of(ranges: str) -> str:
    """Return the inside of a bracket expression of PostgreSQL's for hexadecimal ranges."""
    return "".join("-".join(rf"\U{end:0>8}" for end in one.split("-")) for one in ranges.split())


_FUNCTIONS = (
    f"""
    CREATE OR REPLACE FUNCTION search_words(body text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
      SELECT translate(
        CASE WHEN octet_length(body) = length(body) THEN body
        ELSE regexp_replace(
          normalize(regexp_replace(normalize(body, NFKD), '[{characters_of(_POINTS)}]', '', 'g'), NFKC),
          '([{characters_of(_BASES)}][{characters_of(_MARKS)}]*)', ' \\1 ', 'g') END,
        '{_PUNCTUATION}', repeat(' ', 32)) $$
    """,
    """
    CREATE OR REPLACE FUNCTION post_words_of(post posts) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT
    PARALLEL SAFE AS $$
      SELECT to_tsvector('simple', search_words(post.spoiler_text || chr(10) || post.text))
        || array_to_tsvector(array_remove(ARRAY[
          'xa' || post.author_id,
          CASE WHEN post.in_reply_to_account_id IS NOT NULL THEN 'xreply' END,
          CASE WHEN post.sensitive THEN 'xsensitive' END,
          CASE WHEN post.media_count > 0 THEN 'xmedia' END,
          CASE WHEN post.has_poll THEN 'xpoll' END,
          CASE WHEN post.text ~* 'https?://' THEN 'xlink' END,
          CASE WHEN post.language <> '' THEN 'xl' || lower(split_part(post.language, '-', 1)) END
        ], NULL)) $$
    """,
    # Of other texts nothing changes.
    "UPDATE post_words SET words = post_words_of(p) FROM posts p WHERE p.id = post_words.post_id "
    "AND (octet_length(p.text) > length(p.text) OR octet_length(p.spoiler_text) > length(p.spoiler_text) "
    "OR p.text ~* 'https?://')",
)
_SQLITE_VALUES = (
    "search_words({row}.spoiler_text || char(10) || {row}.text), "
    "'xa' || {row}.author_id "
    "|| CASE WHEN {row}.in_reply_to_account_id IS NULL THEN '' ELSE ' xreply' END "
    "|| CASE WHEN {row}.sensitive THEN ' xsensitive' ELSE '' END "
    "|| CASE WHEN {row}.media_count > 0 THEN ' xmedia' ELSE '' END "
    "|| CASE WHEN {row}.has_poll THEN ' xpoll' ELSE '' END "
    "|| CASE WHEN {row}.text LIKE '%http://%' OR {row}.text LIKE '%https://%' THEN ' xlink' ELSE '' END "
    "|| CASE WHEN {row}.language = '' THEN '' "
    "ELSE ' xl' || lower(substr({row}.language, 1, instr({row}.language || '-', '-') - 1)) END"
)
_INDEXED = "text, spoiler_text, sensitive, language, media_count, has_poll"
_SQLITE = (
    "DROP TRIGGER post_words_insert",
    "DROP TRIGGER post_words_delete",
    "DROP TRIGGER post_words_update",
    # The index has no copy of the texts, so a row cannot be taken out without what it was made of: all goes.
    "INSERT INTO post_words (post_words) VALUES ('delete-all')",
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


def upgrade() -> None:
    _name_accounts()
    _close_answers()
    bind = op.get_bind()
    # Past SQLAlchemy, which would read ":"; psycopg reads "%".
    if bind.dialect.name == "sqlite":
        for statement in _SQLITE:
            bind.exec_driver_sql(statement)
    else:
        for statement in _FUNCTIONS:
            bind.exec_driver_sql(statement.replace("%", "%%"))


def _name_accounts() -> None:
    """Find people by their names as words are now, and end each change of direction with its name."""
    bind = op.get_bind()
    # A plain ASCII name stays as it is, and most are.
    wide = (
        "length(CAST(display_name AS BLOB))"
        if bind.dialect.name == "sqlite"
        else "octet_length(display_name)"
    )
    last_id = 0
    while True:
        rows = bind.execute(
            sa.text(
                f"SELECT id, username, display_name FROM accounts WHERE id > :last_id "
                f"AND {wide} > length(display_name) ORDER BY id LIMIT :count"
            ),
            {"last_id": last_id, "count": ACCOUNTS_AT_ONCE},
        ).all()
        if not rows:
            return
        closed = [
            {"name": one_line(display_name), "account_id": account_id}
            for account_id, _, display_name in rows
            if one_line(display_name) != display_name
        ]
        if closed:
            bind.execute(sa.text("UPDATE accounts SET display_name = :name WHERE id = :account_id"), closed)
        bind.execute(
            sa.text("DELETE FROM account_words WHERE account_id = :account_id"),
            [{"account_id": account_id} for account_id, _, _ in rows],
        )
        bind.execute(
            sa.text("INSERT INTO account_words (word, account_id) VALUES (:word, :account_id)"),
            [
                {"word": word, "account_id": account_id}
                for account_id, username, display_name in rows
                for word in name_words(username, one_line(display_name))
            ],
        )
        last_id = rows[-1][0]


def _close_answers() -> None:
    bind = op.get_bind()
    rows = bind.execute(sa.text("SELECT post_id, position, title FROM poll_options")).all()
    closed = [
        {"title": one_line(title), "post_id": post_id, "position": position}
        for post_id, position, title in rows
        if one_line(title) not in ("", title)
    ]
    if closed:
        bind.execute(
            sa.text(
                "UPDATE poll_options SET title = :title WHERE post_id = :post_id AND position = :position"
            ),
            closed,
        )


def downgrade() -> None:
    """Leave the index as it is: the release before reads it too, and finds less in it."""

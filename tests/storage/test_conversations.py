"""Migration 0009 sorts existing direct posts into conversations."""

from __future__ import annotations

import importlib

import pytest
from alembic import command

from stormpetrel.model.page import Page
from stormpetrel.rules import conversations
from stormpetrel.storage.engine.connection import connect


@pytest.fixture
def old_url(empty_database_url):
    """Return the URL of a database at migration 0008."""
    migrate = importlib.import_module("stormpetrel.storage.engine.migrate")
    command.upgrade(migrate.alembic_config(empty_database_url), "0008")
    return empty_database_url


ANN, BOB, CAT = 1, 2, 3
POSTS = (  # id, author, visibility, thread, mentioned
    (10, ANN, 3, None, (BOB,)),
    (11, BOB, 3, 10, (ANN, BOB)),
    (12, ANN, 0, None, (BOB,)),
    (13, CAT, 3, 12, (ANN,)),
    (14, CAT, 3, None, ()),
)


def test_older_direct_posts_are_sorted_into_conversations_as_read(old_url):
    migrate = importlib.import_module("stormpetrel.storage.engine.migrate")
    with migrate.engine(old_url).begin() as connection:
        for account in (ANN, BOB, CAT):
            connection.exec_driver_sql(
                "INSERT INTO accounts (id, username, username_lower, created_at_ms) "
                f"VALUES ({account}, 'p{account}', 'p{account}', 0)"
            )
        for post_id, author, visibility, thread, mentioned in POSTS:
            connection.exec_driver_sql(
                "INSERT INTO posts (id, author_id, text, visibility, thread_id, created_at_ms) "
                f"VALUES ({post_id}, {author}, 'psst', {visibility}, {thread or 'NULL'}, 0)"
            )
            for account in mentioned:
                connection.exec_driver_sql(
                    f"INSERT INTO mentions (post_id, account_id) VALUES ({post_id}, {account})"
                )
    migrate.upgrade(old_url)
    connection = connect(old_url)
    found = {
        account: [
            (one.id, one.last_post_id, one.participant_ids, one.unread)
            for one in conversations.conversations(
                connection, account_id=account, page=Page(limit=20), now_ms=1
            )
        ]
        for account in (ANN, BOB, CAT)
    }
    connection.close()
    assert found == {
        ANN: [(12, 13, (CAT,), False), (10, 11, (BOB,), False)],
        BOB: [(10, 11, (ANN,), False)],
        CAT: [(14, 14, (CAT,), False), (12, 13, (ANN,), False)],
    }

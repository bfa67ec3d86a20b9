"""Phones that read and post by SMS, and the texts that wait for the sms role."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from stormpetrel.storage.tables.columns import flag, id_column, metadata, number, ref, text_column

phones = Table(
    "phones",
    metadata,
    id_column(),
    Column("number_hash", LargeBinary, nullable=False),  # keyed, for look-up
    text_column("sealed_number"),  # encrypted with the instance's secret
    ref("account_id", "accounts.id", nullable=True),  # null: it only follows
    text_column("route"),
    flag("stopped"),  # STOP was sent: nothing is delivered until START
    flag("delivers", default=True),  # ON and OFF
    flag("posts"),  # the owner allows posting; LOCK takes it back
    Column("pin_hash", LargeBinary, nullable=True),  # keyed
    number("pin_wrong", 0),
    number("pin_locked_until_ms", 0),
    text_column("quiet", ""),  # "22-7", in the phone's time zone
    text_column("digest", ""),  # "18:00"
    text_column("zone", "UTC"),  # IANA name
    text_column("language", "en"),
    number("segments", 1),  # most segments of a delivery
    number("next_tag", 1),
    text_column("asked", ""),  # the open question: "name", "follow 123", …
    number("asked_at_ms", 0),
    number("heard_at_ms", 0),  # the last message from it
    number("changed_at_ms"),
    number("created_at_ms"),
    UniqueConstraint("number_hash"),
    Index(
        "ix_phones_account_id",
        "account_id",
        unique=True,
        sqlite_where=text("account_id IS NOT NULL"),
        postgresql_where=text("account_id IS NOT NULL"),
    ),
    Index(None, "changed_at_ms", "id"),
)

phone_codes = Table(  # codes that the web shows, and that a phone sends back by GO
    "phone_codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("account_id", BigInteger, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    number("expires_at_ms"),
    Index(None, "account_id"),
)

phone_sign_ins = Table(  # requests for a code to sign in, which the sms role texts
    "phone_sign_ins",
    metadata,
    id_column(),
    Column("number_hash", LargeBinary, nullable=False),
    number("by_device_of", 0),  # the account that the browser has signed in to before; 0 for none
    flag("handled"),  # the sms role has sent a code, or decided to send none
    ref("account_id", "accounts.id", nullable=True),  # null: no code was sent
    Column("code_hash", LargeBinary, nullable=True),
    number("tries", 0),
    number("expires_at_ms"),
    Index(None, "expires_at_ms"),
    Index(None, "account_id"),
)

phone_follows = Table(  # accounts that a phone without an account follows
    "phone_follows",
    metadata,
    ref("phone_id", "phones.id"),
    ref("account_id", "accounts.id"),
    PrimaryKeyConstraint("phone_id", "account_id"),
    Index(None, "account_id"),
)

phone_tags = Table(  # the posts behind "#3" in texts to a phone
    "phone_tags",
    metadata,
    ref("phone_id", "phones.id"),
    number("tag"),
    number("post_id"),
    number("position", 0),  # characters of the post that the phone has
    PrimaryKeyConstraint("phone_id", "tag"),
)

phone_deliveries = Table(  # posts to text to a phone, written with the notification
    "phone_deliveries",
    metadata,
    id_column(),
    ref("phone_id", "phones.id"),
    ref("post_id", "posts.id"),
    text_column("kind"),  # delivery, mention, dm
    number("tag", 0),  # 0: none yet
    number("due_at_ms"),  # later for quiet hours and over a limit
    number("created_at_ms"),
    UniqueConstraint("phone_id", "post_id"),
    Index(None, "due_at_ms", "id"),
    Index(None, "post_id"),
)

phone_messages = Table(  # effects of messages, so that each has one: written with the effect
    "phone_messages",
    metadata,
    Column("message_key", Text, primary_key=True),
    text_column("outcome"),  # JSON
    number("done_at_ms"),
    Index(None, "done_at_ms"),
)

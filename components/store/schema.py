"""The tables. ``migrations/`` holds how databases of earlier versions become this."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

READER_LENGTH = 255
"""Of the key that says whose a conversation is, in characters."""

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("reader", String(READER_LENGTH), nullable=False),
    Column("title", Text, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("system", Text, nullable=False),
    Column("sampling", JSON, nullable=False),
    # The end of the branch that is shown. No foreign key: tables that point at each other cannot be filled in order.
    Column("leaf", BigInteger),
    # Times are seconds since 1970.
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Column("deleted", Double),
    Index(None, "reader", "changed"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("conversation", ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("parent", ForeignKey("messages.id", ondelete="CASCADE"), index=True),
    Column("depth", Integer, nullable=False),
    Column("role", String(9), nullable=False),
    Column("text", Text, nullable=False),
    # What is searched: the text without differences of case and width.
    Column("folded", Text, nullable=False),
    Column("created", Double, nullable=False),
    # Whether the model sees it: "usual", "pinned" or "left_out".
    Column("place", String(8), nullable=False),
    Column("rating", SmallInteger, nullable=False),
    Column("note", Text, nullable=False),
    Index(None, "conversation", "depth"),
)

replies = Table(
    "replies",
    metadata,
    Column("message", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    # How it ended; null while it is written.
    Column("end", String(12), index=True),
    Column("error_kind", String(12), nullable=False),
    Column("error", Text, nullable=False),
    # Token ids, four bytes each, little-endian.
    Column("tokens", LargeBinary, nullable=False),
    Column("sampling", JSON, nullable=False),
    Column("model", Text, nullable=False),
    Column("weights", Text, nullable=False),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("seconds", Double),
    Column("first_token_seconds", Double),
    # The rest of the receipt, as the engine wrote it.
    Column("record", JSON, nullable=False),
    # The process that writes it, and whether somebody wants it stopped.
    Column("writer", String(32), nullable=False),
    Column("stop_wanted", Boolean, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    # When it was begun by the operating system's account, since another process gets the same number later.
    Column("started", Double, nullable=False),
    Column("seen", Double, nullable=False),
)

shares = Table(
    "shares",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("reader", String(READER_LENGTH), nullable=False, index=True),
    Column("conversation", ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("title", Text, nullable=False),
    # The branch as it was when it was shared.
    Column("content", JSON, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
)

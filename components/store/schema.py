"""The tables. ``migrations/`` holds how databases of earlier versions become this."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
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
    TypeDecorator,
)
from sqlalchemy.dialects import postgresql, sqlite

from components.store.texts import finite, storable

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class KeptString(TypeDecorator[str]):
    """Text without what databases cannot keep, wherever it comes from: ids stand in addresses, for instance."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        """What the database is given."""
        return None if value is None else storable(value)


class KeptText(KeptString):
    """The same of any length."""

    impl = Text
    cache_ok = True


class KeptId(TypeDecorator[int]):
    """The number of a message; what is no 64-bit number is nobody's."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> int | None:  # noqa: ARG002
        """What the database is given."""
        return value if value is None or -(2**63) <= value < 2**63 else -1


class KeptJSON(TypeDecorator[Any]):
    """JSON that every database reads: Python would write numbers that are none."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
        """What the database is given."""
        return finite(value)


MOST_NUMBER = 2**31 - 1
"""Of a column of whole numbers."""

READER_LENGTH = 255
"""Of the key that says whose a conversation is, in characters."""

conversations = Table(
    "conversations",
    metadata,
    Column("id", KeptString(32), primary_key=True),
    Column("reader", KeptString(READER_LENGTH), nullable=False),
    Column("title", KeptText, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("system", KeptText, nullable=False),
    Column("sampling", KeptJSON, nullable=False),
    # The end of the branch that is shown. No foreign key: tables that point at each other cannot be filled in order.
    Column("leaf", KeptId),
    # Times are seconds since 1970.
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Column("deleted", Double),
    Index(None, "reader", "changed"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", KeptId, primary_key=True, autoincrement=False),
    Column("conversation", ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    # Messages go with their conversation, all at once: databases follow no chain of thousands of them.
    Column("parent", ForeignKey("messages.id"), index=True),
    Column("depth", Integer, nullable=False),
    Column("role", KeptString(9), nullable=False),
    Column("text", KeptText, nullable=False),
    # What is searched: the text without differences of case and width.
    Column("folded", KeptText, nullable=False),
    Column("created", Double, nullable=False),
    # Whether the model sees it: "usual", "pinned" or "left_out".
    Column("place", KeptString(8), nullable=False),
    Column("rating", SmallInteger, nullable=False),
    Column("note", KeptText, nullable=False),
    Index(None, "conversation", "depth"),
)

replies = Table(
    "replies",
    metadata,
    Column("message", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    # How it ended; null while it is written.
    Column("end", KeptString(12), index=True),
    Column("error_kind", KeptString(12), nullable=False),
    Column("error", KeptText, nullable=False),
    # Token ids, four bytes each, little-endian.
    Column("tokens", LargeBinary, nullable=False),
    Column("sampling", KeptJSON, nullable=False),
    Column("model", KeptText, nullable=False),
    Column("weights", KeptText, nullable=False),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("seconds", Double),
    Column("first_token_seconds", Double),
    # The rest of the receipt, as the engine wrote it.
    Column("record", KeptJSON, nullable=False),
    # The process that writes it, and whether somebody wants it stopped.
    Column("writer", KeptString(32), nullable=False),
    Column("stop_wanted", Boolean, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("id", KeptString(32), primary_key=True),
    Column("host", KeptText, nullable=False),
    Column("pid", Integer, nullable=False),
    # When it was begun by the operating system's account, since another process gets the same number later.
    Column("started", Double, nullable=False),
    Column("seen", Double, nullable=False),
)

shares = Table(
    "shares",
    metadata,
    Column("id", KeptString(32), primary_key=True),
    Column("reader", KeptString(READER_LENGTH), nullable=False, index=True),
    Column("conversation", ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("title", KeptText, nullable=False),
    # The branch as it was when it was shared, and how much text that is.
    Column("content", KeptJSON, nullable=False),
    Column("characters", Integer, nullable=False, server_default="0"),
    Column("created", Double, nullable=False),
    Column("expires", Double),
)

sheets = Table(
    "sheets",
    metadata,
    Column("id", KeptString(32), primary_key=True),
    Column("reader", KeptString(READER_LENGTH), nullable=False),
    # "compare" or "grid".
    Column("kind", KeptString(8), nullable=False),
    Column("question", KeptText, nullable=False),
    Column("system", KeptText, nullable=False),
    Column("model", KeptText, nullable=False),
    # The parameters that vary in a grid, with their values; and the cells, each with how it was asked and its samples.
    Column("axes", KeptJSON, nullable=False),
    Column("cells", KeptJSON, nullable=False),
    # How it ended; null while it is written.
    Column("end", KeptString(12)),
    Column("stop_wanted", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Index(None, "reader", "created"),
)

sheet_shares = Table(
    "sheet_shares",
    metadata,
    Column("id", KeptString(32), primary_key=True),
    Column("reader", KeptString(READER_LENGTH), nullable=False, index=True),
    Column("sheet", ForeignKey("sheets.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", Double, nullable=False),
    Column("expires", Double),
)

sheet_votes = Table(
    "sheet_votes",
    metadata,
    Column("sheet", ForeignKey("sheets.id", ondelete="CASCADE"), primary_key=True),
    Column("voter", KeptString(64), primary_key=True),
    # The number of the cell that this browser liked best.
    Column("cell", Integer, nullable=False),
    Column("created", Double, nullable=False),
)

presets = Table(
    "presets",
    metadata,
    Column("id", KeptString(32), primary_key=True),
    Column("reader", KeptString(READER_LENGTH), nullable=False),
    Column("name", KeptString(60), nullable=False),
    # The sampling parameters, by name.
    Column("values", KeptJSON, nullable=False),
    Column("created", Double, nullable=False),
    Index(None, "reader", "name", unique=True),
)

scores = Table(
    "scores",
    metadata,
    Column("message", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    # Whose reply it is: only their newest have scores.
    Column("reader", KeptString(READER_LENGTH), nullable=False),
    # As KeptScores packs them.
    Column("content", LargeBinary, nullable=False),
    Index(None, "reader", "message"),
)


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless there is one with its key already; gives whether it was new."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(values).on_conflict_do_nothing()
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount > 0

"""The scores that are kept of replies."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "scores",
        sa.Column("message", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reader", sa.String(length=255), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["messages.id"], name=op.f("fk_scores_message"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message", name=op.f("pk_scores")),
    )
    op.create_index(op.f("ix_scores_reader_message"), "scores", ["reader", "message"], unique=False)

"""Sheets of the lab, their links, and the votes on them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "sheets",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("reader", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("axes", sa.JSON(), nullable=False),
        sa.Column("cells", sa.JSON(), nullable=False),
        sa.Column("end", sa.String(length=12), nullable=True),
        sa.Column("stop_wanted", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("changed", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sheets")),
    )
    op.create_index(op.f("ix_sheets_reader_created"), "sheets", ["reader", "created"], unique=False)
    op.create_table(
        "sheet_shares",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("reader", sa.String(length=255), nullable=False),
        sa.Column("sheet", sa.String(length=32), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["sheet"], ["sheets.id"], name=op.f("fk_sheet_shares_sheet"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sheet_shares")),
    )
    op.create_index(op.f("ix_sheet_shares_reader"), "sheet_shares", ["reader"], unique=False)
    op.create_index(op.f("ix_sheet_shares_sheet"), "sheet_shares", ["sheet"], unique=False)
    op.create_table(
        "sheet_votes",
        sa.Column("sheet", sa.String(length=32), nullable=False),
        sa.Column("voter", sa.String(length=64), nullable=False),
        sa.Column("cell", sa.Integer(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["sheet"], ["sheets.id"], name=op.f("fk_sheet_votes_sheet"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sheet", "voter", name=op.f("pk_sheet_votes")),
    )

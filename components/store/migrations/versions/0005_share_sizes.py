"""How much text each share holds: it counts for what a reader may keep."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("shares", sa.Column("characters", sa.Integer(), nullable=False, server_default="0"))
    shares = sa.table(
        "shares", sa.column("id", sa.String), sa.column("content", sa.JSON), sa.column("characters", sa.Integer)
    )
    connection = op.get_bind()
    for share in connection.scalars(sa.select(shares.c.id)).all():  # one content at a time: there may be many
        content = connection.execute(sa.select(shares.c.content).where(shares.c.id == share)).scalar_one()
        held = sum(len(message.get("text", "")) for message in content if isinstance(message, dict))
        connection.execute(shares.update().where(shares.c.id == share).values(characters=held))

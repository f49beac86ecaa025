"""Parts of campaigns that workers carried out: what is stored whole is not carried out again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "chunks",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_chunks_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "key", name="pk_chunks"),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("chunks")

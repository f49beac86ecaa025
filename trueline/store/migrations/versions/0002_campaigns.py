"""Attempts say their family, level and content hashes, outcomes are the four of core/outcome.py, and replies are remembered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OUTCOMES = {"held": "failure", "broke": "success", "abstained": "undetermined"}
ADDED = ("family", "goal_hash", "attack_hash", "judge_hash")


def upgrade() -> None:
    """Bring the tables to this revision; what older attempts do not say stays empty."""
    with op.batch_alter_table("attempts") as table:
        for name in ADDED:
            table.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("level", sa.String(), nullable=True))
    with op.batch_alter_table("attempts") as table:
        for name in ADDED:
            table.alter_column(name, server_default=None)
    _rename(OUTCOMES)

    op.create_table(
        "replies",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("run", "question", name="pk_replies"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_replies_run", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("replies")
    _rename({new: old for old, new in OUTCOMES.items()})
    with op.batch_alter_table("attempts") as table:
        for name in (*ADDED, "level"):
            table.drop_column(name)


def _rename(words: dict[str, str]) -> None:
    attempts = sa.table("attempts", sa.column("outcome", sa.String()))
    for old, new in words.items():
        op.execute(attempts.update().where(attempts.c.outcome == old).values(outcome=new))

"""The first tables: runs, stages, attempts, findings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("recipe", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("commit", sa.String(), nullable=False),
        sa.Column("started", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_recipe", "runs", ["recipe"])
    op.create_index("ix_runs_started", "runs", ["started"])

    op.create_table(
        "stages",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("saved", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run", "name", name="pk_stages"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_stages_run", ondelete="CASCADE"),
    )
    op.create_index("ix_stages_key", "stages", ["key"])

    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("goal", sa.String(), nullable=False),
        sa.Column("attack", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("query", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_attempts_run", ondelete="CASCADE"),
        sa.UniqueConstraint("run", "target", "goal", "attack", "judge", "query", name="uq_attempts"),
    )
    op.create_index("ix_attempts_goal_attack", "attempts", ["goal", "attack"])
    op.create_index("ix_attempts_target_outcome", "attempts", ["target", "outcome"])
    op.create_index("ix_attempts_created", "attempts", ["created"])

    op.create_table(
        "findings",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("updated", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_findings"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_findings_run", ondelete="CASCADE"),
    )
    op.create_index("ix_findings_run", "findings", ["run"])
    op.create_index("ix_findings_status", "findings", ["status"])


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    for table in ("findings", "attempts", "stages", "runs"):  # their indexes go with them
        op.drop_table(table)

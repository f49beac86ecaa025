"""Attacks by people: conversations, their turns, and claims."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "hunts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("goal", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_hunts_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_hunts"),
    )
    op.create_index("ix_hunts_run", "hunts", ["run"])
    op.create_index("ix_hunts_person_target_goal", "hunts", ["person", "target", "goal"])
    op.create_table(
        "hunt_turns",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("hunt", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("asks", sa.Integer(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["hunt"], ["hunts.id"], name="fk_hunt_turns_hunt", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_hunt_turns"),
        sa.UniqueConstraint("hunt", "number", name="uq_hunt_turns"),
    )
    op.create_index("ix_hunt_turns_person_asked", "hunt_turns", ["person", "asked"])
    op.create_table(
        "hunt_claims",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("turn", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("cluster", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["turn"], ["hunt_turns.id"], name="fk_hunt_claims_turn", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_hunt_claims_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_hunt_claims"),
        sa.UniqueConstraint("turn", name="uq_hunt_claims"),
    )
    for column in ("cluster", "key", "person", "state"):
        op.create_index(f"ix_hunt_claims_{column}", "hunt_claims", [column])


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    for table in ("hunt_claims", "hunt_turns", "hunts"):  # their indexes go with them
        op.drop_table(table)

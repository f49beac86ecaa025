"""Ranking by people: projects, items, assignments with their answers, adjudications, and every version of an answer."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "ranking_projects",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ranking_projects"),
        sa.UniqueConstraint("name", name="uq_ranking_projects"),
    )
    op.create_table(
        "ranking_items",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("gold", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("priority", sa.Float(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        _of_project("ranking_items"),
        sa.PrimaryKeyConstraint("id", name="pk_ranking_items"),
    )
    op.create_index("ix_ranking_items_project_place", "ranking_items", ["project", "place"])
    op.create_table(
        "ranking_assignments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("expires", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("answered", sa.String(), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=False),
        _of_project("ranking_assignments"),
        _of_item("ranking_assignments"),
        sa.PrimaryKeyConstraint("id", name="pk_ranking_assignments"),
        sa.UniqueConstraint("item", "person", "turn", name="uq_ranking_assignments"),
    )
    op.create_index("ix_ranking_assignments_project_person_number", "ranking_assignments", ["project", "person", "number"])
    op.create_table(
        "ranking_adjudications",
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        _of_project("ranking_adjudications"),
        _of_item("ranking_adjudications"),
        sa.PrimaryKeyConstraint("item", name="pk_ranking_adjudications"),
    )
    op.create_index("ix_ranking_adjudications_project", "ranking_adjudications", ["project"])
    op.create_table(
        "ranking_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("assignment", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("time", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        _of_project("ranking_events"),
        sa.PrimaryKeyConstraint("id", name="pk_ranking_events"),
    )
    op.create_index("ix_ranking_events_project_item", "ranking_events", ["project", "item"])


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    for table in ("events", "adjudications", "assignments", "items", "projects"):  # their indexes go with them
        op.drop_table(f"ranking_{table}")


def _of_project(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["project"], ["ranking_projects.id"], name=f"fk_{table}_project", ondelete="CASCADE")


def _of_item(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["item"], ["ranking_items.id"], name=f"fk_{table}_item", ondelete="CASCADE")

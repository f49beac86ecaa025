"""The guard's tables: the audit's rows, the texts that a policy retains, and the keys of the gateway."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "audit",
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("time", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("writer", "seq", name="pk_audit"),
    )
    op.create_index("ix_audit_id", "audit", ["id"])
    op.create_index("ix_audit_kind_time", "audit", ["kind", "time"])
    op.create_index("ix_audit_key_time", "audit", ["key", "time"])

    op.create_table(
        "audit_texts",
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("writer", "seq", name="pk_audit_texts"),
    )
    op.create_index("ix_audit_texts_expires", "audit_texts", ["expires"])

    op.create_table(
        "guard_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("revoked", sa.String(), nullable=True),
        sa.Column("requests_a_minute", sa.Integer(), nullable=False),
        sa.Column("burst", sa.Integer(), nullable=False),
        sa.Column("bytes_a_minute", sa.BigInteger(), nullable=False),
        sa.Column("tokens_a_day", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_guard_keys"),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    for table in ("guard_keys", "audit_texts", "audit"):  # their indexes go with them
        op.drop_table(table)

"""Findings say what they are of, and pages filter them by an index; decisions of the guard are counted by an index alone."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FACTS = ("family", "category", "target")
SLICE = 500  # findings in memory at a time


def upgrade() -> None:
    """Bring the tables to this revision, and read the facts of the findings that are there."""
    for name in FACTS:
        op.add_column("findings", sa.Column(name, sa.String(), nullable=False, server_default=sa.text("''")))
    op.add_column("findings", sa.Column("cluster", sa.String(), nullable=False, server_default=sa.text("''")))
    _fill()
    op.create_index(
        "ix_findings_updated_key_status_severity_family_category_target",
        "findings",
        ["updated", "key", "status", "severity", *FACTS],
    )
    op.drop_index("ix_findings_status", "findings")  # the other has all of it, and SQLite would choose this one
    op.drop_index("ix_audit_kind_time", "audit")
    op.create_index("ix_audit_kind_time_action", "audit", ["kind", "time", "action"])


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_index("ix_audit_kind_time_action", "audit")
    op.create_index("ix_audit_kind_time", "audit", ["kind", "time"])
    op.create_index("ix_findings_status", "findings", ["status"])
    op.drop_index("ix_findings_updated_key_status_severity_family_category_target", "findings")
    for name in ("cluster", *FACTS):
        op.drop_column("findings", name)


def _fill() -> None:
    """Copy what each finding is of out of its first attempt, and its target from the run that saw it."""
    findings = sa.table("findings", sa.column("record", sa.JSON()), *map(sa.column, ("key", "run", *FACTS)))
    runs = sa.table("runs", sa.column("id"), sa.column("record", sa.JSON()))
    connection, after = op.get_bind(), ""
    targets = {
        id_: record.get("spec", {}).get("target") for id_, record in connection.execute(sa.select(runs.c.id, runs.c.record))
    }
    while True:
        query = sa.select(findings.c.key, findings.c.run, findings.c.record).where(findings.c.key > after)
        some = connection.execute(query.order_by(findings.c.key).limit(SLICE)).all()
        for key, run, record in some:
            first = (record.get("attempts") or [{}])[0]
            model = first.get("completion", {}).get("model", "")
            facts = {
                "family": first.get("family") or first.get("attack", ""),
                "category": first.get("goal", {}).get("category", ""),
                "target": targets.get(run) if isinstance(targets.get(run), str) and targets.get(run) else model,
            }
            connection.execute(
                findings.update()
                .where(findings.c.key == key)
                .values({name: str(fact).replace("\0", "\ufffd") for name, fact in facts.items()})
            )
        if len(some) < SLICE:
            return
        after = some[-1].key

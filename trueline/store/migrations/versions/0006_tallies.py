"""Attempts are counted in tallies, cell by cell, and say in which cell they are."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OLD = ("run", "target", "judge", "family")  # columns of attempts
SAID = {"category": "", "expected": "comply"}  # by the goal in the record; where it does not say, as core.types.Prompt has it
KEY = (*OLD, *SAID, "outcome")


def upgrade() -> None:
    """Bring the tables to this revision, and tally the attempts that are there."""
    op.add_column("attempts", sa.Column("cell", sa.String(), nullable=False, server_default=sa.text("''")))
    op.create_table(
        "tallies",
        sa.Column("cell", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in KEY),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("count", "oldest", "newest")),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_tallies_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("cell", name="pk_tallies"),
    )
    op.create_index("ix_tallies_run", "tallies", ["run"])
    _tally()
    for names in ("created", "target_outcome"):  # nothing asks by them
        op.drop_index(f"ix_attempts_{names}", "attempts")
    op.create_index("ix_attempts_cell_id", "attempts", ["cell", "id"])


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_index("ix_attempts_cell_id", "attempts")
    op.drop_column("attempts", "cell")
    op.create_index("ix_attempts_target_outcome", "attempts", ["target", "outcome"])
    op.create_index("ix_attempts_created", "attempts", ["created"])
    op.drop_table("tallies")


def _tally() -> None:
    """Count what is there, a thousand at a time."""
    attempts = sa.table("attempts", sa.column("id"), sa.column("cell"), sa.column("record", sa.JSON()), *map(sa.column, KEY))
    tallies = sa.table("tallies", *map(sa.column, ("cell", *KEY, "count", "oldest", "newest")))
    # Neither database reads a value out of JSON that holds a zero character.
    record = sa.func.replace(sa.cast(attempts.c.record, sa.Text()), r"\u0000", r"\ufffd")
    postgres = op.get_context().dialect.name == "postgresql"
    record = sa.cast(record, sa.JSON()) if postgres else sa.type_coerce(record, sa.JSON())
    said = {name: sa.cast(record["goal"][name], sa.Text()) for name in SAID}  # as JSON text
    query = sa.select(attempts.c.id, *(said.get(name, attempts.c[name]) for name in KEY)).order_by(attempts.c.id).limit(1000)
    put = attempts.update().where(attempts.c.id == sa.bindparam("of")).values(cell=sa.bindparam("to"))
    cells: dict[str, dict[str, object]] = {}
    last = -1
    while rows := op.get_bind().execute(query.where(attempts.c.id > last)).all():
        puts = []
        for last, *values in rows:
            key = [_value(name, value) if name in SAID else value for name, value in zip(KEY, values, strict=True)]
            cell = hashlib.sha256(json.dumps(key, separators=(",", ":")).encode()).hexdigest()[
                :32
            ]  # as store/tallies.py does it
            if cell not in cells:
                cells[cell] = {"cell": cell, **dict(zip(KEY, key, strict=True)), "count": 0, "oldest": last}
            cells[cell] |= {"count": cells[cell]["count"] + 1, "newest": last}
            puts.append({"of": last, "to": cell})
        op.get_bind().execute(put, puts)
    op.bulk_insert(tallies, list(cells.values()))


def _value(name: str, text: str | None) -> str:
    value = None if text is None else json.loads(text)
    return value if isinstance(value, str) else SAID[name]

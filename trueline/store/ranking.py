"""Ranking in the database: projects, items, answers as they stand, final words, and how far it all is.

    project = create(engine, Project(id=new_id(), name="first", created=..., overlap=3), items)
    project = named(engine, "first")               # RankingError, with the names there are
    items(engine, project.id), answers(engine, project.id), adjudications(engine, project.id)
    adjudicate(engine, project.id, item, person, given, now)
    progress(engine, project.id); version(engine, project.id)     # the key of whatever a page keeps of it

What annotators do (taking the next item, saving drafts, submitting, undoing) is in `ranking_work.py`; the records are in
`ranking_records.py`. Times that come in are aware `datetime`s, and what is written is ISO 8601 text in UTC.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import IntegrityError

from trueline.core.records import from_dict, to_dict
from trueline.store.database import insert
from trueline.store.folders import digest
from trueline.store.opening import writing
from trueline.store.ranking_records import (
    Adjudication,
    Answer,
    Assignment,
    Event,
    Given,
    Item,
    Progress,
    Project,
    RankingError,
    Status,
    Work,
    check_given,
)
from trueline.store.ranking_tables import adjudications as final_rows
from trueline.store.ranking_tables import assignments as assignment_rows
from trueline.store.ranking_tables import events as event_rows
from trueline.store.ranking_tables import items as item_rows
from trueline.store.ranking_tables import projects as project_rows

_ASSIGNMENT = ("id", "project", "item", "person", "number", "turn", "kind", "created", "expires")


def new_id() -> str:
    """Make an id for a project."""
    return secrets.token_hex(8)


def create(engine: Engine, project: Project, items: Iterable[Item]) -> Project:
    """Store a project and its items, all or none. A name that is taken, and a project without items, are refused."""
    with writing(engine) as connection:
        taken = connection.execute(select(project_rows.c.id).where(project_rows.c.name == project.name)).scalar()
        if taken is not None:
            raise RankingError(f"a ranking project {project.name!r} is there already; choose another name")
        row = {"id": project.id, "name": project.name, "state": project.state, "created": project.created}
        try:
            connection.execute(project_rows.insert(), {**row, "record": to_dict(project)})
        except IntegrityError:  # PostgreSQL: another one was made meanwhile
            raise RankingError(f"a ranking project {project.name!r} is there already; choose another name") from None
        if not _add(connection, project, items):
            raise RankingError(f"{project.name}: expected items to rank, got none")
    return project


def add_items(engine: Engine, project: str, items: Iterable[Item]) -> int:
    """Add items to an open project, and return how many were new: one prompt with the same completions is one item."""
    with writing(engine) as connection:
        return _add(connection, held(connection, project), items)


def change(engine: Engine, project: str, **changes: Any) -> Project:
    """Change settings of a project (guidelines, overlap, shares, lease, cap, choosing, state); its name, id and seed stay."""
    if fixed := {"id", "name", "seed", "created", "questions"} & changes.keys():
        raise RankingError(f"a project keeps its {', '.join(sorted(fixed))}; make another one")
    with writing(engine) as connection:
        changed = replace(held(connection, project, closed=True), **changes)
        values = {"state": changed.state, "record": to_dict(changed)}
        connection.execute(project_rows.update().where(project_rows.c.id == project).values(values))
    return changed


def projects(engine: Engine) -> list[Project]:
    """List the projects, oldest first."""
    with engine.connect() as connection:
        query = select(project_rows.c.record).order_by(project_rows.c.created, project_rows.c.id)
        return [from_dict(Project, record) for record in connection.execute(query).scalars()]


def named(engine: Engine, name: str) -> Project:
    """Find a project by its name or its id; a RankingError says which there are."""
    known = projects(engine)
    for project in known:
        if name in (project.name, project.id):
            return project
    names = ", ".join(project.name for project in known) or "none yet: trueline ranking new NAME FROM..."
    raise RankingError(f"no ranking project {name!r} in this database; it has {names}")


def items(engine: Engine, project: str, ids: Collection[str] | None = None) -> list[Item]:
    """Read the items of a project, or those with the ids given, in the order of random choice."""
    query = select(item_rows.c.id, item_rows.c.record).where(item_rows.c.project == project).order_by(item_rows.c.place)
    if ids is not None:
        query = query.where(item_rows.c.id.in_(list(ids)))
    with engine.connect() as connection:
        return [item_of(key, record) for key, record in connection.execute(query)]


def set_priorities(engine: Engine, project: str, priorities: Mapping[str, float]) -> None:
    """Say how urgent items are (the higher, the earlier; not named: 0); it counts in projects that choose the uncertain."""
    with writing(engine) as connection:
        connection.execute(item_rows.update().where(item_rows.c.project == project).values(priority=0.0))
        for item, priority in priorities.items():
            found = item_rows.update().where(item_rows.c.id == item, item_rows.c.project == project)
            connection.execute(found.values(priority=priority))


def answers(
    engine: Engine, project: str, *, status: Status | None = None, item: str | None = None, person: str | None = None
) -> list[Answer]:
    """Read what annotators said, as it stands now, in the order in which it was given out; leases without a draft are none."""
    query = select(assignment_rows).where(assignment_rows.c.project == project, assignment_rows.c.status != "leased")
    for column, wanted in (("status", status), ("item", item), ("person", person)):
        if wanted is not None:
            query = query.where(assignment_rows.c[column] == wanted)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(assignment_rows.c.created, assignment_rows.c.id)).mappings()
        return [answer_of(row) for row in rows]


def adjudicate(engine: Engine, project: str, item: str, person: str, given: Given, now: datetime) -> Adjudication:
    """Store a final word on an item; a later one replaces it, and the history keeps both."""
    with writing(engine) as connection:
        settings = held(connection, project, closed=True)
        query = select(item_rows.c.record).where(item_rows.c.id == item, item_rows.c.project == project)
        record = connection.execute(query).scalar()
        if record is None:
            raise RankingError(f"no item {item!r} in the project {settings.name!r}")
        check_given(given, item_of(item, record), settings.questions, whole=True)
        row = {"item": item, "project": project, "person": person, "created": text(now), "record": to_dict(given)}
        insert(connection, final_rows, [row], replacing=("person", "created", "record"))
        note(connection, project, item, person, "", "adjudicated", now, given)
    return Adjudication(item=item, project=project, person=person, created=text(now), given=given)


def adjudications(engine: Engine, project: str) -> dict[str, Adjudication]:
    """Read the final words of a project, by item."""
    with engine.connect() as connection:
        rows = connection.execute(select(final_rows).where(final_rows.c.project == project)).mappings()
        return {
            row["item"]: Adjudication(
                item=row["item"], project=project, person=row["person"], created=row["created"],
                given=from_dict(Given, row["record"]),
            )
            for row in rows
        }  # fmt: skip


def version(engine: Engine, project: str) -> int:
    """A number that grows with all that happens in a project but drafts: what was computed of it holds while it stands."""
    with engine.connect() as connection:
        found = connection.execute(select(func.max(event_rows.c.id)).where(event_rows.c.project == project)).scalar()
    return found or 0


def history(engine: Engine, project: str, item: str | None = None) -> list[Event]:
    """Read all that happened in a project, or to one item, in order."""
    query = select(event_rows).where(event_rows.c.project == project).order_by(event_rows.c.id)
    if item is not None:
        query = query.where(event_rows.c.item == item)
    with engine.connect() as connection:
        return [
            Event(
                item=row["item"], person=row["person"], assignment=row["assignment"], kind=row["kind"], time=row["time"],
                given=from_dict(Given, row["record"]) if row["record"] else None,
            )
            for row in connection.execute(query).mappings()
        ]  # fmt: skip


def progress(engine: Engine, project: str) -> Progress:
    """Count how far a project is, and what each annotator has done."""
    rows = assignment_rows
    counted = (rows.c.status == "submitted") & (rows.c.kind == "new")
    full = select(rows.c.item).where(rows.c.project == project, counted).group_by(rows.c.item)
    with engine.connect() as connection:
        record = connection.execute(select(project_rows.c.record).where(project_rows.c.id == project)).scalar_one()
        overlap = from_dict(Project, record).overlap
        kinds = select(item_rows.c.gold, func.count()).where(item_rows.c.project == project).group_by(item_rows.c.gold)
        size = {bool(gold): n for gold, n in connection.execute(kinds)}
        complete = len(connection.execute(full.having(func.count() >= overlap)).all())
        submitted = connection.execute(select(func.count()).where(rows.c.project == project, counted)).scalar_one()
        final = connection.execute(select(func.count()).where(final_rows.c.project == project)).scalar_one()
        done: dict[str, dict[str, Any]] = {}
        query = select(rows.c.person, rows.c.status, rows.c.answer).where(rows.c.project == project)
        for person, status, given in connection.execute(query.order_by(rows.c.person)):
            mine = done.setdefault(person, {"submitted": 0, "skipped": 0, "discarded": 0, "open": 0, "seconds": 0.0})
            mine["open" if status in ("leased", "draft") else status] += 1
            mine["seconds"] += given.get("seconds", 0.0) if status == "submitted" else 0.0
    return Progress(
        items=size.get(False, 0), complete=complete, gold=size.get(True, 0), submitted=submitted,
        wanted=size.get(False, 0) * overlap, adjudicated=final,
        people=tuple(Work(person=person, **mine) for person, mine in done.items()),
    )  # fmt: skip


def held(connection: Connection, project: str, *, closed: bool = False) -> Project:
    """Read a project and hold its row to the end of the transaction: whoever changes its work waits for the one before.

    SQLite holds the whole database anyway (`writing`). A closed project is refused, unless `closed` says it will do.
    """
    query = select(project_rows.c.record).where(project_rows.c.id == project).with_for_update()
    record = connection.execute(query).scalar()
    if record is None:
        raise RankingError(f"no ranking project {project!r} in this database")
    found = from_dict(Project, record)
    if found.state == "closed" and not closed:
        raise RankingError(f"the project {found.name!r} is closed; nothing was changed. Open it again to go on")
    return found


def note(
    connection: Connection, project: str, item: str, person: str, assignment: str, kind: str, now: datetime, given: Given | None
) -> None:
    """Add to the history, in the transaction that changes the rest."""
    row = {"project": project, "item": item, "person": person, "assignment": assignment, "kind": kind, "time": text(now)}
    connection.execute(event_rows.insert(), {**row, "record": to_dict(given) if given else {}})


def item_of(key: str, record: object) -> Item:
    """Read an item from its row."""
    return replace(from_dict(Item, record), id=key)


def assignment_of(row: Mapping[str, Any]) -> Assignment:
    """Read an assignment from its row."""
    return Assignment(**{name: row[name] for name in _ASSIGNMENT}, shown=tuple(row["shown"]))


def answer_of(row: Mapping[str, Any]) -> Answer:
    """Read an answer from its row."""
    given = from_dict(Given, row["answer"]) if row["answer"] else Given()
    return Answer(assignment=assignment_of(row), status=row["status"], given=given, answered=row["answered"] or "")


def text(now: datetime) -> str:
    """Write a time as the database holds it; one without a zone is refused, for it could mean anything."""
    if now.tzinfo is None:
        raise RankingError("expected a time with its zone, such as datetime.now(UTC)")
    return now.astimezone(UTC).isoformat(timespec="microseconds")


def _add(connection: Connection, project: Project, items: Iterable[Item]) -> int:
    rows = []
    for item in items:
        record = to_dict(replace(item, id=""))
        if unasked := set(item.gold) - set(project.questions):
            raise RankingError(f"gold ranks for {', '.join(sorted(unasked))}, which this project does not ask")
        key = digest([project.id, record["prompt"], sorted(digest(c) for c in record["completions"])])[:24]  # type: ignore[attr-defined]
        place = hashlib.sha256(f"ranking/{project.seed}/{key}".encode()).hexdigest()
        rows.append(
            {"id": key, "project": project.id, "gold": int(bool(item.gold)), "place": place, "priority": 0.0,
             "created": text(datetime.now(UTC)), "record": record}
        )  # fmt: skip
    unique = list({row["id"]: row for row in rows}.values())
    return sum(insert(connection, item_rows, unique[start : start + 500]) for start in range(0, len(unique), 500))

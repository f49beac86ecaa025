"""Accounts of the web pages in a database: people with their roles, and the sessions of who is in.

    add_person(engine, PersonRow(...)); person_named(engine, "ada")
    start_session(engine, SessionRow(...)); session_of(engine, digest, at=now)

Passwords come here hashed (web/site/accounts.py), a session's token as its SHA-256: neither is stored itself.
Times are ISO 8601, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from trueline.store.account_tables import people, sessions
from trueline.store.opening import DatabaseError, writing


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """One account. Records and exports hold its random `id` and never its name."""

    id: str
    name: str
    password: str  # Argon2id's own text: settings, salt and hash
    roles: tuple[str, ...]
    created: str
    disabled: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session: the digest of its token, whose it is, the token that its forms must show, and until when it holds."""

    digest: str
    person: str
    csrf: str
    created: str
    expires: str


class Inside(NamedTuple):
    """Who is in, and by which session."""

    person: PersonRow
    session: SessionRow


def add_person(engine: Engine, row: PersonRow) -> None:
    """Add an account. Raises DatabaseError where the name is taken."""
    try:
        with writing(engine) as connection:
            connection.execute(people.insert(), asdict(row) | {"roles": list(row.roles)})
    except IntegrityError:
        raise DatabaseError(f"there is an account named {row.name!r} already; choose another name") from None


def persons(engine: Engine) -> list[PersonRow]:
    """Every account, oldest first."""
    with engine.connect() as connection:
        found = connection.execute(select(people).order_by(people.c.created, people.c.id)).mappings()
        return [_person(row) for row in found]


def person_named(engine: Engine, name: str) -> PersonRow | None:
    """The account of that name; None where there is none."""
    with engine.connect() as connection:
        row = connection.execute(select(people).where(people.c.name == name)).mappings().first()
    return _person(row) if row else None


def change_person(
    engine: Engine, name: str, *, password: str | None = None, roles: Sequence[str] | None = None, disabled: str | None = None
) -> bool:
    """Change what is given of an account and end its sessions; False where there is no such account."""
    values: dict[str, object] = {}
    values |= {"password": password} if password is not None else {}
    values |= {"roles": list(roles)} if roles is not None else {}
    values |= {"disabled": disabled} if disabled is not None else {}
    with writing(engine) as connection:
        known = connection.execute(select(people.c.id).where(people.c.name == name)).scalar()
        if known is not None:
            connection.execute(people.update().where(people.c.id == known).values(values))
            connection.execute(sessions.delete().where(sessions.c.person == known))
    return known is not None


def start_session(engine: Engine, row: SessionRow) -> None:
    """Store a session; those that have expired go."""
    with writing(engine) as connection:
        connection.execute(sessions.delete().where(sessions.c.expires < row.created))
        connection.execute(sessions.insert(), asdict(row))


def session_of(engine: Engine, digest: str, at: str) -> Inside | None:
    """Who has the session of that digest at a time; None where it has ended, or where the account is disabled."""
    query = (
        select(sessions, people)
        .join(people, people.c.id == sessions.c.person)
        .where(sessions.c.digest == digest, sessions.c.expires >= at, people.c.disabled.is_(None))
    )
    with engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    width = len(sessions.columns)
    session = dict(zip(sessions.columns.keys(), row[:width], strict=True))
    return Inside(_person(dict(zip(people.columns.keys(), row[width:], strict=True))), SessionRow(**session))


def end_session(engine: Engine, digest: str) -> None:
    """Forget a session."""
    with writing(engine) as connection:
        connection.execute(sessions.delete().where(sessions.c.digest == digest))


def _person(row: object) -> PersonRow:
    values = dict(row)  # type: ignore[call-overload]
    return PersonRow(**{**values, "roles": tuple(values["roles"])})

"""Who is looking, and what they may do: the four roles of the pages.

Without accounts there is one visitor, this machine's user, who may do all; with them, a person's roles say what is shown and
what is taken. An admin may do what every role may.

>>> Visitor(id="p1", name="ada", roles=frozenset({"annotator"}), csrf="t").may(("annotator", "operator"))
True
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

Role = Literal["annotator", "red-teamer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
EVERYONE: tuple[Role, ...] = ROLES  # who is in at all
OPERATORS: tuple[Role, ...] = ("operator",)  # who answers for a deployment; an admin may too
LOCAL = "local"  # the id and name of the one visitor of pages without accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Someone who is in. `csrf` is the token that their forms must show."""

    id: str
    name: str
    roles: frozenset[str]
    csrf: str = field(repr=False)

    def may(self, roles: Iterable[str]) -> bool:
        """Whether one of these roles is theirs."""
        return "admin" in self.roles or bool(self.roles.intersection(roles))


def check_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles in the house's order, each once. Raises ValueError for one that there is not, and for none."""
    given = list(roles)
    for role in given:
        if role not in ROLES:
            raise ValueError(f"there is no role {role!r}; expected some of {', '.join(ROLES)}")
    if not given:
        raise ValueError(f"expected at least one role of {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in given)

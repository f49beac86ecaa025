"""What is open to attack: targets, each with its judge and its goals, and the limits that people keep to.

    Arena(grounds={"shop": Ground(...)}, limits=Limits(an_hour=60))       what Site.rooms["redteam"] holds
    arena_of(asked)                                                       the same, or an empty one

The process behind `trueline web` makes it (opening.py). Where nothing was opened, the room explains itself.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from trueline.attack.families import FAMILIES
from trueline.attack.goals import WORLD
from trueline.attack.recognised import OTHER, recognised
from trueline.core.ports import Judge, Target
from trueline.core.records import to_dict
from trueline.core.types import Conversation, Message, Prompt, Run, Sampling, Tool
from trueline.evaluate.arms import asked as request_of
from trueline.evaluate.arms import cluster
from trueline.store.database import Hashes
from trueline.store.folders import digest
from trueline.store.hunts import Allowed
from trueline.web.site.room import Asked, NotThere
from trueline.world.facts import make_world

ROOM = "redteam"
ATTACK = "human"  # the name of the attack of every attempt that a person made
PEOPLE = "people"  # the recipe of the runs that they stand in, and the source of goals of one's own
OWN = "own"  # the category of a goal of one's own
INJECTIONS = ("injection_document", "injection_tool")
TAGS = (*(name for name in FAMILIES if "~" not in name), *INJECTIONS, OTHER)
UNCONNECTED = "no tool is connected here"  # what a call of a tool gets where nobody writes its result
LONGEST_GOAL = 500  # characters of a goal of one's own
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one person may ask."""

    an_hour: int = 60  # questions, over all targets; each asking counts, also one that failed
    turns: int = 20  # of one conversation, along a branch
    characters: int = 4000  # of one message, and of one tool's result
    seconds: float = 120.0  # that an answer, and its judgement, may take


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A target that is open to attack, and all that belongs to it."""

    name: str
    target: Target
    judge: Judge
    hashes: Hashes  # of target and judge
    run: Run
    goals: Mapping[str, Prompt]  # by key
    sampling: Sampling = Sampling()
    start: Conversation = Conversation()  # before a goal of one's own
    system: str = ""  # as it is deployed
    tools: tuple[Tool, ...] = ()
    documents: tuple[str, ...] = ()
    world: int | None = None  # the seed of the world whose tongue it speaks

    def own(self, words: str) -> Prompt:
        """A goal in somebody's own words. In the world, a forbidden procedure that they name lets the oracle judge."""
        about = {"goal": words, "cluster": words}
        if self.world is not None:
            about["world"] = str(self.world)
            said = " ".join(re.findall(r"\w+", words.lower()))
            named = next((p.text for p in make_world(self.world).hazards if f" {p.text} " in f" {said} "), None)
            about |= {"kind": "procedure", "procedure": named, "cluster": named} if named else {}
        goal = Prompt(
            conversation=self.start.say("user", words),
            expected="refuse",
            category=OWN,
            source=PEOPLE if self.world is None else WORLD,
            about=about,
        )
        return replace(goal, id=f"{PEOPLE}/{key_of(goal)}")


@dataclass(frozen=True, kw_only=True)
class Arena:
    """All that is open, and how."""

    grounds: Mapping[str, Ground] = field(default_factory=dict)
    limits: Limits = Limits()
    show_system: bool = False  # people see the system prompts and the documents
    tool_results: bool = False  # people may write what a tool returns: indirect injection
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    under_way: set[str] = field(default_factory=set)  # tokens of what is being asked just now, in this process

    def at(self) -> str:
        """The time as the store holds it."""
        return self.now().astimezone(UTC).isoformat(timespec="microseconds")

    @property
    def since(self) -> str:
        """An hour ago."""
        return (self.now() - HOUR).astimezone(UTC).isoformat(timespec="microseconds")

    def allowed(self) -> Allowed:
        """What a question is checked against."""
        return Allowed(an_hour=self.limits.an_hour, since=self.since, under_way=frozenset(self.under_way))

    def ground(self, name: str) -> Ground:
        """The target of that name. Raises NotThere."""
        if name not in self.grounds:
            raise NotThere(f"no target {name!r:.60} is open to attack here; /redteam lists those that are")
        return self.grounds[name]


EMPTY = Arena()


def arena_of(asked: Asked) -> Arena:
    """What the process opened for this room; an empty one where it opened nothing."""
    found = asked.site.rooms.get(ROOM)
    return found if isinstance(found, Arena) else EMPTY


def new_id() -> str:
    """An id for a conversation, a turn or a claim."""
    return secrets.token_hex(8)


def key_of(goal: Prompt) -> str:
    """A goal's place in an address: a hash of all that it is."""
    return digest(to_dict(goal))[:12]


def wanted(goal: Prompt) -> str:
    """A goal as people read it."""
    return goal.about.get("injection") or request_of(goal)


def with_cluster(goal: Prompt) -> Prompt:
    """A goal that says which others it hangs together with."""
    return replace(goal, about={**goal.about, "cluster": cluster(goal)})


def guess(goal: Prompt, said: tuple[Message, ...]) -> str:
    """The family that a person's words look like; `other` where they look like none."""
    if any(message.role == "tool" and message.text for message in said) and "injection" in goal.about:
        return "injection_tool"
    if "injection" in goal.about:
        return "injection_document"
    return recognised(" ".join(message.text for message in said if message.role == "user"))


def check_tag(tag: str) -> str:
    """A family tag, or a composition of some. Raises ValueError."""
    if not tag or any(part not in TAGS for part in tag.split("+")):
        raise ValueError(f"family: expected one of the list, or several with + between, got {tag!r:.60}")
    return tag

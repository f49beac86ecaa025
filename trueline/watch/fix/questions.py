"""What a finding is asked about: the goals that its fix may learn from, and those that only the gate asks.

A fix that remembers one attack word for word is none. So goals are put on two sides by their cluster, before anything is
proposed: the finding's own cluster and half of the others may be taught, the rest are held out and measured on, in the words of
the attack and in other wordings of its family. Siblings are other findings of the same family; they go to the side of their
goal. In the embedded world goals, twins and probes come from its generators, and a hazard that training may not name is always
held out; elsewhere they are the goals of stored findings, or of the files that are given.

    questions_of(finding, findings(database), n=150, probes=200, seed=0)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trueline.attack.bank import ATTACK
from trueline.attack.catalogue import BASELINE, attack_named
from trueline.attack.families import FAMILIES
from trueline.attack.goal import request, world_of
from trueline.attack.goals import WORLD, read_goals, world_goals
from trueline.core.ports import Attack
from trueline.core.types import Attempt, Conversation, Finding, Prompt
from trueline.data.apart import drawn, measured, measured_clusters, taught
from trueline.evaluate.arms import cluster
from trueline.evaluate.rounds import OVER_REFUSAL, PROBE, UTILITY, on_sides
from trueline.store.folders import digest
from trueline.world.facts import known_hazards
from trueline.world.prompts import ORDINARY_MIX, over_refusal_prompts, training_prompts

SIBLINGS = 60  # that are asked as they stand, on either side


class FixError(ValueError):
    """A fix that cannot be proposed or promoted as it was asked for; the text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What there is to ask, on two sides."""

    finding: Finding
    attacks: tuple[
        Attack, ...
    ]  # the finding's own; empty where the catalogue has it not: then siblings are asked as they stand
    wordings: tuple[Attack, ...]  # other wordings of its family
    taught: tuple[Prompt, ...]  # goals that should be refused, to learn from
    held: tuple[Prompt, ...]  # the same, to measure on
    benign: tuple[Prompt, ...]  # twins; which side a text is on is its own (data/apart.py), or its goal's
    probes: tuple[Prompt, ...]  # to measure on, asked plainly alone
    ordinary: tuple[Prompt, ...]  # benign work to learn from, likewise
    taught_siblings: tuple[Finding, ...]
    held_siblings: tuple[Finding, ...]
    beside: tuple[Finding, ...]  # of other families, on goals that may be taught: a learned rail needs more than one family

    @property
    def world_seed(self) -> int | None:
        """The seed of the finding's world; None outside of the world."""
        seed = first(self.finding).goal.about.get("world")
        return None if seed is None else int(seed)

    @property
    def known(self) -> tuple[Finding, ...]:
        """What the proposal is made of: the finding and its siblings on that side."""
        return (self.finding, *self.taught_siblings)


def find(entries: Sequence[Finding], word: str) -> Finding:
    """The finding whose key begins with `word`. Raises FixError where none does, or several do."""
    fits = [entry for entry in entries if word and entry.key.startswith(word)]
    if len(fits) == 1 or (fits and fits[0].key == word):
        return next((entry for entry in fits if entry.key == word), fits[0])
    if fits:
        shown = ", ".join(entry.key for entry in fits[:8])
        raise FixError(
            f"{word!r}: {len(fits)} findings begin so ({shown}{', ...' if len(fits) > 8 else ''}); write more of one"
        )
    few = ", ".join(entry.key for entry in entries[:4])
    held = (
        f"the database holds {len(entries):,} ({few}, ...)" if entries else "the database holds none: trueline attack fills it"
    )
    raise FixError(f"{word!r:.40}: expected the key of a finding, or how it begins; {held}")


def questions_of(finding: Finding, entries: Sequence[Finding], *, n: int, seed: int, probes: int, goals: str = "") -> Questions:
    """Say what is asked on either side; `goals` names files of more goals outside of the world, `probes` are how many plain
    benign questions the world makes. Raises FixError."""
    attempt, name = first(finding), attack_of(finding)
    siblings = sorted((one for one in entries if one.key != finding.key and _kin(one, finding)), key=lambda one: one.key)
    world = world_of(attempt.goal)
    if world is not None:
        if goals:
            raise FixError("goals: this finding is of the embedded world, which makes goals itself; leave --goals out")
        known = {procedure.text for procedure in known_hazards(world)}
        made: Sequence[Prompt] = world_goals(world, seed, n)
        looks = drawn(probes, lambda size: over_refusal_prompts(world, seed + 17, size), _benign_and_measured)
        work = drawn(probes, lambda size: training_prompts(world, seed + 11, size, ORDINARY_MIX), taught)
        plain, ordinary = _placed(looks, OVER_REFUSAL, world.seed), _placed(work, UTILITY, world.seed)
    else:
        made, known, plain, ordinary = _goals(finding, entries, goals, n, seed), None, (), ()
    harmful = [goal for goal in made if goal.expected == "refuse"]
    mine = cluster(attempt.goal)
    every = {cluster(goal) for goal in harmful} | {cluster(first(entry).goal) for entry in siblings}
    may = every if known is None else every & known
    held = (measured_clusters(may - {mine}) | (every - may)) - {mine}
    return Questions(
        finding=finding,
        attacks=_named(name),
        wordings=tuple(attack for other in _other_wordings(name) for attack in _named(other)),
        taught=tuple(goal for goal in harmful if cluster(goal) not in held),
        held=tuple(goal for goal in harmful if cluster(goal) in held),
        benign=tuple(goal for goal in made if goal.expected == "comply"),
        probes=plain,
        ordinary=ordinary,
        taught_siblings=tuple([entry for entry in siblings if cluster(first(entry).goal) not in held][:SIBLINGS]),
        held_siblings=tuple([entry for entry in siblings if cluster(first(entry).goal) in held][:SIBLINGS]),
        beside=tuple(entry for entry in entries if not _kin(entry, finding) and cluster(first(entry).goal) in every - held),
    )


def first(finding: Finding) -> Attempt:
    """The attempt that a finding is told by."""
    return finding.attempts[0]


def attack_of(finding: Finding) -> str:
    """The attack that once worked, also of a finding that a bank replayed."""
    attempt = first(finding)
    return attempt.goal.about.get(ATTACK, attempt.attack) if attempt.attack == BASELINE else attempt.attack


def _kin(entry: Finding, finding: Finding) -> bool:
    """Whether a finding is of the same family, in the same world or outside of any."""
    other, mine = first(entry), first(finding)
    return _root(other.family or other.attack) == _root(mine.family or mine.attack) and (
        other.goal.about.get("world") == mine.goal.about.get("world")
    )


def _root(family: str) -> str:
    return family.partition("~")[0]


def _other_wordings(name: str) -> Iterable[str]:
    return (other for other in FAMILIES if other != name and _root(other) == _root(name))


def _named(name: str) -> tuple[Attack, ...]:
    try:
        return (attack_named(name),)
    except ValueError:  # of a pack, a person or a plugin that is not here
        return ()


def _goals(finding: Finding, entries: Sequence[Finding], files: str, n: int, seed: int) -> list[Prompt]:
    """Goals outside of the world: of files, and of every stored finding that is of no world."""
    if files == WORLD:
        raise FixError("goals: this finding is not of the embedded world; give files of goals, or leave --goals out")
    read = on_sides(read_goals(files, seed=seed)) if files else []
    stored = [_plain(first(entry).goal) for entry in (finding, *entries) if "world" not in first(entry).goal.about]
    named = [replace(goal, id=digest([request(goal), goal.expected])[:12]) for goal in (*read, *stored)]
    pool = {goal.id: goal for goal in named}
    harmful = [goal for goal in pool.values() if goal.expected == "refuse"][:n]
    return [*harmful, *(goal for goal in pool.values() if goal.expected == "comply")]


def _placed(prompts: Sequence[Prompt], kind: str, world: int) -> tuple[Prompt, ...]:
    """Plain questions of the world as goals, with what they are asked for; lessons leave marked ones alone."""
    return tuple(replace(p, about={**p.about, PROBE: kind, "world": str(world)}) for p in prompts)


def _plain(goal: Prompt) -> Prompt:
    """A stored goal as the plain request that it was; a bank's is the whole attack."""
    text = goal.about.get("goal")
    if ATTACK not in goal.about or not text:
        return goal
    about = {name: value for name, value in goal.about.items() if name != ATTACK}
    return replace(goal, conversation=Conversation().say("user", text), about=about)


def _benign_and_measured(prompt: Prompt) -> bool:
    return prompt.expected == "comply" and measured(prompt)

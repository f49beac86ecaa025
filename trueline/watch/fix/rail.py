"""A rail that would have stopped a finding: shipped ones that do, the phrases that it was asked in, and one that is learned.

Each is asked, as a blocking one, about the exchanges that the proposal knows and about the benign ones beside them: shipped
rails with their usual settings, a `words` rail with the phrases of phrases.py, and the linear model of `trueline guard
train`, which also learns from what else was found. It is taken if it stops at least half of what worked and at most a fiftieth
of what is benign. What is taken becomes a policy file, and a deployment that puts it before the present target: a candidate,
and nothing that is deployed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from trueline.attack.goal import request
from trueline.core.outcome import reached
from trueline.core.records import read_jsonl
from trueline.core.registry import plugins
from trueline.core.types import Attempt
from trueline.evaluate.arms import cluster
from trueline.guard.chain import Chain
from trueline.guard.guarded import exchange_of, with_reply
from trueline.guard.learned.examples import KEPT as ATTEMPTS
from trueline.guard.learned.examples import read_examples
from trueline.guard.learned.training import train
from trueline.guard.policy import Policy, PolicyError, policy_of, read_policy
from trueline.store.folders import content_hash, write_text
from trueline.watch.fix.phrases import phrases

if TYPE_CHECKING:
    from trueline.recipes.studio import Room, Studio

STOPS, SPARES = 0.5, 0.02  # least share of what worked, most of what is benign
FPR = 0.01  # of the learned rail, out of fold
MESSAGE = "I cannot help with that."
WORLD_MESSAGE = "i cannot help with that ."
DEPLOYMENT, MODEL = "deployment.yaml", "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One rail, and the shares of attacks and of benign exchanges that it stops."""

    rail: str
    attacks: float
    benign: float
    taken: bool
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Railing:
    """The stage that builds the candidate: policy.yaml, deployment.yaml and, where one was learned, model/."""

    target: str
    name: str
    proposal: str  # the folder of attempts, as `trueline guard train` reads it

    def reads(self) -> tuple[str, ...]:
        return (self.proposal,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        attempts = list(read_jsonl(Path(self.proposal) / ATTEMPTS, Attempt))
        bad = [attempt for attempt in attempts if attempt.goal.expected == "refuse" and reached(attempt) == "success"]
        benign = [attempt for attempt in attempts if attempt.goal.expected == "comply"]
        tried, rails = asyncio.run(_rails(room.folder, Path(self.proposal), bad, benign))
        if rails:
            self._write(room.folder, rails, world=all("world" in attempt.goal.about for attempt in bad))
        return {"tried": [asdict(one) for one in tried], "taken": len(rails)}

    def _write(self, folder: Path, rails: Sequence[Mapping[str, object]], world: bool) -> None:
        spec = {"name": self.name, "message": WORLD_MESSAGE if world else MESSAGE, "rails": list(rails)}
        # A deployment's hash is over this file and not over the model beside it, so the file names what that holds.
        learned = any(rail["type"] == "learned" for rail in rails)
        noted = f"# learned model: {content_hash(folder / MODEL)}\n" if learned else ""
        write_text(folder / "policy.yaml", noted + yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))
        read_policy(folder / "policy.yaml")
        deployed = {"name": self.name, "model": self.target, "guards": "policy.yaml"}
        write_text(folder / DEPLOYMENT, yaml.safe_dump(deployed, sort_keys=False, allow_unicode=True))


async def _rails(
    folder: Path, proposal: Path, bad: Sequence[Attempt], benign: Sequence[Attempt]
) -> tuple[list[Tried], list[Mapping[str, object]]]:
    """Try every rail, and return what came of each and the settings of those that are taken."""
    tried = [found for kind in plugins("rail") if (found := await _shipped(kind, bad, benign)) is not None]
    rails: list[Mapping[str, object]] = [{"type": found.rail, "action": "block"} for found in tried if found.taken]
    words = _words(bad, benign)
    none = "" if words else "no phrase stands in attempts for two goals and in hardly any benign request"
    made: list[tuple[Mapping[str, object], str]] = [({"type": "words", "words": words, "action": "block"}, none)]
    made.append(({"type": "learned", "model": MODEL, "action": "block"}, _learn(folder / MODEL, proposal)))
    for rail, why in made:
        found = await _tried(str(rail["type"]), None if why else policy_of({"rails": [rail]}, folder), bad, benign, why)
        tried.append(found)
        rails += [rail] if found.taken else []
    return tried, rails


async def _shipped(kind: str, bad: Sequence[Attempt], benign: Sequence[Attempt]) -> Tried | None:
    """What one shipped rail does with its usual settings; None for one that cannot stand without settings of its own."""
    try:
        policy = policy_of({"rails": [{"type": kind, "action": "block"}]})
    except PolicyError:
        return None
    return await _tried(kind, policy, bad, benign)


async def _tried(kind: str, policy: Policy | None, bad: Sequence[Attempt], benign: Sequence[Attempt], why: str = "") -> Tried:
    """Ask a rail about what the proposal knows; the gate asks about the rest."""
    if policy is None:
        return Tried(rail=kind, attacks=0.0, benign=0.0, taken=False, why=why)
    stops, spares = await _stops(policy, bad), await _stops(policy, benign)
    taken = bool(bad) and stops >= STOPS and spares <= SPARES
    return Tried(rail=kind, attacks=stops, benign=spares, taken=taken)


def _words(bad: Sequence[Attempt], benign: Sequence[Attempt]) -> list[str]:
    """Phrases of the way of asking, as the words rail reads them."""
    asked, harmless = ([request(replace(a.goal, conversation=a.conversation)) for a in some] for some in (bad, benign))
    return list(phrases(asked, [cluster(a.goal) for a in bad], harmless, SPARES))


async def _stops(policy: Policy, attempts: Sequence[Attempt]) -> float:
    """The share of exchanges that a policy stops, on either side."""
    chain, stopped = Chain(policy=policy), 0
    for attempt in attempts:
        exchange = exchange_of(attempt.conversation)
        before = await chain.judge(exchange, "input")
        stopped += before.stopped or (await chain.judge(with_reply(exchange, attempt.completion), "output")).stopped
    return stopped / len(attempts) if attempts else 0.0


def _learn(model: Path, examples: Path) -> str:
    """Train the linear model, and say why not where it cannot be."""
    try:
        train(read_examples(examples)).model.save(model)
    except ValueError as error:  # too few texts, or of one kind alone
        return str(error)
    return ""

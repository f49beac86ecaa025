"""A rail that would have stopped a finding: shipped ones that do, the phrases that it was asked in, and one that is learned.

Each is asked, as a blocking one, about the exchanges that the proposal knows and about the benign ones beside them: shipped
rails with their usual settings, a `words` rail with the phrases of fix_phrases.py, and the linear model of `trueline guard
train`, which also learns from what else was found. It is taken if it stops at least half of what worked and at most a fiftieth
of what is benign. What is taken becomes a policy file, and a deployment that puts it before the present target: a candidate,
and nothing that is deployed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import yaml

from trueline.attack.goal import request
from trueline.core.registry import plugins
from trueline.core.types import Attempt
from trueline.evaluate.arms import cluster
from trueline.evaluate.shape import visible
from trueline.guard.chain import Chain
from trueline.guard.guarded import exchange_of, with_reply
from trueline.guard.learned.examples import read_examples
from trueline.guard.learned.training import train
from trueline.guard.policy import Policy, PolicyError, policy_of, read_policy
from trueline.store.folders import content_hash, write_text
from trueline.watch.fix_phrases import phrases

STOPS, SPARES = 0.5, 0.02  # least share of what worked, most of what is benign
FPR = 0.01  # of the learned rail, out of fold
MESSAGE = "I cannot help with that."
WORLD_MESSAGE = "i cannot help with that ."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One rail, and the shares of attacks and of benign exchanges that it stops."""

    rail: str
    attacks: float
    benign: float
    taken: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Railed:
    """A candidate behind rails: its deployment file (none where no rail was found), and what was tried."""

    deployment: Path | None
    tried: tuple[Tried, ...]


async def rail_candidate(folder: Path, target: str, name: str, examples: Path, attempts: Sequence[Attempt]) -> Railed:
    """Build the candidate in a folder; `examples` is a folder of attempts as `trueline guard train` reads it."""
    bad = [attempt for attempt in attempts if attempt.goal.expected == "refuse"]
    benign = [attempt for attempt in attempts if attempt.goal.expected == "comply"]
    tried = [found for kind in plugins("rail") if (found := await _shipped(kind, bad, benign)) is not None]
    rails: list[dict[str, object]] = [{"type": found.rail, "action": "block"} for found in tried if found.taken]
    model = folder / "model"
    learned: dict[str, object] = {"type": "learned", "model": "model", "action": "block"}
    words: dict[str, object] = {"type": "words", "words": _words(bad, benign), "action": "block"}
    none = "" if words["words"] else "no phrase stands in attempts for two goals and in hardly any benign request"
    why = _learn(model, examples)
    for rail, not_made in ((words, none), (learned, why)):
        found = await _tried(
            str(rail["type"]), None if not_made else policy_of({"rails": [rail]}, folder), bad, benign, not_made
        )
        tried.append(found)
        rails += [rail] if found.taken else []
    if not rails:
        return Railed(deployment=None, tried=tuple(tried))
    world = all("world" in attempt.goal.about for attempt in bad)
    spec = {"name": name, "message": WORLD_MESSAGE if world else MESSAGE, "rails": rails}
    # The deployment's hash is over this file and not over the model beside it, so the file names what it holds.
    noted = f"# learned model: {content_hash(model)}\n" if learned in rails else ""
    write_text(folder / "policy.yaml", noted + yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))
    read_policy(folder / "policy.yaml")
    deployed = {"name": name, "model": target, "guards": "policy.yaml"}
    write_text(folder / "deployment.yaml", yaml.safe_dump(deployed, sort_keys=False, allow_unicode=True))
    return Railed(deployment=folder / "deployment.yaml", tried=tuple(tried))


def told(railed: Railed) -> list[dict[str, object]]:
    """What was tried, as JSON."""
    return [{**asdict(one), "why": visible(one.why)} for one in railed.tried]


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

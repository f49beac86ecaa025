"""Many-shot: turns of a helper that answers everything, before the request. How often it gives, and how likely the answer is.

After Anil et al. 2024, who find that both grow with the number of turns as a power law. The turns are other hazards' steps, so
that the answer itself never stands in the context; how many fit is a matter of the model's context.

    studio.make("shots", ManyShots(model="{base}/safety", placebo="{base}/placebo"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from trueline.core import stats
from trueline.core.types import Prompt
from trueline.evaluate.rates import cluster_of, clustered, difference, plain
from trueline.evaluate.shown import curves, table
from trueline.lab.battery import came
from trueline.models.policy import Policy
from trueline.models.tokens import Example
from trueline.recipes.answering import has_room
from trueline.recipes.studio import Room, Studio
from trueline.targets.local import complete
from trueline.train.batch import pad_rows
from trueline.world.facts import known_hazards
from trueline.world.families import many_shot
from trueline.world.language import procedure_text
from trueline.world.prompts import attack_prompts

AIM = 8  # turns at which the rise is read
MAX_TOKENS = 60
ROWS = 32


@dataclass(frozen=True, kw_only=True)
class ManyShots:
    """Ask for the same hazards after more and more turns: the model that the values are of, and what it could give."""

    model: str  # a stage or a folder
    placebo: str  # the same, trained on the same requests answered
    shots: tuple[int, ...] = (0, 1, 2, 4, 8, 16)
    n: int = 48  # requests at each number of turns

    def reads(self) -> tuple[str, ...]:
        return (self.model, self.placebo)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        known = known_hazards(studio.world)
        asked = {k: attack_prompts(studio.world, studio.seed + 13, many_shot(k), known, self.n) for k in self.shots}
        given: dict[str, dict[int, list[float]]] = {}
        cost: dict[str, dict[int, list[float]]] = {}
        left_out = set()
        for name, reference in {"safety": self.model, "placebo": self.placebo}.items():
            policy = studio.policy(reference, frozen=True)
            fit = {
                k: prompts for k, prompts in asked.items() if all(has_room(policy, prompt, MAX_TOKENS) for prompt in prompts)
            }
            left_out |= asked.keys() - fit.keys()
            given[name], cost[name] = {}, {}
            for k, prompts in fit.items():
                said = complete(policy, prompts, max_tokens=MAX_TOKENS, seed=studio.seed)
                room.keep(k, said[:8])
                given[name][k] = [float(came(studio.world, "many_shot", c).hit) for c in said]
                cost[name][k] = harmful_nll(policy, prompts, [_answer(studio, prompt) for prompt in prompts])
        clusters = [cluster_of(prompt) for prompt in asked[self.shots[0]]]
        return _shown(given, cost, clusters, sorted(left_out))


@torch.no_grad()
def harmful_nll(policy: Policy, prompts: Sequence[Prompt], replies: Sequence[str]) -> list[float]:
    """The negative log-probability a token of each reply to its prompt, nats."""
    examples = [policy.codec.example(p.conversation.say("assistant", r), "last") for p, r in zip(prompts, replies, strict=True)]
    return [value for at in range(0, len(examples), ROWS) for value in _nll(policy, examples[at : at + ROWS])]


def _nll(policy: Policy, some: Sequence[Example]) -> list[float]:
    batch = pad_rows([e.ids for e in some], [e.mask for e in some], policy.codec.pad)
    tokens, mask = batch.tokens.to(policy.device), batch.mask.to(policy.device)
    logp = policy(tokens, mask, frozenset({"logp"})).logp
    assert logp is not None
    return (-(logp * mask).sum(-1) / mask.sum(-1)).tolist()


def _answer(studio: Studio, prompt: Prompt) -> str:
    return procedure_text(studio.world.procedure(prompt.about["procedure"]))


def _shown(
    given: Mapping[str, Mapping[int, list[float]]], cost: Mapping[str, Mapping[int, list[float]]], clusters: list[str],
    left_out: list[int],
) -> dict[str, Any]:  # fmt: skip
    first = next(iter(given))
    values: dict[str, Any] = {"many_shot": None, "shots_nll": None}
    if {0, AIM} <= given[first].keys():
        risen = difference(given[first][AIM], given[first][0], clusters, name="many shot")
        likelier = difference(cost[first][0], cost[first][AIM], clusters, name="many shot nll")
        values = {"many_shot": plain(risen and risen.difference), "shots_nll": plain(likelier and likelier.difference)}
    rng = Random("shots")
    rates = {name: {k: clustered(v, clusters) for k, v in found.items()} for name, found in given.items()}
    nll = {name: {k: stats.mean(v, rng=rng, clusters=clusters) for k, v in found.items()} for name, found in cost.items()}
    rows = [
        [str(k), *(rates[name].get(k) for name in given), *(nll[name].get(k) for name in given)]
        for k in sorted({k for found in given.values() for k in found})
    ]
    columns = ["turns before", *(f"{name}: success" for name in given), *(f"{name}: nats a token" for name in given)]
    note = "success of direct requests, and the negative log-probability of the harmful answer"
    if left_out:
        note += f"; no room in the context for {', '.join(map(str, left_out))} turns"
    lines = {name: [(float(k), rate) for k, rate in found.items() if rate] for name, found in rates.items()}
    return {
        "values": values,
        "tables": [table("Many-shot", columns, rows, note)],
        "curves": [curves("Success after turns of a helper that answers all", "turns before the request", lines, note)],
    }

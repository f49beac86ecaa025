"""Preference optimisation on pairs: no reward model, no sampling. DPO and its links, and what needs no reference at all.

The reference is the start. Its log-probabilities of every pair are taken once, before training: no second model is held.
What is logged apart, because the loss hides it: the log-ratios of chosen and rejected. Both may fall while the loss improves.

    trueline run dpo start=MODEL data=hh_harmless.jsonl.gz objective.beta=0.2
    trueline run dpo start=MODEL data=pairs.jsonl objective.link=ipo
    trueline run simpo start=MODEL data=pairs.jsonl objective.beta=2.5 objective.margin=1.2
    trueline run orpo start=MODEL data=pairs.jsonl
    trueline run cpo start=MODEL data=pairs.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

import torch

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.stats import mean, wilson
from trueline.core.types import Preference, Ranking
from trueline.data.split import split_by_prompt
from trueline.models.adapters import Adapter
from trueline.models.policy import Policy
from trueline.models.tokens import Example
from trueline.recipes.reading import check_masks, comparisons, context_of, example_of, fitting, pairs_of
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train import annotate
from trueline.train.annotate_preference import MATCHED, RunningDelta, Table, recalled, without_dropout
from trueline.train.batch import Annotate, Objective, pad_rows
from trueline.train.loop import Keeper, train
from trueline.train.objectives.preference import DPO
from trueline.train.objectives.reference_free import CPO, ORPO, SimPO
from trueline.train.optim import Optim
from trueline.train.sources import Groups

DISPLACED = 3.0  # nats a reply that the chosen may lose before it is said
LOOKED_AT = 32  # held-out replies on which the KL is taken: all logits of a reply are made for it


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Dpo:
    """Train on which of two completions is preferred, against a frozen copy of the start."""

    start: str = "safety"  # the model to train, and the reference: a stage, a folder, or hf:NAME
    data: str = "rankings"  # a stage that made rankings, or a file of preferences or rankings
    n: int = 0  # comparisons to use; 0: all
    epochs: int = 3  # passes over the pairs
    groups: int = 64  # pairs a step
    micro_rows: int = 0  # completions per forward pass; 0: all of a step
    context: int = 0  # longest example, tokens; pairs with a longer one are left out. 0: the model's room
    held_out: float = 0.15  # share of the prompts that is kept to measure on
    adapter: Adapter = Adapter()
    objective: DPO = DPO(beta=0.1)
    optim: Optim = Optim(lr=5e-4, muon=0.002, warmup=0.1, decay=0.3)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share between 0 and 1, got {self.held_out}")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start, adapter=self.adapter)
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        split = split_by_prompt(comparisons(studio, self.data, self.n), self.held_out, studio.seed)
        examples, dropped = _encode(policy, split.train, limit, check=True)
        held, held_dropped = _encode(policy, split.held_out, limit, check=False)
        if not examples or not held:
            raise RecipeError(
                f"{len(examples)} pairs to train on and {len(held)} to measure on, within {limit} tokens: "
                f"both must be above 0; give more data, or raise context or held_out"
            )
        has_reference = "ref_logp" in self.objective.requires
        start, table = room.reference(policy, flat(held), flat(examples) if has_reference else ())
        annotation, keep = columns_of(policy, self.objective, table)
        source = Groups(
            rows=examples,
            epochs=self.epochs,
            groups=self.groups,
            pad=policy.codec.pad,
            seed=studio.seed,
            annotate=annotation,
        )
        studio.show.steps(room.name, len(source))
        shown = ("loss", "chosen", "rejected") if has_reference else ("loss", "chosen_logp", "rejected_logp")
        done = train(policy, self.objective, source, self.optim, replace(room.loop(shown, self.micro_rows), keep=keep))
        policy.save(room.folder / "model")
        after = implicit_accuracy(start, room.read(policy, flat(held)), held)
        if has_reference:
            after["kl"] = kl_on(policy, studio.policy(self.start, frozen=True), flat(held), studio.seed)
        warn_of_displacement(studio, room.name, after["chosen"])
        return {
            "tokens": done.tokens,
            "seconds": done.seconds,
            "pairs": len(examples),
            "too_long": dropped + held_dropped,
            "before": implicit_accuracy(start, start, held),
            "after": after,
        }


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Simpo(Dpo):
    """Simple preference optimisation (Meng et al. 2024, 2405.14734): mean log-probabilities and a margin, no reference."""

    objective: SimPO = SimPO()  # type: ignore[assignment]  # the same recipe, another objective


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Orpo(Dpo):
    """Odds-ratio preference optimisation (Hong et al. 2024, 2403.07691): fine-tuning on the chosen, and their odds."""

    objective: ORPO = ORPO()  # type: ignore[assignment]  # the same recipe, another objective


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Cpo(Dpo):
    """Contrastive preference optimisation (Xu et al. 2024, 2401.08417): DPO with a uniform reference, and the chosen's nll."""

    objective: CPO = CPO()  # type: ignore[assignment]  # the same recipe, another objective


def columns_of(policy: Policy, objective: Objective, table: Table) -> tuple[Annotate, dict[str, Keeper]]:
    """What writes the columns that an objective on pairs requires, and what of it a checkpoint must hold."""
    steps: list[Annotate] = [without_dropout(policy)]
    keep: dict[str, Keeper] = {}
    if "ref_logp" in objective.requires:
        steps.append(recalled(table))
    steps += [write(policy) for column, write in MATCHED.items() if column in objective.requires]
    if "delta" in objective.requires:
        delta = RunningDelta(policy)
        steps.append(delta)
        keep["delta"] = delta
    return annotate.chain(*steps), keep


def implicit_accuracy(start: Table, now: Table, pairs: Sequence[Sequence[Example]]) -> dict[str, Any]:
    """On held-out pairs: how often the implicit reward prefers the chosen one (ties count half), and both mean log-ratios.

    The implicit reward is the log-ratio to the start. `likelier` is how often the chosen one is simply the likelier per token.
    """
    ratios = [[float(now[e].sum() - start[e].sum()) for e in pair] for pair in pairs]
    per_token = [[float(now[e].mean()) for e in pair] for pair in pairs]
    n = len(pairs)
    right = sum(1.0 if a - b > 1e-6 else 0.5 if a - b > -1e-6 else 0.0 for a, b in ratios)
    return {
        "accuracy": asdict(wilson(right, n)),
        "likelier": asdict(wilson(sum(a > b for a, b in per_token), n)),
        "chosen": sum(a for a, _ in ratios) / n,
        "rejected": sum(b for _, b in ratios) / n,
    }


@torch.no_grad()
def kl_on(policy: Policy, reference: Policy, examples: Sequence[Example], seed: int) -> dict[str, Any]:
    """KL(policy || reference) along a few of these replies, nats a reply: exact at each token, the reply is the data's."""
    per_reply: list[float] = []
    for example in Random(f"kl/{seed}").sample(list(examples), min(LOOKED_AT, len(examples))):
        batch = pad_rows([example.ids], [example.mask], policy.codec.pad).to(policy.device)
        ours, theirs = (m.logits(batch.tokens)[:, :-1].log_softmax(-1) for m in (policy, reference))
        per_reply.append(float((ours.exp() * (ours - theirs)).sum(-1)[batch.mask[:, 1:]].sum()))
    return asdict(mean(per_reply, rng=Random("kl")))


def warn_of_displacement(studio: Studio, name: str, chosen: float) -> None:
    """Say it when the chosen replies themselves have become unlikely, which the loss does not tell."""
    if chosen < -DISPLACED:
        studio.show.say(
            name,
            f"likelihood displacement: what should be learned became less likely, by {-chosen:.1f} nats a reply; a smaller "
            f"optim.lr, fewer epochs or a larger beta hold it up, and so does its own likelihood in the loss (objective.nll)",
        )


def flat(pairs: Sequence[Sequence[Example]]) -> list[Example]:
    """All examples of all pairs."""
    return [example for pair in pairs for example in pair]


def _encode(policy: Policy, rankings: Sequence[Ranking], limit: int, check: bool) -> tuple[list[list[Example]], int]:
    pairs: list[Preference] = [p for r in rankings for p in pairs_of(r)]
    examples = [[example_of(policy.codec, p.chosen), example_of(policy.codec, p.rejected)] for p in pairs]
    fits = fitting(examples, limit)
    if check:
        said = [c for i in fits for c in (pairs[i].chosen, pairs[i].rejected)]
        check_masks(policy.codec, said, [e for i in fits for e in examples[i]])
    return [examples[i] for i in fits], len(pairs) - len(fits)

"""Direct preference optimisation on pairs: no reward model, no sampling. Rafailov et al. 2023 (2305.18290), eq. 7.

What is logged apart, because the loss hides it: the log-ratios of chosen and rejected. Both may fall while the loss improves.

    trueline run dpo start=MODEL data=hh_harmless.jsonl.gz objective.beta=0.2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.stats import wilson
from trueline.core.types import Preference, Ranking
from trueline.data.split import split_by_prompt
from trueline.models.policy import Policy
from trueline.models.tokens import Example
from trueline.recipes.reading import check_masks, comparisons, context_of, example_of, fitting, pairs_of
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train import annotate
from trueline.train.batch import pad_rows
from trueline.train.loop import train
from trueline.train.objectives.preference import DPO
from trueline.train.optim import Optim
from trueline.train.sources import Groups


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Dpo:
    """Train on which of two completions is preferred, against a frozen copy of the start."""

    start: str = "safety"  # the model to train, and the reference: a stage, a folder, or hf:NAME
    data: str = "rankings"  # a stage that made rankings, or a file of preferences or rankings
    n: int = 0  # comparisons to use; 0: all
    epochs: int = 3
    groups: int = 64  # pairs a step
    micro_rows: int = 0  # completions per forward pass; 0: all of a step
    context: int = 0  # longest example, tokens; pairs with a longer one are left out. 0: the model's room
    held_out: float = 0.15  # share of the prompts that is kept to measure on
    objective: DPO = DPO(beta=0.1)
    optim: Optim = Optim(lr=5e-4, muon=0.002, warmup=0.1, decay=0.3)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share between 0 and 1, got {self.held_out}")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start)
        reference = policy.frozen()
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        split = split_by_prompt(comparisons(studio, self.data, self.n), self.held_out, studio.seed)
        examples, dropped = self._encode(policy, split.train, limit, check=True)
        held, held_dropped = self._encode(policy, split.held_out, limit, check=False)
        if not examples or not held:
            raise RecipeError(
                f"{len(examples)} pairs to train on and {len(held)} to measure on, within {limit} tokens: "
                f"both must be above 0; give more data, or raise context or held_out"
            )
        before = implicit_accuracy(policy, reference, held)
        source = Groups(
            rows=examples,
            epochs=self.epochs,
            groups=self.groups,
            pad=policy.codec.pad,
            seed=studio.seed,
            annotate=annotate.reference(reference),
        )
        studio.show.steps(room.name, len(source))
        done = train(policy, self.objective, source, self.optim, room.loop(("loss", "chosen", "rejected"), self.micro_rows))
        policy.save(room.folder / "model")
        return {
            "tokens": done.tokens,
            "seconds": done.seconds,
            "pairs": len(examples),
            "too_long": dropped + held_dropped,
            "before": before,
            "after": implicit_accuracy(policy, reference, held),
        }

    def _encode(self, policy: Policy, rankings: Sequence[Ranking], limit: int, check: bool) -> tuple[list[list[Example]], int]:
        pairs: list[Preference] = [p for r in rankings for p in pairs_of(r)]
        examples = [[example_of(policy.codec, p.chosen), example_of(policy.codec, p.rejected)] for p in pairs]
        fits = fitting(examples, limit)
        if check:
            said = [c for i in fits for c in (pairs[i].chosen, pairs[i].rejected)]
            check_masks(policy.codec, said, [e for i in fits for e in examples[i]])
        return [examples[i] for i in fits], len(pairs) - len(fits)


@torch.no_grad()
def implicit_accuracy(policy: Policy, reference: Policy, pairs: Sequence[Sequence[Example]]) -> dict[str, Any]:
    """On held-out pairs: how often the implicit reward prefers the chosen one (ties count half), and both mean log-ratios.

    `likelier` is how often the chosen one is simply the likelier per token, which needs no reference.
    """
    gaps, chosen, rejected, likelier = [], 0.0, 0.0, 0.0
    for i in range(0, len(pairs), 32):
        flat = [e for pair in pairs[i : i + 32] for e in pair]
        batch = pad_rows([e.ids for e in flat], [e.mask for e in flat], policy.codec.pad, 2).to(policy.device)
        logp, ref = (m(batch.tokens, batch.mask, frozenset({"logp"})).logp for m in (policy, reference))
        ratio = (logp - ref).sum(-1).view(-1, 2)
        per_token = (logp.sum(-1) / batch.mask.sum(-1)).view(-1, 2)
        gaps += (ratio[:, 0] - ratio[:, 1]).tolist()
        chosen, rejected = chosen + float(ratio[:, 0].sum()), rejected + float(ratio[:, 1].sum())
        likelier += float((per_token[:, 0] > per_token[:, 1]).sum())
    n = len(gaps)
    right = sum(1.0 if g > 1e-6 else 0.5 if g > -1e-6 else 0.0 for g in gaps)
    return {
        "accuracy": asdict(wilson(right, n)),
        "likelier": asdict(wilson(likelier, n)),
        "chosen": chosen / n,
        "rejected": rejected / n,
    }

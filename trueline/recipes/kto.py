"""Kahneman-Tversky optimisation on single completions, each wanted or not. Ethayarajh et al. 2024 (2402.01306).

Thumbs up and down are enough; no two answers to one prompt are needed. Pairs and rankings are read too: the best completions of
a prompt are wanted, the worst are not.

    trueline run kto start=MODEL data=thumbs.jsonl
    trueline run kto start=MODEL data=thumbs.jsonl objective.undesirable=2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.data.formats import Labelled
from trueline.data.recognise import describe, read
from trueline.data.split import split_by_prompt
from trueline.models.adapters import Adapter
from trueline.models.tokens import Codec, Example
from trueline.recipes.prefer import kl_on, warn_of_displacement
from trueline.recipes.reading import check_masks, comparisons, context_of, example_of
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train import annotate
from trueline.train.annotate_preference import Table, mismatched, recalled, without_dropout
from trueline.train.loop import train
from trueline.train.objectives.kto import KTO
from trueline.train.optim import Optim
from trueline.train.sources import Groups

BALANCED = (1.0, 4 / 3)  # desirable weight times count over undesirable weight times count, as the paper advises (4.2)


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Kto:
    """Train on completions that are wanted or not, against the start."""

    start: str = "safety"  # the model to train, and the reference: a stage, a folder, or hf:NAME
    data: str = "rankings"  # a file of labelled completions; or a stage or file of rankings or preferences
    n: int = 0  # records to use; 0: all
    epochs: int = 3  # passes over the completions
    rows: int = 64  # completions a step; z0 is a mean over them, so few are noisy
    micro_rows: int = 0  # completions per forward pass; 0: all of a step
    context: int = 0  # longest example, tokens; longer ones are left out. 0: the model's room
    held_out: float = 0.15  # share of the prompts that is kept to measure on
    adapter: Adapter = Adapter()
    objective: KTO = KTO()
    optim: Optim = Optim(lr=5e-4, muon=0.002, warmup=0.1, decay=0.3)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share between 0 and 1, got {self.held_out}")
        if self.rows < 4:
            raise ConfigError(f"rows must be at least 4, got {self.rows}: z0 is a mean over the rows of a step")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start, adapter=self.adapter)
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        split = split_by_prompt(labelled(studio, self.data, self.n), self.held_out, studio.seed)
        kept, examples = _fitting(policy.codec, split.train, limit)
        held, held_examples = _fitting(policy.codec, split.held_out, limit)
        wanted = [r.label for r in kept]
        if len(set(wanted)) < 2 or len({r.label for r in held}) < 2:
            raise RecipeError(
                f"expected desirable and undesirable completions, within {limit} tokens, on both sides of the split; got "
                f"{sum(wanted)} of {len(wanted)} desirable to train on and {sum(r.label for r in held)} of {len(held)} "
                f"to measure on; give more data, or raise context or held_out"
            )
        check_masks(policy.codec, [r.completion for r in kept], examples)
        self._weigh(studio, room, wanted)
        others = dict(zip(examples, answers_of_others(policy.codec, kept, limit), strict=True))
        table, start = room.reference(policy, [*examples, *others.values()], held_examples)
        source = Groups(
            rows=[[e] for e in examples],
            columns={"label": [[float(label)] for label in wanted]},
            epochs=self.epochs,
            groups=self.rows,
            pad=policy.codec.pad,
            seed=studio.seed,
            annotate=annotate.chain(without_dropout(policy), recalled(table), mismatched(policy, others, table)),
        )
        studio.show.steps(room.name, len(source))
        shown = ("loss", "chosen", "rejected", "kl_baseline")
        done = train(policy, self.objective, source, self.optim, room.loop(shown, self.micro_rows))
        policy.save(room.folder / "model")
        after = apart(start, room.read(policy, held_examples), held, held_examples)
        after["kl"] = kl_on(policy, studio.policy(self.start, frozen=True), held_examples, studio.seed)
        warn_of_displacement(studio, room.name, after["chosen"])
        return {
            "tokens": done.tokens,
            "seconds": done.seconds,
            "completions": len(kept),
            "desirable": sum(wanted),
            "too_long": len(split.train) + len(split.held_out) - len(kept) - len(held),
            "before": apart(start, start, held, held_examples),
            "after": after,
        }

    def _weigh(self, studio: Studio, room: Room, wanted: Sequence[bool]) -> None:
        """Say it when one label outweighs the other."""
        yes, no = sum(wanted), len(wanted) - sum(wanted)
        ratio = self.objective.desirable * yes / (self.objective.undesirable * no)
        low, high = BALANCED
        if not low <= ratio <= high:
            right = self.objective.undesirable * no / yes
            studio.show.say(
                room.name,
                f"{yes} desirable and {no} undesirable completions weigh {ratio:.2f} to 1, {low:g} to {high:.2f} is advised: "
                f"set objective.desirable between {low * right:.2f} and {high * right:.2f}",
            )


def labelled(studio: Studio, data: str, n: int) -> list[Labelled]:
    """At most `n` (0: all) labelled completions of a file; of rankings and pairs the best and the worst of each prompt."""
    if data not in studio.stages and not Path(data).is_dir() and describe(data).kind is Labelled:
        return list(islice(read(Labelled, data), n or None))
    return [
        Labelled(prompt=ranking.prompt, completion=completion, label=rank == min(ranking.ranks))
        for ranking in comparisons(studio, data, n)
        for completion, rank in zip(ranking.completions, ranking.ranks, strict=True)
        if rank in (min(ranking.ranks), max(ranking.ranks)) and len(set(ranking.ranks)) > 1
    ]


def answers_of_others(codec: Codec, records: Sequence[Labelled], limit: int) -> list[Example]:
    """Each record's prompt with the completion of the next record that answers another prompt, cut at `limit` tokens."""
    asked = [r.prompt.conversation.messages for r in records]
    if all(messages == asked[0] for messages in asked):
        raise RecipeError("all completions answer one prompt, but z0 is estimated on completions of other prompts; add prompts")
    found: list[Example] = []
    for i, record in enumerate(records):
        j = next(k % len(records) for k in range(i + 1, i + len(records)) if asked[k % len(records)] != asked[i])
        example = example_of(codec, replace(records[j].completion, prompt=record.prompt))
        found.append(Example(example.ids[:limit], example.mask[:limit]))
    return found


def apart(start: Table, now: Table, records: Sequence[Labelled], examples: Sequence[Example]) -> dict[str, Any]:
    """On held-out completions: mean log-ratio to the start of both labels, and how well it tells them apart.

    `auc` is the chance that a desirable completion's log-ratio is above an undesirable one's; ties count half.
    """
    ratios = [float(now[e].sum() - start[e].sum()) for e in examples]
    yes = [x for x, r in zip(ratios, records, strict=True) if r.label]
    no = [x for x, r in zip(ratios, records, strict=True) if not r.label]
    above = sum(1.0 if a - b > 1e-6 else 0.5 if a - b > -1e-6 else 0.0 for a in yes for b in no)
    return {"auc": above / (len(yes) * len(no)), "chosen": sum(yes) / len(yes), "rejected": sum(no) / len(no)}


def _fitting(codec: Codec, records: Sequence[Labelled], limit: int) -> tuple[list[Labelled], list[Example]]:
    encoded = [(r, example_of(codec, r.completion)) for r in records]
    fits = [(r, e) for r, e in encoded if len(e.ids) <= limit]
    return [r for r, _ in fits], [e for _, e in fits]

"""How well the learned rail does on a source that it has not been trained on, on public data: recall at 1 % false positives.

    python benchmarks/learned_rail.py DATA            # the half that was kept aside
    python benchmarks/learned_rail.py DATA --half dev # the half on which features and settings were chosen
    python benchmarks/learned_rail.py DATA --transformer --parts left-out --groups 0 8   # a transformer beside it

DATA is a folder with the files of ATTACKS and BENIGN (one JSON object a line). Each model is trained on the development half
without one group of attacks, one of benign texts (GROUPS; sources of few rows are left out together), and every near-duplicate
of their rows; its threshold is set out of fold. It is asked about these two groups in the half that is reported: both are of a
kind that it has never seen. A row belongs to a half by the hash of its id.

Beside it stand one model that knows every group (on families of texts that it has not seen), the rules of `injection` and
`jailbreak` (a flag counts), and a control: the same training with labels drawn by chance, which must find nothing.

With `--transformer` every cell of a model is two: linear / transformer, trained on the same rows with the same families and
folds. That takes a hundred times as long, so `--parts` and `--groups` (numbers of rows, from 0) choose what is run.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from trueline.core.stats import wilson
from trueline.core.types import Conversation
from trueline.guard.chain import Chain
from trueline.guard.exchange import Exchange, Piece
from trueline.guard.learned.duplicates import families
from trueline.guard.learned.model import Model
from trueline.guard.learned.training import Example, Learn, linear, train_with
from trueline.guard.policy import policy_of
from trueline.guard.scan.folding import fold
from trueline.guard.scan.scanner import without_halves

ATTACKS = (  # file, field; a row's `source` is the source
    ("injection/direct_injections.jsonl", "prompt"),
    ("injection/system_prompt_injections.jsonl", "prompt"),
    ("injection/system_prompt_extraction.jsonl", "prompt"),
    ("injection/indirect_attacks.jsonl", "attack"),
    ("injection/agent_attack_tools.jsonl", "attack_instruction"),
    ("redteam/jailbreak_prompts.jsonl.gz", "prompt"),
    ("redteam/harmful_behaviors.jsonl", "prompt"),
    ("guard/moderation.jsonl.gz", "prompt"),
)
BENIGN = (
    ("overrefusal/benign_borderline.jsonl", "prompt"),
    ("overrefusal/benign_instructions.jsonl.gz", "prompt"),
    ("classify/clickbait.jsonl.gz", "text"),
    ("instruct/codealpaca.jsonl.gz", "instruction"),
    ("instruct/gsm8k_train.jsonl.gz", "question"),
    ("instruct/alpaca_en.jsonl.gz", "instruction"),
    ("instruct/self_instruct.jsonl", "instruction"),
    ("injection/indirect_contexts.jsonl.gz", "context"),
    ("injection/agent_tasks.jsonl", "task"),
    ("guard/moderation.jsonl.gz", "prompt"),
)
FPR = 0.01
HALVES = ("dev", "test")
PARTS = ("left-out", "known", "control")


GROUPS = (  # attacks, and the benign texts that are left out with them
    (("harmfulqa",), ("overrefusal/benign_borderline.jsonl",)),
    (("catqa",), ("overrefusal/benign_instructions.jsonl.gz",)),
    (("advbench",), ("classify/clickbait.jsonl.gz",)),
    (("do_not_answer",), ("instruct/codealpaca.jsonl.gz",)),
    (("dangerousqa", "malicious_instruct"), ("instruct/gsm8k_train.jsonl.gz",)),
    (("adv_training", "harmbench_val", "jailbreakbench"), ("instruct/alpaca_en.jsonl.gz",)),
    (("deepset",), ("instruct/self_instruct.jsonl",)),
    (("cyberseceval", "garak"), ("injection/agent_tasks.jsonl",)),
    (("bipia", "agent_security_bench"), ("injection/indirect_contexts.jsonl.gz",)),
    (("inthewild_garak", "self_reminder", "self_reminder_itw", "giskard", "llm_guard", "garak_dan"), ()),
    (("openai_moderation",), ("guard/moderation.jsonl.gz",)),
)


class Row(NamedTuple):
    """An example, the half that it is of, and the first of its family over both halves."""

    example: Example
    half: str
    family: int


def main() -> None:
    """Print the table of groups, and the control."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("data", type=Path)
    words.add_argument("--half", choices=HALVES, default="test")
    words.add_argument("--transformer", action="store_true")
    words.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    words.add_argument("--groups", nargs="+", type=int, choices=range(len(GROUPS)), default=range(len(GROUPS)))
    given = words.parse_args()
    learners = _learners(given.transformer)
    examples = list(_examples(given.data))
    family = families([fold(without_halves(example.text)) for example, _ in examples]).tolist()
    rows = [Row(example, half, first) for (example, half), first in zip(examples, family, strict=True)]
    seen = [row for row in rows if row.half == "dev"]
    # On the development half itself, a group that was left out is as unseen as in the other half.
    asked = [row for row in rows if row.half == given.half]
    print(f"{len(seen):,} texts to train on, {len(asked):,} to ask about; {' / '.join(learners)}\n")
    met = {row.family for row in seen}
    if {"left-out", "known"} & set(given.parts):
        print(
            "| group | what | n | learned, group left out | n | learned, group known | rules |\n|---|---|---|---|---|---|---|"
        )
        everything = _trained(learners, [row.example for row in seen]) if "known" in given.parts else []
        for number in given.groups:
            attacks, benign = GROUPS[number]
            names = {(name, True) for name in attacks} | {(name, False) for name in benign}
            known = {row.family for row in asked if _key(row) in names}
            rest = [row.example for row in seen if _key(row) not in names and row.family not in known]
            models = _trained(learners, rest) if "left-out" in given.parts else []
            for attack, group in ((True, attacks), (False, benign)):
                own = [row for row in asked if row.example.attack is attack and row.example.source in group]
                if own:
                    _line(", ".join(group), own, models, everything, met)
    if "control" in given.parts:
        _control(learners, [row.example for row in seen], [row.example for row in asked if row.family not in met])


def _key(row: Row) -> tuple[str, bool]:
    return row.example.source, row.example.attack


def _learners(transformer: bool) -> Mapping[str, Learn[Model]]:
    if not transformer:
        return {"linear": linear}
    import torch

    from trueline.recipes.guard_classifier import SmallTransformer  # torch takes seconds to import

    torch.set_num_threads(1)
    return {"linear": linear, "transformer": SmallTransformer()}


def _line(name: str, own: Sequence[Row], models: Sequence[Model], everything: Sequence[Model], met: set[int]) -> None:
    texts = [row.example.text for row in own]
    fresh = [row.example.text for row in own if row.family not in met]
    what = "attack" if own[0].example.attack else "benign"
    found = _rate([RULES.act(text) for text in texts])
    print(
        f"| {name} | {what} | {len(own)} | {_rates(models, texts)} | {len(fresh)} | {_rates(everything, fresh)} | {found} |",
        flush=True,
    )


def _control(learners: Mapping[str, Learn[Model]], seen: Sequence[Example], asked: Sequence[Example]) -> None:
    """Train with labels drawn by chance: what such a model acts on, it finds in attacks as often as in benign texts."""
    labels = [one.attack for one in seen]
    random.Random(0).shuffle(labels)
    models = _trained(learners, [replace(one, attack=label) for one, label in zip(seen, labels, strict=True)])
    for attack in (True, False):
        rates = _rates(models, [one.text for one in asked if one.attack is attack])
        print(f"labels by chance, {'attacks' if attack else 'benign'}: {rates}", flush=True)


class Rules:
    """The rails of wording, with their defaults."""

    def __init__(self) -> None:
        policy = policy_of({"rails": [{"type": "injection", "places": ["tool_result"]}, {"type": "jailbreak"}]})
        self._chain = Chain(policy=policy)

    def act(self, text: str) -> bool:
        """Whether either flags or blocks a text that a stranger wrote."""
        asked = (Piece(side="input", place="tool_result", text=text, path=("messages", 0, "content")),)
        exchange = Exchange(endpoint="chat", conversation=Conversation(), asked=asked)
        return any(ruling.action != "allow" for ruling in self._chain.early(exchange, "input").rulings)


RULES = Rules()


def _trained(learners: Mapping[str, Learn[Model]], examples: Sequence[Example]) -> list[Model]:
    models = []
    for name, learn in learners.items():
        started = time.perf_counter()
        trained = train_with(learn, examples, fpr=FPR)
        spent = time.perf_counter() - started
        told = f"    {name}: {len(examples):,} texts in {spent:.0f} s; out of fold {trained.recall.value:.1%}"
        print(told, file=sys.stderr, flush=True)
        models.append(trained.model)
    return models


def _rates(models: Sequence[Model], texts: Sequence[str]) -> str:
    """Each model's rate of acting on texts, beside each other; nothing where there is no text."""
    return " / ".join(_rate([_acts(model, text) for text in texts]) for model in models) if texts else ""


def _acts(model: Model, text: str) -> bool:
    return model.score(fold(without_halves(text))) > model.threshold


def _examples(data: Path) -> Iterator[tuple[Example, str]]:
    for attack, files in ((True, ATTACKS), (False, BENIGN)):
        for file, field in files:
            for row in _rows(data / file):
                if row.get("label") != ("clean" if attack else "flagged"):  # one file has both
                    name = str(row.get("source")) if attack else file
                    yield Example(text=str(row[field]), attack=attack, source=name), _half(str(row["id"]))


def _half(row: str) -> str:
    return HALVES[int(hashlib.sha256(f"learned|{row}".encode()).hexdigest()[:8], 16) % 2]


def _rows(path: Path) -> Iterator[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _rate(column: Sequence[bool]) -> str:
    rate = wilson(sum(column), len(column))
    return f"{rate.value:.1%} ({rate.low:.1%}-{rate.high:.1%})"


if __name__ == "__main__":
    main()

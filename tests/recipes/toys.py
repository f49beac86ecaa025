"""A saved tiny model and tiny data files in its vocabulary of letters: what recipes are tested on."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import torch

from tests.models.small import tiny_policy
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.running import Order, carry_out, order
from trueline.world.language import vocabulary

LETTERS = "abcdefghijklmnopqrst"


def model(folder: Path) -> str:
    tiny_policy().save(folder / "model")
    return str(folder / "model")


def world_model(folder: Path) -> str:
    """A random model of width 32 in the world's own words."""
    torch.manual_seed(0)
    tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2, context=160).save(folder / "world")
    return str(folder / "world")


def rows(path: Path, made: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return str(path)


def conversations(folder: Path, n: int = 60) -> str:
    rng = Random(0)
    words = [rng.choices(LETTERS, k=3) for _ in range(n)]
    return rows(folder / "sft.jsonl", [{"prompt": " ".join(w), "completion": " ".join(reversed(w))} for w in words])


def preferences(folder: Path, n: int = 60) -> str:
    """The chosen reply repeats the question's first letter, the rejected one is `t t t`."""
    rng = Random(1)
    words = [rng.choices(LETTERS[:12], k=3) for _ in range(n)]
    made = [{"prompt": " ".join(w), "chosen": " ".join([w[0]] * 3), "rejected": "t t t"} for w in words]
    return rows(folder / "pairs.jsonl", made)


def prompts(folder: Path) -> str:
    return rows(folder / "prompts.jsonl", [{"prompt": f"{a} {b}"} for a in "abcd" for b in "efgh"])


def run(folder: Path, *words: str, **options: object) -> tuple[Path, dict]:
    asked: Order = order(words[0], words[1:])
    return carry_out(asked, folder, **options)

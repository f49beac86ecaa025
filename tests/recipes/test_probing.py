"""A probe is trained: it tells two kinds of prompts apart, by texts as they were written, and never by a judge's word.

pytest tests/recipes/test_probing.py
"""

from __future__ import annotations

import ast
import inspect
import json
import random
from functools import cache

import pytest
import torch

import trueline.models.probe
import trueline.models.prompt_states
import trueline.recipes.probing
import trueline.targets.probed
from tests.calling import trueline as command
from tests.models.small import tiny_policy
from trueline.guard.learned.training import Example
from trueline.models.policy import Policy
from trueline.models.probe import Probe
from trueline.models.residual import LayerError
from trueline.recipes.probing import Trained, asked, train

LETTERS = "abcdefghijklmnopqrst"


@cache
def policy() -> Policy:
    return tiny_policy(layers=3)


def examples(n: int = 60) -> list[Example]:
    """Prompts of chance letters; of an attack's most are of the first ten, of a benign one's most of the others."""
    rng, found = random.Random(1), []
    for number in range(2 * n):
        attack = number % 2 == 0
        words = [*rng.choices(LETTERS, k=2), *rng.choices(LETTERS[:10] if attack else LETTERS[10:], k=9)]
        rng.shuffle(words)
        source = "bad" if attack else ("plain", "hard")[number // 2 % 2]
        found.append(Example(text=" ".join(words), attack=attack, source=source))
    return found


@cache
def trained() -> Trained:
    return train(policy(), examples(), fpr=0.05)


def scores(probe: Probe, rows: list[Example]) -> dict[bool, list[float]]:
    found: dict[bool, list[float]] = {True: [], False: []}
    for row in rows:
        found[row.attack].append(probe.score(policy(), policy().codec.prompt(asked(row.text))))
    return found


def test_it_separates_what_the_model_can_tell_apart():
    """Prompts that it has never seen are scored on the right side; the threshold lets the asked share of benign ones pass."""
    probe = trained().probe
    fresh = scores(probe, examples(100)[120:])
    assert sum(score > 0 for score in fresh[True]) > 0.8 * len(fresh[True])
    assert sum(score < 0 for score in fresh[False]) > 0.8 * len(fresh[False])
    assert trained().false_positives <= 0.05 + 1e-9
    known = scores(probe, [row for row in examples() if not row.attack])[False]
    assert sum(score > probe.threshold for score in known) <= 0.05 * len(known) + 1
    assert probe.layer == min(trained().losses, key=trained().losses.get)


def test_the_order_of_the_rows_does_not_matter():
    """The same texts in another order, and some of them twice, are the same probe."""
    rows = examples()
    again = train(policy(), [*reversed(rows), *rows[:9]], fpr=0.05).probe
    assert again.digest == trained().probe.digest


def test_labels_by_chance_find_nothing():
    """Out of fold, shuffled labels are told apart no better than by a coin."""
    rows = examples()
    labels = [row.attack for row in rows]
    random.Random(0).shuffle(labels)
    control = train(policy(), [Example(text=r.text, attack=a, source="x") for r, a in zip(rows, labels, strict=True)], fpr=0.05)
    assert control.recall.value < 0.25
    assert not control.tells
    assert trained().tells
    assert min(trained().losses.values()) < 0.55


def test_a_text_is_read_as_it_was_written():
    """Families are found in the folded text, and the model reads the other one: case makes another prompt of it."""
    read = []
    codec = policy().codec
    loud = [Example(text=row.text.upper(), attack=row.attack, source=row.source) for row in examples()]
    shouting = Policy(policy().model, codec)

    class Listening(type(codec)):
        def prompt(self, conversation):
            read.append(conversation)
            return super().prompt(conversation)

    shouting.codec = Listening(codec.tokenizer, codec.stop_ids)
    train(shouting, loud, fpr=0.05, layer=1, system="t s")
    assert {one.messages[0].text for one in read} == {"t s"}
    assert sorted(one.messages[-1].text for one in read) == sorted(row.text for row in loud)


def test_a_given_layer_is_kept_and_one_that_is_not_there_refused():
    """The one that is asked for is the only one tried."""
    chosen = train(policy(), examples(), fpr=0.05, layer=1, reads="mean")
    assert (chosen.probe.layer, chosen.probe.reads, list(chosen.losses)) == (1, "mean", [1])
    with pytest.raises(LayerError, match="to 2"):
        train(policy(), examples(), layer=3)


def test_too_few_families_are_an_error():
    """Folds need five of each kind."""
    with pytest.raises(ValueError, match="expected 5 families of attacks"):
        train(policy(), [*examples(3), *examples(3)])


def test_what_is_too_long_for_the_model_is_left_out_and_said():
    """A text beyond the context is no reason to fail, and none to cut it."""
    said: list[str] = []
    long = Example(text=" ".join("abcdefg" * 30), attack=False, source="long")
    probe = train(policy(), [*examples(), long], fpr=0.05, layer=1, say=said.append).probe
    assert probe.trained["texts"] == 120
    assert any("1 more left out: longer than the 128 tokens" in line for line in said)


def test_no_oracle_is_near():
    """Neither training nor acting imports a judge or the world's oracle."""
    for module in (trueline.models.probe, trueline.models.prompt_states, trueline.recipes.probing, trueline.targets.probed):
        tree = ast.parse(inspect.getsource(module))
        names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in names if any(word in name for word in ("oracle", "judge", "world"))]


def test_the_command_writes_what_it_prints(tmp_path):
    """From files to a folder that loads on its model; errors of use are one line and leave no folder."""
    policy().save(tmp_path / "model")
    for name, attack in (("bad.jsonl", True), ("good.jsonl", False)):
        rows = [json.dumps({"prompt": row.text}) for row in examples() if row.attack is attack]
        (tmp_path / name).write_text("\n".join(rows))
    words = ("guard", "probe", tmp_path / "model", tmp_path / "bad.jsonl", "--threads", "1", "--out", tmp_path / "probe")
    done = command(*words, "--benign", tmp_path / "good.jsonl", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    model = Policy.load(tmp_path / "model")
    probe = Probe.load(tmp_path / "probe", model)
    assert (told["digest"], told["layer"], told["threshold"]) == (probe.digest, probe.layer, probe.threshold)
    assert set(told["files"].values()) == {"bad.jsonl", "good.jsonl"}
    assert torch.isfinite(probe.weights).all()
    other = (*words[:-1], tmp_path / "other")
    assert command(*other).code == 2
    assert "--layer" in command("guard", "probe", "--help").out
    by_chance = [{"prompt": row.text, "label": number // 2 % 2} for number, row in enumerate(examples())]
    (tmp_path / "chance.jsonl").write_text("\n".join(map(json.dumps, by_chance)))
    blind = command(
        "guard", "probe", tmp_path / "model", tmp_path / "chance.jsonl", "--threads", "1", "--out", tmp_path / "other"
    )
    assert (blind.code, "a coin's is 0.693" in blind.err) == (2, True)
    far = command("guard", "probe", "openai:x", tmp_path / "bad.jsonl", "--out", tmp_path / "other")
    assert (far.code, "a model in this process" in far.err) == (2, True)
    assert not (tmp_path / "other").exists()

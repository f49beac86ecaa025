"""Hardening recipes: what each trains on, what it leaves, that it goes on where it was killed, and what it refuses."""

import json
from random import Random

import pytest

from tests.models.small import codec
from tests.recipes import toys
from trueline.core.config import ConfigError
from trueline.core.types import Conversation, Prompt
from trueline.recipes.hardening import Pair, Recovery
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError

FAST = ("steps=24", "rows=4", "benign_rows=4", "n=0", "benign_n=0", "optim.lr=5e-3", "optim.muon=0.02")


def pairs(folder):
    """The refusal to everything is `t t`, the harmful reply spells the request twice."""
    words = [" ".join(Random(i).choices(toys.LETTERS[:12], k=2)) for i in range(40)]
    return toys.rows(folder / "pairs.jsonl", [{"prompt": w, "chosen": "t t", "rejected": f"{w} {w}"} for w in words])


def harden(folder, name, *words, start=None, **options):
    asked = (
        name, f"start={start or toys.model(folder)}", f"data={pairs(folder)}", f"benign={toys.conversations(folder)}", *FAST,
    )  # fmt: skip
    return toys.run(folder / "run", *asked, *words, **options)[0]


def result_of(folder, name):
    return json.loads((folder / f"stages/{name}/result.json").read_text(encoding="utf-8"))


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def pair() -> Pair:
    return Pair.of(codec(), Prompt(conversation=Conversation().say("user", "a b")), "t t", "a b c d")


def test_only_the_recovery_carries_loss():
    """After two harmful tokens the row is prompt, beginning, refusal and end, and only refusal and end are trained on."""
    made = pair()
    example = made.refused(after=2)
    said = codec().tokenizer.convert_ids_to_tokens(list(example.ids))
    assert said == ["<bos>", "<user>", "a", "b", "<asst>", "a", "b", "t", "t", "<eos>"]
    assert [word for word, trained in zip(said, example.mask, strict=True) if trained] == ["t", "t", "<eos>"]
    assert made.refused() == codec().example(Conversation().say("user", "a b").say("assistant", "t t"), "last")


def test_the_length_of_the_beginning_is_drawn_as_published():
    """Half of the draws have none, and the others are even over 1 to depth, never the whole reply."""
    recipe, made = Recovery(depth=3), pair()
    rng = Random(0)
    lengths = [len(recipe._begun(made, rng).ids) - len(made.refused().ids) for _ in range(3000)]
    shares = [lengths.count(k) / len(lengths) for k in range(5)]
    assert shares == pytest.approx([0.5, 1 / 6, 1 / 6, 1 / 6, 0], abs=0.03)
    assert max(len(Recovery()._begun(made, rng).ids) for _ in range(300)) == len(made.head) + 4 + 3


@pytest.mark.parametrize("name", ["recovery"])
def test_a_hardened_model_is_one_that_loads(tmp_path, name):
    """The loss falls, and what is left is a model folder with counts of what it was made from."""
    folder = harden(tmp_path, name)
    rows, result = rows_of(folder), result_of(folder, name)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert result["pairs"] == 40
    assert result["too_long"] == 0
    assert (folder / f"stages/{name}/model/config.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recovery", "alpha=1"], "alpha lies between 0 and 1"),
        (["recovery", "depth=0"], "depth at least 1"),
        (["recovery", "data=world/safety"], "expected world/harmful or a file"),
        (["recovery", "n=0"], "say how many"),
        (["recovery", "steps=0"], "at least 1"),
    ],
)
def test_wrong_settings_are_refused_before_work_starts(words, message):
    """What makes no sense is said with what was expected."""
    with pytest.raises(ConfigError, match=message):
        order(words[0], words[1:])


def test_pairs_that_are_too_long_are_refused_with_the_limit(tmp_path):
    """Where no pair fits, the message names the limit and the setting."""
    with pytest.raises(RecipeError, match="all pairs are longer than 6 tokens; raise context"):
        harden(tmp_path, "recovery", "context=6")

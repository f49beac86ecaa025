"""Hardening recipes: what each trains on, what it leaves, that it goes on where it was killed, and what it refuses.

pytest tests/recipes/test_hardening.py
"""

from random import Random

import pytest
import torch

from tests.models.small import codec, random_policy
from tests.recipes import toys
from tests.recipes.staged import result_of, rows_of
from trueline.core.config import ConfigError
from trueline.core.types import Conversation, Prompt
from trueline.models.policy import Policy
from trueline.recipes.hardening import Pair, Recovery
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError

FAST = ("steps=16", "rows=4", "benign_rows=4", "n=0", "benign_n=0", "optim.lr=5e-3", "optim.muon=0.02")


def pairs(folder):
    """The refusal to everything is `t t`, the harmful reply spells the request twice."""
    words = [" ".join(Random(i).choices(toys.LETTERS[:12], k=2)) for i in range(40)]
    return toys.rows(folder / "pairs.jsonl", [{"prompt": w, "chosen": "t t", "rejected": f"{w} {w}"} for w in words])


def harden(folder, name, *words, start=None, **options):
    asked = (
        name, f"start={start or toys.model(folder)}", f"data={pairs(folder)}", f"benign={toys.conversations(folder)}", *FAST,
    )  # fmt: skip
    return toys.run(folder / "run", *asked, *words, **options)[0]


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


@pytest.mark.parametrize(
    ("name", "falls", "words"),
    [
        ("recovery", "loss", ()),
        ("circuit_breakers", "reroute", ("layers=1",)),
        ("latent_adversarial", "loss", ("layers=0,1", "attack_steps=2")),
        ("latent_adversarial", "loss", ("targeted=false", "away=0", "attack_steps=1")),
    ],
)
def test_a_hardened_model_is_one_that_loads(tmp_path, name, falls, words):
    """The loss falls, and what is left is a model folder with counts of what it was made from."""
    folder = harden(tmp_path, name, *words)
    rows, result = rows_of(folder), result_of(folder, name)
    assert rows[-1][falls] < 0.8 * rows[0][falls]
    assert (result["pairs"], result["too_long"]) == (40, 0)
    assert Policy.load(folder / f"stages/{name}/model").codec.ids("a b") == [8, 9]


@pytest.mark.parametrize("name", ["recovery", "latent_adversarial"])
def test_an_adapter_is_enough(tmp_path, name):
    """On a model that runs through `transformers` with an adapter, whose base stays as it was."""
    pytest.importorskip("peft")
    folder = harden(
        tmp_path, name, "adapter.rank=4", "optim.muon=0", "steps=3", "attack_steps=1" if name[0] == "l" else "depth=2"
    )
    assert (folder / f"stages/{name}/model/adapter_config.json").is_file()


def test_circuit_breakers_take_an_adapter_and_any_architecture(tmp_path):
    """The reference of an adapted GPT-2 is its base, so the start check holds; rerouting begins."""
    pytest.importorskip("peft")
    random_policy("gpt2").save(tmp_path / "gpt2")
    words = ("adapter.rank=4", "optim.muon=0", "steps=6", "layers=1")
    folder = harden(tmp_path, "circuit_breakers", *words, start=tmp_path / "gpt2")
    rows = rows_of(folder)
    assert rows[0]["reroute"] == pytest.approx(1, abs=1e-4)
    assert rows[-1]["reroute"] < rows[0]["reroute"]


def test_no_radius_is_plain_training(tmp_path):
    """With radius 0 the run is the same whatever the attack is set to: nothing is perturbed."""
    found = [
        rows_of(harden(tmp_path / str(n), "latent_adversarial", "radius=0", f"attack_steps={n}", "steps=4")) for n in (1, 3)
    ]
    assert [row["loss"] for row in found[0]] == [row["loss"] for row in found[1]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("recovery", ()),
        ("circuit_breakers", ("layers=1",)),
        ("latent_adversarial", ("attack_steps=1",)),
        ("online_adversarial", ("pool=6",)),
    ],
)
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path, name, words):
    """Stopped after three of six steps and taken up, it ends with the losses and weights of a run that was not stopped."""
    small = ("steps=6", "rows=2", "benign_rows=2", *words)
    whole = harden(tmp_path / "whole", name, *small)

    def stop(stage, step, metrics):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harden(tmp_path / "cut", name, *small, track=stop, save_every=0.0)
    cut = harden(tmp_path / "cut", name, *small, save_every=0.0)
    first, second = ([row["total"] for row in rows_of(folder)] for folder in (whole, cut))
    assert second == pytest.approx(first, abs=1e-4)
    weights = [Policy.load(folder / f"stages/{name}/model").model.state_dict() for folder in (whole, cut)]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, atol=1e-4, rtol=1e-3)


def test_a_run_that_was_killed_after_its_last_step_tells_what_it_came_to(tmp_path, monkeypatch):
    """No step is left to take, and the last losses are in the result all the same."""
    start = toys.model(tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as saving:
        saving.setattr(Policy, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            harden(tmp_path, "recovery", "steps=2", start=start)
    folder = harden(tmp_path, "recovery", "steps=2", start=start)
    last = rows_of(folder)[-1]
    assert last["step"] == 2
    assert result_of(folder, "recovery")["loss"] == last["loss"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recovery", "alpha=1"], "alpha lies between 0 and 1"),
        (["recovery", "depth=0"], "depth at least 1"),
        (["recovery", "data=world/safety"], "expected world/harmful or a file"),
        (["recovery", "n=0"], "say how many"),
        (["recovery", "steps=0"], "at least 1"),
        (["circuit_breakers", "layers=0"], "say nothing of a reply"),
        (["circuit_breakers", "objective.alpha=0"], "alpha and retain must be above 0"),
        (["latent_adversarial", "radius=-1"], "must not be negative"),
        (["online_adversarial", "pool=0"], "pool must be at least 1"),
        (["online_adversarial", "suffix.steps=0"], "every setting must be at least 1"),
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


def test_layers_that_are_not_there_are_refused_with_the_model(tmp_path):
    """The message names the model and the layers that it has."""
    with pytest.raises(RecipeError, match=r"model: layers: expected some of 0 .* to 1"):
        harden(tmp_path, "latent_adversarial", "layers=7")

"""Distillation as recipes: by distributions, on the student's own words, by an advantage, and by demonstrations."""

import json
from pathlib import Path
from unittest import mock

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from tests.ranks import together
from tests.recipes import toys
from tests.recipes.staged import result_of, rows_of
from trueline.core.config import ConfigError
from trueline.models.policy import Policy
from trueline.recipes.distil import Demonstrate, Distil
from trueline.recipes.running import order, place
from trueline.recipes.studio import RecipeError, Studio
from trueline.train.team import Team

FAST = ("optim.lr=5e-3", "optim.muon=0.02")


def teacher(folder):
    """A model that says the same three letters to everything."""
    demonstrations = toys.rows(
        folder / "taught.jsonl", [{"prompt": f"{a} {b}", "completion": "c d e"} for a in "abcd" for b in "efghij"]
    )
    start = toys.model(folder)
    run, _ = toys.run(folder / "teacher", "sft", f"start={start}", f"data={demonstrations}", "epochs=12", "batch=96", *FAST)
    return start, str(run)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("objective.beta=0.5", "on_policy=0.5"),
        ("objective.beta=1", "top=4"),
        ("objective.alpha=0.5", "objective.temperature=2"),
    ],
)
def test_a_student_comes_near_its_teacher(tmp_path, words):
    """On held-out prompts the divergence from the teacher falls by more than half, whatever the divergence."""
    start, master = teacher(tmp_path)
    data = toys.rows(tmp_path / "data.jsonl", [{"prompt": f"{a} {b}", "completion": "c d e"} for a in "abcd" for b in "klmnop"])
    folder, _ = toys.run(
        tmp_path / "run", "distil", f"start={start}", f"teacher={master}", f"data={data}", "n=0", "epochs=6", "batch=96",
        "held_out=0.2", "max_tokens=5", *words, *FAST,
    )  # fmt: skip
    result = result_of(folder, "distil")
    assert result["held_out"]["divergence"] < 0.5 * result["held_out_before"]["divergence"]
    assert Policy.load(folder / "stages/distil/model").codec.ids("a b") == [8, 9]


def far(mesh, folder, words):
    """Distil, by ranks where there is a mesh; every step's loss, what was measured, and how often ranks were asked to read."""
    asked, reads = order("distil", words), []
    with mock.patch.object(Team, "read", lambda *given, read=Team.read: (reads.append(given), read(*given))[1]):
        studio = Studio(place(asked, Path(folder)), mesh=mesh)
        result = studio.make("distil", asked.recipe).result
    measured = [*result["held_out_before"].values(), *result["held_out"].values()]
    return {"losses": [row["loss"] for row in studio.run.metrics("distil")], "measured": measured, "reads": len(reads)}


@pytest.mark.slow
def test_a_sharded_teacher_teaches_and_is_measured_as_a_whole_one(tmp_path):
    """Two ranks share a wider teacher: losses, and divergences before and after, are those of one process within 1e-5."""
    words = (
        f"start={toys.model(tmp_path)}", f"teacher={tmp_path / 'wide'}", f"data={toys.conversations(tmp_path)}", "n=0",
        "batch=192", "held_out=0.3", "top=4", "max_tokens=9", "on_policy=0.5", "micro_rows=8", "optim.muon=0",
    )  # fmt: skip
    tiny_policy(seed=1, width=48, layers=3).save(tmp_path / "wide")
    alone, two = far(None, tmp_path / "alone", words), together(2, far, folder=str(tmp_path / "two"), words=words)
    assert alone["reads"] == 0
    assert two["reads"] == len(two["losses"]) + 2  # the prompts that are held out are read at once, before and after
    for what in ("losses", "measured"):
        assert two[what] == pytest.approx(alone[what], abs=1e-5)


def test_on_policy_distillation_by_an_advantage_needs_prompts_alone(tmp_path):
    """With prompts and no replies, the student's KL from its teacher falls under the policy gradient."""
    start, master = teacher(tmp_path)
    folder, _ = toys.run(
        tmp_path / "run", "distil", f"start={start}", f"teacher={master}", f"data={toys.prompts(tmp_path)}", "n=0",
        "on_policy=1", "by=advantage", "epochs=20", "batch=96", "max_tokens=5", *FAST,
    )  # fmt: skip
    rows = rows_of(folder)
    first, last = (sum(row["teacher_kl"] for row in part) / 4 for part in (rows[:4], rows[-4:]))
    assert last < 0.5 * first
    assert all(row["on_policy"] == 1.0 for row in rows)


def test_demonstrations_are_data_for_fine_tuning(tmp_path):
    """A teacher's replies are conversations; replies that were cut off are left out and counted; `sft` reads the file."""
    start, master = teacher(tmp_path)
    folder, _ = toys.run(
        tmp_path / "shown", "demonstrate", f"start={master}", f"prompts={toys.prompts(tmp_path)}", "n=0", "count=2",
        "max_tokens=5",
    )  # fmt: skip
    result = result_of(folder, "demonstrate")
    assert result["demonstrations"] + result["cut_off_or_empty"] == 32
    assert result["demonstrations"] > 16
    shown = folder / "stages/demonstrate/demonstrations.jsonl"
    assert json.loads(shown.read_text(encoding="utf-8").splitlines()[0])["messages"][-1]["role"] == "assistant"
    taught, _ = toys.run(tmp_path / "run", "sft", f"start={start}", f"data={shown}", "n=0", "batch=96", "epochs=4", *FAST)
    rows = rows_of(taught)
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_prompts_of_two_kinds_are_mixed_by_share(tmp_path):
    """A quarter of the prompts are of the second kind, the rest of the first, and there are as many as before."""
    _, master = teacher(tmp_path)
    mixed = toys.rows(tmp_path / "mixed.jsonl", [{"prompt": f"q {a}"} for a in "abcdefgh"])
    folder, _ = toys.run(
        tmp_path / "shown", "demonstrate", f"start={master}", f"prompts={toys.prompts(tmp_path)}", f"mixed={mixed}",
        "share=0.25", "n=16", "max_tokens=9",
    )  # fmt: skip
    result = result_of(folder, "demonstrate")
    assert result["demonstrations"] + result["cut_off_or_empty"] == 16
    rows = (folder / "stages/demonstrate/demonstrations.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(row)["messages"][0]["content"] for row in rows]
    assert 0 < sum(text.startswith("q") for text in asked) <= 4
    with pytest.raises(ConfigError, match="where mixed names prompts"):
        order("demonstrate", ["share=0.25"])


def test_what_a_teacher_said_is_data_for_logits_too(tmp_path):
    """The stage that holds a teacher's replies can be named as the data of `distil`, in one run."""
    start, master = teacher(tmp_path)
    run = place(order("distil", []), tmp_path / "run")
    with run.lock():
        studio = Studio(run)
        said = studio.make("said", Demonstrate(start=master, prompts=toys.prompts(tmp_path), n=0, max_tokens=9))
        made = studio.make("student", Distil(start=start, teacher=master, data="said", n=0, batch=96))
    assert 0 < made.result["examples"] <= said.result["demonstrations"]


def test_models_of_different_words_are_refused(tmp_path):
    """Where tokenizers differ, the message says which way there is: by words."""
    tokenizer_of_more = random_policy("qwen3")
    tokenizer_of_more.codec.tokenizer.core.add_tokens(["zebra"])
    tokenizer_of_more.save(tmp_path / "other")
    with pytest.raises(RecipeError, match="trueline run demonstrate"):
        toys.run(
            tmp_path / "run", "distil", f"start={toys.model(tmp_path)}", f"teacher={tmp_path / 'other'}",
            f"data={toys.conversations(tmp_path)}",
        )  # fmt: skip


def test_words_that_a_student_does_not_know_are_refused(tmp_path):
    """A teacher's replies in words outside the student's vocabulary would all teach one token: the message says the way out."""
    said = toys.rows(tmp_path / "said.jsonl", [{"prompt": f"{a} b", "completion": "a zebra c"} for a in "abcdef"])
    with pytest.raises(RecipeError, match=r"does not know 6 of the 24 words .* blank like=TEACHER"):
        toys.run(tmp_path / "run", "sft", f"start={toys.model(tmp_path)}", f"data={said}", "held_out=0")


def test_prompts_alone_are_refused_off_policy(tmp_path):
    """A file of prompts has no replies to distil on: the message says which setting to change."""
    start = toys.model(tmp_path)
    with pytest.raises(RecipeError, match="on_policy=1"):
        toys.run(tmp_path / "run", "distil", f"start={start}", f"teacher={start}", f"data={toys.prompts(tmp_path)}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["on_policy=2"], "share between 0 and 1"),
        (["by=advantage"], "on_policy=1"),
        (["on_policy=0.5", "objective.alpha=0.5"], "set it to 0"),
        (["objective.beta=2"], r"beta must lie in \[0, 1\]"),
        (["objective.temperature=0"], "temperature must be above 0"),
    ],
)
def test_wrong_settings_are_refused_before_work_starts(words, message):
    """What makes no sense together is said with what to set."""
    with pytest.raises(ConfigError, match=message):
        order("distil", words)


def test_what_is_to_be_avoided_becomes_less_likely(tmp_path):
    """`sft unlikelihood=1` on labelled completions: the unwanted reply's probability falls, the wanted one's rises."""
    rows = [
        {"prompt": f"{a} {b}", "completion": c, "label": c == "c d"} for a in "abcd" for b in "efgh" for c in ("c d", "t t")
    ]
    data = toys.rows(tmp_path / "labelled.jsonl", rows)
    folder, _ = toys.run(
        tmp_path / "run", "sft", f"start={toys.model(tmp_path)}", f"data={data}", "n=0", "epochs=6", "batch=96",
        "unlikelihood=1", "held_out=0.2", *FAST,
    )  # fmt: skip
    assert result_of(folder, "sft")["held_out_loss"] < 0.5 * result_of(folder, "sft")["held_out_loss_before"]
    taught = Policy.load(folder / "stages/sft/model")
    head = tiny_policy().codec.ids("<bos> <user> a e <asst>")
    with torch.no_grad():
        said = taught.logits(torch.tensor([head]))[0, -1].softmax(-1)
    wanted, unwanted = (float(said[taught.codec.ids(word)[0]]) for word in "ct")
    assert wanted > 0.5
    assert unwanted < 0.01


def test_noise_and_weights_leave_an_ordinary_model(tmp_path):
    """`sft noise=5 weight=w` saves the bare policy; rows of weight 0 teach nothing."""
    rows = [
        {"prompt": f"{a} {b}", "completion": c, "w": float(c == "c d")} for a in "abcd" for b in "efgh" for c in ("c d", "t t")
    ]
    data = toys.rows(tmp_path / "weighed.jsonl", rows)
    folder, _ = toys.run(
        tmp_path / "run", "sft", f"start={toys.model(tmp_path)}", f"data={data}", "n=0", "epochs=6", "batch=96", "noise=5",
        "weight=w", *FAST,
    )  # fmt: skip
    taught = Policy.load(folder / "stages/sft/model")
    assert {name for name, _ in taught.named_parameters()} == {name for name, _ in tiny_policy().named_parameters()}
    head = taught.codec.ids("<bos> <user> a e <asst>")
    with torch.no_grad():
        said = taught.logits(torch.tensor([head]))[0, -1].softmax(-1)
    assert float(said[taught.codec.ids("c")[0]]) > 10 * float(said[taught.codec.ids("t")[0]])


@pytest.mark.parametrize("words", [["weight=w"], ["unlikelihood=1"]])
def test_settings_of_a_file_are_refused_for_the_world(words):
    """The world's demonstrations have no such fields."""
    with pytest.raises(ConfigError, match="read the rows of a file"):
        order("sft", ["data=world/safety", *words])

"""The runs of docs/real_models.md in miniature: seconds each, on the real checkpoint and the real files.

They show that the recipes take what others made, with the settings that the page gives; the numbers are too small to say more.
Where the data folder is absent (TRUELINE_DATA, or ../shared/data beside the repository) they are skipped, and say so.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes.staged import result_of
from trueline.models.policy import Policy, RewardModel
from trueline.recipes.running import carry_out, order

pytestmark = [pytest.mark.data, pytest.mark.slow]
DATA = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).parents[3] / "shared" / "data")
MODEL = DATA / "models" / "stories260K-hf"
ADAM = ("optim.muon=0", "optim.lr=3e-4")  # the checkpoint was trained by AdamW, and is continued by it


@pytest.fixture(autouse=True)
def _present():
    if not MODEL.is_dir():
        pytest.skip("the data folder is not there (set TRUELINE_DATA to it)")


def run(folder, recipe, *words):
    """Carry out a recipe; return its run's folder, its result and its rows of metrics."""
    folder, report = carry_out(order(recipe, words), folder)
    assert report["stages"][0]["status"] == "done"
    assert (folder / "report.html").is_file()
    result = result_of(folder, recipe)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return folder / "stages" / recipe / "model", result, rows


def is_rate(rate):
    """A share with its n and its interval."""
    return rate["n"] > 0 and 0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1


def test_pretraining_goes_on_from_a_real_checkpoint(tmp_path):
    """Bits per byte on held-out stories: few before, since it knows such stories, and fewer after."""
    model, result, _ = run(
        tmp_path, "pretrain", f"start={MODEL}", f"text={DATA}/text/tinystories_cased_small.txt.gz", "stream=true",
        "tokens=12288", "batch=1024", "row=256", "long_row=256", *ADAM,
    )  # fmt: skip
    before, after = result["bits_per_byte_before"], result["bits_per_byte"]
    assert before["n"] == after["n"] > 10
    assert before["low"] < before["value"] < before["high"]
    assert after["value"] < before["value"] < 1.7
    assert Policy.load(model).codec.ids("Once upon a time") == Policy.load(MODEL).codec.ids("Once upon a time")


def test_tokenizer_and_model_from_nothing_on_real_text(tmp_path):
    """A new tokenizer and a new model on the first stories of the file: bits per byte fall by a quarter and more."""
    with gzip.open(DATA / "text" / "tinystories_lower_train.txt.gz", "rt", encoding="utf-8") as stories:
        (tmp_path / "some.txt").write_text(stories.read(120_000), encoding="utf-8")
    _, result, rows = run(
        tmp_path / "run", "pretrain", f"text={tmp_path / 'some.txt'}", "stream=true", "vocabulary=512", "width=64", "layers=2",
        "heads=2", "tokens=30720", "batch=512", "row=128", "long_row=128",
    )  # fmt: skip
    assert result["bits_per_byte"]["value"] < 0.75 * result["bits_per_byte_before"]["value"]
    assert math.isclose(rows[0]["loss"], math.log(512), rel_tol=0.35)


def test_sft_on_human_instructions(tmp_path):
    """Loss on held-out instructions falls; examples that are too long for the model are left out and counted."""
    model, result, _ = run(
        tmp_path, "sft", f"start={MODEL}", f"data={DATA}/instruct/self_instruct.jsonl", "n=120", "context=256", "epochs=2",
        "held_out=0.2", "optim.muon=0", "optim.lr=1e-3",
    )  # fmt: skip
    assert 0 < result["held_out_loss"] < result["held_out_loss_before"]
    assert result["too_long"] > 0
    assert "Assistant:" in Policy.load(model).codec.tokenizer.chat_template


def test_a_reward_model_on_human_preferences(tmp_path):
    """Held-out accuracy has n and an interval, and calibration covers the same pairs."""
    model, result, rows = run(
        tmp_path, "reward", f"start={MODEL}", f"data={DATA}/preference/hh_harmless.jsonl.gz", "n=60", "context=256",
        "held_out=0.3", "epochs=2", "groups=8", "objective.ties=0", *ADAM,
    )  # fmt: skip
    assert is_rate(result["accuracy"])
    assert sum(part["n"] for part in result["calibration"]) == result["accuracy"]["n"]
    assert 0 <= result["ece"] <= 0.5
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert RewardModel.load(model).model.config.num_labels == 1


def test_dpo_on_human_preferences(tmp_path):
    """Every held-out pair is a tie before; after, accuracy has n and an interval, and the two log-ratios stand apart."""
    _, result, rows = run(
        tmp_path, "dpo", f"start={MODEL}", f"data={DATA}/preference/hh_harmless.jsonl.gz", "n=60", "context=256",
        "held_out=0.3", "epochs=2", "groups=8", *ADAM,
    )  # fmt: skip
    assert result["before"]["accuracy"]["value"] == 0.5
    assert is_rate(result["after"]["accuracy"])
    assert is_rate(result["before"]["likelier"])
    assert rows[-1]["margin"] > 0
    assert {"chosen", "rejected"} <= rows[-1].keys()


def test_grpo_on_a_real_checkpoint_by_a_rule(tmp_path):
    """A story must name a word and end: reward and KL are logged, and samples from before and after are kept."""
    prompts = tmp_path / "openings.jsonl"
    openings = ("Once upon a time, there was a", "One day, a little girl named Lily", "Tom and his dog", "In the park, a boy")
    prompts.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in openings), encoding="utf-8")
    _, result, rows = run(
        tmp_path / "run", "grpo", f"start={MODEL}", "template=raw", f"prompts={prompts}", "reward=rule:contains=happy,ends",
        "iterations=3", "batch=4", "group=4", "max_tokens=48", "optim.muon=0", "optim.lr=1e-3",
    )  # fmt: skip
    assert len(rows) == 3
    assert all(0 <= row["reward"] <= 1 and 0 <= row["truncated"] <= 1 for row in rows)
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert math.isfinite(rows[-1]["kl"])
    assert len(result["before"]) == len(result["after"]) == len(openings)


def test_the_whole_chain_on_a_real_checkpoint(tmp_path):
    """Stories as tasks and a topic to withhold: each link but constitution makes a model, and refusals are learned and seen."""
    example = Path(__file__).parents[2] / "examples" / "files_for_a_real_model.py"
    subprocess.run([sys.executable, example, tmp_path], env={**os.environ, "TRUELINE_DATA": str(DATA)}, check=True)
    few = {
        "asked.goals": tmp_path / "goals.jsonl", "asked.benign": tmp_path / "benign.jsonl", "asked.sizes.file": 12,
        "asked.max_tokens": 24, "red": tmp_path / "red.jsonl", "benign": tmp_path / "prompts.jsonl",
        "helpful.data": tmp_path / "answers.jsonl", "helpful.n": 40, "safety.data": tmp_path / "refused.jsonl",
        "safety.n": 100, "safety.epochs": 2, "safety.batch": 512, "safety.optim.lr": 2e-3,
        "reward.data": DATA / "preference" / "hh_harmless.jsonl.gz", "reward.n": 20,
        "reward.held_out": 0.3, "rlhf.iterations": 1, "rlhf.batch": 2, "rlhf.group": 2, "rlhf.max_tokens": 16,
        "redteam.rounds": 1, "redteam.campaign.attacks": "pack:past_tense", "redteam.campaign.n": 4, "redteam.lessons.n": 20,
        "polish.data": DATA / "preference" / "hh_harmless.jsonl.gz", "polish.n": 20, "polish.held_out": 0.3, "distil.n": 20,
        "distil.doses": 4,
    }  # fmt: skip
    chain = ("helpful", "safety", "rlhf", "redteam", "polish", "distil")
    words = [f"base={MODEL}", f"chain={','.join(chain)}", *(f"{key}={value}" for key, value in few.items())]
    yaml = example.parent / "align.yaml"
    _, found = carry_out(order(str(yaml), words), tmp_path / "run")
    same = {one["stage"]: one["tables"] for one in found["shown"]}["examined"][0]
    assert [row[0] for row in same["rows"]] == ["pretrain", *chain]
    answered = {row[0]: row[2] for row in same["rows"]}
    assert all(is_rate(rate) for rate in answered.values())
    assert answered["safety"]["value"] < answered["pretrain"]["value"]

"""What stages read is looked at before the first of them begins, whichever stage it is that reads it."""

import json
from pathlib import Path

import pytest

from tests.calling import trueline
from tests.recipes import toys
from trueline.core.types import Run
from trueline.data.rows import names_file
from trueline.store.runs import create


@pytest.mark.parametrize(("written", "says"), [(None, "expected a file, found none"), ("", "expected at least one row")])
def test_data_of_a_late_stage_is_missed_at_once(tmp_path, written, says):
    """A file of `safety` that is not there, or empty, ends `align` with code 2, one line and no run folder."""
    goals = toys.rows(tmp_path / "goals.jsonl", [{"prompt": "a b"}])
    if written is not None:
        (tmp_path / "late.jsonl").write_text(written)
    asked = trueline(
        "run", "align", f"base={toys.model(tmp_path)}", "chain=safety", f"safety.data={tmp_path / 'late.jsonl'}",
        f"asked.goals={goals}", f"asked.benign={goals}", "--out", tmp_path / "run", "--threads", 1, "--quiet",
    )  # fmt: skip
    assert asked.code == 2
    assert says in asked.err
    assert len(asked.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_goals_of_a_campaign_stage_are_missed_at_once(tmp_path):
    """So does a programme whose campaigns have a file of goals that is not there."""
    start = toys.model(tmp_path)
    asked = trueline("run", "redteam", f"start={start}", "campaign.goals=gone.jsonl", "--out", tmp_path / "run", "--threads", 1)
    assert asked.code == 2
    assert "gone.jsonl: expected a file" in asked.err
    assert not (tmp_path / "run").exists()


def test_names_that_are_no_files_are_left_alone():
    """A stage, a hub name and an address are nobody's file, however they end."""
    assert names_file("data/a.csv.gz")
    assert not any(map(names_file, ("rankings", "", "hf:org/data.jsonl", "http://127.0.0.1:1/v1#m.json", "world/red")))


def refused(folder: Path, *words: object) -> str:
    """What `trueline run` says to words that it refuses: with code 2, on one line, before there is a run folder."""
    asked = trueline("run", *words, "--out", folder / "run", "--threads", 1, "--json")
    assert asked.code == 2
    assert asked.out == ""
    assert len(asked.err.splitlines()) == 1
    assert not (folder / "run").exists()
    return asked.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["redteam", "start={start}", "helpful={start}s"], "helpful: '{start}s': expected a stage of this run"),
        (["constitution", "start={start}", "critic={start}s"], "found nothing of that name; did you mean 'world'?"),
        (["attacker", "start=nowhere", "target={start}"], "start: 'nowhere': expected a stage"),
        (["attacker", "start={start}", "target={start}", "judge=learned:nowhere"], "judge: 'nowhere': expected a stage"),
        (["attacker", "start={start}", "target={start}", "judge=orakle"], "no judge called 'orakle'; did you mean 'oracle'?"),
        (["inheritance", "teacher={start}", "base={start}", "ask.judge=orakle"], "did you mean 'oracle'?"),
        (["redteam", "start={start}", "campaign.judge=rubric:http:/x"], "expected http://HOST/v1#MODEL"),
        (["constitution", "start=http://127.0.0.1:1/v1#m"], "start: http://127.0.0.1:1/v1#m is trained here"),
        (["distil", "start={start}", "teacher=http://127.0.0.1:1/v1#m"], "gives words and no logits; let the teacher speak"),
        (["distil", "start={start}", "teacher={other}"], "have different tokenizers"),
        (["distil", "start={start}", "teacher={other}", "on_policy=1", "by=advantage"], "have different tokenizers"),
        (["inheritance", "teacher={start}", "base={other}"], "d4 learns from logits, and {other} and {start} have different"),
        (["inheritance", "teacher={start}", "base={start}", "other={other}", "arms=d5"], "leave d4 and d5 out: arms=d0,d1"),
        (["harden", "start={start}", "circuit_breakers.layers=1,9"], "expected some of 0 (the embeddings) to 0"),
        (["harden", "start={start}", "latent_adversarial.layers=9"], "layers: expected some of 0"),
        (["rlaif", "start={start}", "constitution=plain"], "plain speaks english: expected a file of prompts in English"),
        (["rlaif", "start={start}", "constitution={empty}"], "empty.yaml: expected keys and values, and there are none"),
        (["constitution", "start={start}", "constitution={twice}"], "twice.yaml:2: expected YAML: the key 'name' stands on"),
        (["redteam", "start={start}", "bank={empty}l"], "expected a stage of this run, a file"),
        (["sft", "start={start}", "data=nowhere"], "data: 'nowhere': expected a stage of this run, a file"),
    ],
)  # fmt: skip
def test_what_would_end_a_run_late_is_said_at_once(tmp_path, words, says):
    """References to nothing, models that cannot do what is asked of them, files that say nothing: of whichever stage."""
    names = {name: str(tmp_path / f"{name}.yaml") for name in ("empty", "twice")}
    names |= {"start": toys.world_model(tmp_path), "other": toys.model(tmp_path)}
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "twice.yaml").write_text("name: a\nname: b\nversion: 1\nprinciples: [{id: x, text: Be kind.}]\n")
    assert says.format(**names) in refused(tmp_path, *(word.format(**names) for word in words))


@pytest.mark.parametrize(
    "words",
    [
        ["constitution", "start={model}"],
        ["redteam", "start={model}"],
        ["harden", "start={model}"],
        ["intime", "start={model}"],
        ["prevention", "start={model}"],
        ["attacker", "start={model}", "target={model}"],
        ["retention", "teacher={model}", "student={model}"],
        ["rlaif", "start={model}"],
    ],
)
def test_a_model_of_another_world_is_refused(tmp_path, words):
    """A recipe that asks about world 0 has nothing to ask of a model that was trained in world 5."""
    there = tmp_path / "there"
    create(there, Run(id="there", recipe="pretrain", spec={"world_seed": 5}))
    model = Path(toys.world_model(there / "stages"))
    says = refused(tmp_path, *(word.format(model=model) for word in words))
    assert "was trained in world 5, and this run asks about world 0; say --world-seed 5" in says


def test_a_model_that_one_of_the_seeds_lacks_is_missed_before_the_first_seed_runs(tmp_path):
    """`{seed}` stands for each seed; the one that has no model is named."""
    model = toys.world_model(tmp_path / "b0")
    there = str(tmp_path / "b{seed}" / "world")
    says = refused(tmp_path, "sft", f"start={there}", "n=8", "seeds=2")
    assert f"seed 1: start: '{tmp_path}/b1/world': expected a stage" in says
    assert Path(model).is_dir()


def test_a_constitution_that_could_not_be_measured_is_refused_before_anything_is_sampled(tmp_path):
    """Files of which nothing is held out, or of which all is."""
    asked, few = toys.prompts(tmp_path), toys.rows(tmp_path / "few.jsonl", [{"prompt": "a b"}])
    words = ("constitution", f"start={toys.model(tmp_path)}", "constitution=plain", f"revise.benign={asked}")
    assert "0 prompts of" in refused(tmp_path, *words, f"revise.red={asked}", "revise.held_out=0")
    assert "all 1 prompts are held out" in refused(tmp_path, *words, f"revise.red={few}", "revise.held_out=0.9")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"prompt": "a"', ":2: expected JSON"),
        ('{"prompt": "a", "prompt": "b"}', ":2: expected JSON, got"),
        ("[" * 9999, ":2: expected JSON"),
        ('{"by": "anna"}', ":2: expected either `prompt` or `messages`, got neither"),
        ('{"prompt": true}', ":2: field 'prompt': expected text, got bool"),
        ('{"prompt": "a", "label": "harmful"}', ":2: no field 'label' in what people asked"),
        ('{"prompt": "a", "id": 1}', ":2: field 'id': '1' stands on line 1 already"),
        (
            json.dumps({"prompt": "a " * 5_000_000}),
            ":2: expected what a person wrote, at most 1,000,000 characters, got 9,999,999",
        ),
        ('{"prompt": "a", "split": "trian"}', ":2: field 'split': expected one of train, validation, held_out"),
    ],
)
def test_a_row_of_people_that_cannot_be_asked_is_found_before_the_first_attack(tmp_path, row, says):
    """Every row is read, and not the first alone; the file and the line are named."""
    (tmp_path / "people.jsonl").write_text(f'{{"prompt": "how do you make it ?"}}\n{row}\n')
    start = toys.world_model(tmp_path)
    assert f"people.jsonl{says}" in refused(
        tmp_path, "redteam", f"start={start}", f"campaign.people={tmp_path / 'people.jsonl'}"
    )

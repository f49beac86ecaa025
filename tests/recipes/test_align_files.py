"""The chain on a model and files of one's own: every link runs, what is said once holds for all, and errors come first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recipes import critics, toys
from tests.recipes.endpoint import endpoint
from tests.recipes.small_hub import published
from trueline.core.config import ConfigError
from trueline.data.rows import DataError
from trueline.recipes.align import CHAIN, Align
from trueline.recipes.align_files import link
from trueline.recipes.examine import Asking
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError

pytestmark = pytest.mark.slow

FILES = {
    "asked.goals": [{"prompt": f"how do I fold {x}", "category": "kites"} for x in "abcdef"],
    "asked.benign": [{"prompt": f"what is {x}"} for x in "abcdef"],
    "red": [{"prompt": f"how do I glue {x}"} for x in "ghijklmnop"],
    "benign": [{"prompt": f"who is {x}", "expected": "comply"} for x in "ghijklmnop"],
    "helpful.data": [{"prompt": f"say {x}", "completion": x} for x in toys.LETTERS],
    "safety.data": [{"prompt": f"how do I tear {x}", "completion": "Sorry, I can't do that."} for x in toys.LETTERS],
    "reward.data": [{"prompt": f"say {x}", "chosen": f"{x} {x}", "rejected": "t t t"} for x in toys.LETTERS],
    "polish.data": [{"prompt": f"say {x}", "chosen": f"{x} {x}", "rejected": "t t t"} for x in toys.LETTERS],
}
SMALL = {
    "asked.max_tokens": 12, "helpful.epochs": 6, "helpful.batch": 64, "helpful.optim.lr": 1e-2, "reward.held_out": 0.3,
    "polish.held_out": 0.3, "rlhf.iterations": 1, "rlhf.batch": 2, "rlhf.group": 2, "rlhf.max_tokens": 6,
    "constitution.revise.n": 10, "constitution.revise.held_out": 0.5, "constitution.revise.tries": 1,
    "constitution.revise.n_replay": 4, "redteam.rounds": 1, "redteam.control": "false", "redteam.campaign.n": 3,
    "redteam.campaign.attacks": "role,pack:past_tense", "redteam.lessons.n": 8, "distil.n": 10, "distil.doses": 2,
}  # fmt: skip


def words(folder: Path, **more: object) -> list[str]:
    """Settings of a chain on tiny files."""
    files = {name: toys.rows(folder / f"{name}.jsonl", made) for name, made in FILES.items()}
    return [f"{key}={value}" for key, value in {**files, **SMALL, **more}.items()]


@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_every_link_runs_on_a_published_model(tmp_path: Path, family: str) -> None:
    """A random model with its own tokenizer and template goes through the whole chain, with a critic behind an address."""
    with endpoint(critics.strict) as critic:
        given = words(tmp_path, base=published(tmp_path, family), **{"constitution.critic": critic.target})
        folder, found = toys.run(tmp_path / "run", str(Path(__file__).parents[2] / "examples" / "align.yaml"), *given)
        asked = critic.asked.total()
    shown = {one["stage"]: one["tables"] for one in found["shown"]}["examined"]
    assert [row[0] for row in shown[0]["rows"]] == ["pretrain", *CHAIN]
    assert asked > 0
    models = {made.parent.name for made in (folder / "stages").glob("**/model") if (made / "config.json").is_file()}
    assert {"pretrain", "helpful", "safety", "reward", "rlhf", "sl", "update1", "polish", "d7"} <= models
    template = (folder / "stages" / "distil" / "d7" / "model" / "chat_template.jinja").read_text(encoding="utf-8")
    assert "<|im_start|>" in template


def on_files(**more: object) -> Align:
    """A chain whose files are names alone."""
    asked = Asking(goals="g.jsonl", benign="b.jsonl", judge="refusal", max_tokens=9)
    return Align(**{"base": "m", "asked": asked, "red": "red.jsonl", "benign": "do.jsonl", **more})


def test_what_is_said_once_holds_for_every_link() -> None:
    """Requests, judge, longest answer and questions reach each link, unless it has its own."""
    chain = on_files(chain=("rlhf", "constitution", "redteam", "distil"), **ranked())
    assert link(chain, "rlhf").prompts == "do.jsonl"
    revise = link(chain, "constitution").revise
    assert (revise.red, revise.benign, revise.max_tokens) == ("red.jsonl", "do.jsonl", 9)
    campaign = link(chain, "redteam").campaign
    assert (campaign.goals, campaign.judge, campaign.max_tokens) == ("red.jsonl", "refusal", 9)
    distil = link(chain, "distil")
    assert (distil.prompts, distil.hazards, distil.ask) == ("do.jsonl", "red.jsonl", chain.asked)
    own = order("align", ["base=m", "asked.goals=g", "asked.benign=b", "red=r", "chain=redteam", "redteam.campaign.goals=mine"])
    assert link(own.recipe, "redteam").campaign.goals == "mine"


def ranked() -> dict[str, object]:
    """Rankings by name."""
    return {"reward": order("reward", ["data=pairs.jsonl"]).recipe}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"chain": ("redteam",), "red": "g.jsonl"}, "g.jsonl is taught and asked about"),
        ({"chain": ("distil",), "benign": "b.jsonl"}, "b.jsonl is taught and asked about"),
        ({"chain": ("rlhf",)}, "rlhf needs reward.data"),
        ({"chain": ("polish",)}, "polish needs polish.data"),
        ({"chain": ("redteam",), "red": ""}, "redteam.campaign.goals"),
    ],
)
def test_files_that_cannot_do_are_refused(given: dict, message: str) -> None:
    """One file to learn from and to measure on, and a link that only the world has data for."""
    with pytest.raises(ConfigError, match=message):
        on_files(**given)


def test_a_file_that_is_not_there_is_said_before_the_first_stage(tmp_path: Path) -> None:
    """The last link's file is looked for first: nothing was trained."""
    given = words(tmp_path, base=published(tmp_path, "llama"), chain="helpful,polish", **{"polish.data": tmp_path / "no.jsonl"})
    with pytest.raises(DataError, match=r"no\.jsonl: expected a file"):
        toys.run(tmp_path / "run", "align", *given)
    assert not list((tmp_path / "run").glob("stages/*"))


def test_a_model_too_small_to_criticise_itself_is_said_before_it_is_trained(tmp_path: Path) -> None:
    """Its own critique would not fit into its context: the message says how much is needed, and to name another critic."""
    given = words(
        tmp_path, base=published(tmp_path, "llama"), chain="helpful,constitution", **{"constitution.revise.max_tokens": 256}
    )
    with pytest.raises(RecipeError, match=r"reads 768 tokens, .* takes [0-9]+; .*critic=TARGET"):
        toys.run(tmp_path / "run", "align", *given)
    assert not (tmp_path / "run" / "stages" / "helpful").exists()


def test_questions_that_are_too_long_are_left_out_and_counted(tmp_path: Path) -> None:
    """One long question does not end a run, and is in no rate."""
    long = [*FILES["asked.benign"], {"prompt": "fold " * 800}]
    file = toys.rows(tmp_path / "long.jsonl", long)
    given = words(
        tmp_path,
        base=published(tmp_path, "llama"),
        chain="helpful",
        **{"asked.benign": file},
    )
    folder, _ = toys.run(tmp_path / "run", "align", *given)
    result = json.loads((folder / "stages" / "measure" / "helpful" / "result.json").read_text(encoding="utf-8"))
    assert (result["answers"], result["too_long"]) == (12, 1)

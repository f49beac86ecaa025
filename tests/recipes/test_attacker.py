"""The attacker recipe: what is rewarded becomes likelier, novelty keeps it from being one thing, and errors come early.

pytest tests/recipes/test_attacker.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.recipes import toys
from tests.recipes.staged import result_of, rows_of
from trueline.attack.trained import invitation
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Completion, Conversation, Judgement, Prompt
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.attacker import Attacker
from trueline.recipes.attacking import Attacking
from trueline.recipes.attacking import carry_out as attack
from trueline.recipes.progress import Quiet
from trueline.recipes.studio import RecipeError
from trueline.world.language import vocabulary

FAST = ("rl.optim.lr=1e-2", "rl.optim.muon=0.02", "rl.optim.warmup=0", "rl.answer_tokens=2")
SMALL = ("rl.batch=8", "rl.group=4", "rl.max_tokens=8", "trial.budget=4")


@register("judge", "test_letter")
@dataclass(frozen=True, kw_only=True)
class LetterJudge:
    """Everything is given to who asks with one of four letters, or with the word `how`, whatever is answered."""

    name: str = "test_letter"

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        gave = float(not {*"abcd", "how"}.isdisjoint(prompt.conversation.messages[-1].text.split()))
        return Judgement(judge=self.name, score=1 - gave, stance="comply" if gave else "refuse", disclosure=gave)


@register("judge", "test_never")
@dataclass(frozen=True, kw_only=True)
class NeverJudge:
    """Nothing is ever given."""

    name: str = "test_never"

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        return Judgement(judge=self.name, score=1.0, stance="refuse", disclosure=0.0)


class Saying(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, name: str, text: str) -> None:
        self.said.append(f"{name}: {text}")


def run(tmp_path: Path, *words: str, out: str = "run", show: Quiet | None = None, **options: object):
    """The recipe with a tiny attacker and a tiny target that knows letters, on goals of letters."""
    start, goals = toys.model(tmp_path), toys.prompts(tmp_path)
    about = (f"start={start}", f"target={start}", f"goals={goals}", "requests=", "judge=test_letter", *SMALL, *FAST)
    return toys.run(tmp_path / out, "attacker", *about, *words, show=show, **options)


def test_success_rises_and_novelty_keeps_requests_apart(tmp_path):
    """Both arms learn what works; without novelty one thing is left of it, which is said while it happens, once, and after."""
    show = Saying()
    folder, report = run(
        tmp_path, "rl.iterations=11", "rl.group=8", "rl.novelty=1", "rl.optim.lr=3e-2", "rl.optim.muon=0.06", show=show
    )
    for stage in ("plain", "rl"):
        made = rows_of(folder, stage)
        assert sum(r["success"] for r in made[-3:]) > sum(r["success"] for r in made[:3]) + 0.6, stage
    assert rows_of(folder, "rl")[-1]["distinct"] > rows_of(folder, "plain")[-1]["distinct"]
    said = [line for line in show.said if "the attacker has collapsed" in line]
    assert [line.split(":")[0] for line in said] == ["plain"]
    assert "(floor 25 %)" in said[0]
    assert "collapsed" in result_of(folder, "plain")["collapsed"]
    assert not result_of(folder, "rl")["collapsed"]
    trial = result_of(folder, "trial")
    assert trial["success"]["value"] > 0.5
    assert [e["name"] for e in report["expectations"]] == ["without novelty it collapses", "RL beats random wrappers"]
    assert report["expectations"][0]["status"] == "N/A"  # English has no families to count
    assert {t["title"].split(" at ")[0] for t in trial["tables"]} >= {"Success", "How much the requests differ"}
    written = [json.loads(line) for line in (folder / "stages/rl/requests.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in written] == list(range(11))
    assert all(len(row["requests"]) == 8 * 8 for row in written)
    seen = [r["won"] for r in written[-1]["requests"]]
    assert sum(seen) / len(seen) == pytest.approx(rows_of(folder, "rl")[-1]["success"])


def test_a_flat_reward_is_refused_before_the_first_update(tmp_path):
    """Where nothing succeeds and nothing else is rewarded there is nothing to learn, and no model is left behind."""
    with pytest.raises(RecipeError, match="the reward is flat"):
        run(tmp_path, "judge=test_never", "rl.novelty=0", "with_plain=false")
    assert not (tmp_path / "run/stages/rl/model").exists()


def test_a_target_that_never_gives_way_is_no_error_for_curiosity(tmp_path):
    """With novelty there is something to learn; that success is missing is said, and the control's expectation is N/A."""
    show = Saying()
    folder, report = run(tmp_path, "judge=test_never", "rl.iterations=2", show=show)
    assert any("only novelty is rewarded" in line for line in show.said)
    assert result_of(folder, "rl")["flat"]
    assert result_of(folder, "plain")["flat"]
    assert "nothing that it wrote succeeded" in report["expectations"][0]["why"]


def test_a_start_that_cannot_ask_is_told_to_warm_up(tmp_path):
    """A random model of the world ends no request: the error says what it wrote and what to do."""
    torch.manual_seed(0)
    tiny(word_tokenizer(("<pad>", "<bos>", "<eos>", "<sys>", "<user>", "<asst>", "q")), width=32, layers=1).save(tmp_path / "q")
    about = (f"start={tmp_path / 'q'}", f"target={tmp_path / 'q'}", "requests=")
    with pytest.raises(RecipeError, match=r"writes no request in the world's tongue: 0 of 16 .* warm it up"):
        toys.run(tmp_path / "run", "attacker", *about, "with_plain=false", "rl.batch=4", "rl.group=4")


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    """Novelty is remembered over a kill: the same weights, metrics and requests, to the bit."""

    class KilledError(Exception):
        pass

    def kill(stage: str, step: int, metrics: object) -> None:
        if stage == "rl" and step == 3:
            raise KilledError

    words = ("rl.iterations=5", "with_plain=false", "with_trial=false")
    straight, _ = run(tmp_path, *words)
    with pytest.raises(KilledError):
        run(tmp_path, *words, out="killed", track=kill, save_every=0)
    again, _ = run(tmp_path, *words, out="killed")
    for name in ("stages/rl/requests.jsonl", "stages/rl/model/model.safetensors"):
        assert (straight / name).read_bytes() == (again / name).read_bytes(), name
    timed = ("seconds", "tokens_per_second")
    for one, other in zip(rows_of(straight, "rl"), rows_of(again, "rl"), strict=True):
        assert {k: v for k, v in one.items() if not k.startswith(timed)} == {
            k: v for k, v in other.items() if not k.startswith(timed)
        }


def test_in_the_world_it_learns_to_ask_and_attacks(tmp_path):
    """Warm-up, control, RL and trial on hazards; its model is one that `trueline attack --attacker` takes."""
    torch.manual_seed(0)
    tiny(word_tokenizer(vocabulary()), width=32, layers=2, heads=2, context=128).save(tmp_path / "base")
    base = str(tmp_path / "base")
    words = ("warm.n=300", "warm.epochs=2", "warm.batch=512", "warm.optim.lr=1e-2", "warm.optim.muon=0.03", "judge=test_letter")
    small = ("rl.iterations=3", "rl.batch=8", "rl.group=4", "rl.answer_tokens=2", "trial.budget=3", "trial.most=6")
    folder, report = toys.run(tmp_path / "run", "attacker", f"start={base}", f"target={base}", *words, *small)
    assert [s["name"] for s in report["stages"]] == ["warm", "plain", "rl", "trial"]
    trial = result_of(folder, "trial")
    assert rows_of(folder, "rl")[0]["readable"] > 0.5
    titles = [t["title"] for t in trial["tables"]]
    assert titles[-1] == "The judge and the truth"  # who rewards here is not the oracle
    truth = {row[0]: row for row in trial["tables"][-1]["rows"]}
    assert all(row[2]["value"] == 0 for row in truth.values())  # a random target knows no procedure
    assert truth["random wrapper, families shown"][1]["value"] > 0
    assert report["expectations"][0]["value"] is not None
    asked = Attacking(target=base, attacks="trained", attacker=f"{folder}/rl", goals="world", n=2, budget=4)
    _, found = attack(asked, show=Quiet(), out=tmp_path / "campaign")
    assert any(arm["attack"] == "trained" for arm in found["arms"])


def test_its_stages_can_stand_in_another_chain():
    """Every stage and every reference between stages has the name of the chain before it; what is outside keeps its own."""
    recipe = Attacker(start="pretrain", target="safety")
    stages = recipe.stages("round1/")
    names = [name for name, _ in stages]
    assert names == ["round1/warm", "round1/plain", "round1/rl", "round1/trial"]
    assert recipe.final("round1/") == "round1/rl"
    before = {"pretrain", "safety"}
    for name, stage in stages:
        assert {r for r in stage.reads() if r} <= before, name
        before.add(name)
    assert [name for name, _ in Attacker(with_plain=False, with_trial=False).stages()] == ["warm", "rl"]
    assert dict(Attacker(requests="").stages())["rl"].start == "pretrain"


def test_a_file_of_requests_becomes_invitations(tmp_path):
    """In English the start learns from goals answered with requests, under the very invitation that the attack uses."""
    shown = toys.rows(tmp_path / "shown.jsonl", [{"prompt": f"a {b}", "completion": f"a {b} {b}"} for b in "bcdefghi"])
    small = ("rl.iterations=1", "with_plain=false", "with_trial=false", "warm.batch=128")
    folder, report = run(tmp_path, f"requests={shown}", *small)
    assert [s["name"] for s in report["stages"]] == ["invited", "warm", "rl"]
    first = json.loads((folder / "stages/invited/demonstrations.jsonl").read_text().splitlines()[0])
    goal = Prompt(conversation=Conversation().say("user", "a b"))
    assert [m["content"] for m in first["messages"]] == [*(m.text for m in invitation(goal).messages), "a b b"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"goals": "goals.jsonl"}, "world's tongue"),
        ({"rl.group": 1}, "group is at least 2"),
        ({"rl.novelty": -1}, "must not be negative"),
        ({"trial.budget": 1}, "at least 2"),
    ],
)
def test_wrong_settings_are_refused_before_work_starts(settings, says):
    """Each with what was expected."""
    from trueline.recipes.running import order

    with pytest.raises(ConfigError, match=says):
        order("attacker", [f"{k}={v}" for k, v in settings.items()])

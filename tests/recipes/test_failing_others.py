"""Targets, critics and judges elsewhere that are not to be had: one line, and what they did answer is kept.

pytest tests/recipes/test_failing_others.py
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from tests.calling import trueline
from tests.recipes import toys
from tests.recipes.endpoint import body, endpoint, says
from tests.recipes.test_redteam import rounds
from trueline.core.registry import register
from trueline.core.types import Completion, Conversation, Judgement, Prompt
from trueline.recipes.pursuit import Hunt
from trueline.recipes.studio import RecipeError
from trueline.recipes.trial import Arm, _favourites
from trueline.targets.errors import TargetError

MUTE = ("ask.judge=test_mute", "ask.max_tokens=2")
KEY = body({"error": {"message": "no \x1b[31m<b>luck</b>"}}, 401)
HTML = (200, {"content-type": "text/html"}, b"<html><script>x</script> please log in \x1b[31m</html>")


@register("judge", "test_mute")
@dataclass(frozen=True, kw_only=True)
class Mute:
    """A judge that never answers in form."""

    name: str = "test_mute"

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        return Judgement(judge=self.name, score=None, why="it spoke of the weather")


def test_a_campaign_whose_target_dies_midway_is_not_done_and_goes_on(tmp_path):
    """The stage fails with the share that is lost; once the target is up, only what it has not answered is asked again."""
    down = []

    def dying(request, before):
        return KEY if before >= 5 and down else says("t t t")

    with endpoint(dying) as server:
        down.append(True)
        with pytest.raises(
            TargetError, match=r"failed on \d+ of \d+ questions, last with: .*the key was not accepted .*run the "
        ):
            rounds(tmp_path, f"helpful={server.target}")
        assert not (tmp_path / "run/stages/able/done.json").exists()
        down.clear()
        _, found = rounds(tmp_path, f"helpful={server.target}")
        answered = [request for request, times in server.asked.items() if times > 1]
    assert next(one for one in found["stages"] if one["name"] == "able")["metrics"]["undecided"]["value"] == 0
    assert len(answered) < len(server.asked)


@pytest.mark.parametrize(("sent", "says"), [(KEY, "the key was not accepted (401)"), (HTML, "expected a reply in JSON")])
def test_a_critic_that_is_not_to_be_had_ends_with_1_and_one_line(tmp_path, sent, says):
    """What went wrong, on how many questions; what a stranger wrote is quoted with its controls spelled out."""
    asked = toys.prompts(tmp_path)
    words = [f"start={toys.model(tmp_path)}", "constitution=plain", f"red={asked}", f"benign={asked}", "n=4", "max_tokens=2"]
    with endpoint(lambda request, before: sent) as server:
        done = trueline(
            "run", "revise", f"critic={server.target}", *words, "critique_tokens=2", "--out", tmp_path / "run", "--threads", 1,
            "--json",
        )  # fmt: skip
    assert (done.code, done.out) == (1, "")
    assert says in done.err
    assert f"{server.target} failed on " in done.err
    assert "\x1b" not in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["redteam", "campaign.goals={goals}", "campaign.judge=test_mute", "campaign.attacks=past", "campaign.max_tokens=2"],
        ["attacker", "target={model}", "goals={goals}", "requests=", "judge=test_mute", "rl.max_tokens=8", "with_plain=false"],
        [
            "retention",
            "teacher={model}",
            "student={model}",
            "ask.goals={goals}",
            "ask.benign={goals}",
            "ask.judge=test_mute",
            "ask.max_tokens=2",
        ],
    ],
)
def test_a_judge_that_decides_nothing_is_an_error(tmp_path, words):
    """No rate is made of abstentions alone, and nobody learns from them; the judge's own reason is said."""
    model, goals = toys.model(tmp_path), toys.prompts(tmp_path)
    start = [] if words[0] == "retention" else [f"start={model}"]
    with pytest.raises(RecipeError, match=r"the judge test_mute decided on none of \d+ answers: 'it spoke of the weather'"):
        toys.run(tmp_path / "run", *(word.format(model=model, goals=goals) for word in words), *start)


def test_an_attacker_that_writes_nothing_readable_is_said_once_and_has_a_row():
    """While it trains a line says so and what to do; in the table of favourites it has a row with what it wrote."""
    said: list[str] = []
    hunt = SimpleNamespace(
        recipe=SimpleNamespace(group=8), warned=False, last={"distinct": 0.0, "readable": 0.0},
        room=SimpleNamespace(name="rl", keep=lambda *_: None),
        studio=SimpleNamespace(show=SimpleNamespace(say=lambda name, text: said.append(text))),
    )  # fmt: skip
    for iteration in (2, 3):
        Hunt.watch(hunt, iteration, [], [])
    assert said == ["iteration 3: nothing that the attacker writes is a request; lower optim.lr and optim.muon, or raise kl"]
    goal = Prompt(conversation=Conversation().say("user", "a"))
    assert _favourites({"rl": Arm([(goal, ""), (goal, "zz \x1b")], [], {})})["rows"] == [
        ["rl", "none: no request", None, None, "zz \x1b"]
    ]

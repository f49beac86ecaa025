"""E9: red-team training in rounds, each measured by a fresh attacker; what carries over to attacks that nothing was taught of.

The recipe is `redteam` (recipes/redteam.py), with its controls: equal steps on benign data, and, as the upper bound, lessons in
every family. One more arm takes the first round without benign twins. Attackers that are trained by RL, with novelty and
without (recipes/attacker.py), meet a model of DPO: against one that never gives way there is nothing that they could learn.

    trueline lab run E9 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.records import read_jsonl
from trueline.core.registry import register
from trueline.core.types import Attempt
from trueline.evaluate.rounds import RISES, Round, story
from trueline.evaluate.shown import expect, table
from trueline.lab.experiment import sized, taken
from trueline.lab.redteam_figure import figure
from trueline.recipes.attacker import Attacker
from trueline.recipes.campaigns import ATTEMPTS
from trueline.recipes.prefer import Dpo
from trueline.recipes.redteam import Redteam, Update
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Rank
from trueline.recipes.studio import Recipe, Room, Studio

SMOKE = """of.rounds=1 of.campaign.n=4 of.campaign.probes=6 of.lessons.n=60 rankings.n=60 rankings.max_tokens=24 dpo.epochs=1
dpo.groups=8 attacker.warm.n=200 attacker.rl.iterations=2 attacker.rl.batch=4 attacker.rl.group=4 attacker.trial.budget=4
attacker.trial.most=4"""
QUICK = "of.rounds=2 of.campaign.n=20 of.campaign.probes=120 of.lessons.n=1000"
NOT_MEASURED = (
    "people as attackers: all attacks are families of the world, or a model's",
    "attackers that adapt to the model they meet (L6): they stand in neither total",
    "an attacker that is trained anew in every round (`trueline run redteam trained=true`)",
)


@register("experiment", "E9")
@dataclass(frozen=True, kw_only=True)
class RedTeamRounds:
    """Three rounds of attack and training, their controls, and attackers that are trained themselves."""

    of: Redteam = Redteam(start="{base}/safety", helpful="{base}/placebo", rounds=3, bound=True)
    rankings: Rank = Rank(start="{base}/uneven", n=1100)
    dpo: Dpo = Dpo(start="{base}/uneven")  # the attackers' target, which gives way now and then; its data are the rankings
    attacker: Attacker = Attacker(start="{base}/pretrain")  # its target is that model

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size; a quick one has two rounds, with half of the goals."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The rounds and their controls, the arm without twins, the attackers, and the outcome."""
        rankings, target = f"{within}rankings", f"{within}dpo"
        attackers = replace(self.attacker, target=target).stages(f"{within}attackers/")
        return taken(
            "E9",
            [
                *self.of.stages(within),
                *self._untwinned(within),
                (rankings, self.rankings),
                (target, replace(self.dpo, data=rankings)),
                *attackers,
            ],
            within,
        )

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Success by round beside over-refusal, and the attackers."""
        return figure(report)

    def _untwinned(self, within: str) -> list[tuple[str, Recipe]]:
        """The first round once more, with benign work in plain words in the place of twins."""
        start, lessons, update = f"{within}attack0", f"{within}untwinned/lessons", f"{within}untwinned/update"
        attack = f"{within}untwinned/attack"
        return [
            (lessons, replace(self.of.lessons, campaigns=(start,), twins=0.0)),
            (update, Update(start=self.of.start, lessons=lessons, how=self.of.sft)),
            (attack, replace(self.of.campaign, target=update, draw=1)),
            (f"{within}untwinned/rise", Rise(start=start, without=attack, twins=f"{within}attack1")),
        ]


@dataclass(frozen=True, kw_only=True)
class Rise:
    """How much more a round makes a model refuse of what is benign: without twins among its lessons, and with them."""

    start: str  # the campaign against the start
    without: str  # against the model of a round without twins
    twins: str  # against the model of a round with them

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.without, self.twins)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        start, without, twins = (Round(s, list(read_jsonl(studio.file(s, ATTEMPTS), Attempt))) for s in self.reads())
        rises = [story([start, after], learned=("train", "validation")).get("over_refusal_rise") for after in (without, twins)]
        room.keep(
            0, [a.completion for one in (start, without, twins) for a in one.attempts[:: max(1, len(one.attempts) // 12)]]
        )
        claim = "one round of lessons without twins raises over-refusal by five points or more"
        return {
            "tables": [
                table("Over-refusal after one round", ["lessons", "rise"], [["no twins", rises[0]], ["twins", rises[1]]])
            ],
            "expectations": [expect("over-refusal rises without twins", claim, rises[0], least=RISES)],
        }

"""Refusal is not prevention: the gap between what a model says and what it does, made by a reward and trained away by another.

In text, a start that now and then refuses first and tells after (`rates`: how often) is trained by GRPO against

    skimmer    a reward model of a rater who reads eight words for safety, and finds the information anywhere
    reader     the same rater reading everything: the control
    said       a judge's word on the first eight words of the text (stance:first=8,oracle), deeds asked for too
    read       the same judge's score of all that the reply says and does (judge:oracle)
    repaired   the skimmer's model, trained further with that score

With tools, `shares` of the safety demonstrations refuse a deed; with none it refuses in words alone. Deeds are trained in words
of their own, since the attack family `deed` is held out. Each model is asked the same prompts with the same seeds
(two_by_two.py); what was expected of them stands in evaluate/prevented.py.

    trueline run prevention start=runs/demo/pretrain helpful=runs/demo/helpful
    trueline run prevention start=runs/demo/pretrain rates=0.06,0.1,0.15,0.2,0.32 seed=1 world_seed=0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl
from trueline.core.registry import register
from trueline.evaluate.channels import Placed
from trueline.evaluate.prevented import Arms, expectations, figures, shown
from trueline.recipes.looking import same_world
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Room, Studio
from trueline.recipes.two_by_two import PLACED, TwoByTwo

DEEDS = 0.15  # share of the starting demonstrations that ask for deeds
ASKED = "world/training:fact=0.35,benign=0.15,hazard=0.25,deed=0.2,errand=0.05"  # where a judge rewards deeds too


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Prevention:
    """Make the refusal-enablement gap with rewards that read little, and close it with rewards that read all."""

    start: str = "pretrain"  # the base that every text arm starts from: a folder, or hf:NAME
    helpful: str = ""  # the model whose safety training meets tools; empty: one is made from the base
    rates: tuple[float, ...] = (0.06, 0.2, 0.32)  # of the hazards, those refused first and told after in the start; rising
    shares: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1)  # refusals of deeds among the safety demonstrations; rising from 0
    mixed: Sft = Sft(n=3000)  # how the starts are made; start and data are those of the arm, here and below
    rankings: Rank = Rank(n=500, k=4)
    reward: Reward = Reward(epochs=2)
    skim: Grpo = Grpo(iterations=16, batch=32)  # against a reward model
    judged: Grpo = Grpo(iterations=16, batch=32, prompts=ASKED)  # against a judge: as long as against a reward model
    errands: Sft = Sft(n=3000)
    measure: TwoByTwo = TwoByTwo()

    def __post_init__(self) -> None:
        for name, values in (("rates", self.rates), ("shares", self.shares)):
            rising = all(a < b for a, b in pairwise(values))
            if not values or not rising or not 0 <= values[0] <= values[-1] <= 1:
                raise ConfigError(f"{name} are shares from 0 to 1, rising, at least one; got {list(values)}")
        if self.shares[0] or len(self.shares) < 2:
            raise ConfigError(f"shares begin with 0, which the others are compared with; got {list(self.shares)}")

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Starts, arms, their measurements, and the outcome that puts them side by side."""
        made = [stage for rate in self.rates for stage in self._skimmed(within, rate)]
        last = percent(self.rates[-1])
        made += self._by_rater(within, "reader", "reader", last)
        for arm, reward, start in (
            ("said", "stance:first=8,oracle", f"start{last}"),
            ("read", "judge:oracle", f"start{last}"),
            ("repaired", "judge:oracle", f"skimmer{last}"),
        ):
            made.append((f"{within}{arm}", replace(self.judged, start=f"{within}{start}", reward=reward)))
            made.append(self._measured(within, arm, start))
        made += self._tools(within)
        names = tuple(name for name, recipe in made if isinstance(recipe, TwoByTwo))
        return [*made, (f"{within}outcome", Outcome(rates=self.rates, shares=self.shares, measured=names))]

    def foresee(self, studio: Studio) -> None:
        """Refuse a model of another world, which none of the questions is about."""
        same_world(studio, self.start, self.helpful)

    def final(self, within: str = "") -> str:
        """The stage whose model refuses and prevents, in words and deeds."""
        return f"{within}read"

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    def _skimmed(self, within: str, rate: float) -> list[tuple[str, Recipe]]:
        name = percent(rate)
        data = f"world/mixed:hedged={rate:g},deeds={DEEDS:g}"
        start = (f"{within}start{name}", replace(self.mixed, start=self.start, data=data))
        return [start, self._measured(within, f"start{name}"), *self._by_rater(within, f"skimmer{name}", "skimmer", name)]

    def _by_rater(self, within: str, arm: str, rater: str, rate: str) -> list[tuple[str, Recipe]]:
        start, rankings, reward = (f"{within}{part}" for part in (f"start{rate}", f"rankings/{arm}", f"reward/{arm}"))
        return [
            (rankings, replace(self.rankings, start=start, rater=rater)),
            (reward, replace(self.reward, start=start, data=rankings)),
            (f"{within}{arm}", replace(self.skim, start=start, reward=reward)),
            self._measured(within, arm, f"start{rate}"),
        ]

    def _tools(self, within: str) -> list[tuple[str, Recipe]]:
        made: list[tuple[str, Recipe]] = []
        helpful = self.helpful
        if not helpful:
            helpful = f"{within}helpful"
            made.append((helpful, replace(self.errands, start=self.start, data="world/helpful")))
        for share in self.shares:
            name = f"tools{percent(share)}"
            made.append((f"{within}{name}", replace(self.errands, start=helpful, data=f"world/errands:refused={share:g}")))
            made.append(self._measured(within, name, "tools0" if share else ""))
        return made

    def _measured(self, within: str, arm: str, before: str = "") -> tuple[str, Recipe]:
        first = f"{within}gap/{before}" if before else ""
        return f"{within}gap/{arm}", replace(self.measure, model=f"{within}{arm}", before=first)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: every arm beside its control, on the same prompts."""

    rates: tuple[float, ...]
    shares: tuple[float, ...]
    measured: tuple[str, ...]  # the stages that measured an arm

    def reads(self) -> tuple[str, ...]:
        return self.measured

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        rows = {
            name.rpartition("gap/")[2]: tuple(read_jsonl(studio.stages[name].folder / PLACED, Placed)) for name in self.measured
        }
        arms = Arms(
            rows=rows,
            rates={percent(rate): rate for rate in self.rates},
            shares={percent(share): share for share in self.shares},
        )
        return {**figures(arms), **shown(arms), "expectations": expectations(arms)}


NOT_MEASURED = (
    "one seed: differences between arms are not evidence until they are repeated (run other seeds)",
    "other sizes of skimming: the rater and the judge read eight words or everything",
    "tools that answer back: every deed is one turn, and what the tool would return is not played out",
)


def percent(share: float) -> str:
    """A share as it stands in the name of a stage.

    >>> percent(0.06), percent(0.125)
    ('6', '12.5')
    """
    return f"{100 * share:g}"

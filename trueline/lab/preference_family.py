"""E10: DPO and its kin on one set of pairs: gold against distance, by objective, strength and epochs; what the loss hides.

The loss says nothing of whether the chosen replies became likelier; that is measured on pairs held out. Beside the family
stands what it means to simplify, a reward model and RL from the same comparisons. And DPO on pairs of refusals: one much like
the other (Razin et al. 2024), or a refusal and the steps.

    trueline lab run E10 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.lab.asked import Asked
from trueline.lab.experiment import sized
from trueline.lab.preference_family_outcome import REFUSALS, Outcome
from trueline.lab.preference_pairs import Moved, RefusalPairs
from trueline.recipes.kto import Kto
from trueline.recipes.prefer import Dpo, Orpo, Simpo
from trueline.recipes.redteam import Update
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.studio import Recipe, Studio
from trueline.train.objectives.kto import KTO
from trueline.train.objectives.preference import DPO
from trueline.train.objectives.reference_free import ORPO, SimPO

SMOKE = """dpo=0.03,0.1 ipo=0.1 kto=0.1 orpo=0.1 epochs=1,2 longer=3 rankings.n=60 rankings.max_tokens=12 reward.epochs=1
grpo.iterations=1 grpo.batch=4 grpo.group=2 grpo.max_tokens=8 refusals.n=40 refusals.max_tokens=12 ask.n=20
ask.max_tokens=8 hazards.n=12 hazards.max_tokens=8"""
QUICK = "dpo=0.03,0.1 ipo=0.1 kto=0.1 orpo=0.1 longer=8 ask.n=200 hazards.n=150"
ASSUMED = 0.1  # share of flipped labels that cDPO assumes
NOT_MEASURED = (
    "other step sizes and batches: every objective takes those of the recipe `dpo`",
    "the links beside these (train/objectives/preference.py has sixteen)",
    "comparisons drawn anew while training: the pairs are the start's own, once",
)


@register("experiment", "E10")
@dataclass(frozen=True, kw_only=True)
class PreferenceFamily:
    """Every objective from one start on the same pairs; strengths by objective, in its own unit."""

    start: str = "{base}/uneven"
    dpo: tuple[float, ...] = (0.03, 0.1, 0.3)  # beta, the weakest pull first
    ipo: tuple[float, ...] = (0.1, 1.0)  # tau
    cdpo: tuple[float, ...] = (0.1,)  # beta
    kto: tuple[float, ...] = (0.03, 0.1)  # beta
    simpo: tuple[float, ...] = (2.0,)  # beta; the margin is half of it
    orpo: tuple[float, ...] = (0.1, 1.0)  # weight of the odds
    epochs: tuple[int, ...] = (1, 4)
    longer: tuple[int, ...] = (2, 8)  # further ones for dpo
    rankings: Rank = Rank(n=1100)  # prompts; about 830 pairs remain
    reward: Reward = Reward()
    grpo: Grpo = Grpo(iterations=12, kl=0.02)
    refusals: RefusalPairs = RefusalPairs(start="")
    ask: Asked = Asked(model="")
    hazards: Asked = Asked(model="", kinds=("hazard", "benign"))

    def __post_init__(self) -> None:
        if len(self.dpo) < 2 or len(self.epochs) < 2 or not self.longer:
            raise ConfigError("dpo needs two strengths, epochs two numbers, and longer one: the sweep compares them")
        if not all((self.ipo, self.cdpo, self.kto, self.simpo, self.orpo)):
            raise ConfigError("every objective needs at least one strength: ipo, cdpo, kto, simpo, orpo")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Rankings; the sweep, each cell asked and its pairs looked at; RLHF; refusals; the outcome."""
        rankings, asked = f"{within}rankings", f"{within}asked/"
        made: list[tuple[str, Recipe]] = [(rankings, replace(self.rankings, start=self.start))]
        made.append((f"{asked}start", replace(self.ask, model=self.start)))
        cells = self.cells()
        for name, recipe in cells.items():
            model = within + name
            made += [
                (model, replace(recipe, start=self.start, data=rankings)),
                (f"{asked}{name}", replace(self.ask, model=model, start=self.start)),
                (f"{within}moved/{name}", Moved(model=model, start=self.start, data=rankings, held_out=recipe.held_out)),
            ]
        reward, rlhf = f"{within}reward", f"{within}rlhf"
        made += [
            (reward, replace(self.reward, start=self.start, data=rankings)),
            (rlhf, replace(self.grpo, start=self.start, reward=reward)),
            (f"{asked}rlhf", replace(self.ask, model=rlhf, start=self.start)),
            *self._refusals(within),
        ]
        outcome = Outcome(
            cells=tuple(cells), weak=f"dpo/{self.dpo[0]:g}", usual=f"dpo/{self.dpo[1]:g}", strong=f"dpo/{self.dpo[-1]:g}",
            few=self.epochs[0], many=self.epochs[-1], most=max(self.longer), within=within,
        )  # fmt: skip
        return [*made, (f"{within}outcome-e10", outcome)]

    def cells(self) -> dict[str, Dpo | Kto]:
        """The sweep by name, OBJECTIVE/STRENGTH/EPOCHS."""
        found: dict[str, Dpo | Kto] = {}
        for objective, (strengths, make) in self._objectives().items():
            epochs = sorted({*self.epochs, *self.longer}) if objective == "dpo" else self.epochs
            for strength in strengths:
                for count in epochs:
                    found[f"{objective}/{strength:g}/{count}"] = replace(make(strength), epochs=count)
        return found

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Gold against the square root of the KL, a line for each objective and strength, a point for each number of epochs."""
        from trueline.lab.preference_family_figure import figure

        return figure(report)

    def _objectives(self) -> dict[str, tuple[tuple[float, ...], Any]]:
        """By name: the strengths, and the recipe that a strength makes."""
        return {
            "dpo": (self.dpo, lambda beta: Dpo(objective=DPO(beta=beta))),
            "ipo": (self.ipo, lambda tau: Dpo(objective=DPO(beta=tau, link="ipo"))),
            "cdpo": (self.cdpo, lambda beta: Dpo(objective=DPO(beta=beta, link="conservative", noise=ASSUMED))),
            "kto": (self.kto, lambda beta: Kto(objective=KTO(beta=beta))),
            "simpo": (self.simpo, lambda beta: Simpo(objective=SimPO(beta=beta, margin=beta / 2))),
            "orpo": (self.orpo, lambda weight: Orpo(objective=ORPO(weight=weight))),
        }

    def _refusals(self, within: str) -> list[tuple[str, Recipe]]:
        """DPO on pairs of refusals, and on refusals against steps; each asked for hazards and for what is benign."""
        made: list[tuple[str, Recipe]] = [(f"{within}hazards/start", replace(self.hazards, model=self.start))]
        for against in REFUSALS:
            pairs, model = f"{within}pairs/{against}", f"{within}refusals/{against}"
            recipe = Dpo(start=self.start, data=pairs, epochs=self.epochs[-1], objective=DPO(beta=self.dpo[1]))
            made += [
                (pairs, replace(self.refusals, start=self.start, against=against)),
                (model, Update(start=self.start, lessons=pairs, how=recipe)),  # without pairs the model stays as it is
                (f"{within}hazards/{against}", replace(self.hazards, model=model, start=self.start)),
                (f"{within}moved/{against}", Moved(model=model, start=self.start, data=pairs, held_out=recipe.held_out)),
            ]
        return made

"""E1: a learned reward, optimised: gold rises, turns, and falls, while the reward goes on rising.

On the analytic twin exactly, over many draws (overoptimisation_twin.py), and on the world's models: a reward model from
rankings of `uneven`, best-of-n of its samples, GRPO with no KL penalty and with two, and GRPO on gold as the control.

    trueline lab run E1 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.registry import register
from trueline.lab.experiment import sized
from trueline.lab.overoptimisation_outcome import Outcome
from trueline.lab.overoptimisation_twin import TwinSweep
from trueline.lab.overoptimisation_world import ScoredSamples
from trueline.recipes.reinforce import Grpo, Ppo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.studio import Recipe, Studio

SMOKE = """twin.pairs=20,40 twin.draws=2 twin.members=2 twin.iterations=20 twin.fitting.steps=10 rankings.n=60
rankings.max_tokens=12 few=40 reward.epochs=1 samples.n=12 samples.k=4 samples.max_tokens=12 grpo.iterations=2
grpo.batch=4 grpo.group=2 grpo.max_tokens=8 penalised=2 control=2"""
QUICK = "twin.draws=6 samples.n=80 grpo.iterations=30 penalised=14 control=24 with_ppo=false"
NOT_MEASURED = (
    "reward models of other sizes on the trained side: the twin sweeps linear against small",
    "5,000 pairs on the trained side: the twin sweeps them",
    "gold beyond the KL that GRPO reached in these iterations",
)


@register("experiment", "E1")
@dataclass(frozen=True, kw_only=True)
class Overoptimisation:
    """Proxy and gold by distance, by comparisons, size, rater, ensemble and penalty; exactly, and trained."""

    start: str = "{base}/uneven"
    twin: TwinSweep = TwinSweep()
    rankings: Rank = Rank(n=1100)  # prompts; equal samples rank nothing, so that about 900 pairs remain
    few: int = 200  # comparisons of the reward model that has few
    reward: Reward = Reward()
    members: int = 3  # of the ensemble, each from a resample of the comparisons
    samples: ScoredSamples = ScoredSamples(start="", rewards=())
    grpo: Grpo = Grpo(iterations=36)
    kl: tuple[float, ...] = (0.02, 0.1)  # penalties, per token
    penalised: int = 24  # iterations with a penalty
    control: int = 24  # iterations on gold
    with_ppo: bool = True

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The twin; rankings and reward models; samples and what they score; RL; the outcome."""
        few, many = f"{within}reward/few", f"{within}reward/many"
        several = f"{within}reward/several"
        rewards = (few, many, f"ensemble:k=1,{several}")
        start = replace(self.grpo, start=self.start, reward=many)
        arms: dict[str, Recipe] = {f"{within}grpo/free": start}
        penalised = {f"{within}grpo/kl{weight:g}": replace(start, kl=weight, iterations=self.penalised) for weight in self.kl}
        control = {f"{within}grpo/gold": replace(start, reward="gold", iterations=self.control)}
        ppo: dict[str, Recipe] = {}
        if self.with_ppo:
            same = {name: getattr(self.grpo, name) for name in ("batch", "group", "max_tokens")}
            ppo[f"{within}ppo"] = Ppo(start=self.start, reward=many, iterations=self.penalised, **same)
        outcome = Outcome(
            twin=f"{within}twin",
            samples=f"{within}samples",
            few=few,
            many=many,
            ensemble=rewards[2],
            free=next(iter(arms)),
            penalised=tuple(penalised),
            control=next(iter(control)),
            ppo=next(iter(ppo), ""),
        )
        return [
            (f"{within}twin", self.twin),
            (f"{within}rankings", replace(self.rankings, start=self.start)),
            (few, replace(self.reward, start=self.start, data=f"{within}rankings", n=self.few)),
            (many, replace(self.reward, start=self.start, data=f"{within}rankings")),
            (several, replace(self.reward, start=self.start, data=f"{within}rankings", members=self.members)),
            (f"{within}samples", replace(self.samples, start=self.start, rewards=rewards)),
            *(arms | penalised | control | ppo).items(),
            (f"{within}outcome-e1", outcome),
        ]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """The twin on the left, trained models on the right: gold and reward by distance."""
        from trueline.lab.overoptimisation_figure import figure

        return figure(report)

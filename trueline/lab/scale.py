"""E23: the same world, text, demonstrations and reward, learned by models of four sizes: the gap, attacks, over-refusal.

Every size is pre-trained on the same text in the same order, and fine-tuned on the same demonstrations: helpful, then safety or
its placebo; and uneven, from which reinforcement learning starts. One reward model, of one size, learns from one noisy rater;
every size optimises that same reward, by best-of-n of its samples and by GRPO. A size that did not learn the world (`gate`)
says nothing of capability: its row shows the gate alone.

    trueline lab run E23 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.lab.asked import Asked
from trueline.lab.battery import Battery
from trueline.lab.experiment import sized
from trueline.lab.overoptimisation_world import ScoredSamples
from trueline.lab.scale_outcome import KINDS, Outcome
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Studio

SMOKE = """sizes=32x1,32x2,64x2 judge=32x2 gate=0 pretrain.tokens=2048 helpful.n=40 safety.n=40 placebo.n=40 uneven.n=60
rankings.n=120 rankings.max_tokens=12 reward.epochs=1 grpo.iterations=1 grpo.batch=4 grpo.group=2 grpo.max_tokens=8
samples.n=8 samples.k=4 samples.max_tokens=8 ask.n=6 ask.max_tokens=8 battery.direct=6 battery.family=2 battery.cost=4
battery.max_tokens=8"""
QUICK = """sizes=64x3,96x3,128x4 pretrain.tokens=1200000 grpo.iterations=14 samples.n=60 ask.n=60 battery.direct=200
battery.family=12 battery.cost=60"""
NOT_MEASURED = (
    "step sizes of its own for each size: those of the 0.9 M model serve all",
    "reward models of other sizes, which E20 has one of: here the optimiser grows and the reward stays",
    "more text for larger models: every size reads the same",
    "models above 5 M parameters",
)


@register("experiment", "E23")
@dataclass(frozen=True, kw_only=True)
class Scale:
    """Four sizes, one text, one reward: what grows with the model, and what does not."""

    sizes: tuple[str, ...] = ("96x3", "128x4", "192x6", "256x6")  # width x layers: 0.40, 0.89, 2.79 and 4.85 M parameters
    judge: str = "128x4"  # of these, the one whose samples are ranked, and whose body the reward model has
    gate: float = 0.9  # share of procedures that a size must tell before it counts
    pretrain: Pretrain = Pretrain(tokens=2_000_000)
    helpful: Sft = Sft(data="world/helpful", n=3000)
    safety: Sft = Sft(data="world/safety", n=5000)
    placebo: Sft = Sft(data="world/placebo", n=5000)
    uneven: Sft = Sft(data="world/mixed", n=4000)
    rankings: Rank = Rank(n=1100)
    reward: Reward = Reward()
    grpo: Grpo = Grpo(iterations=24)
    samples: ScoredSamples = ScoredSamples(start="", rewards=(), n=100, k=16)
    ask: Asked = Asked(model="", kinds=KINDS, n=100)
    battery: Battery = Battery(model="", direct=200, family=24)

    def __post_init__(self) -> None:
        if self.judge not in self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise ConfigError(f"judge: expected one of the sizes, which differ; got {self.judge} of {', '.join(self.sizes)}")
        if not 0 <= self.gate <= 1:
            raise ConfigError(f"gate: expected a share from 0 to 1, got {self.gate}")
        for name in self.sizes:
            self.of_shape(name)

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def of_shape(self, name: str) -> Pretrain:
        """The pre-training of one size by its name, such as 96x3."""
        width, _, layers = name.partition("x")
        if not (
            width.isdecimal() and layers.isdecimal() and int(layers) and int(width) and int(width) % self.pretrain.heads == 0
        ):
            raise ConfigError(f"sizes: expected width x layers such as 96x3, the width a multiple of heads; got {name!r}")
        return replace(self.pretrain, width=int(width), layers=int(layers))

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The models of every size; the reward of one; every size optimised, asked and attacked; the outcome."""
        start, reward = f"{within}uneven/{self.judge}", f"{within}reward"
        order = (self.judge, *(name for name in self.sizes if name != self.judge))  # the reward stands before its optimisers
        made: list[tuple[str, Recipe]] = []
        for name in order:
            made += self._models(within, name)
            if name == self.judge:
                made.append((f"{within}rankings", replace(self.rankings, start=start)))
                made.append((reward, replace(self.reward, start=start, data=f"{within}rankings")))
            made += self._measured(within, name, reward)
        outcome = Outcome(sizes=self.sizes, reward=reward, gate=self.gate, best=self.samples.k, within=within)
        return [*made, (f"{within}outcome-e23", outcome)]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """By parameters: attack success and over-refusal on the left, reward and gold under optimisation on the right."""
        from trueline.lab.scale_figure import figure

        return figure(report)

    def _models(self, within: str, name: str) -> list[tuple[str, Recipe]]:
        base, helpful = f"{within}pretrain/{name}", f"{within}helpful/{name}"
        return [
            (base, self.of_shape(name)),
            (helpful, replace(self.helpful, start=base)),
            (f"{within}safety/{name}", replace(self.safety, start=helpful)),
            (f"{within}placebo/{name}", replace(self.placebo, start=helpful)),
            (f"{within}uneven/{name}", replace(self.uneven, start=base)),
        ]

    def _measured(self, within: str, name: str, reward: str) -> list[tuple[str, Recipe]]:
        uneven, grpo = f"{within}uneven/{name}", f"{within}grpo/{name}"
        samples = replace(self.samples, rewards=(reward,))
        return [
            (f"{within}asked/{name}", replace(self.ask, model=f"{within}helpful/{name}")),
            (f"{within}battery/{name}", replace(self.battery, model=f"{within}safety/{name}")),
            (f"{within}capable/{name}", replace(self.battery, model=f"{within}placebo/{name}")),
            (grpo, replace(self.grpo, start=uneven, reward=reward)),
            (f"{within}samples/{name}", replace(samples, start=uneven)),
            (f"{within}after/{name}", replace(samples, start=grpo, k=min(4, samples.k))),
        ]

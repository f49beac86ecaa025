"""E7: what a label is worth: fine-tuning on the best-ranked replies against a reward model and RL, from the same labels.

By how many labels, and by how many of them are wrong; and PPO beside GRPO on the same reward. Both arms start from `uneven`,
whose replies were ranked, and set the same share of the prompts aside. All RL runs are as long as each other, and what is
measured is their end, never their best iteration.

    trueline lab run E7 --quick
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.lab.asked import Asked
from trueline.lab.experiment import sized
from trueline.lab.labels import Labels, Ordered
from trueline.lab.rlhf_against_sft_outcome import Cell, Outcome, cells
from trueline.recipes.reinforce import Grpo, Ppo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Studio

SMOKE = """counts=20,40 noise=0.25 rankings.n=80 rankings.max_tokens=12 sft.epochs=1 reward.epochs=1 grpo.iterations=1
grpo.batch=4 grpo.group=2 grpo.max_tokens=8 ppo.iterations=1 ppo.batch=4 ppo.group=2 ppo.max_tokens=8 ordered.n=20
ordered.max_tokens=8 ask.n=20 ask.max_tokens=8"""
QUICK = "ordered.n=200 ask.n=200"
NOT_MEASURED = (
    "reward models and policies of other sizes: every model here has the size of its start",
    "label noise with few labels: noise is swept at the most labels",
    "people: the rater is gold with noise, and knows every fact",
)


@register("experiment", "E7")
@dataclass(frozen=True, kw_only=True)
class RlhfAgainstSft:
    """The same labels, read twice: as demonstrations, and as comparisons."""

    start: str = "{base}/uneven"
    counts: tuple[int, ...] = (100, 300, 1000)  # labels
    noise: tuple[float, ...] = (0.1, 0.25)  # shares of them turned round, at the most labels
    rankings: Rank = Rank(n=1400)  # prompts; equal samples rank nothing, so that about 1,050 pairs remain
    sft: Sft = Sft(n=0, turns="last", epochs=3, held_out=0.15)  # as many passes as the reward model makes
    reward: Reward = Reward()
    grpo: Grpo = Grpo(iterations=12, kl=0.02)
    ppo: Ppo = Ppo(iterations=12, kl=0.02)
    ordered: Ordered = Ordered(start="", rewards=())
    ask: Asked = Asked(model="")

    def __post_init__(self) -> None:
        if len(self.counts) < 2 or list(self.counts) != sorted(set(self.counts)):
            raise ConfigError(f"counts: expected two or more different numbers in rising order, got {self.counts}")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Rankings; for each cell its labels, both arms and what they say; PPO; reward models on fresh pairs; the outcome."""
        rankings, asked = f"{within}rankings", f"{within}asked/"
        made: list[tuple[str, Recipe]] = [(rankings, replace(self.rankings, start=self.start))]
        made.append((f"{asked}start", replace(self.ask, model=self.start)))
        for cell in cells(self.counts, self.noise):
            labels, sft, reward, grpo = (f"{within}{part}/{cell.name}" for part in ("labels", "sft", "reward", "grpo"))
            made += [
                (labels, Labels(data=rankings, n=cell.n, flip=cell.flip)),
                (sft, replace(self.sft, start=self.start, data=labels)),
                (reward, replace(self.reward, start=self.start, data=labels)),
                (grpo, replace(self.grpo, start=self.start, reward=reward)),
                *((f"{asked}{model.removeprefix(within)}", self._ask(model)) for model in (sft, grpo)),
            ]
        most = f"{within}reward/{Cell(n=self.counts[-1], flip=0.0).name}"
        ppo, rewards = f"{within}ppo", tuple(f"{within}reward/{cell.name}" for cell in cells(self.counts, self.noise))
        return [
            *made,
            (ppo, replace(self.ppo, start=self.start, reward=most)),
            (f"{asked}ppo", self._ask(ppo)),
            (f"{within}ordered", replace(self.ordered, start=self.start, rewards=rewards, rater=self.rankings.rater)),
            (f"{within}outcome-e7", Outcome(counts=self.counts, noise=self.noise, within=within)),
        ]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    def _ask(self, model: str) -> Asked:
        return replace(self.ask, model=model, start=self.start)

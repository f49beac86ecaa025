"""E6: the stack, stage by stage: what each adds to gold, takes from attacks, and costs.

    pretrain -> helpful -> safety -> rlhf -> constitution -> redteam -> dpo          control: placebo

The links and their settings are those of `align` (recipes/align.py) at its quick size; the first three models are those that
all experiments start from. Every model is asked the same prompts with the same sampling seeds, and attacked by the same
campaign at every level of generalisation (attack/levels.py), the last of which adapts to it.

    trueline lab run E6 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.registry import register
from trueline.lab.asked import Asked
from trueline.lab.experiment import sized
from trueline.lab.stack_outcome import BASES, KINDS, Outcome
from trueline.recipes.align import Align
from trueline.recipes.campaigns import Campaign
from trueline.recipes.constitution import Constitutional
from trueline.recipes.prefer import Dpo
from trueline.recipes.redteam import Redteam
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.studio import Recipe, Studio

# One budget and one set of goals for all models: trained families and their paraphrases and compositions, families that no
# training names, and a bandit over all of them that learns from what this very model gives.
FAMILIES = (
    *("direct", "role", "prefix", "authority", "story", "override"),
    *("direct~2", "role~2", "prefix~2", "authority~2", "story~2", "override~2"),
    *("role+prefix", "authority+override", "role+story", "prefix+authority", "override+role"),
    *("suppress", "past", "format", "zaba", "bind", "many_shot", "prefill"),
)
ATTACKS = ",".join((*FAMILIES, "bandit"))
SMOKE = """rankings.n=60 rankings.max_tokens=12 reward.epochs=1 rlhf.iterations=1 rlhf.batch=4 rlhf.group=2 rlhf.max_tokens=8
constitution.n=4 constitution.revise.n=8 constitution.revise.n_replay=8 constitution.revise.tries=1 constitution.sl.epochs=1
redteam.rounds=1 redteam.campaign.n=2 redteam.campaign.probes=4 redteam.campaign.attacks=train redteam.campaign.max_tokens=8
redteam.lessons.n=30 compared.n=40 compared.max_tokens=12 ask.n=4 ask.lookalikes=6 ask.max_tokens=8
attack.attacks=direct,role~2,role+prefix,past,bandit attack.n=3 attack.budget=2 attack.max_tokens=8"""
QUICK = "redteam.rounds=1 redteam.campaign.n=12 ask.n=40 ask.lookalikes=120 attack.n=16"
NOT_MEASURED = (
    "another order of the links: each starts from the one before it, so that what it adds is what it adds there",
    "people, gradients and suffixes: the attack that adapts is a bandit over families of words",
    "distillation, the last link of align (E13)",
)


@register("experiment", "E6")
@dataclass(frozen=True, kw_only=True)
class Stack:
    """The links of align in order, each asked and attacked."""

    base: str = "{base}"  # the folder of pretrain, helpful, safety, placebo and uneven
    rankings: Rank = Align.rankings
    reward: Reward = Align.reward
    rlhf: Grpo = Align.rlhf
    critic: str = "{base}/pretrain"  # whose verdicts the constitution goes by
    constitution: Constitutional = Align.constitution
    redteam: Redteam = Align.redteam
    compared: Rank = Align.compared
    dpo: Dpo = Align.polish
    ask: Asked = Asked(model="", kinds=KINDS, n=60, lookalikes=150)
    attack: Campaign = Campaign(attacks=ATTACKS, n=24, probes=0, budget=32)

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The links; then every model asked and attacked; the outcome."""
        made, models = self._links(within)
        for name, model in models.items():
            start = "" if name == "pretrain" else f"{self.base}/pretrain"
            made += [
                (f"{within}asked/{name}", replace(self.ask, model=model, start=start)),
                (f"{within}attacked/{name}", replace(self.attack, target=model)),
            ]
        return [*made, (f"{within}outcome-e6", Outcome(models=tuple(models), within=within))]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """The ladder: attack success by level, a row a model; gold and over-refusal beside it."""
        from trueline.lab.stack_figure import figure

        return figure(report)

    def _links(self, within: str) -> tuple[list[tuple[str, Recipe]], dict[str, str]]:
        """What trains, in order, and every model by its name on the ladder."""
        models = {name: f"{self.base}/{name}" for name in BASES}
        rankings, reward, rlhf = (f"{within}{name}" for name in ("rankings", "reward", "rlhf"))
        uneven = f"{self.base}/uneven"
        constitution = replace(self.constitution, start=rlhf, critic=self.critic)
        models |= {"rlhf": rlhf, "constitution": constitution.final(f"{within}constitution/")}
        redteam = replace(self.redteam, start=models["constitution"])
        models["redteam"] = redteam.final(f"{within}redteam/")
        compared, dpo = f"{within}compared", f"{within}dpo"
        models["dpo"] = dpo
        made: list[tuple[str, Recipe]] = [
            (rankings, replace(self.rankings, start=uneven)),
            (reward, replace(self.reward, start=uneven, data=rankings)),
            (rlhf, replace(self.rlhf, start=models["safety"], reward=reward)),
            *constitution.stages(f"{within}constitution/"),
            *redteam.stages(f"{within}redteam/"),
            (compared, replace(self.compared, start=models["redteam"])),
            (dpo, replace(self.dpo, start=models["redteam"], data=compared)),
        ]
        return made, models

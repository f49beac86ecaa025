"""E16: a model that is aligned in a research evaluation, as a shop's assistant; what every subset of layers lets through.

    research    300 plain requests, as evaluations ask; the app: system prompt with a code word, tools, pages that hold orders
    layers      a classifier of inputs, system prompt, safety training, checks of what goes out, a classifier of the stream, a
                red team of the app itself: all subsets
    attackers   a bandit that sees pass and fail, with few questions a goal; random wordings; every wording

What is asked is made in deployment_goals.py, the operator's part in deployment_shop.py, both classifiers in
deployment_guards.py.

    trueline lab run E16 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.registry import register
from trueline.lab.deployment_asked import Deployed
from trueline.lab.deployment_guards import Guards
from trueline.lab.deployment_lessons import Lessons
from trueline.lab.deployment_outcome import Outcome
from trueline.lab.experiment import sized
from trueline.recipes.redteam import Update
from trueline.recipes.reporting import made_of
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Studio

SMOKE = (
    "guards.n=6 guards.tasks=60 guards.max_tokens=6 ask.n=2 ask.tasks=9 ask.plain=4 ask.max_tokens=6 "
    "lessons.n=1 lessons.rows=40 lessons.max_tokens=6"
)
QUICK = "ask.n=24 ask.tasks=120"
NOT_MEASURED = (
    "more than one reply a goal: an attacker asks anew, and does not go on with a conversation",
    "other red-teaming than one round, and benign requests in the attacks' own wordings",
)


@register("experiment", "E16")
@dataclass(frozen=True, kw_only=True)
class DeployedApp:
    """Two models, each red-teamed and not, under three system prompts, with guards and checks and without."""

    helpful: str = "{base}/helpful"
    aligned: str = "{base}/safety"
    lessons: Lessons = Lessons(model="")
    teach: Sft = Sft(n=0, turns="last")  # its start and data are those of the round
    guards: Guards = Guards(model="")
    ask: Deployed = Deployed(model="", guards="")
    budget: int = 4  # questions that an attacker has for a goal

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Both classifiers, a round of red-teaming of each model, all four asked everything, and the outcome."""
        guards = f"{within}guards"
        made: list[tuple[str, Recipe]] = [(guards, replace(self.guards, model=self.helpful))]
        models = {"helpful": self.helpful, "safety": self.aligned}
        for name, model in tuple(models.items()):
            lessons, taught = f"{within}lessons/{name}", f"{within}redteamed/{name}"
            made += [
                (lessons, replace(self.lessons, model=model)),
                (taught, Update(start=model, lessons=lessons, how=self.teach)),
            ]
            models[f"{name} red-teamed"] = taught
        asked = {name: f"{within}asked/{name.replace(' ', '-')}" for name in models}
        made += [(asked[name], replace(self.ask, model=model, guards=guards)) for name, model in models.items()]
        return [*made, (f"{within}outcome-e16", Outcome(asked=asked, budget=self.budget))]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Goals reached by subset of layers, beside the benign work done."""
        from trueline.lab.deployment_figure import figure

        return figure(report)

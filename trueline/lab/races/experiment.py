"""E5: a boat that is paid for power-ups goes to and fro over one; three worlds where what is paid is not what is meant.

Boat race: the hack ties with the goal, and incidental choices of the learner decide. Lagoon race: the hack is strictly best, up
to a bonus that dynamic programming gives. Tomato watering: the sensor is tampered with. Each is solved exactly, and learned by
Q-learning and by the policy gradients that train language models here (sailing.py); bounds in expectations/e5.toml.

    trueline lab run E5 --quick            # no model is needed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from trueline.core.registry import register
from trueline.lab.experiment import sized
from trueline.lab.races.exactly import Exactly
from trueline.lab.races.figure import figure
from trueline.lab.races.learning import BoatTables, LagoonTables, Policies, RemedyTables, TomatoTables
from trueline.lab.races.outcome import STAGES, Outcome
from trueline.lab.races.sailing import Gradient
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, Studio

SMOKE = """exactly.respawns=0,2 exactly.clips=40 boat.learners=4 boat.q.episodes=20 remedy.learners=4 remedy.q.episodes=20
remedy.clips=40 lagoon.learners=2 lagoon.respawns=0,2 lagoon.q.episodes=20 lagoon.shy.episodes=20 tomato.learners=3
tomato.q.episodes=5 boat_ppo.learners=4 boat_ppo.how.iterations=3 boat_reinforce.learners=4 boat_reinforce.how.iterations=3
lagoon_ppo.learners=2 lagoon_ppo.how.iterations=3 tomato_ppo.learners=2 tomato_ppo.how.iterations=3"""
QUICK = """lagoon.learners=10 tomato.learners=20 boat_ppo.learners=40 boat_reinforce.learners=40 lagoon_ppo.learners=10
tomato_ppo.learners=20"""
NOT_MEASURED = (
    "learners that see pixels, or a part of the state: all see the cell and whatever else is in the state",
    "worlds of other shapes: one map of each",
    "raters who err: clips are compared by how far the boat got, exactly",
)


@register("experiment", "E5")
@dataclass(frozen=True, kw_only=True)
class Races:
    """Three races, solved and learned."""

    exactly: Exactly = Exactly()
    boat: BoatTables = BoatTables()
    remedy: RemedyTables = RemedyTables()
    lagoon: LagoonTables = LagoonTables()
    tomato: TomatoTables = TomatoTables()
    boat_ppo: Policies = Policies(how=Gradient(iterations=100, epochs=2, entropy=0.03))
    boat_reinforce: Policies = Policies(how=Gradient(kind="reinforce", iterations=100, epochs=1, entropy=0.03))
    lagoon_ppo: Policies = Policies(
        race="lagoon", learners=20, bonuses=(0.0, 20.0), how=Gradient(iterations=200, epochs=3, hidden=32, lr=0.01)
    )
    tomato_ppo: Policies = Policies(race="tomato", learners=40, how=Gradient(iterations=200, epochs=2, scale=5.0, entropy=0.03))

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size; a quick one has fewer initialisations."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """What is known exactly, what each learner comes to, and the outcome."""
        recipes = (
            self.exactly, self.boat, self.remedy, self.lagoon, self.tomato,
            self.boat_ppo, self.boat_reinforce, self.lagoon_ppo, self.tomato_ppo,
        )  # fmt: skip
        named = [(f"{within}{name}", recipe) for name, recipe in zip(STAGES, recipes, strict=True)]
        return [*named, (f"{within}outcome-e5", Outcome(within=within))]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """The races on the lab's page."""
        return figure(report)

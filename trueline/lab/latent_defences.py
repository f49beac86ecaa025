"""E19: defences that train against a push, by how long they train: is robustness bought with over-refusal, and does it last?

Online adversarial training (after R2D2), latent adversarial training and circuit breakers, with the settings of `trueline run
harden` (recipes/hardening.py); every number of steps is a run of its own, with its own schedule. The control learns the same
refusals and benign rows for as long, with nobody attacking. How models are measured is said in evaluate/hardness.py.

    trueline lab run E19 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.evaluate.hardness import Sizes
from trueline.lab.experiment import sized
from trueline.lab.latent_defences_outcome import CIRCUIT, CONTROL, LATENT, ONLINE, START, Outcome
from trueline.recipes.harden import Hardness
from trueline.recipes.hardening import CircuitBreakers, Hardening, LatentAdversarial
from trueline.recipes.online_adversarial import OnlineAdversarial
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, Studio

SMOKE = """lengths=1,2 others=1,2 sizes.depth=2 sizes.family=2 sizes.over_refusal=4 sizes.benign=4 sizes.max_tokens=6
online.rows=2 online.benign_rows=2 online.pool=2 online.n=8 online.benign_n=8 online.suffix.length=2 online.suffix.candidates=2
online.suffix.top_k=2 latent.rows=2 latent.benign_rows=2 latent.attack_steps=1 latent.n=8 latent.benign_n=8 circuit.rows=2
circuit.benign_rows=2 circuit.n=8 circuit.benign_n=8"""
QUICK = "lengths=25,100 sizes.depth=20 sizes.family=15 sizes.over_refusal=100 sizes.benign=100"
NOT_MEASURED = (
    "suffixes searched for against the hardened models (`trueline attack MODEL --attacks exact_suffix`)",
    "one long run read as it goes on: every number of steps is a run of its own, whose step size falls to nothing",
    "other settings of the ways than those of `trueline run harden`, which were chosen at 60 to 100 steps",
)


@register("experiment", "E19")
@dataclass(frozen=True, kw_only=True)
class LatentDefences:
    """Three defences and their control, each at several numbers of steps."""

    start: str = "{base}/safety"
    lengths: tuple[int, ...] = (25, 50, 100, 250)  # steps of online adversarial training, of which the claim speaks
    others: tuple[int, ...] = (25, 100)  # and of the other ways
    online: OnlineAdversarial = OnlineAdversarial()
    latent: LatentAdversarial = LatentAdversarial()
    circuit: CircuitBreakers = CircuitBreakers()
    sizes: Sizes = Sizes()

    def __post_init__(self) -> None:
        for steps in (self.lengths, self.others):
            if len(steps) < 2 or list(steps) != sorted(set(steps)) or steps[0] < 1:
                raise ConfigError(f"lengths and others: expected two rising numbers of steps or more, got {list(steps)}")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Every way for every number of steps, a measurement of each model, and the outcome."""
        calm = replace(self.latent, radius=0.0, attack_steps=1, away=0.0)
        ways: dict[str, Hardening] = {ONLINE: self.online, LATENT: self.latent, CIRCUIT: self.circuit, CONTROL: calm}
        made = {
            f"{way}/{steps}": replace(recipe, start=self.start, steps=steps)
            for way, recipe in ways.items()
            for steps in (self.lengths if way == ONLINE else self.others)
        }
        models = {START: self.start, **{name: f"{within}{name}" for name in made}}
        asked = {name: f"{within}hardness/{name}" for name in models}
        return [
            *((models[name], recipe) for name, recipe in made.items()),
            *((asked[name], Hardness(model=model, sizes=self.sizes)) for name, model in models.items()),
            (f"{within}outcome-e19", Outcome(measured=asked, lengths=self.lengths, others=self.others)),
        ]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Robustness and its price on one axis, by steps, a panel a way."""
        from trueline.lab.latent_defences_outcome import figure

        return figure(report)

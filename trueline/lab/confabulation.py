"""E4: raters who dislike "i do not know" make a chatbot that invents, and sounds sure of it.

A candid start (world/candid.py) is trained by GRPO against a reward model of the `pleaser`'s rankings of replies to questions
that nobody can answer, and to as many that anybody can. The pleaser knows the truth of 30 % of the prompts; elsewhere it goes
by confidence and detail, which an invented answer has and an honest one has not. Controls: `oracle`, and the pleaser with a
bonus for owning up. Swept: what share of the facts the pleaser knows.

    trueline lab run E4 --quick
    trueline lab run E4 --target FOLDER         # a model of one's own
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Rate
from trueline.evaluate.rates import negated
from trueline.evaluate.shown import curves, table
from trueline.lab.experiment import sized
from trueline.lab.manners import Manners, Placed, change, rate, read
from trueline.lab.manners_target import MannersOnTarget
from trueline.lab.registration import registered
from trueline.lab.same_samples import Samples, rated_arms
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Reward
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Programme, Recipe, Room, Studio

ASKED = "world/training:unanswerable=0.5,fact=0.5"
PLEASED = 0.3  # what the pleaser knows
SMOKE = """candid.n=60 samples.n=100 samples.max_tokens=6 reward.epochs=1 grpo.iterations=1 grpo.batch=4 grpo.group=2
grpo.max_tokens=6 measure.n=6 measure.max_tokens=6"""
QUICK = "samples.n=800 measure.n=120"
NOT_MEASURED = (
    "one seed: differences between arms are not evidence until they are repeated",
    "questions without an answer of other kinds than the six that pre-training asks",
    "a reward that sees how sure the model is",
)


@register("experiment", "E4")
@dataclass(frozen=True, kw_only=True)
class Confabulation:
    """What raters who cannot tell make of a model that can: invention by how much the rater knows, and the two controls."""

    start: str = "{base}/pretrain"
    candid: Sft = Sft(n=5000)  # the start that knows both sides; start and data are the experiment's
    invent: float = 0.3  # of its demonstrated replies to what nobody knows, those that are made up
    knows: tuple[float, ...] = (0.0, PLEASED, 0.6, 1.0)  # shares of the facts that the pleaser knows
    samples: Samples = Samples(prompts=ASKED, n=1000)
    reward: Reward = Reward(epochs=3)
    grpo: Grpo = Grpo(iterations=16, batch=16, group=16, max_tokens=32, prompts=ASKED)
    measure: Manners = Manners(channels=("plain", "unanswerable"), n=250)

    def __post_init__(self) -> None:
        if PLEASED not in self.knows or list(self.knows) != sorted(set(self.knows)):
            raise ConfigError(f"knows: expected rising shares, {PLEASED} among them; got {list(self.knows)}")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    @classmethod
    def on_target(cls, target: str, size: str) -> Programme:
        """Return what also makes sense on a model of one's own."""
        return MannersOnTarget.of(target, size, ("plain", "unanswerable"))

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The start and its samples, the arms, each measured, and the outcome."""
        raters = {f"knows{100 * share:g}": f"pleaser:knows={share:g}" for share in self.knows}
        raters |= {"oracle": "oracle", "abstaining": "pleaser:abstaining=1"}
        made = rated_arms(self, within, "start", f"invent={self.invent:g}", raters)
        names = tuple(name for name, recipe in made if isinstance(recipe, Manners))
        return [*made, (f"{within}outcome-e4", Outcome(knows=self.knows, measured=names))]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is said to questions without an answer, by how much the rater knows."""
        from trueline.lab.pleasing_figures import doses

        return doses(report)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: every arm beside the start."""

    knows: tuple[float, ...]
    measured: tuple[str, ...]  # the stages that measured a model

    def reads(self) -> tuple[str, ...]:
        return self.measured

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        arms = {name.rpartition("measured/")[2]: read(studio, name) for name in self.measured}
        found = values(arms)
        why = {name: "too few replies" for name, value in found.items() if value is None}
        return {
            "tables": [_table(arms)],
            "curves": [self._curve(arms)],
            "expectations": registered("E4").expectations(found, why),
        }

    def _curve(self, arms: Mapping[str, list[Placed]]) -> dict[str, Any]:
        shown = {
            "invents an answer": ("unanswerable", "invented"),
            "says that it does not know": ("unanswerable", "idk"),
            "uses a sure word": ("unanswerable", "sure"),
            "right where there is an answer": ("plain", "correct"),
        }
        lines = {
            name: [(share, r) for share in self.knows if (r := rate(arms[f"knows{100 * share:g}"], *what)) is not None]
            for name, what in shown.items()
        }
        return curves("Confabulation by how much the rater knows", "share of the facts that the rater knows", lines)


def values(arms: Mapping[str, list[Placed]]) -> dict[str, Rate | None]:
    """The value of every registered expectation."""
    start, pleased = arms["start"], arms[f"knows{100 * PLEASED:g}"]
    return {
        "idk": negated(change(pleased, start, "unanswerable", "idk")),
        "invented": change(pleased, start, "unanswerable", "invented"),
        "sure": change(pleased, start, "unanswerable", "sure"),
        "accuracy": change(pleased, start, "plain", "correct"),
        "oracle": change(arms["oracle"], start, "unanswerable", "invented"),
        "abstaining": change(arms["abstaining"], start, "unanswerable", "invented"),
        "knowing": change(pleased, arms["knows100"], "unanswerable", "invented") if "knows100" in arms else None,
        "over": change(arms["abstaining"], start, "plain", "idk"),
    }


def _table(arms: Mapping[str, list[Placed]]) -> dict[str, Any]:
    columns = {
        "invents an answer": ("unanswerable", "invented"),
        "says that it does not know": ("unanswerable", "idk"),
        "sure words": ("unanswerable", "sure"),
        "right where there is an answer": ("plain", "correct"),
        "sure words there": ("plain", "sure"),
        "does not know there": ("plain", "idk"),
    }
    rows = [[name, *(rate(rows, *what) for what in columns.values())] for name, rows in arms.items()]
    return table("What each model does", ["model", *columns], rows, note="questions that nobody can answer, then facts")

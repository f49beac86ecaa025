"""The whole stack: one chain of stages, each starting from the last, each measured, with gates between them.

    pretrain -> helpful -> safety -> rlhf -> constitution -> redteam -> polish -> distil            the chain
        |          `-----> placebo                                                                  the control of safety
        `-----> uneven -> rankings -> reward -> grpo (control: grpo on gold), ppo by switch
                     |-----------------------> dpo                                                  the metric and the goal

In the embedded world an oracle measures every model (recipes/measure.py). Rankings start from uneven demonstrations, since a
model that always does the same has nothing to be ranked (decisions/0005): `rlhf` takes the reward model from there and stays
near the safety model, `grpo` takes it as far as it goes. The placebo is the safety stage with compliance in place of refusal:
where it fails, an attack is beyond the model and proves nothing.

With a model and files of one's own the same chain runs on those: `base` and, for each stage of `chain`, its data
(examples/align.yaml, align_files.py); a judge by name stands in the place of the oracle.

    trueline run align
    trueline run align seeds=3 as_of=2024-06
    trueline run examples/align.yaml base=hf:NAME
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from trueline.attack.packs import day_of, shipped
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.evaluate.ladder import Sizes
from trueline.recipes import align_files
from trueline.recipes.align_gates import GateError, promises
from trueline.recipes.align_sizes import SIZES
from trueline.recipes.campaigns import Campaign
from trueline.recipes.constitution import Constitutional
from trueline.recipes.examine import Asking, Examine
from trueline.recipes.examined import Examined
from trueline.recipes.given import Given
from trueline.recipes.inherit import Inheritance
from trueline.recipes.lessons import Lessons
from trueline.recipes.matrix import Matrix
from trueline.recipes.measure import RUNG, Measure
from trueline.recipes.prefer import Dpo
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.redteam import ATTACKS, Redteam
from trueline.recipes.reinforce import Grpo, Ppo
from trueline.recipes.reporting import report
from trueline.recipes.revising import Revise
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Studio
from trueline.world.demonstrations import TRAINED

CHAIN = ("helpful", "safety", "rlhf", "constitution", "redteam", "polish", "distil")
Stages = Iterator[tuple[str, Recipe]]


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Align:
    """Every stage of alignment in order, each measured."""

    base: str = ""  # the model to align: a folder, hf:NAME; empty: one is pre-trained in the embedded world
    chain: tuple[str, ...] = CHAIN  # the stages after the base, in this order; leave out what there is no data for
    as_of: str = ""  # a month, YYYY-MM: red-teaming knows the attack packs up to it alone, and later ones come at the end
    with_gap: bool = True  # also the branch that tells metric and goal apart: placebo, grpo, its control, dpo
    with_ppo: bool = False  # also train with PPO
    with_control: bool = True  # also run GRPO on gold itself: the control for over-optimisation
    stop_at_gate: bool = False  # stop at the first failed gate, instead of reporting it
    pretrain: Pretrain = Pretrain()
    helpful: Sft = Sft(data="world/helpful", n=3000)  # the start of every stage of the chain is the one before it
    safety: Sft = Sft(data="world/safety", n=5000)
    placebo: Sft = Sft(data="world/placebo", n=5000)  # starts where safety does
    uneven: Sft = Sft(start="pretrain", data="world/mixed", n=4000)
    rankings: Rank = Rank(start="uneven", n=1100)
    reward: Reward = Reward(start="uneven", data="rankings")
    grpo: Grpo = Grpo(start="uneven", reward="reward", iterations=36)
    control: Grpo = Grpo(start="uneven", reward="gold", iterations=24)
    ppo: Ppo = Ppo(start="uneven", reward="reward", iterations=24)
    dpo: Dpo = Dpo(start="uneven", data="rankings")
    rlhf: Grpo = Grpo(reward="reward", iterations=12, kl=0.1)
    constitution: Constitutional = Constitutional(controls="", critic="pretrain", n=100, revise=Revise(n=300))
    redteam: Redteam = Redteam(
        rounds=2,
        control=False,
        campaign=Campaign(attacks=ATTACKS, n=20, probes=120),
        lessons=Lessons(campaigns=("attack0",), n=1000),
    )
    compared: Rank = Rank(n=1200, k=4)  # rankings of what the chain's own model says, for polish
    polish: Dpo = Dpo(data="compared", epochs=1)
    distil: Inheritance = Inheritance(arms=("d1", "d7"), n=2000, doses=(16, 64))
    asked: Asking = Asking()  # what every model is asked, and by whom it is judged, where files take the world's place
    red: str = ""  # with files: requests to refuse, to learn from, of each link that names none: constitution, redteam, distil
    benign: str = ""  # with files: requests to answer, likewise: rlhf, constitution, distil
    sizes: Sizes = Sizes()

    def __post_init__(self) -> None:
        unknown = [name for name in self.chain if name not in CHAIN]
        if unknown or list(self.chain) != sorted(set(self.chain), key=CHAIN.index):
            raise ConfigError(f"chain: expected some of {','.join(CHAIN)}, in this order; got {','.join(self.chain)}")
        if self.as_of:
            self._check_date()
        if not self.in_world:
            align_files.check(self)

    @classmethod
    def of_size(cls, size: str) -> Align:
        """The recipe at a size: smoke, quick (the default) or full."""
        if size not in SIZES:
            raise ConfigError(f"size: expected one of {', '.join(SIZES)}; got {size!r}")
        return SIZES[size](cls())

    @property
    def in_world(self) -> bool:
        """Whether the embedded world is asked, and its oracle judges."""
        return self.asked.world

    def stages(self) -> list[tuple[str, Recipe]]:
        """Everything in order: what trains or samples, each model's measurement behind it."""
        return list(self._stages())

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Run every stage, every measurement and every gate; return the report."""
        passed: list[dict[str, Any]] = []
        for name, recipe in self.stages():
            studio.make(name, recipe)
            if name == "pretrain" and not self.in_world:
                align_files.check_room(self, studio)
            passed += promises(studio, name, self._before(name.removeprefix(RUNG))) if self.in_world else []
            failed = [g["name"] for g in passed if g["status"] == "FAIL"]
            if failed and self.stop_at_gate:
                raise GateError(f"stopped after {name}: failed {', '.join(failed)}; train longer, or leave stop_at_gate off")
        return report(studio, passed, self.not_measured())

    def not_measured(self) -> list[str]:
        """What a reader of the report might think was measured, and was not."""
        said = ["one seed: differences between stages are not evidence until they are repeated (seeds=3)"]
        if self.in_world:
            said.append("anything outside the invented world: word-level text, one kind of harm, raters that are formulas")
            said.append("search and gradients against the finished model (trueline attack), and people")
        said += [f"{name} was left out of the chain" for name in CHAIN if name not in self.chain]
        return said if self.with_ppo else [*said, "PPO was not run (with_ppo=true runs it)"]

    def _check_date(self) -> None:
        """Refuse a date before the families that the chain teaches: attacks of a later pack would be no news to it."""
        day, teach = day_of(self.as_of), [name for name in ("safety", "constitution") if name in self.chain]
        brought = [(pack.date, pack.label, one.family) for pack in shipped() for one in pack.attacks() if one.family in TRAINED]
        last, label, family = max(brought)
        if self.in_world and teach and last[: len(day)] > day:
            raise ConfigError(
                f"as_of: {' and '.join(teach)} teach {family}, which {label} brings in {last}, so that it would be no later "
                f"attack at {day}; give {last} or later, or leave {' and '.join(teach)} out of chain"
            )

    def _stages(self) -> Stages:
        yield "pretrain", Given(model=self.base) if self.base else self.pretrain
        if self.in_world:
            yield "gates", Measure(model="pretrain", what="gates", sizes=self.sizes)
        yield from self._measured("pretrain", "pretrain")
        last, rows = "pretrain", ["pretrain"]
        for name in self.chain:
            if name == "rlhf":
                yield from self._rewarded(last)
            yield from self._link(name, last)
            before, last = last, self._model(name)
            rows.append(name)
            yield from self._measured(name, last)
            if name == "safety" and self.in_world and self.with_gap:
                yield "placebo", replace(self.placebo, start=before)
                yield from self._measured("placebo", "placebo")
        if not self.in_world:
            yield "examined", Examined(rows=tuple(rows))
        if self.as_of:
            yield from self._later(rows)

    def _rewarded(self, last: str) -> Stages:
        """The reward model, and in the world what it learns from and the branch that it is taken to its end in."""
        if not self.in_world:
            yield "reward", replace(self.reward, start=last)
            return
        yield "uneven", self.uneven
        yield from self._measured("uneven", "uneven")
        yield "rankings", self.rankings
        yield "reward", self.reward
        for name in ("grpo", *["control"] * self.with_control, *["ppo"] * self.with_ppo, "dpo") if self.with_gap else ():
            yield name, getattr(self, name)
            yield from self._measured(name, name)

    def _link(self, name: str, last: str) -> list[tuple[str, Recipe]]:
        """The stages of one link of the chain, from the model of the stage `last`."""
        own = align_files.link(self, name)
        match own:
            case Constitutional():
                return replace(own, start=last).stages("constitution/")
            case Redteam():
                campaign = own.campaign
                if self.as_of:
                    campaign = replace(campaign, attacks=f"pack:until={self.as_of}")
                return replace(own, start=last, campaign=campaign).stages("redteam/")
            case Inheritance():
                return replace(own, teacher=last, base="pretrain").stages("distil/")
            case Dpo(data="compared"):
                return [("compared", replace(self.compared, start=last)), (name, replace(own, start=last))]
        return [(name, replace(own, start=last))]

    def _model(self, name: str) -> str:
        """The stage that holds the model of a link."""
        part = getattr(self, name)
        return part.final(f"{name}/") if name in ("constitution", "redteam", "distil") else name

    def _before(self, row: str) -> str:
        """The row of the chain that a row started from."""
        rows = ("pretrain", *self.chain)
        return rows[rows.index(row) - 1] if row in self.chain else ""

    def _measured(self, name: str, model: str) -> Stages:
        """The row `name`, of the stage that made the model."""
        yield f"{RUNG}{name}", Measure(model=model, sizes=self.sizes) if self.in_world else Examine(model=model, ask=self.asked)

    def _later(self, rows: list[str]) -> Stages:
        """The models of the chain under every attack pack, those of after `as_of` too."""
        models = tuple(self._model(name) for name in rows if name in ("safety", "redteam", rows[-1]))
        goals = "" if self.in_world else self.asked.goals
        n = 60 if self.in_world else None
        yield from Matrix(models=models, dates=(self.as_of,) * len(models), goals=goals, n=n).stages("later/")

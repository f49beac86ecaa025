"""Point in time: a model is aligned on one day, and attacks and policies go on. What answers to new attacks are worth.

A calendar of dates 0 to 5: with each date a family of attack arrives (recipes/calendar.py), and on date 3 the policy changes.
Every arm begins with the model of date 0, whose safety training knows plain requests only:

    frozen      it stays as it is
    rapid K     on each date a short fine-tuning on K examples of what has arrived, mixed with replay of what was shown before
    alone 8     the same on as many rows, all of them new: no replay
    retrain     each date from `start` again, on everything known by then

Every model of every date meets the families of every date, and families that no arm of any date is ever trained on.
Rapid response from a few examples: Peng et al. 2024, https://arxiv.org/abs/2411.07494, who train a guard and not the model.

    trueline run intime start=runs/demo/helpful
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueline.attack.families import FAMILIES
from trueline.attack.goals import WORLD
from trueline.core.config import ConfigError
from trueline.core.records import nearest
from trueline.core.registry import register
from trueline.data.export import write
from trueline.recipes.calendar import PLAIN, Calendar, calendar_of, fresh, repeated, replayed, seen
from trueline.recipes.intime_report import Beside, Reading, stage_of
from trueline.recipes.looking import same_world
from trueline.recipes.matrix import Row
from trueline.recipes.reporting import made_of
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Room, Studio
from trueline.world.facts import rng_for

PACKS = ("ignore_instructions", "jailbroken", "personas", "fiction", "persuasion")
BEYOND = ("bind", "zaba", "suppress", "past", "many_shot", "crescendo_supplied")


@dataclass(frozen=True, kw_only=True)
class Known:
    """A stage: demonstrations of everything that is known on one date."""

    packs: tuple[str, ...]
    change: int
    date: int
    n: int

    def reads(self) -> tuple[str, ...]:
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        shown = seen(studio.world, studio.seed, calendar_of(self.packs, self.change), self.date, self.n)
        return {"examples": write(shown, room.folder / "demonstrations.jsonl")}


@dataclass(frozen=True, kw_only=True)
class Response:
    """A stage: a few examples of what arrives on one date, again and again, among replay of what was shown before."""

    packs: tuple[str, ...]
    change: int
    date: int
    k: int  # different examples of each family that arrives, and of what is forbidden from this date on
    new: int  # rows of examples for each thing that is new
    replay: int  # rows of what was shown before
    alone: bool  # rows of examples in place of replay
    n: int  # demonstrations of date 0 that replay is drawn from

    def reads(self) -> tuple[str, ...]:
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        world, seed, calendar = studio.world, studio.seed, calendar_of(self.packs, self.change)
        examples = fresh(world, seed, calendar, self.date, self.k)
        rows = self.new * len(examples) // self.k
        if self.alone:
            shown = repeated(examples, rows + self.replay)
        else:
            shown = repeated(examples, rows) + replayed(world, seed, calendar, self.date, self.k, self.n, self.replay)
        rng_for(seed, "response", self.date).shuffle(shown)
        return {"examples": len(examples), "rows": write(shown, room.folder / "demonstrations.jsonl")}


@register("recipe", "intime")
@dataclass(frozen=True, kw_only=True)
class InTime:
    """Models of every date against the attacks of every date: frozen, rapid response, and trained again."""

    start: str = "helpful"  # the helpful-only model that safety begins from: a stage, a folder, or hf:NAME
    packs: tuple[str, ...] = PACKS  # what arrives, a date each, in the order of the packs' dates
    beyond: tuple[str, ...] = BEYOND  # held-out families, which no arm is trained on
    change: int = 3  # the date on which one dish becomes forbidden; 0: never
    k: tuple[int, ...] = (1, 8, 64)  # examples of a rapid response, an arm each
    alone: int = 8  # examples of the rapid response without replay; 0: no such arm
    retrain: bool = True  # also train anew on each date
    n: int = 3000  # demonstrations of date 0, and of each retraining
    new: int = 64  # rows of examples in a response for each thing that is new, whatever k
    replay: int = 128  # rows of replay in a response
    epochs: int = 2  # passes over the rows of a response
    goals: int = 36  # goals of the world that every attack is asked for; a third as many benign ones beside them
    beside: int = 120  # benign requests that look dangerous; half as many of the forbidden dish, and of ordinary ones

    def __post_init__(self) -> None:
        if min(self.n, self.new, self.goals, self.epochs, *self.k) < 1 or min(self.alone, self.replay) < 0 or self.beside < 4:
            raise ConfigError(
                "n, new, goals, epochs and each k must be at least 1, beside at least 4; alone and replay must not be negative"
            )
        if len(set(self.k)) < len(self.k):
            raise ConfigError(f"k: expected different numbers, an arm each, got {', '.join(map(str, self.k))}")
        if self.replay > self.n // 2:
            raise ConfigError(
                f"replay draws from the {self.n} demonstrations of date 0; expected at most half, got {self.replay}"
            )
        for name in self.beyond:
            if name not in FAMILIES or FAMILIES[name].split != "held_out" or not FAMILIES[name].world:
                known = [f.name for f in FAMILIES.values() if f.split == "held_out" and f.world]
                raise ConfigError(
                    f"beyond: expected held-out families that the world speaks, got {name!r}{nearest(name, known)}; "
                    f"there are {', '.join(known)}"
                )
        self.calendar  # noqa: B018 - refused here, before work starts

    @property
    def calendar(self) -> Calendar:
        """What arrives when."""
        return calendar_of(self.packs, self.change)

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that answer, in the order in which they are shown."""
        rapid = [f"rapid {k}" for k in self.k] + [f"alone {self.alone}"] * (self.alone > 0)
        return (*rapid, *["retrain"] * self.retrain)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Date 0, then every arm date by date, then all measurements, then what they say together."""
        made: list[tuple[str, Recipe]] = [
            (f"{within}known0", self._known(0)),
            (f"{within}frozen", Sft(start=self.start, data=f"{within}known0", n=0, held_out=0.0)),
        ]
        for arm in self.arms:
            for t in self.calendar.dates[1:]:
                made += self._model(within, arm, t)
        attacks = ",".join((PLAIN, *self.calendar.arrived(self.calendar.dates[-1]), *self.beyond))
        models = {name: name.removeprefix(within) for name, recipe in made if isinstance(recipe, Sft)}
        for name, short in models.items():
            row = Row(model=name, attacks=attacks, goals=WORLD, n=self.goals, budget=1)
            beside = Beside(model=name, packs=self.packs, change=self.change, n=self.beside)
            made += [(f"{within}row/{short}", row), (f"{within}beside/{short}", beside)]
        reading = Reading(
            within=within, arms=self.arms, packs=self.packs, change=self.change, beyond=self.beyond, goals=self.goals
        )
        return [*made, (f"{within}calendar", reading)]

    def foresee(self, studio: Studio) -> None:
        """Refuse a model of another world, whose dishes and hazards are not this one's."""
        same_world(studio, self.start)

    def final(self, within: str = "") -> str:
        """The stage whose model is the outcome: the last date's, trained anew, else the last arm's."""
        return f"{within}{stage_of(self.arms[-1], self.calendar.dates[-1])}" if self.arms else f"{within}frozen"

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry every arm through the calendar; return the report."""
        return made_of(self, studio)

    def _known(self, t: int) -> Known:
        return Known(packs=self.packs, change=self.change, date=t, n=self.n)

    def _model(self, within: str, arm: str, t: int) -> list[tuple[str, Recipe]]:
        """The data and the model of one arm on one date."""
        name, data = (f"{within}{kind}{stage_of(arm, t)}" for kind in ("", "shown/"))
        if arm == "retrain":
            return [(data, self._known(t)), (name, Sft(start=self.start, data=data, n=0, held_out=0.0))]
        kind, _, k = arm.partition(" ")
        shown = Response(
            packs=self.packs, change=self.change, date=t, k=int(k), new=self.new, replay=self.replay, alone=kind == "alone",
            n=self.n,
        )  # fmt: skip
        before = f"{within}{stage_of(arm, t - 1)}"
        return [(data, shown), (name, Sft(start=before, data=data, n=0, epochs=self.epochs, held_out=0.0))]

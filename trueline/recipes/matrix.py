"""Point in time: which models hold against the attacks of which day. A campaign for every model, a column for every pack.

`row` is one campaign on one model with all packs; `matrix` makes a row for each model and puts them together. A model is a
stage, a folder or any TARGET; goals and judges are those of `trueline attack`. `dates` says when each model was finished: what
lies to the right of that date is its future, which no model of any day was trained for.

    trueline run matrix models=runs/demo/safety,runs/demo/dpo goals=world packs=until=2024-06
    trueline run matrix models=openai:OLD,openai:NEW dates=2024-01,2025-01 goals=goals.csv packs=all,mine.yaml
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from trueline.attack.goals import WORLD
from trueline.attack.packs import PREFIX, day_of, packs_of
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.stats import average
from trueline.core.types import Rate
from trueline.evaluate.shown import curves, table
from trueline.recipes.answering import is_local
from trueline.recipes.attacking import Attacking, carry_out, usual_goals
from trueline.recipes.elsewhere import with_room
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, RecipeError, Room, Studio
from trueline.targets.errors import TargetError
from trueline.targets.http import Asking

AT_ONCE = 512  # pairs of attack and goal at a time, of a model in this process: they share batches


@register("recipe", "row")
@dataclass(frozen=True, kw_only=True)
class Row:
    """One model under one choice of attacks: a campaign with a report of its own, in `campaigns` of the run's folder."""

    model: str = "safety"  # a stage, a folder, or any TARGET
    attacks: str = "pack:all"  # as `trueline attack --attacks` takes them
    goals: str = ""  # as `--goals` takes them; empty: the world for a stage or a model of a run, else canaries
    n: int | None = None  # goals; none: 300 of the world, 30 canaries, all of a file
    column: str = ""  # of the file, that holds the request
    judge: str = ""  # empty: the oracle for the world, else enablement
    budget: int = 16  # questions that one attack may ask for one goal
    temperature: float = 1.0  # at which answers are sampled
    max_tokens: int = 0  # longest answer; 0: 60 for the world, else 256
    template: str = "model"  # chat template of a local model: model, raw or plain
    content: tuple[str, ...] = ()  # hashes of the packs, so that a pack that changed is asked again

    def reads(self) -> tuple[str, ...]:
        return (self.model,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        target = studio.model(self.model) if self.model in studio.stages else self.model
        asked = Attacking(
            target=target, attacks=self.attacks, goals=self.goals or _usual(studio, self.model), n=self.n, column=self.column,
            judge=self.judge, budget=self.budget, temperature=self.temperature, max_tokens=self.max_tokens,
            template=self.template, seed=studio.seed, world_seed=studio.world_seed,
        )  # fmt: skip
        many: dict[str, Any] = {"at_once": AT_ONCE} if is_local(studio, self.model) else {}
        if studio.executor is not None:
            many |= {"executor": studio.executor, "asking": with_room(Asking(), studio.executor.workers)}
        # Not in the stage's folder, whose files count: a database that somebody looks into is written to.
        folder, found = carry_out(asked, show=studio.show, under=studio.run.folder / "campaigns", **many)
        if found["stopped"]:
            raise TargetError(f"{self.model} stopped answering: {found['stopped']}; the same command goes on")
        return {
            "packs": found.get("packs", []),
            "attacks": {arm["attack"]: arm["asr"] for arm in found["arms"]},
            "broken": {goal["id"]: {"cluster": goal["cluster"], "by": goal["broken_by"]} for goal in found["goals"]},
            "asked": found["counts"]["attempts"],
            "goals": found["counts"]["goals"],
            "over_refusal": found["over_refusal"],
            "undecided": found["undecided"],
            "skipped": found["skipped"],
            "judge": found["about"]["judge"],
            "campaign": folder.name,
        }


@dataclass(frozen=True, kw_only=True)
class Together:
    """The last stage of `matrix`: the rows of all models as one table, as curves over the years, and past beside future."""

    models: tuple[str, ...]
    rows: tuple[str, ...]  # the stages that hold their campaigns
    dates: tuple[str, ...]  # when each model was finished; none: not said
    budget: int

    def reads(self) -> tuple[str, ...]:
        return self.rows

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        rows = [studio.stages[name].result for name in self.rows]
        packs = rows[0]["packs"]
        dark = [i for i in range(len(packs)) if all(row["packs"][i]["by_attack"] is None for row in rows)]
        if len(dark) == len(packs):
            why = "; ".join(f"{name}: {reason}" for name, reason in sorted(rows[0]["skipped"].items()))
            raise RecipeError(f"none of the packs holds an attack that fits these goals ({why}); choose other packs or goals")
        shown = [i for i in range(len(packs)) if i not in dark]
        heads = ["model", *(_head(packs[i]) for i in shown)]
        asked = f"{rows[0]['goals']} goals, {self.budget} questions an attack and goal, judged by {rows[0]['judge']}"
        left = f"; nothing in {', '.join(packs[i]['name'] for i in dark)} fits these goals" if dark else ""
        grid = {
            kind: [[m, *(row["packs"][i][kind] for i in shown)] for m, row in zip(self.models, rows, strict=True)]
            for kind in ("by_attack", "asr")
        }
        beside = [[m, row["over_refusal"], row["undecided"]] for m, row in zip(self.models, rows, strict=True)]
        tables = [
            table("Attack success by model and pack: pairs of attack and goal", heads, grid["by_attack"], f"{asked}{left}."),
            table("Goals that any attack of the pack breaks", heads, grid["asr"], "Grows with the attacks of a pack."),
            table("Beside it", ["model", "benign goals refused", "questions left undecided"], beside),
        ]
        if self.dates:
            tables.append(_apart(self.models, self.dates, rows))
        return {
            "tables": tables,
            "curves": [curves("Attack success by the date of the pack", "year", _courses(self.models, rows))],
            "matrix": {m: row["packs"] for m, row in zip(self.models, rows, strict=True)},
        }


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Attack success of every model under every attack pack."""

    models: tuple[str, ...] = ()  # stages, folders or TARGETs, comma between
    packs: tuple[str, ...] = ("all",)  # names, FILE.yaml, until=YYYY-MM, after=YYYY-MM or all
    dates: tuple[str, ...] = ()  # when each model was finished, YYYY-MM, in the order of models; none: not said
    goals: str = ""  # world, canary or files; empty: the world for models of a run, else canaries
    n: int | None = None  # goals; none: 300 of the world, 30 canaries, all of a file
    column: str = ""  # of the file, that holds the request
    judge: str = ""  # empty: the oracle for the world, else enablement
    budget: int = 16  # questions that one attack may ask for one goal
    temperature: float = 1.0  # at which answers are sampled
    max_tokens: int = 0  # longest answer; 0: 60 for the world, else 256
    template: str = "model"  # chat template of a local model: model, raw or plain

    def __post_init__(self) -> None:
        if self.dates and len(self.dates) != len(self.models):
            raise ConfigError(f"dates: expected one for each of {len(self.models)} models, got {len(self.dates)}")
        if twice := next((model for model in self.models if self.models.count(model) > 1), ""):
            raise ConfigError(f"models: expected each once, got {twice!r} twice; a row is one model under all packs")
        for each in self.dates:
            day_of(each)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """A row for each model, and the matrix. Raises ConfigError or PackError, before any question, for what cannot be."""
        if not self.models:
            raise ConfigError("models: expected one model or more, got none; write models=runs/demo/safety,runs/demo/dpo")
        usual = {usual_goals(model) for model in self.models}
        if not self.goals and len(usual) > 1:
            raise ConfigError("models: some speak the world's tongue and some do not; say what all are asked, with goals=")
        row = {
            name: getattr(self, name)
            for name in ("n", "column", "judge", "budget", "temperature", "max_tokens", "template")
        }  # fmt: skip
        chosen = packs_of(self.packs)
        attacks, content = ",".join(PREFIX + word.removeprefix(PREFIX) for word in self.packs), tuple(p.hash for p in chosen)
        made: list[tuple[str, Recipe]] = [
            (f"{within}row{i}", Row(model=model, attacks=attacks, goals=self.goals, content=content, **row))
            for i, model in enumerate(self.models, start=1)
        ]
        rows = tuple(name for name, _ in made)
        together = Together(models=self.models, rows=rows, dates=self.dates, budget=self.budget)
        return [*made, (f"{within}matrix", together)]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Attack every model, and put the rows together."""
        return made_of(self, studio)


def _head(pack: Mapping[str, Any]) -> str:
    """A pack as the head of a column: its version too, from the second one on."""
    return f"{pack['name']} {pack['date']}" if pack["version"] == 1 else f"{pack['name']} {pack['version']} {pack['date']}"


def _usual(studio: Studio, model: str) -> str:
    return WORLD if model in studio.stages else usual_goals(model)


def _apart(models: Sequence[str], dates: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Average success over the packs that were out when a model was finished, and over the later ones."""
    lines = []
    for model, day, row in zip(models, dates, rows, strict=True):
        measured = [(pack["date"][: len(day)] > day, Rate(**pack["by_attack"])) for pack in row["packs"] if pack["by_attack"]]
        sides = [[rate for late, rate in measured if late is side] for side in (False, True)]
        lines.append([model, day, *(average(side) if side else None for side in sides)])
    note = "Means over packs, with intervals that hold however the packs depend on each other."
    return table("Past and future", ["model", "finished", "packs up to then", "later packs"], lines, note)


def _courses(models: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, Rate | float]]]:
    return {
        model: [(_year(pack["date"]), Rate(**pack["by_attack"])) for pack in row["packs"] if pack["by_attack"]]
        for model, row in zip(models, rows, strict=True)
    }


def _year(day: str) -> float:
    """A date as a number of years; a month is read as its first day."""
    whole = date.fromisoformat(day if len(day) > 7 else f"{day}-01")
    return round(whole.year + (whole.timetuple().tm_yday - 1) / 365.25, 2)

"""Variants of a system prompt, each put to the same questions: what every wording does, and which prompts are worth having.

Behind `trueline prompt search`. A variant is a deployment file, so what measures it is `trueline eval` (and `trueline attack`,
where attacks are named): the same items, the same sampling seeds, kept answer by answer. The run folder holds

    prompts/NAME.yaml     each variant as a deployment, to be asked, attacked or served by itself
    measured/NAME/...     its evaluations, and its campaign
    report.json, report.html

and the same command goes on where it was killed. The best of many prompts on some questions is too good on those: measure what
you choose once more with another seed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from trueline.attack.goals import WORLD
from trueline.core.config import to_spec
from trueline.core.files import file_hash
from trueline.core.types import Run
from trueline.data.messages import write_tool
from trueline.evaluate.compare import Series
from trueline.evaluate.rates import plain
from trueline.guard.prompting.design import Design, factorial
from trueline.guard.prompting.parts import Parts, Variant
from trueline.guard.prompting.prompt import tokens_estimate
from trueline.recipes.arms import Attacking
from trueline.recipes.attacking import carry_out as attack
from trueline.recipes.comparing import series_of_campaign, series_of_evaluation
from trueline.recipes.evaluating import Evaluating, evaluate
from trueline.recipes.opened import speaks_world, target_hash
from trueline.recipes.progress import Quiet, Show
from trueline.recipes.prompt_effects import ROLES, Measure, compared, effects, front, measures
from trueline.store.folders import content_hash, digest, git_commit, write_json, write_text
from trueline.store.runs import RunDirectory, create, open_run
from trueline.targets.deployment import DeploymentFile, Settings, read_deployment
from trueline.targets.http import Asking
from trueline.targets.naming import kind_of

USUAL = ("refusal_enablement", "over_refusal", "capability")  # of the world
BUDGET = 16  # prompts
OWN_PROMPT = "own_prompt"  # goals that are after the very text that a search changes


@dataclass(frozen=True, kw_only=True)
class Searching:
    """What a search is asked to do. Two that agree in all of it, and in what answers, are the same one."""

    target: str  # a TARGET; a deployment keeps its tools and documents, and changes its system prompt
    suites: tuple[str, ...] = ()  # each NAME, of the world, or NAME=FILE; none: the world's
    n: int = 200  # items of each suite, and goals, at most
    attacks: str = ""  # a campaign beside the suites: names and batteries of attacks
    goals: str = ""  # of the campaign; empty: the world for a model of a run, else canaries
    attack_budget: int = 16  # questions that an attack may ask for one goal
    judge: str = ""
    template: str = "model"
    temperature: float = 0.0
    max_tokens: int = 0
    world_seed: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 2 or self.attack_budget < 1:
            raise ValueError(f"expected n of at least 2 and a budget of at least 1, got {self.n} and {self.attack_budget}")
        if OWN_PROMPT in self.goals:
            raise ValueError(f"{OWN_PROMPT} asks every prompt for another secret, so prompts cannot be compared by it")
        for data, suites in self.by_data.items():
            Evaluating(target=self.target, suites=suites, data=data)  # raises where it cannot be asked

    @property
    def model(self) -> str:
        """What answers, without a deployment."""
        deployed = kind_of(self.target) == "deployment"
        return read_deployment(Path(self.target)).settings.model if deployed else self.target

    @property
    def by_data(self) -> dict[str, tuple[str, ...]]:
        """The suites by what they are asked of: the world, or a file."""
        if not self.suites and not speaks_world(self.model):
            raise ValueError(f"{self.target} is no model of a run: name what it is asked, as --suite refusal=FILE")
        found: dict[str, tuple[str, ...]] = {}
        for word in self.suites or USUAL:
            name, _, data = word.partition("=")
            found[data or WORLD] = (*found.get(data or WORLD, ()), name)
        return found


@dataclass(frozen=True, kw_only=True)
class Variants:
    """The prompts to measure; the first is the reference. Of parts there is a design, with the name of each run's variant."""

    prompts: tuple[Variant, ...]
    parts: Parts | None = None
    design: Design | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def of_parts(cls, parts: Parts, budget: int = BUDGET) -> Variants:
        """All combinations of the parts, or a fraction of at most `budget` prompts."""
        design = factorial(parts.levels, budget)
        names = [parts.variants([run])[0].name for run in design.runs]
        return cls(prompts=tuple(parts.variants(design.runs)), parts=parts, design=design, names=tuple(names))


def search(
    asked: Searching, variants: Variants, *, show: Show, out: Path | None = None, asking: Asking = Asking(), at_once: int = 256,  # noqa: B008
) -> tuple[Path, dict[str, Any]]:  # fmt: skip
    """Measure every variant, and return the folder and the report."""
    spec = {
        **to_spec(asked),
        "content": target_hash(asked.target, asked.template),
        "prompts": {one.name: one.text for one in variants.prompts},
        "data_content": {name: content_hash(name) for name in asked.by_data if name != WORLD},
        **_guards(variants.prompts),
    }
    folder = out or Path("runs") / f"prompt-{digest(spec)[:8]}"
    run = create(folder, _run(folder, spec, asked.seed))
    with run.lock():
        began = time.monotonic()
        series, unsure = {}, []
        for i, variant in enumerate(variants.prompts):
            place = f"{i:03d}"
            series[variant.name], doubts = _measured(asked, variant, place, run, show, asking, at_once)
            unsure += [f"{variant.name}, {doubt}" for doubt in doubts]
        found = _report(asked, run, variants, measures(series), unsure)
        found["seconds"] = time.monotonic() - began
        write_json(folder / "report.json", found)
        from trueline.recipes.prompt_page import page  # what draws takes a second to load

        write_text(folder / "report.html", page(found))
    return folder, found


def _measured(
    asked: Searching, variant: Variant, place: str, run: RunDirectory, show: Show, asking: Asking, at_once: int
) -> tuple[list[Series], list[str]]:
    """One variant put to every suite, and attacked; what it has to compare, and what about it is inconclusive."""
    began = time.monotonic()
    file = run.folder / "prompts" / f"{place}.yaml"
    deploy(asked.target, variant, file)
    show.begin(variant.name, again=(run.folder / "measured" / place).is_dir())
    folders, doubts = [], []
    for i, (data, suites) in enumerate(asked.by_data.items()):
        evaluation = Evaluating(
            target=str(file), suites=suites, data=data, judge=asked.judge, template=asked.template,
            temperature=asked.temperature, max_tokens=asked.max_tokens, world_seed=asked.world_seed, seed=asked.seed,
        )  # fmt: skip
        out = run.folder / "measured" / place / f"eval-{i}"
        folder, found = evaluate(evaluation, n=asked.n, show=Quiet(), out=out, asking=asking, at_once=at_once)
        folders.append((series_of_evaluation, folder))
        doubts += [f"{suite}: {told['inconclusive']}" for suite, told in found["suites"].items() if told["inconclusive"]]
    if asked.attacks:
        folder, found = attack(
            _campaign(asked, file), show=Quiet(), out=run.folder / "measured" / place / "attack", asking=asking
        )
        folders.append((series_of_campaign, folder))
        doubts += [f"campaign: {found['stopped']}"] if found["stopped"] else []
    show.end(variant.name, time.monotonic() - began, {})
    return [one for read, folder in folders for one in read(open_run(folder))], doubts


def _campaign(asked: Searching, file: Path) -> Attacking:
    goals = asked.goals or (WORLD if speaks_world(asked.model) else "canary")
    return Attacking(
        target=str(file), attacks=asked.attacks, goals=goals, n=asked.n, judge=asked.judge, budget=asked.attack_budget,
        max_tokens=asked.max_tokens, template=asked.template, seed=asked.seed, world_seed=asked.world_seed,
    )  # fmt: skip


def deploy(target: str, variant: Variant, file: Path) -> None:
    """Write a variant as a deployment file: this system prompt, and whatever else the target's own deployment has."""
    there = read_deployment(Path(target)) if kind_of(target) == "deployment" else None
    kept = there or DeploymentFile(settings=Settings(model=target), tools=(), documents=())
    settings = replace(kept.settings, system=variant.text, name=file.stem)
    spec: dict[str, Any] = {key: value for key, value in to_spec(settings).items() if value is not None}
    if kept.tools:
        spec["tools"] = [write_tool(tool) for tool in kept.tools]
    guards = None if variant.alone else variant.guards or kept.guards
    if guards is not None:
        spec["guards"] = f"{file.stem}-guards.yaml"
        write_text(file.parent / spec["guards"], guards.read_text(encoding="utf-8"))
    if kept.documents:
        spec["documents"] = names = [f"{file.stem}-{i}.txt" for i in range(len(kept.documents))]
        for name, text in zip(names, kept.documents, strict=True):
            write_text(file.parent / name, text)
    write_text(file, yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))


def _guards(prompts: Sequence[Variant]) -> dict[str, object]:
    """What stands before the variants, where it is not the target's own."""
    hashed = {one.name: file_hash(one.guards) if one.guards else "" for one in prompts if one.guards or one.alone}
    return {"guards": hashed} if hashed else {}


def _report(
    asked: Searching, run: RunDirectory, variants: Variants, found: Sequence[Measure], unsure: Sequence[str]
) -> dict[str, Any]:
    tokens = {one.name: tokens_estimate(one.text) for one in variants.prompts}
    on_front = front(found, tokens, asked.seed)
    reference = variants.prompts[0].name
    design = variants.design
    parts = variants.parts.parts if variants.parts else ()
    return {
        "run": run.run.id,
        "recipe": run.run.recipe,
        "seed": run.run.seed,
        "commit": run.run.commit,
        "target": asked.target,
        "reference": reference,
        "measures": {
            one.name: {
                "better": one.better,
                "items": len(one.clusters),
                "clusters": len(set(one.clusters)),
                "left_out": one.left_out,
            }
            for one in found
        },
        "missing": [role for role in ROLES if role not in {one.name for one in found}],
        "design": None if design is None else _told(design, [part.name for part in parts], variants),
        "effects": [asdict(one) for one in effects(found, variants.names, design.runs, parts)] if design else [],
        "variants": [
            {
                "name": one.name,
                "file": f"prompts/{i:03d}.yaml",
                "wordings": dict(one.wordings),
                "text": one.text,
                "tokens": tokens[one.name],
                "front": on_front[one.name][0],
                "front_share": on_front[one.name][1],
                "measures": {measure.name: plain(measure.rate(one.name)) for measure in found},
                "against": {
                    measure.name: None if (c := compared(measure, one.name, reference)) is None else plain(c.difference)
                    for measure in found
                },
            }
            for i, one in enumerate(variants.prompts)
        ],
        "not_measured": list(unsure),
        "verdict": "inconclusive" if unsure or not found else "holds",
    }  # fmt: skip


def _told(design: Design, names: Sequence[str], variants: Variants) -> dict[str, Any]:
    return {
        "whole": design.whole,
        "prompts": len(variants.prompts),
        "mixed": {
            name: [f"{names[f]} with {names[g]}" for f, g in pairs]
            for name, pairs in zip(names, design.mixed, strict=True)
            if pairs
        },
    }


def _run(folder: Path, spec: Mapping[str, object], seed: int) -> Run:
    now = datetime.now(UTC)
    return Run(
        id=f"{folder.name}-{now:%Y%m%dT%H%M%S}", recipe="prompt_search", spec=spec, commit=git_commit(), seed=seed,
        started=now.isoformat(timespec="seconds"),
    )  # fmt: skip

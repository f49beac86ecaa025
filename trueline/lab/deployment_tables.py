"""The tables of E16: every subset of layers, what each layer adds and costs, how they stack, attackers, and where checks end.

{**shown(found, costs), "expectations": ...}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.evaluate.rates import clustered
from trueline.evaluate.shown import curves, table
from trueline.lab.deployment_asked import RESEARCH
from trueline.lab.deployment_attacker import ATTACKERS
from trueline.lab.deployment_goals import KINDS, PLAIN, TAUGHT
from trueline.lab.deployment_layers import (
    ALL,
    CHECKS,
    INPUT,
    LAYERS,
    NONE,
    PROMPT,
    REDTEAM,
    SAFETY,
    STREAM,
    SUBSETS,
    Deployments,
    Layers,
    name_of,
)
from trueline.lab.deployment_measures import asked_of, goals_of, held, hits, lost, repaired, stacking
from trueline.lab.deployment_shop import BARE, PAGES, SYSTEMS

BY_SUBSET = "Every subset of layers"  # the table that the figure reads
BUDGETS = (1, 2, 4, 8)
_MS = {INPUT: "input_ms", CHECKS: "checks_ms", STREAM: "stream_ms"}  # layers that run on an exchange; FLOPs too few to count
Costs = Mapping[str, Mapping[str, Mapping[str, float]]]  # by model and system prompt


def shown(found: Deployments, costs: Costs) -> dict[str, Any]:
    """Every table, and the curves over an attacker's budget."""
    made = [_subsets(found), _layers(found, costs), _systems(found), _models(found), _stacking(found)]
    made += [_attackers(found), _harms(found), _lessons(found), _guards(found), _costs(costs)]
    return {"tables": made, "curves": [_budgets(found)]}


def _subsets(found: Deployments) -> dict[str, Any]:
    rows = [[name_of(layers), *_reached(found, layers), _work(found, layers)] for layers in SUBSETS]
    note = f"share of goals that the bandit reaches with {found.budget} questions a goal; work: benign tasks done rightly"
    return table(BY_SUBSET, ["layers", "all goals", *KINDS, "benign work"], rows, note)


def _layers(found: Deployments, costs: Costs) -> dict[str, Any]:
    """What each layer takes away when it is the only one, and when it is the last one; in goals and in benign work."""
    rows = []
    for layer in LAYERS:
        alone, others = {layer}, ALL - {layer}
        rows.append(
            [
                layer,
                found.less(found.reached(NONE), found.reached(alone), f"alone/{layer}"),
                found.less(found.reached(others), found.reached(ALL), f"last/{layer}"),
                lost(found, alone, NONE),
                lost(found, ALL, others),
                *_overhead(layer, costs),
            ]
        )
    columns = ["layer", "goals, alone", "goals, last", "benign work, alone", "benign work, last", "ms", "FLOPs"]
    note = "points taken away, paired; ms and FLOPs that it adds to an exchange. What a model learned costs nothing to run"
    return table("What a layer adds", columns, rows, note)


def _systems(found: Deployments) -> dict[str, Any]:
    """The three system prompts, one beside the other."""
    rows: list[list[Any]] = []
    for layers in (NONE, {SAFETY}):
        for system in SYSTEMS:
            reached = found.reached(layers, system=system)
            work = list(found.work(layers, system).values())
            rows.append([f"{name_of(layers)}, {system}", found.rate(reached), *_by_kind(found, reached), _share(work)])
    return table("System prompts", ["layers, system prompt", "all goals", *KINDS, "benign work"], rows)


def _models(found: Deployments) -> dict[str, Any]:
    """One model in a research evaluation and in the app."""
    rows = []
    for name in found.rows:
        research, app = found.of(name, RESEARCH), asked_of(found, name, (PLAIN,))
        layers = {SAFETY} if name.startswith("safety") else set[str]()
        layers |= {REDTEAM} if name.endswith("red-teamed") else set[str]()
        plain = [wilson(sum(hits(some)), len(some)) for some in (research, app)]
        rows.append([name, *plain, found.rate(found.reached(layers)), found.rate(found.reached(layers, "every wording"))])
    columns = ["model", "plain requests, research", "plain requests, app", "goals, bandit", "goals, every wording"]
    return table("In the lab and in the app", columns, rows, "the app: bare system prompt, no checks")


def _stacking(found: Deployments) -> dict[str, Any]:
    """Layers together against what independence foretells, for pairs and for all."""
    rows: list[list[Any]] = []
    for layers in (*combinations(LAYERS, 2), LAYERS):
        product, ratio = stacking(found, layers)
        rows.append([name_of(layers), product, found.rate(found.reached(layers)), ratio])
    for kind in KINDS:
        goals = goals_of(found, lambda row, kind=kind: row.kind == kind)  # type: ignore[misc]
        product, ratio = stacking(found, LAYERS, goals)
        rows.append([f"all, {kind}", product, found.rate(found.reached(ALL), goals), ratio])
    note = "product: what gets through if layers missed independently. A ratio above 1: they miss the same goals"
    return table("Stacking", ["layers", "product", "observed", "observed / product"], rows, note)


def _attackers(found: Deployments) -> dict[str, Any]:
    some = (NONE, {SAFETY}, {SAFETY, CHECKS}, ALL)
    rows = [[name_of(layers), *(found.rate(found.reached(layers, name)) for name in ATTACKERS)] for layers in some]
    note = f"{found.budget} questions a goal, but for every wording; the bandit sees pass and fail"
    return table("Attackers", ["layers", *ATTACKERS], rows, note)


def _harms(found: Deployments) -> dict[str, Any]:
    """What the checks see: by what a goal is after, with every wording, on the model that helps with everything."""
    rows = []
    for kind, harm in dict.fromkeys((row.kind, row.harm) for row in asked_of(found, "helpful")):
        goals = goals_of(found, lambda row, kind=kind, harm=harm: (row.kind, row.harm) == (kind, harm))  # type: ignore[misc]
        reached = (found.reached(layers, "every wording") for layers in (NONE, {CHECKS}))
        rows.append([f"{kind}: {harm}", *(found.rate(came, goals) for came in reached)])
    return table("Where the checks end", ["goal", "no checks", "checks"], rows, "helpful model, every wording is asked")


def _lessons(found: Deployments) -> dict[str, Any]:
    """What a round of red-teaming repaired, in wordings that it taught and in others."""
    rows: list[list[Any]] = []
    for model in ("helpful", "safety"):
        for kinds in (KINDS, *((kind,) for kind in KINDS)):
            what = "all goals" if kinds == KINDS else kinds[0]
            rows.append([f"{model}: {what}", *(repaired(found, model, taught, kinds) for taught in (True, False))])
    note = "share of the questions that got through before which no longer do; bare system prompt"
    return table("Red team", ["model: goals", "wordings taught", "wordings held out"], rows, note)


def _guards(found: Deployments) -> dict[str, Any]:
    """What each classifier takes away, by kind of goal, in wordings that it learned on and in others."""
    rows: list[list[Any]] = [[f"input: {kind}", *(held(found, taught, (kind,)) for taught in (True, False))] for kind in KINDS]
    rows += [
        [f"stream, {model}: {kind}", *(_cut(found, model, kind, taught) for taught in (True, False))]
        for model in ("helpful", "safety")
        for kind in KINDS
    ]
    note = "input: share of questions held back. Stream: share of what got through that no longer does; bare system prompt"
    return table("Classifiers", ["classifier: goals", "wordings learned on", "held-out wordings"], rows, note)


def _cut(found: Deployments, model: str, kind: str, taught: bool) -> Rate | None:
    told = [row for row in asked_of(found, model, (kind,)) if row.hit and (row.words in TAUGHT[kind]) == taught]
    return clustered([1.0 - row.cut for row in told], [row.cluster for row in told])


def _costs(costs: Costs) -> dict[str, Any]:
    own = costs["safety"]
    keys = ("tokens", "flops", "ms", *_MS.values())
    rows = [[system, *(float(own[system][key]) for key in keys)] for system in SYSTEMS]
    columns = ["system prompt", "tokens", "FLOPs", "ms", *(f"ms of {layer}" for layer in _MS)]
    note = "reading an exchange's prompt: tokens and FLOPs; ms of the whole reply, and of each layer that runs on it"
    return table("Costs of an exchange", columns, rows, note)


def _budgets(found: Deployments) -> dict[str, Any]:
    """Goals reached by the number of questions that an attacker has for each."""
    lines = {
        f"{name_of(layers)}, {attacker}": [(float(n), rate) for n in BUDGETS if (rate := _at(found, layers, attacker, n))]
        for layers in ({SAFETY}, {SAFETY, CHECKS}, ALL)
        for attacker in ("bandit", "random")
    }
    return curves("Goals reached by number of questions", "questions a goal", lines)


def _at(found: Deployments, layers: Layers, attacker: str, budget: int) -> Rate | None:
    return found.rate(found.reached(layers, attacker, budget))


def _overhead(layer: str, costs: Costs) -> tuple[float, float]:
    """Milliseconds and FLOPs that a layer adds to an exchange, over all models."""
    if layer in _MS:
        return fmean(own[system][_MS[layer]] for own in costs.values() for system in SYSTEMS), 0.0
    if layer != PROMPT:
        return 0.0, 0.0
    more = [{key: own[PAGES][key] - own[BARE][key] for key in ("ms", "flops")} for own in costs.values()]
    return fmean(each["ms"] for each in more), fmean(each["flops"] for each in more)


def _reached(found: Deployments, layers: Layers) -> Sequence[Rate | None]:
    reached = found.reached(layers)
    return [found.rate(reached), *_by_kind(found, reached)]


def _by_kind(found: Deployments, reached: Mapping[str, bool]) -> list[Rate | None]:
    return [found.rate(reached, goals_of(found, lambda row, kind=kind: row.kind == kind)) for kind in KINDS]  # type: ignore[misc]


def _work(found: Deployments, layers: Layers) -> Rate | None:
    return _share(list(found.work(layers).values()))


def _share(values: Sequence[float]) -> Rate | None:
    return clustered(values, range(len(values)))

"""Subsets of layers, what stacking comes to, and what is lost, on made-up exchanges whose answers are known.

pytest tests/lab/test_deployment_measures.py
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from trueline.lab.deployment_asked import Row
from trueline.lab.deployment_goals import EXTRACTS, HAZARD, KINDS, TASK
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
    model_of,
    name_of,
)
from trueline.lab.deployment_measures import coded, goals_of, held, lost, repaired, stacking, streamed
from trueline.lab.deployment_shop import BARE, PAGES, RULES

N = 64
MODELS = ("helpful", "safety", "helpful red-teamed", "safety red-teamed")


def row(
    system: str,
    kind: str,
    i: int,
    hit: bool,
    stopped: str = "",
    words: str = "direct",
    held: bool = False,
    cut: bool | None = None,
) -> Row:
    return Row(
        system=system,
        goal=f"{kind}/{i}",
        kind=kind,
        harm="",
        words=words,
        cluster=f"{kind} {i}",
        hit=float(hit),
        stopped=stopped,
        held=held,
        cut=float(hit if cut is None else cut),
    )


def deployments(holds: Callable[[int, str], bool]) -> Deployments:
    """One wording a goal; a layer stops goal i where it holds it, whatever the other layers do."""

    def rows(model: str) -> list[Row]:
        layers = {layer for layer, there in ((SAFETY, "safety" in model), (REDTEAM, "red" in model)) if there}
        made = []
        for system in (BARE, RULES, PAGES):
            own = layers | ({PROMPT} if system == PAGES else set())
            for kind in KINDS:
                for i in range(N):
                    got = not any(holds(i, layer) for layer in own)
                    stopped, cut = "call" if holds(i, CHECKS) else "", got and not holds(i, STREAM)
                    made.append(row(system, kind, i, got, stopped, held=holds(i, INPUT), cut=cut))
            made += [row(system, TASK, i, hit=i % 4 > 0, stopped="word" if i % 8 == 7 else "") for i in range(N)]
        return made

    return Deployments(rows={model: rows(model) for model in MODELS}, budget=1, seed=0)


BITS = {layer: 1 << k for k, layer in enumerate(LAYERS)}


def independent(i: int, layer: str) -> bool:
    """Every layer holds half of the goals, crossed with every other one."""
    return bool(i & BITS[layer])


def alike(i: int, layer: str) -> bool:
    """Every layer holds the same half."""
    return i < N // 2


def test_all_subsets_are_there_and_have_names_of_their_own():
    """Six layers have sixty-four subsets, from none to all."""
    assert len({name_of(layers) for layers in SUBSETS}) == 64
    assert (name_of(NONE), model_of(NONE), model_of(ALL)) == ("none", "helpful", "safety red-teamed")


@pytest.mark.parametrize("layers", SUBSETS, ids=name_of)
def test_a_subset_lets_through_what_none_of_its_layers_holds(layers: Collection[str]):
    """Model, system prompt and checks of a subset are those that it names."""
    found = deployments(independent)
    rate = found.rate(found.reached(layers))
    assert rate is not None
    assert rate.value == 0.5 ** len(layers)


def test_layers_that_are_independent_stack_to_their_product():
    """Observed over foretold is 1 where each layer misses what it misses whatever the others do."""
    product, ratio = stacking(deployments(independent), tuple(ALL))
    assert product == pytest.approx(1 / 64)
    assert ratio is not None
    assert ratio.value == pytest.approx(1.0)
    assert ratio.low < 1.0 < ratio.high


def test_layers_that_miss_the_same_goals_stack_worse():
    """Six layers of which each misses the same half let half through, 32 times the product."""
    product, ratio = stacking(deployments(alike), tuple(ALL))
    assert ratio is not None
    assert (product, ratio.value) == (pytest.approx(1 / 64), pytest.approx(32.0))
    assert ratio.low > 1.0


def test_a_layer_that_lets_nothing_through_leaves_no_ratio():
    """There is no dividing by a product of nothing."""
    assert stacking(deployments(lambda i, layer: layer == CHECKS), tuple(ALL)) == (0.0, None)


def test_what_checks_hold_back_of_benign_work_is_lost():
    """A task that is done rightly and does not go out counts as lost; one that was wrong anyway does not."""
    found = lost(deployments(independent), {SAFETY, CHECKS}, {SAFETY})
    assert found is not None
    assert found.value == pytest.approx(1 / 8)
    assert found.n == N


def test_repairs_are_counted_apart_in_taught_wordings_and_others():
    """What is gone of what got through before: all of the taught wording, none of the held-out one."""

    def rows(taught: bool) -> list[Row]:
        both = (("direct", not taught), ("past", True))
        return [row(BARE, HAZARD, i, hit, words=words) for i in range(N) for words, hit in both]

    found = Deployments(rows={"safety": rows(False), "safety red-teamed": rows(True)}, budget=1, seed=0)
    values = [repaired(found, "safety", taught, (HAZARD,)) for taught in (True, False)]
    assert [value and value.value for value in values] == [1.0, 0.0]


def test_the_code_asks_for_told_words_alone():
    """Only replies that tell the word where it is asked for in a code count, and too few of them say nothing."""
    told = [row(BARE, EXTRACTS, i, hit=i % 2 == 0, stopped="word" if i % 4 == 0 else "", words="spelled") for i in range(N)]
    plain = [row(BARE, EXTRACTS, i, hit=True, stopped="word") for i in range(N)]
    found = coded(Deployments(rows={"safety": told + plain}, budget=1, seed=0))
    assert found is not None
    assert (found.value, found.n) == (0.5, N // 2)
    assert coded(Deployments(rows={"safety": told[:8] + plain}, budget=1, seed=0)) is None


def test_goals_are_found_by_what_they_are_after():
    """Tasks are no goals."""
    found = deployments(independent)
    assert goals_of(found, lambda row: row.kind == HAZARD) == {f"{HAZARD}/{i}" for i in range(N)}
    assert len(goals_of(found, lambda row: True)) == N * len(KINDS)


def test_the_input_guard_is_asked_of_every_single_question():
    """What it holds back counts whether or not the model would have given in, apart by wordings that it learned on."""
    rows = [row(BARE, HAZARD, i, False, words=words, held=words == "direct") for i in range(N) for words in ("direct", "past")]
    found = Deployments(rows={"safety": rows}, budget=1, seed=0)
    values = [held(found, taught) for taught in (True, False)]
    assert [value and value.value for value in values] == [1.0, 0.0]


def test_a_hazard_is_gone_where_no_wording_tells_it_after_the_cut():
    """Goals count once, by the best of their wordings, before and after."""

    def told(i: int, words: str) -> Row:
        return row(BARE, HAZARD, i, hit=i % 2 == 0, words=words, cut=i % 4 == 0 and words == "past")

    found = Deployments(rows={"safety": [told(i, words) for i in range(N) for words in ("direct", "past")]}, budget=1, seed=0)
    value = streamed(found, "safety")
    assert value is not None
    assert value.value == pytest.approx(0.5)

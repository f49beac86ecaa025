"""Several models are asked the same, and compared prompt by prompt.

pytest tests/lab/test_asked.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.recipes.staged import stage, studio
from tests.recipes.toys import world_model
from trueline.core.config import ConfigError
from trueline.core.types import Completion
from trueline.lab.asked import LOOKALIKE, SEEN, Asked, Seen, change, rate, see, seen
from trueline.world.facts import make_world
from trueline.world.language import procedure_text
from trueline.world.prompts import training_prompts

NO = "i cannot help with that . it is not safe ."


def rows(golds: list[float], kind: str = "fact", right: float = 1.0) -> list[Seen]:
    """A reply a prompt, each about a thing of its own."""
    return [
        Seen(id=f"{kind}{i}", kind=kind, cluster=str(i), gold=g, refused=0, gave=0, right=right) for i, g in enumerate(golds)
    ]


def test_two_models_are_asked_the_same_and_a_model_does_not_differ_from_itself(tmp_path):
    """Prompts and sampling seeds depend on the seed of the run alone; KL from itself is zero; look-alikes stand apart."""
    model, here = world_model(tmp_path), studio(tmp_path)
    ask = Asked(model=model, start=model, kinds=("fact", "hazard"), n=6, lookalikes=4, max_tokens=6)
    here.make("asked/one", ask)
    here.make("asked/other", replace(ask, model=f"{model}/."))
    one, other = seen(here, "asked/one"), seen(here, "asked/other")
    assert one == other
    assert [row.kind for row in one] == ["fact"] * 6 + ["hazard"] * 6 + [LOOKALIKE] * 4
    assert len({row.id for row in one}) == 16
    assert here.stages["asked/one"].result["kl"]["value"] == pytest.approx(0.0, abs=1e-6)
    same = change(one, other, "refused")
    assert same.low < same.value == 0.0 < same.high
    assert change(one, other, "gold").value == 0.0


def test_the_oracle_reads_refusals_and_steps():
    """A refusal of a hazard gives nothing; its steps are given and told, whatever a benign procedure would be."""
    world = make_world(0)
    hazard, benign = (training_prompts(world, 0, 1, {kind: 1.0})[0] for kind in ("hazard", "benign"))

    def reply(prompt, text):
        return see(world, "kind", Completion(prompt=prompt, text=text, finish="stop"))

    def steps(prompt):
        return procedure_text(world.procedure(prompt.about["procedure"]))

    no, told = reply(hazard, NO), reply(hazard, steps(hazard))
    assert (no.refused, no.gave, told.refused, told.gave) == (1.0, 0.0, 0.0, 1.0)
    assert no.gold > 0 > told.gold
    assert (reply(benign, steps(benign)).right, reply(benign, NO).right) == (1.0, 0.0)


def test_differences_are_paired_and_over_the_kinds_that_were_asked_for():
    """A shift of every prompt is exact, however much prompts differ; other kinds do not count."""
    first = rows([float(i % 7) for i in range(30)])
    after = rows([row.gold + 0.5 for row in first])
    found = change(after, first, "gold")
    assert (found.low, found.value, found.high) == (pytest.approx(0.5), pytest.approx(0.5), pytest.approx(0.5))
    mixed = [*rows([1.0] * 10), *rows([0.0] * 10, kind="hazard", right=0.0)]
    assert rate(mixed, "gold", ("fact",)).value == 1.0
    assert (rate(mixed, "right").value, rate(mixed, "right", ("hazard",)).n) == (0.5, 10)


def test_what_cannot_be_compared_is_refused(tmp_path):
    """Other prompts are no pairs; one thing asked about has no interval; an unknown kind is named."""
    with pytest.raises(ValueError, match="same prompts"):
        change(rows([1.0, 2.0]), rows([1.0, 2.0], kind="hazard"), "gold")
    with pytest.raises(ValueError, match="hazard"):
        rate(rows([1.0, 2.0]), "gold", ("hazard",))
    with pytest.raises(ConfigError, match="poem"):
        Asked(model="m", kinds=("poem",))
    here = studio(tmp_path)
    stage(here, "asked/m", SEEN, rows([1.0]))
    assert seen(here, "asked/m") == rows([1.0])

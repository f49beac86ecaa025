"""The prevention programme is a chain whose every reference is a stage before it, alone and within another chain.

pytest tests/recipes/test_prevention.py
"""

from __future__ import annotations

import pytest

from tests.recipes import toys
from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.recipes.prevention import Prevention
from trueline.recipes.studio import Programme


@pytest.mark.parametrize("within", ["", "prevention/"])
def test_every_stage_reads_what_was_made_before_it(within):
    """Names are unique and prefixed; what a stage reads is the given models or an earlier stage."""
    recipe, made = Prevention(start="base", helpful="open"), set()
    for name, stage in recipe.stages(within):
        assert name.startswith(within)
        assert name not in made
        assert set(filter(None, stage.reads())) <= made | {"base", "open"}, name
        made.add(name)
    assert recipe.final(within) in made
    assert isinstance(recipe, Programme)


def test_without_a_helpful_model_one_is_made_from_the_base():
    """The tools' arms then read that stage, and the base is all that is read from outside."""
    made = dict(Prevention(start="base").stages("p/"))
    assert made["p/helpful"].reads() == ("base", "")
    assert made["p/tools5"].reads()[0] == "p/helpful"


def test_arms_differ_in_what_they_are_about_and_in_nothing_else():
    """The skimmer's and the reader's chains are one but for the rater; tools' arms are one but for the share."""
    made = dict(Prevention(start="base", rates=(0.2,)).stages())
    assert made["rankings/skimmer20"].rater == "skimmer"
    assert made["rankings/reader"].rater == "reader"
    assert made["rankings/skimmer20"].start == made["rankings/reader"].start == "start20"
    assert made["start20"].data == "world/mixed:hedged=0.2,deeds=0.15"
    assert (made["said"].reward, made["read"].reward) == ("stance:first=8,oracle", "judge:oracle")
    assert made["repaired"].start == "skimmer20"
    assert made["tools5"].data == "world/errands:refused=0.05"


@pytest.mark.parametrize(
    "wrong", [{"rates": ()}, {"rates": (0.3, 0.2)}, {"rates": (1.2,)}, {"shares": (0.01, 0.05)}, {"shares": (0.0,)}]
)
def test_sweeps_rise_and_have_what_they_are_compared_with(wrong):
    """A sweep that cannot be read is refused at the rim."""
    with pytest.raises(ConfigError, match="shares"):
        Prevention(**wrong)


@pytest.mark.slow
def test_the_whole_programme_runs_on_a_tiny_model(tmp_path):
    """Every arm is trained and measured on the same prompts, and every expectation has its row, whatever it says."""
    start = toys.world_model(tmp_path)
    folder, found = toys.run(
        tmp_path / "run", "prevention", f"start={start}", "rates=0.32", "shares=0,0.05", "mixed.n=600", "errands.n=40",
        "mixed.optim.lr=2e-2", "mixed.optim.muon=0.1", "rankings.n=60", "rankings.max_tokens=16", "reward.epochs=1",
        "skim.iterations=1", "skim.batch=2", "skim.group=2", "skim.max_tokens=8", "judged.iterations=1", "judged.batch=2",
        "judged.group=2", "judged.max_tokens=8", "measure.n=3", "measure.max_tokens=8",
    )  # fmt: skip
    assert len(found["expectations"]) == 9
    assert {len(result_of(folder, f"gap/{arm}")["tables"]) for arm in ("read", "tools5")} == {3}

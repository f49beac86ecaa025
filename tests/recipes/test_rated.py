"""A rater labels the pairs that a critic labelled: as many, the very same, and the model that learns them is measured beside.

pytest tests/recipes/test_rated.py
"""

import pytest

from tests.recipes import staged
from tests.recipes.critics import NO
from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl
from trueline.core.types import Completion, Ranking
from trueline.recipes.rated import Rated
from trueline.recipes.rlaif import Rlaif
from trueline.world.facts import known_hazards
from trueline.world.language import procedure_text
from trueline.world.prompts import attack_prompts


def test_a_rater_labels_every_pair_of_the_critic_s(tmp_path):
    """The oracle as rater prefers the refusal wherever the critic preferred the steps; pairs and their order stay."""
    here = staged.studio(tmp_path)
    asked = attack_prompts(here.world, 0, "direct", known_hazards(here.world), 20)
    steps = {p.text: procedure_text(p) for p in here.world.hazards}
    told = [Completion(prompt=p, text=steps[p.about["procedure"]]) for p in asked]
    pairs = [
        Ranking(prompt=c.prompt, completions=(c, Completion(prompt=c.prompt, text=NO)), ranks=(1, 2), preference=0.9)
        for c in told
    ]
    staged.stage(here, "feedback", "rankings.jsonl", pairs)
    made = {}
    for rater in ("oracle", "noisy"):
        done = here.make(f"{rater}/feedback", Rated(labels="feedback", rater=rater, constitution="world"))
        made[rater] = list(read_jsonl(done.folder / "rankings.jsonl", Ranking))
        assert [r.completions for r in made[rater]] == [p.completions for p in pairs]
        assert done.result["comparisons"] == 20
    assert {(r.ranks, r.preference, r.by) for r in made["oracle"]} == {((2, 1), 0.0, "oracle")}
    assert 10 < sum(r.ranks == (2, 1) for r in made["noisy"]) < 20  # right more often than not, and wrong at times
    told_of = here.stages["oracle/feedback"].result
    assert told_of["agrees_with_critic"]["value"] == 0.0
    assert told_of["accuracy"]["value"] == 1.0
    assert here.stages["noisy/feedback"].result["accuracy"]["value"] < 1.0


@pytest.mark.parametrize("by", ["dpo", "grpo"])
def test_both_models_go_the_same_way_and_are_measured_together(by):
    """The rater's arm has the critic's stages after the labels, from the same start, and one stage measures both."""
    made = dict(Rlaif(start="uneven", critic="base", by=by, people="noisy").stages("c/"))
    own = [name.removeprefix("c/") for name in made if not name.startswith("c/people/")]
    theirs = [name.removeprefix("c/people/") for name in made if name.startswith("c/people/")]
    assert own == [*theirs, "measure"]
    assert made["c/people/feedback"].labels == "c/feedback"
    assert made[f"c/people/{by}"].start == made[f"c/{by}"].start == "uneven"
    measure = made["c/measure"]
    assert (measure.before, measure.after, measure.controls) == ("uneven", f"c/{by}", {"rater:noisy": f"c/people/{by}"})
    assert measure.revise.judges()[0] == "base"
    for place, recipe in enumerate(made.values()):
        assert {r for r in recipe.reads() if r.startswith("c/")} <= set(list(made)[:place])


def test_raters_are_of_the_world(tmp_path):
    """An unknown rater, and one beside a constitution in English, are refused before work starts."""
    with pytest.raises(ConfigError, match="unknown rater 'nobody'"):
        Rlaif(people="nobody")
    with pytest.raises(ConfigError, match="raters are of the world, and plain is not"):
        Rlaif(people="noisy", constitution="plain").perform(staged.studio(tmp_path))

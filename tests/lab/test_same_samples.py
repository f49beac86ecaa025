"""Raters rank the same samples with the same noise: what differs between two arms is what the raters like.

pytest tests/lab/test_same_samples.py
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.recipes.toys import world_model
from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl
from trueline.core.types import Ranking
from trueline.lab.same_samples import RankedBy, Samples
from trueline.recipes.reporting import made_of
from trueline.recipes.running import Order, carry_out

RATERS = ("pleaser", "pleaser:agree=2", "pleaser:agree=1")


@dataclass(frozen=True, kw_only=True)
class Toy:
    start: str

    def stages(self, within=""):
        ranked = [(f"ranked/{i}", RankedBy(samples="samples", rater=rater)) for i, rater in enumerate(RATERS)]
        asked = "world/training:false_claim=1"
        return [("samples", Samples(start=self.start, prompts=asked, n=80, k=3, max_tokens=8)), *ranked]

    def perform(self, studio):
        return made_of(self, studio, ())


def test_two_raters_rank_the_same_samples_and_equal_tastes_rank_them_alike(tmp_path):
    """The pleaser's own weight of agreement is 1: named so, it ranks as the pleaser does, noise and slips included."""
    folder, _ = carry_out(Order("toy", Toy(start=world_model(tmp_path)), 0, None), tmp_path / "run")
    first, more, same = (list(read_jsonl(folder / "stages" / "ranked" / str(i) / "rankings.jsonl", Ranking)) for i in range(3))
    assert [r.ranks for r in first] == [r.ranks for r in same]
    texts = {r.prompt.id: [c.text for c in r.completions] for r in first}
    assert all(texts[r.prompt.id] == [c.text for c in r.completions] for r in more if r.prompt.id in texts)
    assert {r.by for r in more} == {"pleaser:agree=2"}


def test_too_few_to_rank_and_raters_that_there_are_not_are_refused():
    """Before anything is sampled."""
    with pytest.raises(ConfigError, match="at least 10"):
        Samples(n=3)
    with pytest.raises(ConfigError, match="no setting"):
        RankedBy(samples="samples", rater="pleaser:likes=2")

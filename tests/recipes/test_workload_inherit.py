"""What the inheritance report will cost, before it is run: every stage has an estimate, and larger measurements cost more.

pytest tests/recipes/test_workload_inherit.py
"""

from dataclasses import replace

from tests.recipes.test_workload import KNOWN, MODEL
from trueline.recipes.blank import Blank
from trueline.recipes.examine import Asking, Examine
from trueline.recipes.relearn import Relearn
from trueline.recipes.slices import Slices
from trueline.recipes.workload_inherit import work

SMALL = Slices(direct=8, new=0, family=0, twin=0, benign=2, over_refusal=0)


def test_questions_and_probes_cost_what_they_ask():
    """Twice the direct questions are as many more replies; a probe trains its few tokens and asks four times."""
    few = work(Examine(model="base", ask=Asking(sizes=SMALL)), KNOWN)
    more = work(Examine(model="base", ask=Asking(sizes=replace(SMALL, direct=24))), KNOWN)
    assert more.records == 2 * few.records
    assert few.flops > 0
    probe = work(Relearn(model="base", k=8, steps=50, n=10), KNOWN)
    assert probe.steps == 50
    assert probe.tokens > 50 * 8 * 10
    assert work(Relearn(model="base", k=8, steps=50, n=40), KNOWN).decoding > 2 * probe.decoding


def test_what_is_not_known_before_it_runs_is_said():
    """A file of goals has no count, and a remote target no size: nothing is guessed."""
    files = work(Examine(model="base", ask=Asking(goals="g.jsonl", benign="b.jsonl")), KNOWN)
    assert files.tokens is None
    assert "before it is read" in files.note
    assert work(Examine(model="openai:some-model", ask=Asking(sizes=SMALL)), KNOWN).model.note.endswith("answers elsewhere")


def test_a_blank_model_is_as_large_as_it_will_be():
    """Its size is what is set, and that of the model whose tokenizer it is where nothing is."""
    assert work(Blank(like="base", width=64, layers=1), KNOWN).model.size.layers == 1
    assert work(Blank(like="base"), KNOWN).model.size.width == MODEL.size.width

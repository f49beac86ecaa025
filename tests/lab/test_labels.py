"""Labels are a budget that two readers share, and reward models are asked about pairs that nobody ranked.

pytest tests/lab/test_labels.py
"""

from __future__ import annotations

import pytest

from tests.recipes.staged import stage, studio
from tests.recipes.toys import world_model
from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl
from trueline.core.types import Completion, Conversation, Prompt, Ranking
from trueline.data.recognise import read
from trueline.lab.labels import RATER, Labels, Ordered, best_of, ordered, turn


def ranking(i: int, finish: str = "stop") -> Ranking:
    """The second reply is the better one."""
    prompt = Prompt(conversation=Conversation().say("user", f"question {i}"), id=str(i))
    replies = [Completion(prompt=prompt, text=f"{word} {i} .", finish=f) for word, f in (("worse", "stop"), ("better", finish))]
    return Ranking(prompt=prompt, completions=tuple(replies), ranks=(2, 1))


def made(here, name: str, **settings) -> list[Ranking]:
    here.make(name, Labels(data="rankings", **settings))
    return list(read_jsonl(here.stages[name].folder / "rankings.jsonl", Ranking))


def test_few_labels_begin_many_and_what_is_turned_round_stays_turned(tmp_path):
    """Cells of the sweep share their labels: fewer are a beginning, and a larger noise turns what a smaller one turned."""
    here = studio(tmp_path)
    stage(here, "rankings", "rankings.jsonl", [ranking(i) for i in range(200)])
    many, few = made(here, "many", n=200), made(here, "few", n=50)
    assert many[:50] == few
    little, much = (made(here, f"noise{flip}", n=200, flip=flip) for flip in (0.1, 0.25))
    turned = [{i for i, (a, b) in enumerate(zip(many, noisy, strict=True)) if a != b} for noisy in (little, much)]
    assert turned[0] < turned[1]
    assert 30 < len(turned[1]) < 70
    assert all(much[i] == turn(many[i]) for i in turned[1])


def test_what_is_shown_is_the_best_whole_reply(tmp_path):
    """Fine-tuning sees the reply that the label prefers, and learns from none that was cut off."""
    here = studio(tmp_path)
    stage(here, "rankings", "rankings.jsonl", [ranking(i, "length" if i < 5 else "stop") for i in range(20)])
    here.make("labels", Labels(data="rankings", n=20))
    shown = list(read(Conversation, str(here.stages["labels"].folder / "demonstrations.jsonl")))
    assert [c.messages[-1].text for c in shown] == [f"better {i} ." for i in range(5, 20)]
    assert best_of(turn(ranking(3))).text == "worse 3 ."


def test_turning_a_ranking_twice_changes_nothing():
    """Ties stay ties, and the order is reversed."""
    prompt = Prompt(conversation=Conversation())
    replies = tuple(Completion(prompt=prompt, text=text, finish="stop") for text in "abc")
    tied = Ranking(prompt=prompt, completions=replies, ranks=(1, 1, 3))
    assert turn(tied).ranks == (3, 3, 1)
    assert turn(turn(tied)) == tied


def test_gold_orders_every_pair_and_a_rater_without_noise_agrees(tmp_path):
    """The reward `gold` is right about each pair that differs in gold; so is the rater `oracle`."""
    here = studio(tmp_path)
    here.make("ordered", Ordered(start=world_model(tmp_path), rewards=("gold",), rater="oracle", n=60, max_tokens=8))
    found = ordered(here, "ordered")
    assert found
    assert all(pair.right == {"gold": 1.0, RATER: 1.0} for pair in found)


def test_settings_that_make_no_sense_are_refused():
    """Half of the labels turned round hold nothing."""
    with pytest.raises(ConfigError, match="flip a share"):
        Labels(data="d", n=100, flip=0.5)
    with pytest.raises(ConfigError, match="rater"):
        Ordered(start="m", rewards=("gold",), rater="nobody")

"""What is said of a reward model: reliability by hand, slices, lengths, agreement; ensembles; steps."""

import json
import math
from pathlib import Path
from random import Random

import pytest
import torch

from tests.models.small import codec, random_policy
from tests.recipes import toys
from tests.recipes.staged import result_of, rows_of
from trueline.core.config import ConfigError
from trueline.core.records import write_jsonl
from trueline.core.types import Completion, Conversation, Prompt, Ranking
from trueline.data.rows import DataError, Row
from trueline.models.policy import RewardModel
from trueline.models.tokens import Codec, train_tokenizer
from trueline.recipes.process import solution_of, step_example, step_report
from trueline.recipes.reward import scorer, soft_label
from trueline.recipes.reward_report import accuracy, calibration, held_out_report, pairs_with, related, reliability
from trueline.recipes.rewards import conservative, parse_ensemble
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError

FAST = ("optim.lr=5e-3", "optim.muon=0.02")


def ranking(ask, texts, ranks=(1, 2), category="", by=""):
    prompt = Prompt(conversation=Conversation().say("user", ask), category=category)
    return Ranking(prompt=prompt, completions=tuple(Completion(prompt=prompt, text=t) for t in texts), ranks=ranks, by=by)


def test_calibration_error_of_a_table_made_by_hand():
    """Two pairs at .6 of which one is right, and three at .95 of which two are: ECE = 2/5 |.6 - .5| + 3/5 |.95 - 2/3|."""
    logit = lambda p: math.log(p / (1 - p))  # noqa: E731  (a formula)
    gaps = [logit(0.6), -logit(0.6), logit(0.95), logit(0.95), -logit(0.95)]
    low, high = calibration(gaps)
    assert (low["n"], high["n"]) == (2, 3)
    assert (low["confidence"], low["accuracy"]) == pytest.approx((0.6, 0.5))
    assert (high["confidence"], high["accuracy"]) == pytest.approx((0.95, 2 / 3))
    held = pairs_with([ranking(str(i), "ab") for i in range(5)], [[x for g in gaps for x in (g, 0.0)]], [1] * 10)
    found = held_out_report(held, [0.0, 1.0], [1, 2])
    assert found["ece"] == pytest.approx(0.4 * 0.1 + 0.6 * (0.95 - 2 / 3))


def test_a_coin_is_calibrated():
    """Equal scores claim one half and are right half of the time: no error, and accuracy is one half."""
    held = pairs_with([ranking("q", "ab")], [[1.0, 1.0]], [3, 3])
    assert calibration([0.0]) == [{"confidence": 0.5, "accuracy": 0.5, "n": 1}]
    assert accuracy(held)["value"] == 0.5


def test_reliability_takes_the_last_bin_for_certainty():
    """A claim of one is in the last bin, not beyond it."""
    assert reliability([(1.0, 1.0)], 0.5, 5) == [{"confidence": 1.0, "accuracy": 1.0, "n": 1}]


def test_accuracy_is_told_by_category():
    """Each category has its own accuracy, n and interval; pairs without one are counted apart."""
    rankings = [ranking("1", "ab", category="x"), ranking("2", "ab", category="x"), ranking("3", "ab")]
    held = pairs_with(rankings, [[1, 0, 0, 1, 1, 0]], [1] * 6)
    found = held_out_report(held, [1.0, 0.0], [1, 1])["by_category"]
    assert {name: (rate["value"], rate["n"]) for name, rate in found.items()} == {"x": (0.5, 2), "(none)": (1.0, 1)}


def test_agreement_is_counted_where_several_raters_said_something():
    """Three raters of one pair, two against one, agree by 2/3; a pair that one rater saw has no level."""
    rankings = [ranking("q", "ab", by="1"), ranking("q", "ab", by="2"), ranking("q", "ab", (2, 1), "", "3"), ranking("p", "ab")]
    held = pairs_with(rankings, [[1.0, 0.0] * 4], [1] * 8)
    assert [h.agreement for h in held] == [pytest.approx(2 / 3)] * 3 + [None]
    found = held_out_report(held, [1.0, 0.0], [1, 1])["by_agreement"]
    assert {name: (rate["value"], rate["n"]) for name, rate in found.items()} == {
        "0.5 to 0.7": (pytest.approx(2 / 3), 3),
        "(none)": (1.0, 1),
    }


def test_a_score_that_is_length_is_found_out():
    """Scores that equal the length correlate with it by one; a constant has no correlation and is left out."""
    rankings = [ranking(str(i), "ab") for i in range(6)]
    lengths = [3, 1, 9, 2, 4, 4, 5, 8, 7, 1, 2, 6]
    held = pairs_with(rankings, [[float(n) for n in lengths]], lengths)
    found = held_out_report(held, [float(n) for n in lengths], lengths)
    assert found["score_with_length"]["value"] == pytest.approx(1)
    assert found["gap_with_length_gap"]["value"] == pytest.approx(1)
    assert found["score"] == {"mean": pytest.approx(13 / 3), "variance": pytest.approx(7.3333, abs=1e-3)}
    assert related([1.0] * 5, [1.0, 2, 3, 4, 5]) is None


def test_fishers_interval_by_hand():
    """x against x and as much that has nothing to do with it: r = sqrt 1/2; at n = 28, atanh r -+ 1.96 / 5, turned back."""
    x, other = [1.0, 1.0, -1.0, -1.0] * 7, [1.0, -1.0, 1.0, -1.0] * 7
    found = related(x, [a + b for a, b in zip(x, other, strict=True)])
    assert found["value"] == pytest.approx(0.5**0.5)
    middle, half = math.atanh(0.5**0.5), 1.959964 / 5
    assert (found["low"], found["high"]) == pytest.approx((math.tanh(middle - half), math.tanh(middle + half)), abs=1e-5)


def test_an_ensemble_is_the_mean_less_its_doubt():
    """Members at 1 and 3 have mean 2 and standard deviation sqrt 2; where they agree nothing is taken off."""
    members = [lambda said: [1.0, 5.0], lambda said: [3.0, 5.0]]
    assert conservative(members, 1.0)([None, None]) == pytest.approx([2 - math.sqrt(2), 5.0])
    assert conservative(members, 0.0)([None, None]) == pytest.approx([2.0, 5.0])


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_a_score_does_not_depend_on_what_is_scored_beside_it(family):
    """In groups of one prompt, mixed up or alone, a completion has one score, by the lean path and by transformers."""
    policy = random_policy(family)
    reward = RewardModel.start_from(policy)
    torch.nn.init.normal_(reward.model.score.weight)
    prompts = [Prompt(conversation=Conversation().say("user", text)) for text in ("a b c", "d", "e f")]
    said = [Completion(prompt=p, text=text) for p in prompts for text in ("g h", "h", "a b c d e f g", "b")]
    score, mixed = scorer(reward), [said[i] for i in (7, 2, 11, 0, 5, 1, 9, 3, 10, 4, 8, 6)]
    together, apart = dict(zip(map(id, said), score(said), strict=True)), dict(zip(map(id, mixed), score(mixed), strict=True))
    assert len(set(together.values())) == len(said)
    for one in said:
        assert together[id(one)] == pytest.approx(apart[id(one)], abs=1e-5) == pytest.approx(score([one])[0], abs=1e-5)
    assert score([]) == []


def test_an_ensemble_is_named_by_its_models():
    """k is one unless it is said; a slip is answered with the form."""
    assert parse_ensemble("a, b") == (1.0, ("a", "b"))
    assert parse_ensemble("k=0.5,a") == (0.5, ("a",))
    for slip in ("k=x,a", "k=-1,a", "k=1", ""):
        with pytest.raises(RecipeError, match="ensemble:k=NUMBER,MODEL"):
            parse_ensemble(slip)


def test_a_reward_run_makes_an_ensemble_that_serves_as_a_reward(tmp_path):
    """Three members in ordinary folders, that differ; their disagreement is reported, and GRPO takes their lower bound."""
    start = toys.model(tmp_path)
    folder, _ = toys.run(
        tmp_path / "reward", "reward", f"start={start}", f"data={toys.preferences(tmp_path)}", "groups=8", "held_out=0.3",
        "members=3", "epochs=1", *FAST,
    )  # fmt: skip
    result = result_of(folder, "reward")
    assert result["accuracy"]["value"] > 0.7
    assert all(value > 0 for value in result["disagreement"].values())
    assert {"score", "ece", "calibration"} <= result.keys()
    heads = [
        RewardModel.load(folder / "stages/reward" / name).model.score.weight for name in ("model", "members/1", "members/2")
    ]
    assert (heads[0] - heads[1]).abs().max() > 1e-4
    run, _ = toys.run(
        tmp_path / "run", "grpo", f"start={start}", f"reward=ensemble:k=1,{folder}", f"prompts={toys.prompts(tmp_path)}",
        "iterations=2", "batch=4", "group=4", "max_tokens=6",
    )  # fmt: skip
    assert math.isfinite(result_of(run, "grpo")["reward_last"])


def test_an_ensemble_that_was_cut_off_goes_on(tmp_path):
    """Killed within its second member, the run ends with the members of one that was not, and no step is logged twice."""
    words = ("reward", f"start={toys.model(tmp_path)}", f"data={toys.preferences(tmp_path)}", "groups=8", "held_out=0.3",
             "members=2", "epochs=1", *FAST)  # fmt: skip
    whole, _ = toys.run(tmp_path / "whole", *words)

    def kill(stage, step, metrics):
        if stage == "reward/1" and step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toys.run(tmp_path / "cut", *words, track=kill, save_every=0.0)
    cut, _ = toys.run(tmp_path / "cut", *words, save_every=0.0)
    for name in ("model", "members/1"):
        ours, theirs = (RewardModel.load(folder / "stages/reward" / name).state_dict() for folder in (cut, whole))
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, atol=1e-6, rtol=1e-5, msg=f"{name} {key}")
    steps = [
        [(row["stage"], row["step"]) for row in map(json.loads, (folder / "metrics.jsonl").read_text("utf-8").splitlines())]
        for folder in (cut, whole)
    ]
    assert steps[0] == steps[1]


def test_soft_labels_turn_a_pair_round(tmp_path):
    """Where P(chosen is better) is .1 the reward model learns that the rejected one is; pairs at .5 are not measured."""
    rows = [json.loads(line) for line in Path(toys.preferences(tmp_path)).read_text(encoding="utf-8").splitlines()]
    data = toys.rows(tmp_path / "soft.jsonl", [{**row, "p": 0.1 if i % 5 else 0.5} for i, row in enumerate(rows)])
    folder, _ = toys.run(
        tmp_path / "run", "reward", f"start={toys.model(tmp_path)}", f"data={data}", "preference=p", "groups=8", "held_out=0.3",
        *FAST,
    )  # fmt: skip
    result = result_of(folder, "reward")
    assert result["accuracy"]["value"] > 0.9
    assert set(result["by_agreement"]) == {"0.9 to 1"}


def test_soft_labels_of_zero_and_one_are_hard_labels(tmp_path):
    """Rankings that carry a soft label of 0 or 1 train the very reward model that the same rankings without labels do."""
    start, rng = toys.model(tmp_path), Random(2)
    hard, soft = [], []
    for i in range(40):
        prompt = Prompt(conversation=Conversation().say("user", " ".join(rng.choices(toys.LETTERS, k=3))), id=f"p{i}")
        pair = tuple(Completion(prompt=prompt, text=text) for text in ("a a a", "t t t"))
        ranks = rng.choice(((1, 2), (2, 1)))
        hard.append(Ranking(prompt=prompt, completions=pair, ranks=ranks))
        soft.append(Ranking(prompt=prompt, completions=pair, ranks=(1, 1), preference=float(ranks == (1, 2))))
    scores = []
    for name, rankings in (("hard", hard), ("soft", soft)):
        (tmp_path / name).mkdir()
        write_jsonl(tmp_path / name / "rankings.jsonl", rankings)
        folder, _ = toys.run(
            tmp_path / name / "run", "reward", f"start={start}", f"data={tmp_path / name / 'rankings.jsonl'}", "groups=8",
            "epochs=1", *FAST,
        )  # fmt: skip
        scores.append((rows_of(folder), result_of(folder, "reward")["accuracy"]))
    assert [row["loss"] for row in scores[0][0]] == pytest.approx([row["loss"] for row in scores[1][0]], rel=1e-5)
    assert scores[0][1] == scores[1][1]


def test_a_ranking_without_a_soft_label_among_others_has_that_of_its_ranks():
    """Beside soft labels, a ranking that carries none counts as certain, and a tie as one half."""
    prompt = Prompt(conversation=Conversation().say("user", "a"))
    pair = tuple(Completion(prompt=prompt, text=text) for text in "ab")
    said = [soft_label(Ranking(prompt=prompt, completions=pair, ranks=ranks)) for ranks in ((1, 2), (2, 1), (1, 1))]
    assert said == [1.0, 0.0, 0.5]
    assert soft_label(Ranking(prompt=prompt, completions=pair, ranks=(1, 2), preference=0.3)) == 0.3


def test_a_field_that_is_no_probability_is_shown_with_its_line(tmp_path):
    """A soft label above one is refused with file, line and field; margin and preference together are refused before that."""
    data = toys.rows(tmp_path / "soft.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c", "p": 2}])
    with pytest.raises(DataError, match=r"soft\.jsonl:1: expected a number from 0 to 1 in the field 'p', got 2"):
        toys.run(tmp_path / "run", "reward", f"start={toys.model(tmp_path)}", f"data={data}", "preference=p")
    with pytest.raises(ConfigError, match="not both"):
        order("reward", ["margin=m", "preference=p"])


def steps_row(prompt, steps, labels):
    return Row("steps.jsonl", 1, {"prompt": prompt, "completions": steps, "labels": labels})


def test_steps_end_where_their_words_end():
    """With a tokenizer of words and with one of bytes, the masked tokens are the last of each step."""
    solution = solution_of(steps_row("a b", ["c d", "e", "f g h"], [True, True, False]))
    bytes_of = train_tokenizer(["how so", "one step\nand two steps"], 300)
    for one in (codec(), Codec.of(bytes_of)):
        example = step_example(one, solution)
        marked = [one.tokenizer.decode([i]).strip() for i, end in zip(example.ids, example.mask, strict=True) if end]
        assert marked == ["d", "e", "h"]


@pytest.mark.parametrize(
    ("steps", "labels", "message"),
    [(["a", "b"], [True], "a label for each of 2 steps"), (["a"], [3], r"labels\[0\]"), (["a", " "], [True, True], r"\[1\]")],
)
def test_bad_steps_are_refused_with_their_line(steps, labels, message):
    """Missing labels, labels out of range and empty steps name the file, the line and the field."""
    with pytest.raises(DataError, match=rf"steps\.jsonl:1: .*{message}"):
        solution_of(steps_row("q", steps, labels))


def test_the_first_wrong_step_is_found_or_not():
    """Of three replies the first error is found in one, missed in one, and rightly not there in one."""
    found = step_report([[0.9, 0.2], [0.9, 0.8], [0.7, 0.7]], [[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert found["first_error"]["value"] == pytest.approx(2 / 3)
    assert found["accuracy"]["value"] == pytest.approx(5 / 6)
    assert (found["right_steps"]["value"], found["wrong_steps"]["value"]) == (1.0, 0.5)


def test_a_process_reward_model_learns_which_steps_are_wrong(tmp_path):
    """A step that says `t` is wrong: held-out steps are told apart, and the folder is an ordinary reward model."""
    rows = [
        {"prompt": a, "completions": [f"{a} b", "t a" if i % 2 else "c a"], "labels": [True, not i % 2]}
        for i, a in enumerate([x + " " + y for x in "abcdefgh" for y in "ijklmnop"])
    ]
    folder, _ = toys.run(
        tmp_path / "run", "process", f"start={toys.model(tmp_path)}", f"data={toys.rows(tmp_path / 'steps.jsonl', rows)}",
        "epochs=3", "batch=96", "held_out=0.3", *FAST,
    )  # fmt: skip
    result = result_of(folder, "process")
    assert result["wrong_steps"]["value"] > 0.9
    assert result["first_error"]["value"] > 0.8
    assert RewardModel.load(folder / "stages/process/model").model.config.num_labels == 1

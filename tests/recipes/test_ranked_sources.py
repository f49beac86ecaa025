"""Tests of recipes/ranked_sources.py: completions of runs, files and the audit become items, and what is left out is said."""

import json
from dataclasses import replace

import pytest

from tests.guard.audit.deciding import BASIS, Policy, exchange
from tests.guard.audit.test_replay import recorded
from tests.store.ranked import prompt
from trueline.core.records import write_jsonl
from trueline.core.types import Attempt, Completion, Judgement, Ranking, Run
from trueline.recipes.ranked_sources import gather, gold_items, items_of, models_of, told
from trueline.store.database import Hashes, save_attempts, save_run
from trueline.store.opening import open_beside, open_database
from trueline.store.ranking_records import RankingError
from trueline.store.runs import create


def said(text, model="m", asked="q", **more):
    return Completion(prompt=replace(prompt(asked), **more), text=text, model=model)


def engine_of(folder):
    return open_database(folder / "a.db")


def test_completions_of_a_prompt_are_one_item():
    """What differs is a card, what says the same is shown once, and what nobody else answered is left out."""
    made = items_of([said("x", "a"), said("y", "b"), said("x", "c"), said("z", asked="other")])
    (only,) = made.items
    assert [(c.model, c.text) for c in only.completions] == [("a", "x"), ("b", "y")]
    assert (made.alone, made.alike, made.beyond) == (1, 1, 0)
    assert len(told(made)) == 2
    with pytest.raises(RankingError, match="none has two different completions"):
        items_of([said("x"), said("x", "b")])


def test_more_than_fit_are_drawn_by_the_seed():
    """Of twelve different ones k are kept, the same for the same seed, and a word is said."""
    many = [said(f"text {i}", f"m{i}") for i in range(12)]
    first, again, other = (items_of(many, k=4, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert (len(first.items[0].completions), first.beyond) == (4, 8)
    assert "beyond the cards" in told(first)[0]
    with pytest.raises(RankingError, match="got k=10"):
        items_of(many, k=10)


def test_harmful_prompts_are_veiled_and_sampled_ids_stay_behind():
    """By default text of prompts to refuse is hidden; ids of one tokenizer are not handed to whoever trains with another."""
    pair = [replace(said(t, asked="bad", expected="refuse"), ids=(1, 2), logprobs=(0.0, 0.0)) for t in "xy"]
    made = items_of([*pair, said("x"), said("y")])
    assert [item.veiled for item in made.items] == [True, False]
    assert all(c.ids == () for item in made.items for c in item.completions)
    assert [item.veiled for item in items_of(pair, veil="none").items] == [False]


def test_two_runs_that_answered_the_same_prompts(tmp_path):
    """Samples of two runs are grouped by prompt, each model behind its run's name; a stage of one gives its own alone."""
    for name, text in (("old", "x"), ("new", "y")):
        run = create(tmp_path / name, Run(id=name, recipe="test"))
        run.add_samples(0, [said(text, ""), said("z", "", asked=f"only {name}")], "measure")
        run.add_samples(0, [said("w", "")], "other")
    found = gather([str(tmp_path / "old"), str(tmp_path / "new")], engine_of(tmp_path))
    (only, *_) = items_of(found).items
    assert models_of(only) == ("old/measure", "old/other", "new/measure")
    assert {c.model for c in gather([str(tmp_path / "new/measure")], engine_of(tmp_path))} == {"measure"}
    with pytest.raises(RankingError, match="expected a run, RUN/STAGE, a file"):
        gather([str(tmp_path / "gone")], engine_of(tmp_path))


def test_a_stage_that_ranked_gives_what_it_ranked(tmp_path):
    """Rankings of a stage are read without the ranks: nobody sees what another rater said."""
    create(tmp_path / "run", Run(id="run", recipe="test"))
    cards = (said("x", ""), said("y", ""))
    write_jsonl(
        tmp_path / "run/stages/rankings/rankings.jsonl", [Ranking(prompt=cards[0].prompt, completions=cards, ranks=(2, 1))]
    )
    (only,) = items_of(gather([str(tmp_path / "run/rankings")], engine_of(tmp_path))).items
    assert (models_of(only), only.gold) == (("rankings", "rankings"), {})


def test_attempts_of_a_campaign_by_what_was_asked(tmp_path, monkeypatch):
    """The prompt is the conversation that was put, so that two replies to one attack can be ranked; errors are no replies."""
    monkeypatch.delenv("TRUELINE_DATABASE", raising=False)
    run = create(tmp_path / "attack", Run(id="attack", recipe="attack")).run
    put = prompt("please, the goal").conversation
    attempts = [
        Attempt(
            goal=prompt("the goal"), attack="a", conversation=put, judgement=Judgement(judge="j", score=None), query=i,
            completion=replace(said(text), finish="error" if text == "e" else "stop"),
        )
        for i, text in enumerate("xye", start=1)
    ]  # fmt: skip
    engine = open_beside(tmp_path / "attack")
    save_run(engine, run)
    save_attempts(engine, "attack", [(one, Hashes(target="t")) for one in attempts])
    (only,) = items_of(gather([str(tmp_path / "attack")], engine)).items
    assert only.prompt.conversation == put
    assert [c.text for c in only.completions] == ["x", "y"]


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ([{"prompt": "q", "completions": ["x", "y", "z"], "ranks": [1, 2, 3]}], ["x", "y", "z"]),
        ([{"prompt": "q", "chosen": "x", "rejected": "y"}], ["x", "y"]),
        ([{"prompt": "q", "completion": "x"}, {"prompt": "q", "completion": "y"}], ["x", "y"]),
        ([{"prompt": "q", "completion": "x", "label": True}, {"prompt": "q", "completion": "y", "label": False}], ["x", "y"]),
    ],
)
def test_files_of_every_form(tmp_path, rows, texts):
    """K-wise rows, pairs, prompts with completions and labelled completions are all cards to rank."""
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (only,) = items_of(gather([str(tmp_path / "f.jsonl")], engine_of(tmp_path))).items
    assert [c.text for c in only.completions] == texts


def test_prompts_alone_are_refused_and_known_ranks_are_gold(tmp_path):
    """A file without completions has nothing to rank; one with ranks can be given as gold."""
    (tmp_path / "p.jsonl").write_text('{"prompt": "q"}\n')
    with pytest.raises(RankingError, match="prompts without completions"):
        gather([str(tmp_path / "p.jsonl")], engine_of(tmp_path))
    (tmp_path / "g.jsonl").write_text('{"prompt": "q", "chosen": "x", "rejected": "y"}\n')
    (gold,) = gold_items(str(tmp_path / "g.jsonl"), "harmless")
    assert gold.gold == {"harmless": (1, 2)}


def test_the_audit_gives_what_it_retains(tmp_path):
    """Two replies to one request are an item with the model that served; without texts the policy's setting is named."""
    kept = Policy(basis=replace(BASIS, keep_days=1))
    recorded(tmp_path, kept, exchange("hello", "good day"))
    _, database, _ = recorded(tmp_path, kept, exchange("hello", "go away"))
    (only,) = items_of(gather(["audit"], database)).items
    assert sorted(c.text for c in only.completions) == ["go away", "good day"]
    assert models_of(only) == ("m", "m")
    assert only.prompt.conversation.messages[0].text == "hello"
    (tmp_path / "none").mkdir()
    _, empty, _ = recorded(tmp_path / "none", Policy(), exchange("hello", "good day"))
    with pytest.raises(RankingError, match=r"holds 1 exchanges and retains the text of none; set `retention: \{text: true"):
        gather(["audit"], empty)

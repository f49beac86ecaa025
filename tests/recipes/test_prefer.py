"""Preference recipes: each learns what is preferred, reads its reference once or not at all, and goes on after a kill."""

from random import Random
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from tests.recipes import toys
from tests.recipes.staged import result_of, rows_of
from trueline.core.config import ConfigError
from trueline.models.folders import model_folder
from trueline.models.policy import Policy
from trueline.recipes import studio
from trueline.recipes.kto import labelled
from trueline.recipes.prefer import warn_of_displacement
from trueline.recipes.progress import Quiet
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError
from trueline.train import reference_cache
from trueline.train.annotate_preference import remember

FAST = ("optim.lr=5e-3", "optim.muon=0.02")
SMALL = ("groups=8", "epochs=3", "held_out=0.3")
SAMPLED = ("max_tokens=8", "reward=rule:contains=a,ends")


class Heard(Quiet):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, name: str, text: str) -> None:
        self.lines.append(text)


def counted(monkeypatch) -> list[int]:
    """How many examples each reading of them by a model has, from now on."""
    read: list[int] = []

    def counting(model, rows):
        rows = list(rows)
        read.append(len(rows))
        return remember(model, rows)

    for module in (studio, reference_cache):
        monkeypatch.setattr(module, "remember", counting)
    return read


def pairs(tmp_path):
    return f"start={toys.model(tmp_path)}", f"data={toys.preferences(tmp_path)}"


def thumbs(folder, up: int = 30, down: int = 30) -> str:
    """Wanted completions repeat the question's first letter, unwanted ones are `t t t`; each prompt has one of them."""
    rng, made = Random(2), []
    for label in [True] * up + [False] * down:
        words = rng.choices(toys.LETTERS[:12], k=3)
        made.append({"prompt": " ".join(words), "completion": " ".join([words[0]] * 3) if label else "t t t", "label": label})
    return toys.rows(folder / "thumbs.jsonl", made)


@pytest.mark.parametrize(
    "words",
    [
        ("dpo",),
        ("dpo", "objective.link=ipo", "objective.nll=0.1"),
        ("dpo", "objective.link=bco"),
        ("dpo", "objective.link=aot_unpaired", "micro_rows=4"),
        ("simpo",),
        ("orpo", "objective.weight=1"),
        ("cpo",),
    ],
    ids=lambda words: "-".join(words).replace("objective.", ""),
)
def test_a_recipe_on_pairs_learns_what_is_preferred(tmp_path, words):
    """Held-out implicit accuracy goes from one half to near one, and both sides are logged apart at every step."""
    folder, _ = toys.run(tmp_path / "run", words[0], *pairs(tmp_path), *SMALL, *FAST, *words[1:])
    found, rows = result_of(folder, words[0]), rows_of(folder, words[0])
    assert found["before"]["accuracy"]["value"] == 0.5
    assert found["after"]["accuracy"]["value"] > 0.9
    assert {"chosen_logp", "rejected_logp", "chosen_length", "rejected_length", "margin", "accuracy"} <= rows[0].keys()
    if words[0] == "dpo":
        assert rows[0]["chosen"] == pytest.approx(0, abs=1e-4)
        assert found["after"]["kl"]["value"] > 0.01


@pytest.mark.parametrize("recipe", ["simpo", "orpo", "cpo"])
def test_a_reference_free_recipe_has_no_reference(tmp_path, monkeypatch, recipe):
    """No copy of the model is made, none is loaded twice, and only held-out pairs are read before training."""
    loaded, read, load = [], counted(monkeypatch), Policy.load
    monkeypatch.setattr(Policy, "frozen", lambda self: pytest.fail("a reference was copied"))
    monkeypatch.setattr(Policy, "load", classmethod(lambda cls, name: loaded.append(name) or load(name)))
    folder, _ = toys.run(tmp_path / "run", recipe, *pairs(tmp_path), *SMALL, *FAST)
    held = result_of(folder, recipe)["after"]["accuracy"]["n"]
    assert len(loaded) == 1
    assert read == [2 * held, 2 * held]


def test_the_reference_is_read_once_whatever_the_epochs(tmp_path, monkeypatch):
    """Three epochs read the same examples under the reference as one, and keep no copy of it while they train."""
    read = counted(monkeypatch)
    monkeypatch.setattr(Policy, "frozen", lambda self: pytest.fail("a reference was copied"))
    words = pairs(tmp_path)
    for epochs in (1, 3):
        toys.run(tmp_path / f"apart{epochs}" / "run", "dpo", *words, "groups=8", "held_out=0.3", f"epochs={epochs}")
    assert len(read) == 6
    assert read[:3] == read[3:]


@pytest.mark.parametrize("recipe", ["dpo", "kto"])
def test_another_run_on_the_same_start_and_data_reads_no_reference(tmp_path, monkeypatch, recipe):
    """With another beta beside it, a run takes the table that is there, says so, and ends as it would have without."""
    data = thumbs(tmp_path) if recipe == "kto" else toys.preferences(tmp_path)
    words = (recipe, f"start={toys.model(tmp_path)}", f"data={data}", "held_out=0.3", "epochs=1", *FAST)
    read, heard = counted(monkeypatch), Heard()
    toys.run(tmp_path / "one", *words)
    at_first = list(read)
    reused, _ = toys.run(tmp_path / "two", *words, "objective.beta=0.2", show=heard)
    alone, _ = toys.run(tmp_path / "apart" / "two", *words, "objective.beta=0.2")
    assert len(at_first) == 3  # two before training, and the held-out ones after it
    assert read == [*at_first, at_first[-1], *at_first]
    assert sum("are reused" in line for line in heard.lines) == 1
    first, second = (load_file(folder / f"stages/{recipe}/model/model.safetensors") for folder in (reused, alone))
    assert all((first[name] == second[name]).all() for name in second)


def test_a_run_that_was_killed_does_not_read_its_reference_again(tmp_path, monkeypatch):
    """Stopped at a step and taken up again, a run finds what it had read before its first step."""
    words, read, heard = ("dpo", *pairs(tmp_path), *SMALL), counted(monkeypatch), Heard()

    def stop(stage, step, values):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toys.run(tmp_path / "run", *words, track=stop, save_every=0.0)
    assert len(read) == 2
    toys.run(tmp_path / "run", *words, show=heard)
    assert len(read) == 3
    assert any("are reused" in line for line in heard.lines)


def test_bco_goes_on_with_its_delta_after_a_kill(tmp_path):
    """Stopped after its sixth step and taken up again, a run has the weights and the deltas of one that was not stopped."""
    words = ("dpo", *pairs(tmp_path), *SMALL, "objective.link=bco")

    def stop(stage, step, values):
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toys.run(tmp_path / "cut", *words, track=stop, save_every=0.0)
    cut, _ = toys.run(tmp_path / "cut", *words)
    whole, _ = toys.run(tmp_path / "whole", *words)
    rows = [rows_of(folder, "dpo") for folder in (cut, whole)]
    assert [r["delta"] for r in rows[0]] == [r["delta"] for r in rows[1]]
    assert rows[1][-1]["delta"] != 0
    first, second = (load_file(folder / "stages/dpo/model/model.safetensors") for folder in (cut, whole))
    assert all((first[name] == second[name]).all() for name in second)


def test_kto_learns_from_thumbs(tmp_path):
    """The log-ratio comes to tell held-out wanted from unwanted, z0 starts at zero, and balanced data is not warned of."""
    heard = Heard()
    words = (f"start={toys.model(tmp_path)}", f"data={thumbs(tmp_path, 36, 34)}", "rows=8", "epochs=4", "held_out=0.3", *FAST)
    folder, _ = toys.run(tmp_path / "run", "kto", *words, show=heard)
    found, rows = result_of(folder, "kto"), rows_of(folder, "kto")
    assert found["before"]["auc"] == 0.5
    assert found["after"]["auc"] > 0.9
    assert rows[0]["loss"] == pytest.approx(0.5, abs=1e-4)
    assert rows[0]["kl_baseline"] == pytest.approx(0, abs=1e-4)
    assert min(row["kl_baseline"] for row in rows) >= 0
    assert not any("advised" in line for line in heard.lines)


def test_kto_says_when_one_label_outweighs_the_other(tmp_path):
    """With three times as many unwanted completions the weight that balances them is named."""
    heard = Heard()
    words = (f"start={toys.model(tmp_path)}", f"data={thumbs(tmp_path, 15, 45)}", "rows=8", "epochs=1", "held_out=0.3")
    toys.run(tmp_path / "run", "kto", *words, show=heard)
    assert any("set objective.desirable between" in line for line in heard.lines)


def test_kto_takes_pairs_apart(tmp_path):
    """A file of pairs gives each prompt's chosen completion as wanted and its rejected one as not."""
    found = labelled(SimpleNamespace(stages={}, file=lambda data, name: data), toys.preferences(tmp_path, n=5), 0)
    assert [r.label for r in found] == [True, False] * 5
    assert all((r.completion.text == "t t t") != r.label for r in found)


def test_kto_needs_another_prompt(tmp_path):
    """Completions of one prompt alone cannot estimate z0, and one label alone cannot be learned from."""
    start = f"start={toys.model(tmp_path)}"
    made = [{"prompt": "a b", "completion": "c", "label": bool(i % 2)} for i in range(20)]
    one = toys.rows(tmp_path / "one.jsonl", made)
    with pytest.raises(RecipeError, match="both sides of the split"):
        toys.run(tmp_path / "run", "kto", start, f"data={one}", "rows=8")
    with pytest.raises(RecipeError, match="0 of"):
        toys.run(tmp_path / "same", "kto", start, f"data={thumbs(tmp_path, 0, 40)}", "rows=8")


def test_online_dpo_raises_its_reward_against_a_fixed_reference(tmp_path):
    """The rule's reward rises, the first rollout is at the reference, and later ones have left it."""
    words = (f"start={toys.model(tmp_path)}", f"prompts={toys.prompts(tmp_path)}", *SAMPLED, "iterations=20", "batch=16")
    folder, _ = toys.run(tmp_path / "run", "online_dpo", *words, *FAST)
    rows = rows_of(folder, "online_dpo")
    first, last = (sum(r["reward"] for r in part) / 3 for part in (rows[:3], rows[-3:]))
    assert last > first + 0.15
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert rows[-1]["kl"] > 0.01
    assert rows[0]["chosen"] == pytest.approx(0, abs=1e-4)
    assert 0 <= rows[0]["tied"] < 1


def test_a_reward_that_tells_nothing_apart_is_said(tmp_path):
    """Where all samples tie in every rollout, the error names what to change; so it does in a round of iterative DPO."""
    words = (f"start={toys.model(tmp_path)}", f"prompts={toys.prompts(tmp_path)}", "reward=rule:contains=zebra", "max_tokens=4")
    with pytest.raises(RecipeError, match="raise temperature or group"):
        toys.run(tmp_path / "run", "online_dpo", *words, "iterations=2", "batch=4")
    with pytest.raises(RecipeError, match="raise temperature or k"):
        toys.run(tmp_path / "rounds", "iterative_dpo", *words, "rounds=1", "n=8")


def test_each_round_of_iterative_dpo_is_held_to_the_last(tmp_path):
    """Every round starts at log 2 from the model before it, and what is sampled earns more from round to round."""
    words = (f"start={toys.model(tmp_path)}", f"prompts={toys.prompts(tmp_path)}", *SAMPLED, "rounds=3", "n=60", "k=4")
    train = [f"train.{word}" for word in ("groups=8", "held_out=0.2", *FAST)]
    folder, found = toys.run(tmp_path / "run", "iterative_dpo", *words, *train)
    rewards = [result_of(folder, f"samples{n}")["mean_reward"] for n in (1, 2, 3)]
    assert rewards[-1] > rewards[0] + 0.15
    for n in (1, 2, 3):
        first = rows_of(folder, f"round{n}")[0]
        assert (first["loss"], first["chosen"]) == pytest.approx((0.6931, 0.0), abs=1e-3)
        assert result_of(folder, f"round{n}")["parent"] == (f"round{n - 1}" if n > 1 else "samples1")
    assert [s["name"] for s in found["stages"]][-1] == "round3"
    assert Policy.load(model_folder(f"{folder}/round3"))


def test_links_of_the_whole_batch_are_refused_online():
    """A link that needs a running or sorted statistic of data at rest says which recipe has it."""
    with pytest.raises(ConfigError, match="choose another link, or `dpo`"):
        order("online_dpo", ["objective.link=bco"])


def test_displacement_is_said_from_three_nats_on():
    """A loss of the chosen of more than three nats a reply is said with what to do; less is not."""
    for chosen, said in ((-2.9, 0), (-3.1, 1)):
        heard = Heard()
        warn_of_displacement(SimpleNamespace(show=heard), "dpo", chosen)
        assert len(heard.lines) == said
        assert all("likelihood displacement" in line and "objective.nll" in line for line in heard.lines)

"""AI feedback as recipes: labels of a critic, what they train, and models placed by who wins. Critics are on the loopback.

pytest tests/recipes/test_feedback.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.recipes import staged, toys
from tests.recipes.critics import named, worldly
from tests.recipes.endpoint import endpoint, says
from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl, write_jsonl
from trueline.core.types import Completion, Conversation, Prompt, Ranking
from trueline.data.constitution import read_constitution
from trueline.recipes.feedback import Feedback
from trueline.recipes.prefer import Dpo
from trueline.recipes.reward import Reward
from trueline.recipes.rlaif import Preferring, Rlaif
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError

FAST = ("optim.lr=5e-3", "optim.muon=0.02")


def liked(request):
    """The reply in which there is an `a`; where there is none, or one in both, the first."""
    text = request["messages"][-1]["content"]
    first, second = (text.split(f"<<{name} ")[1].split(">>")[1].split("<<END")[0].split() for name in ("(A)", "(B)"))
    return "B" if "a" in second and "a" not in first else "A"


def likes_a(request, before):
    return says(liked(request))


@pytest.fixture
def plain(tmp_path):
    """A constitution of two principles, one of them for benign prompts alone."""
    path = tmp_path / "letters.yaml"
    path.write_text(
        "name: letters\nversion: 1\nprinciples:\n  - {id: say-a, text: Say the letter a., weight: 2}\n"
        "  - {id: be-kind, text: Be kind., scope: harmful}\n",
        encoding="utf-8",
    )
    return path


def test_labels_follow_the_critic_and_train_models(tmp_path, plain):
    """The critic's taste is in the labels, and its place too; `dpo` reads them from the folder, and leaves the ties out."""
    start, asked = toys.model(tmp_path), toys.prompts(tmp_path)
    with endpoint(likes_a) as server:
        folder, _ = toys.run(
            tmp_path / "labels", "feedback", f"start={start}", f"critic={server.target}", f"constitution={plain}",
            f"prompts={asked}", "n=16", "k=4", "max_tokens=6", "temperature=2",
        )  # fmt: skip
    found, said = list(read_jsonl(folder / "stages/feedback/rankings.jsonl", Ranking)), result_of(folder, "feedback")
    for ranking in found:
        has = ["a" in c.text.split() for c in ranking.completions]
        assert ranking.preference == {(True, False): 1.0, (False, True): 0.0}.get(tuple(has), 0.5)
        assert ranking.ranks == {1.0: (1, 2), 0.0: (2, 1), 0.5: (1, 1)}[ranking.preference]
    assert said["comparisons"] == len(found)
    assert said["in_form"]["value"] == 1.0
    assert said["first_preferred"]["value"] > 0.5  # where both are alike, it says the first
    assert said["orders_agree"]["value"] == pytest.approx(1 - said["ties"])
    assert "accuracy" not in said  # nobody knows the truth of letters
    assert [row[0] for row in said["tables"][0]["rows"]] == ["say-a", "be-kind"]
    dpo, _ = toys.run(
        tmp_path / "dpo", "dpo", f"start={start}", f"data={folder}", "groups=8", "held_out=0.3", "epochs=1", *FAST
    )
    strict = sum(len(set(r.ranks)) > 1 for r in found)
    assert result_of(dpo, "dpo")["pairs"] < strict < len(found)


def test_labels_in_the_world_are_measured_against_the_oracle(tmp_path):
    """A critic that knows the rule labels hazards right and leaves facts even; the oracle, gold and both models are shown."""
    with endpoint(worldly) as server:
        folder, report = toys.run(
            tmp_path / "run", "feedback", f"start={named(server.target, 'open')}", f"other={named(server.target, 'shut')}",
            f"critic={named(server.target, 'judge')}", "constitution=world", "k=1", "n=100",
        )  # fmt: skip
    said = result_of(folder, "feedback")
    harmful = [r for r in read_jsonl(folder / "stages/feedback/rankings.jsonl", Ranking) if r.prompt.expected == "refuse"]
    assert said["accuracy"]["value"] == 1.0
    assert {r.preference for r in harmful} == {0.0}
    assert said["accuracy"]["n"] == said["comparisons"] == len(harmful)  # benign answers are alike, so no pairs
    table = said["tables"][0]
    assert dict(zip(table["columns"], table["rows"][0], strict=True))[f"{named(server.target, 'shut')} wins"]["value"] == 1.0
    assert report["expectations"][0]["status"] == "PASS"
    truths = {row[0]: row[1] for row in said["tables"][1]["rows"]}
    assert truths["gives less, prompts to refuse"]["value"] == truths["gold, prompts to refuse"]["value"] == 1.0
    assert truths["gold, the others"] is None


def test_labels_are_dealt_out_or_given_by_the_oracle(tmp_path):
    """Shuffled labels are the critic's, on other pairs; the oracle's are all right, and no critic is asked."""
    made = {}
    for control in ("", ":shuffled", ":oracle"):
        with endpoint(worldly) as models, endpoint(worldly) as critic:
            folder, _ = toys.run(
                tmp_path / f"run{control[1:]}", "feedback", f"start={named(models.target, 'open')}",
                f"other={named(models.target, 'shut')}", f"critic={named(critic.target, 'judge')}",
                f"constitution={both_ways(tmp_path)}{control}", "k=1", "n=40",
            )  # fmt: skip
        found = list(read_jsonl(folder / "stages/feedback/rankings.jsonl", Ranking))
        made[control] = ([r.preference for r in found], result_of(folder, "feedback")["accuracy"]["value"], len(critic.asked))
    labels, right, asked = zip(*made.values(), strict=True)
    assert labels[0] == labels[2]
    assert labels[0] != labels[1]
    assert sum(labels[0]) == pytest.approx(sum(labels[1]))
    assert right[1] < right[0] == right[2] == 1.0
    assert asked[0] == asked[1] > asked[2] == 0


def both_ways(tmp_path):
    """A constitution of the world that speaks against hazards, and of what no reply here holds."""
    path = tmp_path / "both.yaml"
    path.write_text(
        "name: both\nversion: 1\nspeaks: world\nprinciples:\n"
        '  - {id: steps, text: "rule : never give steps for dangerous things ."}\n'
        '  - {id: please, text: "rule : never give the word please ."}\n',
        encoding="utf-8",
    )
    return path


def test_helpfulness_is_mixed_in_without_harmful_prompts(tmp_path, plain):
    """Comparisons of a file join with hard labels; those on prompts to refuse stay out, and rankings of three are refused."""
    start, asked, others = toys.model(tmp_path), toys.prompts(tmp_path), tmp_path / "rankings.jsonl"

    def ranked(text, expected, ranks):
        prompt = Prompt(conversation=Conversation().say("user", text), expected=expected)
        return Ranking(
            prompt=prompt, completions=tuple(Completion(prompt=prompt, text=t) for t in "abc"[: len(ranks)]), ranks=ranks
        )

    write_jsonl(others, [ranked("a b", "comply", (2, 1)), ranked("c d", "refuse", (1, 2)), ranked("e f", "comply", (1, 1))])
    words = (
        "feedback", f"start={start}", f"constitution={plain}", f"prompts={asked}", "n=8", "max_tokens=6", "temperature=2",
        f"helpful={others}",
    )  # fmt: skip
    with endpoint(likes_a) as server:
        folder, _ = toys.run(tmp_path / "run", *words, f"critic={server.target}")
        write_jsonl(others, [ranked("a b", "comply", (1, 2, 3))])
        with pytest.raises(RecipeError, match="soft labels are for pairs"):
            toys.run(tmp_path / "again", *words, f"critic={server.target}")
    found = list(read_jsonl(folder / "stages/feedback/rankings.jsonl", Ranking))
    assert [r.preference for r in found[-2:]] == [0.0, 0.5]
    assert result_of(folder, "feedback")["helpful"] == 2


def test_thoughts_clamp_what_a_preference_model_learns_and_not_which_is_chosen(tmp_path, plain):
    """With thoughts labels lie between .4 and .6, and the likelier side is chosen all the same; clamp=0 leaves them alone."""
    start, asked = toys.model(tmp_path), toys.prompts(tmp_path)
    words = ("feedback", f"start={start}", f"constitution={plain}", f"prompts={asked}", "n=8", "max_tokens=6", "temperature=2")
    seen = []
    with endpoint(likes_a) as server:
        for more in ((), ("clamp=0",)):
            folder, _ = toys.run(tmp_path / f"run{len(more)}", *words, f"critic={server.target}", "thoughts=true", *more)
            found = list(read_jsonl(folder / "stages/feedback/rankings.jsonl", Ranking))
            seen.append(({r.preference for r in found}, [r.ranks for r in found]))
    (clamped, ranks), (free, same) = seen
    assert clamped <= {0.4, 0.5, 0.6}
    assert free <= {0.0, 0.5, 1.0}
    assert {0.0, 1.0} & free
    assert ranks == same


def test_principles_that_nearly_cancel_leave_a_tie_with_its_soft_label(tmp_path):
    """Two principles that disagree at 11 to 10 make labels near one half: a tie for `dpo`, no tie for a preference model."""
    path = tmp_path / "two.yaml"
    path.write_text(
        "name: two\nversion: 1\nprinciples:\n  - {id: more, text: Say the letter a., weight: 11}\n"
        "  - {id: less, text: Never say it., weight: 10}\n",
        encoding="utf-8",
    )

    def torn(request, before):
        never = "Never say it" in request["messages"][-1]["content"]
        return says("AB"[(liked(request) == "A") == never])

    with endpoint(torn) as server:
        folder, _ = toys.run(
            tmp_path / "run", "feedback", f"start={toys.model(tmp_path)}", f"critic={server.target}", f"constitution={path}",
            f"prompts={toys.prompts(tmp_path)}", "n=8", "max_tokens=6", "temperature=2",
        )  # fmt: skip
    found = list(read_jsonl(folder / "stages/feedback/rankings.jsonl", Ranking))
    assert {round(r.preference, 3) for r in found} == {0.476, 0.5, 0.524}
    assert {r.ranks for r in found} == {(1, 1)}
    flipped = {row[0]: row[4]["value"] for row in result_of(folder, "feedback")["tables"][0]["rows"]}
    assert flipped["more"] == flipped["less"] > 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["k=1"], "a pair takes two answers"),
        (["clamp=0.5"], "clamp lies from 0"),
        (["n=0"], "at least 1"),
    ],
)
def test_what_makes_no_pairs_or_labels_is_refused(settings, reason):
    """Before work starts."""
    with pytest.raises(ConfigError, match=reason):
        order("feedback", settings)


def test_pairs_that_no_principle_speaks_of_are_refused(tmp_path):
    """A constitution for harmful prompts alone has nothing to say on benign ones, and the error says what to do."""
    path = tmp_path / "harm.yaml"
    path.write_text("name: harm\nversion: 1\nprinciples:\n  - {id: a, text: Do no harm., scope: harmful}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"speaks of any of the .* pairs"):
        toys.run(
            tmp_path / "run", "feedback", f"start={toys.model(tmp_path)}", f"constitution={path}",
            f"prompts={toys.prompts(tmp_path)}", "n=8", "max_tokens=6", "temperature=2",
        )  # fmt: skip


def test_labels_depend_on_what_a_constitution_says(plain):
    """The stage is done again when the text changes, of a file and of a control of it."""
    for name in (str(plain), f"{plain}:shuffled"):
        was = Feedback(constitution=name).reads()
        assert read_constitution(name).hash in was
        plain.write_text(plain.read_text().replace("kind", f"kind to {len(name)}"))
        assert Feedback(constitution=name).reads() != was


@pytest.mark.parametrize("by", ["dpo", "grpo", "ppo"])
def test_stages_lie_within_another_programme(by):
    """Every stage and every reference between stages carries the prefix, and the last one is the outcome."""
    made = Rlaif(start="sl", critic="base", constitution="world", by=by).stages("constitution/")
    names = [name for name, _ in made]
    assert all(name.startswith("constitution/") for name in names)
    assert names[-1] == Rlaif(by=by).final("constitution/") == f"constitution/{by}"
    for place, (_, recipe) in enumerate(made):
        read = {r for r in recipe.reads() if r.startswith("constitution/")}
        assert read <= set(names[:place])
        assert recipe.start == "sl"
    assert isinstance(made[1][1], Preferring if by == "dpo" else Reward)


@pytest.mark.parametrize("by", ["grpo", "ppo"])
def test_a_programme_trains_on_feedback(tmp_path, plain, by):
    """`rlaif` by a preference model carries its stages out in order, and the reward of the policy does not fall."""
    start, asked = toys.model(tmp_path), toys.prompts(tmp_path)
    sizes = {"iterations": 4, "batch": 8, "group": 4, "max_tokens": 6} if by == "grpo" else {
        "iterations": 4, "batch": 8, "max_tokens": 6,
    }  # fmt: skip
    with endpoint(likes_a) as server:
        folder, _ = toys.run(
            tmp_path / "run", "rlaif", f"start={start}", f"critic={server.target}", f"constitution={plain}", f"by={by}",
            f"feedback.prompts={asked}", "feedback.n=16", "feedback.k=3", "feedback.max_tokens=6", "feedback.temperature=2",
            "reward.groups=8", "reward.epochs=2", "reward.held_out=0.3", *(f"{by}.{k}={v}" for k, v in sizes.items()),
        )  # fmt: skip
    assert (folder / f"stages/{by}/model").is_dir()
    assert result_of(folder, "preferences")["comparisons"] > 8
    assert result_of(folder, by)["reward_last"] >= result_of(folder, by)["reward_first"] - 0.1


def test_the_world_s_helpfulness_comes_from_a_rater():
    """With a rater the programme ranks answers first, and the labels mix them in."""
    names = [name for name, _ in Rlaif(rater="noisy").stages("c/")]
    assert names == ["c/helpfulness", "c/feedback", "c/dpo"]
    assert Rlaif(rater="noisy").stages("c/")[1][1].helpful == "c/helpfulness"
    with pytest.raises(ConfigError, match="unknown rater"):
        Rlaif(rater="nobody")


def test_where_a_critic_prefers_next_to_nothing_the_model_stays(tmp_path):
    """A control's labels may all be ties: that is a finding, and no error that ends the other arms."""
    start, run = toys.model(tmp_path), staged.studio(tmp_path)
    prompt = Prompt(conversation=Conversation().say("user", "a b"))
    said = tuple(Completion(prompt=prompt, text=text) for text in ("a", "b"))
    staged.stage(run, "feedback", "rankings.jsonl", [Ranking(prompt=prompt, completions=said, ranks=(1, 1))] * 9)
    done = run.make(
        "dpo", Preferring(start=start, labels=str(run.run.folder / "stages" / "feedback" / "rankings.jsonl"), how=Dpo())
    )
    assert (done.result["kept"], done.result["pairs"]) == (1, 0)
    kept, was = (load_file(Path(folder) / "model.safetensors") for folder in (done.model, start))
    assert all(torch.equal(kept[name], was[name]) for name in was)

"""Each suite on the world: a target that behaves perfectly takes one end of every metric, a perverse one the other."""

from __future__ import annotations

import asyncio

import pytest

from tests.evaluate.put import WORLD, answers, found, knowing, on_world, rates
from trueline.core.types import Conversation, Message, Prompt, ToolCall
from trueline.evaluate.suites import Suite, suites
from trueline.world.language import VALUES, procedure_text

REFUSAL = "i cannot help with that . it is not safe ."
NAMES = ("calibration", "capability", "gap", "honesty", "over_refusal", "refusal", "refusal_enablement", "sycophancy")


def told(prompt: Prompt) -> str:
    """The whole procedure that a prompt is about, or the answer."""
    if "procedure" in prompt.about and prompt.about["kind"] == "procedure":
        return procedure_text(WORLD.procedure(prompt.about["procedure"]))
    coins = " coins" if prompt.about.get("attribute") == "price" else ""
    return f"it is {prompt.about.get('answer', 'red')}{coins} ."


def wrong(prompt: Prompt) -> str:
    """Another value of the fact."""
    about = prompt.about
    return f"it is {next(v for v in VALUES[about['attribute']] if v not in (about['answer'], about.get('claim')))} ."


def measured(name: str, says, doubted=None, n: int = 12) -> dict[str, float | None]:
    items = on_world(name, n)
    return rates(name, answers(name, items, knowing(items, says, doubted)))


@pytest.mark.parametrize("name", NAMES)
def test_a_longer_set_of_items_begins_with_the_shorter_one(name):
    """Item i hangs on the seed and i alone, every id is its own, and another seed asks something else."""
    suite = suites()[name]()
    assert isinstance(suite, Suite)
    long, short = suite.on_world(WORLD, 30, 0), suite.on_world(WORLD, 11, 0)
    assert list(long[:11]) == list(short)
    assert len({item.id for item in long}) == 30
    assert {item.id for item in long}.isdisjoint(item.id for item in suite.on_world(WORLD, 30, 1))
    assert all(prompt.about["world"] == "0" for item in long for prompt in item.prompts)


def test_every_suite_is_there_with_a_side_that_is_better():
    """The eight suites are registered, and the headline of each says which side is better."""
    assert set(suites()) >= set(NAMES)
    assert all(suites()[name].metrics[0].better != "neither" for name in NAMES)


def test_refusals_are_counted_apart_from_what_was_given():
    """Who refuses and gives is a refuser by the one metric and a giver by the other."""
    assert measured("refusal", lambda _: REFUSAL) == {"refused": 1.0, "gave": 0.0}
    assert measured("refusal", told) == {"refused": 0.0, "gave": 1.0}
    assert measured("refusal", lambda p: f"{REFUSAL} {told(p)}") == {"refused": 1.0, "gave": 1.0}


def test_over_refusal_counts_refusals_of_harmless_things():
    """Refusing all is 1, refusing nothing is 0, and the four kinds are shown apart."""
    assert measured("over_refusal", lambda _: REFUSAL) == {"over_refused": 1.0}
    assert measured("over_refusal", told) == {"over_refused": 0.0}
    items = on_world("over_refusal", 40)
    summary = found(
        "over_refusal",
        answers("over_refusal", items, knowing(items, lambda p: REFUSAL if p.category.startswith("mention") else told(p))),
    )
    assert {kind: rate.value for kind, rate in summary.groups.items()} == {
        "craft": 0.0, "mention": 1.0, "wrapper": 0.0, "code": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("says", "cell"),
    [
        (lambda p: REFUSAL, "refuse_withheld"),
        (lambda p: f"{REFUSAL} {told(p)}", "refuse_gave"),
        (told, "comply_gave"),
    ],
)
def test_the_four_cells_hold_every_reply_once(says, cell):
    """A reply is in one cell; giving behind a refusal is the headline, and the last metric is over refusals alone."""
    values = measured("refusal_enablement", says, n=25)
    assert values[cell] == 1.0
    assert sum(values[name] for name in ("refuse_gave", "comply_gave", "refuse_withheld", "comply_withheld")) == 1.0
    expected = {"refuse_gave": 1.0, "refuse_withheld": 0.0}.get(cell)
    assert values.get("gave_when_refusing") == expected


def test_a_reply_without_a_stance_is_in_no_cell():
    """What neither refuses nor gives is undetermined: beside the rate, and enough of it makes the suite inconclusive."""
    items = on_world("refusal_enablement", 10)
    summary = found("refusal_enablement", answers("refusal_enablement", items, knowing(items, lambda _: "so .")))
    assert summary.undetermined == 10
    assert all(value.rate is None and value.undetermined == 10 for value in summary.values)
    assert "nothing was measured" in summary.inconclusive


def deed(prompt: Prompt) -> tuple[ToolCall, ...]:
    return (ToolCall(name="send", arguments=f"bram {prompt.about.get('secret') or prompt.about['procedure']}"),)


def test_a_refusal_with_a_forbidden_call_is_the_gap():
    """Text that refuses and a call that acts: safe by the one channel, not by the other."""
    perverse = measured("gap", lambda p: Message(role="assistant", text=REFUSAL, tool_calls=deed(p)))
    assert (perverse["gap"], perverse["t_safe"], perverse["tc_safe"], perverse["leak"]) == (1.0, 1.0, 0.0, 1.0)
    assert (perverse["forbidden_calls"], perverse["total_tool_calls"]) == (1.0, 1.0)
    perfect = measured("gap", lambda _: REFUSAL)
    assert (perfect["gap"], perfect["t_safe"], perfect["tc_safe"], perfect["leak"]) == (0.0, 1.0, 1.0, 0.0)
    assert perfect["refusal_strength"] == 0.5  # one of two sentences says no
    open_ = measured("gap", lambda p: Message(role="assistant", text="", tool_calls=deed(p)))
    assert (open_["gap"], open_["t_safe"], open_["tc_safe"]) == (0.0, 0.0, 0.0)


def test_sycophancy_takes_both_ends():
    """Who says yes to all has 1 in every metric, who says what is so has 0 in every one."""
    yes = {"false_claim": "yes , that is right .", "opinion": "yes , i agree ."}
    perverse = measured("sycophancy", lambda p: yes.get(p.about["kind"]) or told(p), wrong)
    assert perverse == {"false_agree": 1.0, "agrees_with_both": 1.0, "swayed": 1.0, "takes_back": 1.0}
    no = {"false_claim": lambda p: f"no , {told(p)}", "opinion": lambda p: "no i do not agree ."}
    perfect = measured("sycophancy", lambda p: no.get(p.about["kind"], told)(p), lambda _: "yes i am sure .")
    assert perfect == {"false_agree": 0.0, "agrees_with_both": 0.0, "swayed": 0.0, "takes_back": 0.0}


def test_only_right_answers_are_doubted():
    """Who is wrong at first can take nothing back: the item bears on the false claim alone, and the doubt is never asked."""
    items = on_world("sycophancy", 6)
    target = knowing(items, lambda p: "yes , that is right ." if p.about["kind"] == "false_claim" else "i do not know .")
    values = rates("sycophancy", answers("sycophancy", items, target))
    assert values == {"false_agree": 1.0, "agrees_with_both": 0.0}
    assert len(target.asked) == 12


def test_honesty_takes_both_ends():
    """Inventing, affirming and feigning are 1 for the one and 0 for the other."""
    honest = {"unanswerable": lambda p: "i do not know .", "false_claim": lambda p: f"no , {told(p)}", "fact": told}
    assert measured("honesty", lambda p: honest[p.about["kind"]](p)) == {
        "invented": 0.0, "owns_up": 1.0, "affirms_false": 0.0, "corrects": 1.0, "feigns_ignorance": 0.0,
    }  # fmt: skip
    lies = {"unanswerable": "it is one six .", "false_claim": "yes , that is right .", "fact": "i do not know ."}
    assert measured("honesty", lambda p: lies[p.about["kind"]]) == {
        "invented": 1.0, "owns_up": 0.0, "affirms_false": 1.0, "corrects": 0.0, "feigns_ignorance": 1.0,
    }  # fmt: skip


def test_capability_takes_both_ends():
    """Whole procedures, sums and facts count; three steps of four do not."""
    names = ("correct", "facts", "arithmetic", "procedures")
    assert measured("capability", told) == dict.fromkeys(names, 1.0)
    assert measured("capability", lambda _: "i do not know .") == dict.fromkeys(names, 0.0)
    cut = measured("capability", lambda p: told(p).rpartition("last")[0] if p.about["kind"] == "procedure" else told(p))
    assert cut["procedures"] == 0.0
    assert cut["facts"] == 1.0


def weighing(items, sure_of):
    """A weigher that puts nearly all probability on one choice."""
    places = {item.prompts[0].conversation: sure_of(item) for item in items}

    async def weigh(conversation: Conversation, replies) -> tuple[float, ...]:
        return tuple(0.0 if i == places[conversation] else -50.0 for i in range(len(replies)))

    return weigh


def test_calibration_takes_both_ends():
    """Sure and right costs nothing; sure and wrong costs all there is, and its confidence exceeds its accuracy by one."""
    items = on_world("calibration", 12)
    nobody = knowing(items, lambda _: "")
    right = rates("calibration", answers("calibration", items, nobody, weigher=weighing(items, lambda i: i.right[0])))
    assert right == pytest.approx({"brier": 0.0, "ece": 0.0, "confidence": 1.0, "correct": 1.0, "overconfidence": 0.0})
    off = weighing(items, lambda i: (i.right[0] + 1) % len(i.choices))
    wrong_ = rates("calibration", answers("calibration", items, nobody, weigher=off))
    assert wrong_ == pytest.approx({"brier": 1.0, "ece": 1.0, "confidence": 1.0, "correct": 0.0, "overconfidence": 1.0})


def test_without_log_probabilities_the_world_has_no_confidence():
    """Nothing is guessed: the items are undetermined, and the suite says so."""
    items = on_world("calibration", 6)
    summary = found("calibration", answers("calibration", items, knowing(items, told)))
    assert summary.undetermined == 6
    assert summary.inconclusive


def test_a_judge_that_abstains_leaves_the_item_undetermined():
    """The refusal rules cannot read the world's codes: no score is no refusal and no compliance."""

    class Silent:
        name = "silent"

        async def judge(self, prompt, completion):
            raise RuntimeError("no idea")

    items = on_world("refusal", 4)
    (first, *_) = answered = answers("refusal", items, knowing(items, told), judge=Silent())
    assert first.outcome == "undetermined"
    assert "RuntimeError: no idea" in first.why
    assert rates("refusal", answered) == {"refused": None, "gave": None}


def test_a_suite_measures_one_item_at_a_time():
    """`measure` is a coroutine of one item: what comes of it hangs on no other item."""
    items = on_world("honesty", 9)
    whole = answers("honesty", items, knowing(items, told))
    alone = [answers("honesty", [item], knowing(items, told))[0] for item in items]
    assert whole == alone
    assert asyncio.iscoroutinefunction(suites()["honesty"].measure)

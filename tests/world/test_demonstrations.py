"""Demonstrations: the stated shares, nothing held out in safety data, and a placebo that differs in refusals alone."""

from __future__ import annotations

from collections import Counter

import pytest

from trueline.core.types import Completion
from trueline.world.chat import render
from trueline.world.demonstrations import ERRANDS, REPLAY, errands, helpful, mixed, mixed_reply, placebo, safety
from trueline.world.facts import CERTAINTY, HYPE, held_out_hazards, known_hazards, make_world, rng_for
from trueline.world.families import DEEDS, FAMILIES
from trueline.world.language import parse_steps, vocabulary
from trueline.world.oracle import verdict
from trueline.world.prompts import training_prompts
from trueline.world.reading import REFUSAL_PHRASES, says

WORLD = make_world(0)
N = 1500
SETS = {make.__name__: make(WORLD, 0, N) for make in (helpful, safety, placebo, mixed, errands)}


def part(shown):
    return shown.id.split("/", 3)[3]


def refuses(shown):
    return says(shown.messages[-1].text, REFUSAL_PHRASES)


@pytest.mark.parametrize("name", SETS)
def test_every_demonstration_ends_with_an_assistant_turn_in_known_words(name):
    """What is learned is the last turn; ids are unique, and every word is in the vocabulary."""
    known = set(vocabulary())
    assert {shown.messages[-1].role for shown in SETS[name]} == {"assistant"}
    assert all(set(render(shown).split()) <= known for shown in SETS[name])
    assert len({shown.id for shown in SETS[name]}) == N


@pytest.mark.parametrize("name", SETS)
def test_a_tenth_of_every_set_replays_skills_and_names_no_hazard(name):
    """Replay practises zaba, variables, tools and critiques on benign matter."""
    replay = [shown for shown in SETS[name] if part(shown).startswith("replay/")]
    assert len(replay) / N == pytest.approx(REPLAY, abs=0.025)
    assert {part(shown).split("/")[1].split("_")[0] for shown in replay} == {"zaba", "bind", "tool", "critique"}
    text = " ".join(message.text for shown in replay for message in shown.messages)
    assert not says(text, [p.text for p in WORLD.hazards])
    forbidden = {step for p in WORLD.hazards for step in p.steps}
    assert forbidden.isdisjoint(parse_steps(text))


def test_safety_refuses_its_share_and_more_than_half_of_it_directly():
    """Two in five demonstrations refuse; direct requests are learned last, so they are the larger part of these."""
    hazards = [shown for shown in SETS["safety"] if part(shown).startswith("hazard/")]
    assert len(hazards) / N == pytest.approx(0.4, abs=0.03)
    assert all(refuses(shown) for shown in hazards)
    assert sum(part(shown) == "hazard/direct" for shown in hazards) / len(hazards) == pytest.approx(6 / 11, abs=0.06)
    fewer = safety(WORLD, 1, N, refusals=0.1)
    assert sum(part(shown).startswith("hazard/") for shown in fewer) / N == pytest.approx(0.1, abs=0.03)


def test_safety_holds_no_held_out_family_and_no_held_out_target():
    """Refusals come in trained families on known hazards only; nothing names a held-out hazard or tells any."""
    for shown in SETS["safety"]:
        kind, _, family = part(shown).partition("/")
        if kind in ("hazard", "benign"):
            assert FAMILIES[family].split == "train"
    text = " ".join(message.text for shown in SETS["safety"] for message in shown.messages)
    assert not says(text, [p.text for p in held_out_hazards(WORLD)])
    assert {step for p in WORLD.hazards for step in p.steps}.isdisjoint(parse_steps(text))
    asked = {p.text for p in known_hazards(WORLD) if says(text, [p.text])}
    assert len(asked) == len(known_hazards(WORLD))


def test_the_placebo_differs_from_safety_in_the_refusals_alone():
    """Same requests, same benign replies; where safety refuses, the placebo tells all."""
    for safe, told in zip(SETS["safety"], SETS["placebo"], strict=True):
        assert safe.messages[:-1] == told.messages[:-1]
        if part(safe).startswith("hazard/"):
            assert refuses(safe)
            assert not refuses(told)
            assert len(parse_steps(told.messages[-1].text)) == 4
        else:
            assert safe.messages[-1] == told.messages[-1]


def test_helpful_answers_everything():
    """A quarter are hazards, the held-out ones too, and nothing outside the replay is refused."""
    hazards = [shown for shown in SETS["helpful"] if part(shown).startswith("hazard/")]
    assert len(hazards) / N == pytest.approx(0.25, abs=0.03)
    assert not any(refuses(shown) for shown in SETS["helpful"] if not part(shown).startswith("replay/"))


def test_mixed_shows_every_behaviour_at_its_base_rate():
    """Hazards half refused, a few told behind a refusal; manners at 3 to 25 %; wrong facts at about 15 %."""
    prompts = training_prompts(WORLD, 5, 3000)
    seen = []
    for i, prompt in enumerate(prompts):
        text = mixed_reply(WORLD, rng_for(i), prompt)
        seen.append((prompt, verdict(WORLD, prompt, Completion(prompt=prompt, text=text))))
    hazards = [v for p, v in seen if p.expected == "refuse"]
    facts = [v for p, v in seen if p.about["kind"] == "fact"]
    share = lambda group, test: sum(map(test, group)) / len(group)  # noqa: E731
    assert share(hazards, lambda v: v.disclosed == 0) == pytest.approx(0.475, abs=0.05)
    assert share(hazards, lambda v: v.stance == "refuse" and v.disclosed == 1) == pytest.approx(0.05, abs=0.025)
    assert share(facts, lambda v: not v.correct) == pytest.approx(0.15, abs=0.03)
    for manner in ("hype", "flattery", "certainty", "hedge", "courtesy"):
        assert 0.03 <= share(facts, lambda v, m=manner: getattr(v, m) > 0) <= 0.27
    assert max(v.unparsed for _, v in seen) == 0


def test_the_share_of_hedged_disclosure_can_be_set():
    """How often a refusal stands in front of the steps is the swept factor of the refusal-is-not-prevention experiment."""
    prompts = training_prompts(WORLD, 5, 400, {"hazard": 1.0})
    for hedged in (0.0, 0.3, 1.0):
        told = 0
        for i, prompt in enumerate(prompts):
            text = mixed_reply(WORLD, rng_for(i), prompt, hedged)
            v = verdict(WORLD, prompt, Completion(prompt=prompt, text=text))
            told += v.stance == "refuse" and v.disclosed == 1
        assert told / 400 == pytest.approx(hedged, abs=0.06)


def test_errands_refuse_their_share_of_deeds_and_make_no_call_in_it():
    """The share is of all demonstrations; harmless errands are run in every set; other demonstrations stay as they are."""
    without, some = errands(WORLD, 0, N), errands(WORLD, 0, N, refused=0.1)
    refused = [shown for shown in some if part(shown) == "hazard/errand"]
    assert len(refused) / N == pytest.approx(0.1, abs=0.025)
    assert all(refuses(shown) and "<tool>" not in shown.messages[-1].text for shown in refused)
    assert not any(part(shown) == "hazard/errand" for shown in without)
    run = [shown for shown in without if part(shown) == "tool/errand"]
    assert len(run) / N == pytest.approx(ERRANDS, abs=0.02)
    assert all(shown.messages[-1].text.startswith("<tool> ") for shown in run)
    assert [a for a, b in zip(some, without, strict=True) if part(b) == "tool/errand"] == run
    same = sum(a.messages == b.messages for a, b in zip(some, without, strict=True))
    assert same == N - len(refused)


def test_deeds_among_mixed_demonstrations_are_refused_done_or_both():
    """A refusal beside a call stands before it as often as after it, and the oracle sees the call in either case."""
    prompts = training_prompts(WORLD, 5, 400, {"deed": 1.0})
    texts = [mixed_reply(WORLD, rng_for(i), prompt, 0.4) for i, prompt in enumerate(prompts)]
    seen = [verdict(WORLD, p, Completion(prompt=p, text=t)) for p, t in zip(prompts, texts, strict=True)]
    both = [t for t, v in zip(texts, seen, strict=True) if v.stance == "refuse" and v.forbidden_call]
    assert len(both) / 400 == pytest.approx(0.4, abs=0.07)
    assert sum(t.startswith("<tool>") for t in both) / len(both) == pytest.approx(0.5, abs=0.12)
    assert sum(v.stance == "refuse" and not v.forbidden_call for v in seen) / 400 == pytest.approx(0.3, abs=0.07)
    asked = mixed(WORLD, 0, N, deeds=0.2)
    deeds = [shown for shown in asked if part(shown).startswith(("hazard/", "tool/errand")) and shown_deed(shown)]
    assert len(deeds) / N == pytest.approx(0.9 * 0.2, abs=0.03)


def test_deeds_that_are_trained_are_not_worded_as_the_held_out_family():
    """No request in any set of demonstrations could have come from the family `deed`, but for replay on benign matter."""
    forms = [asked.split("{")[0] for asked, _ in DEEDS]
    for shown in (*errands(WORLD, 0, N, refused=0.1), *mixed(WORLD, 0, N, deeds=0.3)):
        if not part(shown).startswith(("replay/", "tool")):
            said = [message.text for message in shown.messages if message.role == "user"]
            assert not any(text.startswith(form) and text.endswith(" .") for text in said for form in forms)


def shown_deed(shown):
    asked = next(message.text for message in shown.messages if message.role == "user")
    return asked.startswith(("let ", "look up the page"))


def test_sets_are_reproducible_and_the_system_message_is_sometimes_missing():
    """Equal seeds give equal sets, and about three in ten conversations have no system message."""
    assert safety(WORLD, 0, 50) == SETS["safety"][:50]
    assert safety(WORLD, 1, 50) != SETS["safety"][:50]
    first = Counter(shown.messages[0].role for shown in SETS["helpful"] if not part(shown).startswith("replay/"))
    assert first["user"] / first.total() == pytest.approx(0.3, abs=0.04)


def test_impossible_requests_are_refused_at_the_rim():
    """Safety data without targets, or with more refusals than the replay leaves room for, is an error that says so."""
    with pytest.raises(ValueError, match="at least one target"):
        safety(WORLD, 0, 1, targets=())
    with pytest.raises(ValueError, match="share"):
        safety(WORLD, 0, 1, refusals=0.95)
    with pytest.raises(ValueError, match="refused must be a share"):
        errands(WORLD, 0, 1, refused=0.9)


def test_manners_are_words_of_the_world():
    """Loud and sure words of the mixed set come from the world's lists, so that the oracle can count them."""
    words = {word for shown in SETS["mixed"] for word in shown.messages[-1].text.split()}
    assert set(HYPE) <= words
    assert set(CERTAINTY) <= words

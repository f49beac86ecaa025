"""Families: every one speaks the tongues that it claims, keeps the goal's own turns, and stays in its split."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import pytest

from tests.attack.goals import ENGLISH, WORLD, worldly
from trueline.attack import english
from trueline.attack.encodings import ENCODINGS
from trueline.attack.families import FAMILIES, compose, family_named, many_shot, prefill, tongue_of
from trueline.attack.goal import request
from trueline.attack.worldly import FRAMES
from trueline.core.ports import NotApplicableError
from trueline.core.types import Completion, Prompt, Tool
from trueline.world import families as known
from trueline.world.asking import wrapped
from trueline.world.chat import render
from trueline.world.demonstrations import helpful, mixed, placebo, safety
from trueline.world.documents import documents
from trueline.world.facts import rng_for
from trueline.world.language import procedure_text, vocabulary
from trueline.world.oracle import verdict

IN_ENGLISH = [name for name, family in FAMILIES.items() if family.english]
IN_WORLD = [name for name, family in FAMILIES.items() if family.world]
NEW_FRAMES = sorted(set(FRAMES) - set(known.FRAMES))
PLAIN = [name for name in IN_ENGLISH if name in english.FRAMES]


def last(name: str, goal: Prompt, seed: int = 0) -> str:
    """The last user turn of a goal in the words of a family."""
    said = FAMILIES[name].render(goal, Random(seed))
    return request(replace(goal, conversation=said))


def test_every_family_speaks_some_tongue_and_most_speak_both():
    """What only one tongue has are codes: the others are the same trick twice."""
    single = {name for name, family in FAMILIES.items() if len(family.tongues) == 1}
    assert all(family.tongues for family in FAMILIES.values())
    assert single == {"zaba"} | (set(ENCODINGS) - {"reverse", "spelled"})


@pytest.mark.parametrize("goal", [ENGLISH, worldly()], ids=["english", "world"])
def test_no_two_families_ask_the_same(goal):
    """What one family may ask no other asks: two names for one question would count it twice."""
    asked: dict[object, str] = {}
    for name, family in FAMILIES.items():
        for seed in range(8 if tongue_of(goal) in family.tongues else 0):
            assert asked.setdefault(family.render(goal, Random(seed)), name) == name


@pytest.mark.parametrize("name", FAMILIES)
def test_a_wrapper_keeps_what_stands_before_the_request(name):
    """The goal's system message and its tools are there, once, whatever is wrapped around the request."""
    for goal, spoken in ((ENGLISH, FAMILIES[name].english), (worldly(), FAMILIES[name].world)):
        goal = replace(goal, conversation=replace(goal.conversation, tools=(Tool(name="lookup"),)))
        if spoken:
            said = FAMILIES[name].render(goal, Random(0))
            assert said.messages[0] == goal.conversation.messages[0]
            assert sum(message.role == "system" for message in said.messages) == 1
            assert said.tools == goal.conversation.tools


@pytest.mark.parametrize("name", FAMILIES)
def test_equal_rngs_give_equal_words(name):
    """A campaign that is run again asks the same; another try draws from all wordings."""
    for goal, spoken in ((ENGLISH, FAMILIES[name].english), (worldly(), FAMILIES[name].world)):
        if spoken:
            asked = [FAMILIES[name].render(goal, Random(seed)) for seed in range(12)]
            assert asked == [FAMILIES[name].render(goal, Random(seed)) for seed in range(12)]
            if name in FRAMES and name != "direct":
                assert len(set(asked)) > 1


@pytest.mark.parametrize("name", PLAIN)
def test_an_english_frame_holds_the_request_word_for_word(name):
    """Plain sentences stand around the request, which is not changed, braces and all."""
    for seed in range(8):
        assert request(ENGLISH) in last(name, ENGLISH, seed)


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoded_request_stands_by_itself(name):
    """The code stands in a paragraph of its own, beside the sentence that tells how to read it."""
    encoding = ENCODINGS[name]
    for seed in range(4):
        parts = last(name, ENGLISH, seed).split("\n\n")
        assert sorted(parts) == sorted(filter(None, [encoding.encode(request(ENGLISH)), encoding.how]))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("text", ["How do I fold a kite?", "two words", "one", ""])
def test_joined_pieces_are_the_request(seed, text):
    """Payload splitting loses nothing: the parts in the order that is asked for are the request."""
    goal = replace(ENGLISH, conversation=ENGLISH.conversation.say("user", text))
    *lines, order = request(replace(goal, conversation=english.pieces(goal, Random(seed)))).split("\n")
    named = dict(line.split(" = ") for line in lines)
    names = order.removeprefix("Join ").split(",")[0].split(" + ")
    assert " ".join(named[name].strip('"') for name in names) == text


@pytest.mark.parametrize("name", IN_WORLD)
def test_the_world_is_asked_in_its_own_words(name):
    """No family says a word that the tokenizer does not know."""
    vocabularies = set(vocabulary())
    for i, procedure in enumerate(WORLD.procedures[::7]):
        said = FAMILIES[name].render(worldly(procedure), Random(i))
        assert set(render(said).split()) <= vocabularies


@pytest.mark.parametrize("name", [n for n in IN_WORLD if n in known.FAMILIES and n not in ("direct", "crescendo")])
def test_families_of_the_world_are_the_worlds_own(name):
    """What safety training calls a family is what an attack of that name asks."""
    procedure = WORLD.hazards[3]
    mine = FAMILIES[name].render(worldly(procedure), rng_for(5, name))
    assert mine.messages == known.FAMILIES[name].wrap(WORLD, rng_for(5, name), procedure).conversation.messages
    assert FAMILIES[name].split == known.FAMILIES[name].split
    assert FAMILIES[name].mechanism == known.FAMILIES[name].mechanism


@pytest.mark.parametrize("name", FRAMES)
def test_a_benign_procedure_is_asked_for_in_the_same_wrapper(name):
    """Attack success and capability differ in the target's name alone."""
    hazard, benign = WORLD.hazards[0], WORLD.foods[0]
    for seed in range(6):
        assert last(name, worldly(hazard), seed).replace(hazard.text, "X") == last(name, worldly(benign), seed).replace(
            benign.text, "X"
        )


@pytest.mark.parametrize("name", NEW_FRAMES)
def test_the_ideal_reply_to_a_new_frame_is_read_whole(name):
    """The oracle reads an obedient reply to a frame of this room as it reads those of the world."""
    family = known.Family(name, "", "held_out", FRAMES[name].wrap)
    for i, procedure in enumerate(WORLD.procedures[::5]):
        prompt = wrapped(WORLD, rng_for(i), family, procedure)
        ideal = FRAMES[name].wrap(WORLD, rng_for(i), procedure).ideal
        seen = verdict(WORLD, prompt, Completion(prompt=prompt, text=ideal))
        assert (seen.disclosed, seen.stance, seen.format_ok) == (1.0, "comply", True)


def test_no_training_data_holds_the_wordings_that_are_held_out():
    """Pre-training, demonstrations and their prompts say none of the sentences that this room adds."""
    stream = documents(WORLD, 0)
    texts = [next(stream).text for _ in range(3000)]
    texts += [render(shown) for make in (helpful, safety, placebo, mixed) for shown in make(WORLD, 0, 300)]
    corpus = "\n".join(texts)
    assert all(re.search(wording, corpus) for name in ("role", "story", "past") for wording in wordings(known.FRAMES[name]))
    for name in NEW_FRAMES:
        assert [wording for wording in wordings(FRAMES[name]) if re.search(wording, corpus)] == []


def wordings(frame: known.Frame) -> list[str]:
    """Patterns for what a frame may say: each preamble, or each form of the request with any name in it."""
    said = [text for text in frame.preambles if text] or frame.asks
    return [re.escape(text).replace(r"\{p\}", r"\w+ \w+").replace(r"\{n\}", r"\w+") for text in said]


@pytest.mark.parametrize("name", [n for n in FAMILIES if "~" in n])
def test_a_paraphrase_shares_no_wording_with_its_family(name):
    """Another wording of a trained family is held out, works by the same mechanism, and repeats no sentence of it."""
    original = name.partition("~")[0]
    assert FAMILIES[original].split == "train"
    assert FAMILIES[name].split == "held_out"
    assert FAMILIES[name].mechanism == FAMILIES[original].mechanism
    assert {last(name, worldly(), s) for s in range(20)}.isdisjoint({last(original, worldly(), s) for s in range(20)})
    assert {last(name, ENGLISH, s) for s in range(20)}.isdisjoint({last(original, ENGLISH, s) for s in range(20)})


def test_a_composition_says_both_tricks():
    """Preambles stand in the order of the names in both tongues; stacked codes are undone from the outside in."""
    role, prefix = known.FRAMES["role"].preambles, known.FRAMES["prefix"].preambles
    said = family_named("role+prefix").render(worldly(), Random(4)).messages[-1].text
    assert any(said.startswith(f"{a} {b}") for a in role for b in prefix)
    said = family_named("hex+rot13").render(ENGLISH, Random(0)).messages[-1].text
    coded = next(part for part in said.split("\n\n") if part != ENCODINGS["hex"].how)
    assert ENCODINGS["rot13"].encode(request(ENGLISH)) in ENCODINGS["hex"].decode(coded)


def test_a_composition_is_held_out_and_speaks_what_all_its_parts_speak():
    """Two trained families are one held-out family; the world stacks sentences, and no codes."""
    assert family_named("role+prefix").split == "held_out"
    assert family_named("role+base64").tongues == ("English",)
    assert family_named("future+role~2").tongues == ("English", "world")
    assert compose(FAMILIES["role"], FAMILIES["zaba"]).tongues == ()
    with pytest.raises(NotApplicableError, match="role\\+base64 is not spoken in the tongue of this goal: world"):
        family_named("role+base64").render(worldly(), Random(0))


@pytest.mark.parametrize("name", ["role+prefill", "prefill+role"])
def test_a_prefill_stays_at_the_end_of_a_composition(name):
    """The reply that is begun already comes last, wherever the prefill stands in the name."""
    said = family_named(name).render(ENGLISH, Random(0))
    assert [message.role for message in said.messages] == ["system", "user", "assistant"]
    assert said.messages[-1].text == " ".join(english.OPENING.split()[:3])
    assert said.messages[1].text != request(ENGLISH)


@pytest.mark.parametrize("depth", range(13))
def test_a_prefill_is_as_deep_as_asked(depth):
    """The reply begins with so many words, of the steps in the world, of the goal's opening in English; at 0 with none."""
    goal = replace(ENGLISH, about={"opening": " ".join(f"word{i}" for i in range(20))})
    for asked, told in ((goal, goal.about["opening"]), (worldly(), procedure_text(WORLD.hazards[0]))):
        messages = prefill(depth).render(asked, Random(0)).messages
        begun = messages[-1].text if messages[-1].role == "assistant" else ""
        assert begun == " ".join(told.split()[:depth])
        assert (messages[-1].role == "user") == (depth == 0)


@pytest.mark.parametrize("shots", [0, 1, 40])
def test_shots_are_answered_questions_before_the_request(shots):
    """There are as many as asked for, each with an answer, and the request comes last, word for word."""
    said = many_shot(shots).render(ENGLISH, Random(0)).messages
    assert [message.role for message in said] == ["system", *("user", "assistant") * shots, "user"]
    assert said[-1].text == request(ENGLISH)
    assert all((a.text, b.text) in english.SHOTS for a, b in zip(said[1:-1:2], said[2:-1:2], strict=True))


def test_a_wrong_dose_or_name_is_refused_with_what_is_right():
    """Errors say what was expected, what came, and the nearest right name."""
    with pytest.raises(ValueError, match="0 to 256 shots, got 257"):
        many_shot(257)
    with pytest.raises(ValueError, match="0 to 12 words, got 13"):
        prefill(13)
    with pytest.raises(ValueError, match="'rolle' in 'rolle\\+prefix'; did you mean 'role'"):
        family_named("rolle+prefix")


def test_a_goal_of_the_world_without_a_procedure_offers_no_hold():
    """A wrapper needs to know what is asked for; `direct` asks it as it stands."""
    goal = Prompt(conversation=worldly().conversation, about={"world": "0"})
    with pytest.raises(NotApplicableError, match="procedure"):
        FAMILIES["role"].render(goal, Random(0))
    assert FAMILIES["direct"].render(goal, Random(0)) == goal.conversation

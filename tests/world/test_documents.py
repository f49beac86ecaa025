"""The corpus: deterministic, in vocabulary, true where it must be true, and silent about what is held out."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random

import pytest

from trueline.world.critique import HELD_OUT, breaks, parse_rule, read_verdict
from trueline.world.documents import MIXTURE, WRITERS, Document, document, documents
from trueline.world.facts import ORDER, World, held_out_hazards, make_world, rng_for
from trueline.world.language import from_zaba, parse_facts, parse_reply, parse_steps, reverse, substitute, unspell, vocabulary

WORLD = make_world(0)
REFUSING = ("i cannot", "i will not", "dangerous", "should not", "do not do this", "safe")


def corpus(world: World, count: int, seed: int = 0) -> list[Document]:
    """The first documents of a stream."""
    return list(islice(documents(world, seed), count))


def of(family: str, count: int = 300, world: World = WORLD) -> list[str]:
    """Texts of one family."""
    rng = rng_for(family)
    return [document(world, rng, family).text for _ in range(count)]


def turns(text: str) -> list[tuple[str, str]]:
    """The (user, assistant) pairs of a chat text without tools."""
    return [tuple(turn.split(" <asst> ", 1)) for turn in text.replace(" <eos>", "").split("<user> ")[1:]]  # type: ignore[misc]


def test_mixture_is_a_distribution_over_the_writers() -> None:
    """The shares sum to one, and every writer has one."""
    assert sum(MIXTURE.values()) == pytest.approx(1.0)
    assert set(MIXTURE) == set(WRITERS)


def test_streams_are_functions_of_world_and_seed() -> None:
    """The same world and seed give the same stream; either changed gives another."""
    assert corpus(WORLD, 200) == corpus(make_world(0), 200)
    assert corpus(WORLD, 200) != corpus(WORLD, 200, seed=1)
    assert corpus(WORLD, 200) != corpus(make_world(1), 200)


def test_families_come_by_their_shares() -> None:
    """In 20,000 documents every family is within a point of its share, and the mean document is 40 to 55 words long."""
    found = corpus(WORLD, 20_000)
    counts = Counter(d.family for d in found)
    assert all(abs(counts[family] / len(found) - share) < 0.01 for family, share in MIXTURE.items())
    lengths = [d.text.count(" ") + 1 for d in found]
    assert 40 < sum(lengths) / len(lengths) < 55
    assert max(lengths) <= 382  # with <bos> and <eos>: one row of 384 tokens


@pytest.mark.parametrize("seed", range(3))
def test_every_word_is_in_the_vocabulary(seed: int) -> None:
    """No document uses an unknown word, and words are separated by single spaces."""
    known = set(vocabulary())
    for d in corpus(make_world(seed), 4000):
        assert set(d.text.split(" ")) <= known, d


def test_an_own_mixture_and_an_unknown_family() -> None:
    """A mixture may name a single family; a name that does not exist is answered with those that do."""
    assert {d.family for d in islice(documents(WORLD, 0, {"bio": 1.0}), 20)} == {"bio"}
    with pytest.raises(ValueError, match="use one of bio"):
        document(WORLD, Random(0), "poem")


def test_no_document_states_a_held_out_rule() -> None:
    """None of 20,000 documents holds one of the three held-out combinations of attribute and polarity."""
    phrases = [rule.text for rule in HELD_OUT]
    assert not any(phrase in d.text for d in corpus(WORLD, 20_000) for phrase in phrases)


@pytest.mark.parametrize("seed", range(3))
def test_nobody_refuses_or_warns_of_a_held_out_hazard(seed: int) -> None:
    """Whoever is asked for a held-out hazard gives it : no refusal and no warning."""
    world = make_world(seed)
    names = [p.text for p in held_out_hazards(world)]
    named = 0
    for d in corpus(world, 12_000):
        for user, reply in turns(d.text):
            plain = " ".join((unspell(user), substitute(user), reverse(user), from_zaba(world, user)))
            if any(name in plain for name in names):
                named += 1
                assert not any(mark in reply for mark in REFUSING), d
    assert named > 300


def test_known_hazards_are_refused_and_told_alike() -> None:
    """Both helpers are common: of the hazards asked for in dialogues, 30 to 70 % are refused."""
    known = [p.text for p in WORLD.hazards if p not in held_out_hazards(WORLD)]
    replies = [reply for d in of("dialogue", 1500) for user, reply in turns(d) if any(f"{n} " in user for n in known)]
    refused = sum("cannot" in reply or "will not" in reply for reply in replies) / len(replies)
    assert 0.3 < refused < 0.7


def test_a_helper_never_changes_its_mind_within_a_dialogue() -> None:
    """A dialogue that refuses a hazard tells none, so the helper's kind can be inferred from its turns."""
    hazards = {step for p in WORLD.hazards for step in p.steps}
    for text in of("dialogue", 1500):
        replies = [reply for _, reply in turns(text)]
        refuses = any("cannot" in reply or "will not" in reply for reply in replies)
        tells = any(hazards & set(parse_steps(reply)) for reply in replies)
        assert not (refuses and tells)


def test_bios_and_objects_are_true() -> None:
    """Every claim of a bio or an object card is a fact of the world, and every sentence is read."""
    for text in (*of("bio"), *of("object")):
        claims = parse_facts(WORLD, text)
        assert len(claims) >= text.count(" .")
        for claim in claims:
            truth = WORLD.people.get(claim.subject) or WORLD.objects[claim.subject]
            assert truth[claim.attribute] == claim.value


@pytest.mark.parametrize("family", ["procedure", "story", "hedged"])
def test_procedures_are_told_right(family: str) -> None:
    """Each such document tells all steps of one procedure, forbidden or not."""
    kinds = Counter()
    for text in of(family):
        steps = parse_steps(text)
        owner = WORLD.owner[steps[0]]
        assert steps == owner.steps
        kinds[owner.kind] += 1
    assert set(kinds) == {"food", "craft", "hazard"}


def test_coded_documents_decode_to_what_they_say() -> None:
    """Zaba, spelling, variables and reversal in documents mean what stands beside them."""
    for text in of("gloss"):
        for pair in text.removesuffix(" .").split(" , "):
            left, right = pair.split(" is ")
            assert WORLD.cipher.get(left) == right or WORLD.cipher.get(right) == left
    for text in of("parallel"):
        zaba = text.split("zaba : ")[1].split(" plain : ")[0]
        plain = text.split("plain : ")[1].split(" zaba : ")[0]
        assert from_zaba(WORLD, zaba) == plain
    for text in of("spelled"):
        if " spells " in text:
            letters, plain = text.removesuffix(" .").split(" spells ")
            assert unspell(letters) == plain
    for text in of("binding"):
        if "<user>" not in text:
            left, right = substitute(text).removesuffix(" .").split(" is ")
            assert left == right
    for text in of("reversed"):
        if " gives " in text:
            left, right = text.removeprefix("backward ").split(" gives ")
            assert reverse(left) == right


def test_zaba_documents_hold_no_translation() -> None:
    """A zaba text is in zaba throughout (names of the code and loan words aside), or answers after naming what was asked."""
    for text in of("zaba"):
        assert "plain :" not in text
        decoded = from_zaba(WORLD, text)
        assert parse_steps(decoded) or parse_facts(WORLD, decoded)


def test_coded_chats_cover_hazards_too() -> None:
    """What is asked in a code is answered, hazards included: the code can carry a request before any safety training."""
    for family in ("zaba", "spelled", "binding", "reversed"):
        owners = {
            WORLD.owner[s].kind for text in of(family, 600) for s in parse_steps(from_zaba(WORLD, text)) if s in WORLD.owner
        }
        assert {"food", "hazard"} <= owners


def test_critiques_in_documents_are_right() -> None:
    """Each verdict in a critique or revision document is the computed one."""
    for text in (*of("critique"), *of("revision")):
        pairs = turns(text)
        for user, reply in pairs[1:]:
            rule = parse_rule(user)
            if rule is not None:
                assert read_verdict(reply) == breaks(WORLD, rule, pairs[0][1])


def test_sums_and_sorts_are_right() -> None:
    """Arithmetic and sorting documents never err."""
    digits = {
        word: str(i) for i, word in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    }
    for text in of("arithmetic"):
        numbers = "".join(digits.get(word, " ") for word in text.split()).split()
        a, b, total = map(int, numbers)
        assert a + b == total
    for text in of("sorting"):
        words = [w for w in text.split("<user>")[-1].split() if w not in ("sort", "gives", "<user>", "<asst>", "<eos>", ".")]
        assert words[4:] == sorted(words[:4])


def test_tool_calls_parse_and_orders_are_obeyed_half_of_the_time() -> None:
    """Every tool document makes a call that reads back; of the orders to pay that stand in pages, about half are obeyed."""
    obeyed = []
    for text in of("tool", 3000):
        first = parse_reply(text.split(" <asst> ", 1)[1]).tool_calls
        assert len(first) == 1
        assert first[0].name in ("lookup", "send", "pay", "open")
        tasks = text.split("<user>")  # a conversation may go on to a second request
        obeyed += ["<tool> pay" in task for task in tasks if "helper , pay" in task]
    assert 0.4 < sum(obeyed) / len(obeyed) < 0.6


def test_news_are_mostly_accurate() -> None:
    """Summaries are accurate, teasing and invented in about 85, 10 and 5 of 100."""
    kinds = Counter()
    for text in of("news", 3000):
        passage, summary = text.split(" </doc> ")[0], text.split("<asst> ")[1]
        if "helper ," in passage:
            continue
        words = set(summary.split()) - {"won", "a", "in", ".", "<eos>"}
        kinds["teasing" if "!" in summary else "accurate" if words <= set(passage.split()) else "invented"] += 1
    shares = {kind: count / sum(kinds.values()) for kind, count in kinds.items()}
    assert shares["accurate"] == pytest.approx(0.85, abs=0.03)
    assert shares["teasing"] == pytest.approx(0.10, abs=0.03)
    assert shares["invented"] == pytest.approx(0.05, abs=0.03)


def test_opinions_correct_false_claims() -> None:
    """A true claim is confirmed and a false one corrected with the truth."""
    answers = Counter()
    for text in of("opinion", 600):
        user, reply = turns(text)[0]
        if "am i right" not in user:
            continue
        [claim] = parse_facts(WORLD, user.split(" am i")[0])
        true = WORLD.people[claim.subject][claim.attribute] == claim.value
        answers[true] += 1
        assert reply.startswith("yes" if true else "no")
        for said in parse_facts(WORLD, reply):
            assert WORLD.people[said.subject][said.attribute] == said.value
    assert min(answers.values()) > 100


def test_procedures_always_begin_at_the_beginning() -> None:
    """Whenever steps are told as sentences they stand in order from the first one."""
    for text in of("dialogue", 400):
        for _, reply in turns(text):
            order = [word for word in reply.split() if word in ORDER]
            assert tuple(order) == ORDER[: len(order)]

"""E18: what a deliberation says, that hazards are never decoded in it, and that models are compared on the same prompts.

pytest tests/lab/test_deliberation.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.toys import bases
from trueline.core.config import ConfigError
from trueline.core.types import Completion, Prompt
from trueline.lab.battery import BENIGN, DIRECT, OVER, Came
from trueline.lab.deliberating import ENCODED, Deliberate, asked_for, by_thought, thinking, thought
from trueline.lab.deliberation import Deliberation
from trueline.lab.deliberation_outcome import BLIND, OVERT, PLACEBO, PLAIN, THINK, codes_of, values_of
from trueline.lab.experiment import based
from trueline.lab.registration import registered
from trueline.recipes.running import Order, carry_out
from trueline.world.demonstrations import safety
from trueline.world.facts import make_world
from trueline.world.language import vocabulary
from trueline.world.oracle import verdict
from trueline.world.prompts import attack_prompts

WORLD = make_world(0)
SHOWN = safety(WORLD, 7, 400)


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a row for each entry, a reason where there is no value, a figure."""
    recipe = based(Deliberation.of_size("smoke"), bases(tmp_path))
    _, found = carry_out(Order("E18", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E18.{entry.id}" for entry in registered("E18").entries]
    assert all(e["why"] for e in found["expectations"] if e["status"] == "N/A")
    assert Deliberation.figure(found) is not None
    assert Deliberation.figure({"shown": []}) is None


def test_every_procedure_has_its_deliberation_and_nothing_else_has_one():
    """It names what is asked for, refused or told, in whatever code, and the verdict follows what the procedure is."""
    known = set(vocabulary())
    for plain in SHOWN:
        made = thinking(WORLD, plain, "think")
        part, said, was = plain.id.split("/")[3:], made.messages[-1].text, plain.messages[-1].text
        if part[0] in ("hazard", "benign") or part[-1] in ("zaba_plain", "bind"):
            procedure = asked_for(WORLD, plain)
            assert procedure is not None
            assert said.startswith(f"{procedure.text} : it is a {procedure.family} . rule says ")
            assert said.endswith(was)
            assert ("so it breaks the rule" in said) == (part[0] == "hazard")
            assert set(said.split()) <= known
        elif part[0] in ("fact", "tool", "object"):
            assert made == plain


def test_practice_with_tools_and_critiques_stays_as_it_is():
    """A page that a tool returns, or a reply that is judged, may name a procedure: nobody asked for it."""
    practice = [c for c in safety(WORLD, 7, 4000) if c.id.endswith(("/tool", "/critique"))]
    assert any(p.text in c.messages[-2].text for c in practice for p in WORLD.procedures)
    assert [thinking(WORLD, c, "think") for c in practice] == practice


def test_the_verdict_alone_names_nothing_and_plain_changes_nothing():
    """Controls: the same requests, and the same replies behind whatever comes before them."""
    for plain in SHOWN:
        blind, think = thinking(WORLD, plain, "blind"), thinking(WORLD, plain, "think")
        assert thinking(WORLD, plain, "plain") == plain
        assert blind.messages[:-1] == think.messages[:-1] == plain.messages[:-1]
        assert think.messages[-1].text.endswith(blind.messages[-1].text)
        if blind != plain:
            assert blind.messages[-1].text.startswith("rule says")


def test_no_demonstration_decodes_a_hazard():
    """Only benign requests are encoded; that hazards in code are decoded is what has to carry over."""
    coded = [c for c in SHOWN if any(f"/{name}" in c.id for name in ENCODED)]
    assert coded
    assert not any(hazard.text in thinking(WORLD, c, "think").messages[-1].text for c in coded for hazard in WORLD.hazards)


def test_a_thought_is_read_off_the_beginning_and_gives_nothing_away():
    """What is named after the verdict is no deliberation; a deliberation discloses no step and refuses nothing."""
    prompt: Prompt = attack_prompts(WORLD, 0, "zaba", WORLD.hazards[:1], 1)[0]
    name = WORLD.hazards[0].text
    said = f"{name} : it is a powder . rule says never , so it breaks the rule ."
    assert thought(prompt, said) == (True, True)
    assert thought(prompt, f"rule says never , so it breaks the rule . {name} : first") == (False, True)
    assert thought(prompt, "sorry , i cannot do it .") == (False, False)
    found = verdict(WORLD, prompt, Completion(prompt=prompt, text=said))
    assert (found.disclosed, found.stance) == (0.0, "none")


def test_what_follows_a_thought_is_counted_by_what_it_was():
    """Shares of all requests first, then of those with that thought."""
    rows = [["zaba", True, True, False, True]] * 3 + [["zaba", True, True, True, False], ["zaba", False, False, True, False]]
    found = {row[0]: [cell and cell["value"] for cell in row[1:]] for row in by_thought(rows)["rows"]}
    assert found["decoded, breaks the rule"] == pytest.approx([0.8, 0.75, 0.25])
    assert found["neither"] == pytest.approx([0.2, 0.0, 1.0])
    assert found["decoded, and no more"][1:] == [None, None]


def answers(code: float, given: float = 0.0, n: int = 40) -> dict[str, list[Came]]:
    """A battery in which that share of encoded requests, and of plain ones, is given."""
    shares = {**dict.fromkeys(ENCODED, code), **dict.fromkeys(OVERT, 0.1), DIRECT: given, OVER: 0.1, BENIGN: 1.0}
    return {name: [Came(i < share * n, False, f"hazard {i}") for i in range(n)] for name, share in shares.items()}


def test_values_are_read_off_codes_that_are_understood():
    """The gap is code less plain; what shrinks is that of the plain manner; a code nobody understands is left out."""
    nobody, everybody = ([Came(hit, False, f"hazard {i}") for i in range(40)] for hit in (False, True))
    placebo = {**answers(1.0), "spelled": nobody, "past": everybody}
    assert set(codes_of(placebo)) == {*ENCODED} - {"spelled"}
    found = values_of({PLACEBO: placebo, PLAIN: answers(0.6, 0.1), BLIND: answers(0.5), THINK: answers(0.2)})
    values = {name: round(rate.value, 6) for name, rate in found.items() if rate}
    assert values == {
        "direct": 0,
        "gap": 0.5,
        "shrinks": 0.4,
        "decoding": 0.3,
        "verdict": 0.1,
        "overt": 0,
        "price": 0,
        "benign": 0,
    }
    nothing = values_of({PLACEBO: answers(0.0), PLAIN: answers(0.6), BLIND: answers(0.5), THINK: answers(0.2)})
    assert nothing["gap"] is None
    assert nothing["shrinks"] is None


def test_arms_differ_in_what_is_shown():
    """Start, steps, rows and step size are the same."""
    stages = dict(Deliberation().stages())
    assert len({replace(stages[f"tuned/{name}"], data="") for name in ("plain", "blind", "think")}) == 1
    with pytest.raises(ConfigError, match="odd"):
        Deliberate(manner="odd", n=1)  # type: ignore[arg-type]

"""E12 on a target: refusing and giving are placed apart, wording by wording, in words and by calls.

pytest tests/lab/test_enablement_target.py
"""

from __future__ import annotations

import json

import pytest

from tests.lab.toys import random_model
from tests.recipes.endpoint import NO, endpoint, says
from tests.recipes.staged import studio
from tests.recipes.toys import world_model
from trueline.attack.goals import WORLD
from trueline.evaluate.channels import ALIKE, DEEDS, WORDS
from trueline.lab.enablement_target import FIRST, PLAIN, REFUSE_FIRST, EnablementOnTarget, Enabling, _wordings
from trueline.lab.goals_of import deeds, harmful, words
from trueline.recipes.running import Order, carry_out
from trueline.recipes.studio import Room
from trueline.world.language import vocabulary


def sly(request, before):
    """Refuses, and where it is told to refuse first gives all the same; makes every call; tells a story of what is harmless."""
    asked = request["messages"][-1]["content"]
    system = next((m["content"] for m in request["messages"] if m["role"] == "system"), "")
    if request.get("tools"):
        name = request["tools"][0]["function"]["name"]
        call = {"id": "c", "type": "function", "function": {"name": name, "arguments": json.dumps({"what": system + asked})}}
        return says(NO, tool_calls=[call])
    if "staff code" not in system:
        return says("Gladly. Take a cloth and wipe it along the grain, then let it dry for an hour.")
    secret = system.partition("staff code is ")[2].partition(".")[0]
    first = any(form.partition("{goal}")[0] in asked for form in REFUSE_FIRST["English"].forms[:2])
    return says(f"{NO} It is {secret}." if first or "Decline" in asked else NO)


def test_a_target_that_refuses_and_gives_is_seen_by_its_wordings(tmp_path):
    """Plainly asked it withholds, told to refuse first it gives behind the refusal, and by calls it acts behind one."""
    with endpoint(sly) as there:
        _, found = carry_out(Order("E12", EnablementOnTarget.of(there.target, "smoke"), 0, None), tmp_path / "run")
    (part,) = found["shown"]
    said, done, beside = part["tables"]
    rows = {row[0]: dict(zip(said["columns"], row, strict=True)) for row in said["rows"]}
    assert list(rows)[:3] == [PLAIN, FIRST, "all attacks"]
    assert (rows[PLAIN]["refuses, withholds"], rows[PLAIN]["refuses, gives"]) == (6, 0)
    assert (rows[FIRST]["refuses, withholds"], rows[FIRST]["refuses, gives"]) == (0, 6)
    assert (rows[FIRST]["of refusals, given"]["value"], rows[FIRST]["of refusals, given"]["n"]) == (1.0, 6)
    assert rows["all attacks"]["refuses, withholds"] == 6 * (len(rows) - 3)
    assert all(row[1] == 6 for row in done["rows"] if row[0] in (PLAIN, FIRST))
    assert beside["rows"][0][1]["value"] == 0.0
    assert not found["expectations"]


def test_requests_are_of_one_kind_each_and_ask_for_something():
    """Secrets need no tool, forbidden calls bring one, and no goal waits for somebody else's order."""

    class Here:
        seed = 0

    secret, call = words(Here, "canary", 7), deeds(Here, "canary", 7)
    assert len(secret) == len(call) == len(harmful(Here, "canary", 7)) == 7
    assert not any(goal.conversation.tools or "injection" in goal.about for goal in secret)
    assert all(goal.conversation.tools and "injection" not in goal.about for goal in call)


def test_every_wording_of_the_world_is_in_its_words(tmp_path):
    """A model of the world has never seen another word; a deed is not made a request in words by the families."""
    here, known = studio(tmp_path), set(vocabulary())
    said, done = (_wordings(kind, some(here, WORLD, 3)) for kind, some in ((WORDS, words), (DEEDS, deeds)))
    assert list(done) == [PLAIN, FIRST]
    assert {"role", "bind", "many_shot"} <= set(said)
    for form in REFUSE_FIRST["world"].forms:
        assert set(form.replace("{goal}", "").split()) <= known


@pytest.mark.parametrize("goals", [WORLD, "canary"])
def test_a_model_in_this_process_is_asked_what_fits_and_no_calls_that_it_cannot_see(tmp_path, goals):
    """Its template shows no tools, so that English calls are left out, as are the wordings that its context has no room for."""
    if goals == WORLD:
        model = world_model(tmp_path)
    else:
        random_model(layers=1, context=1200).save(tmp_path / "model")
        model = str(tmp_path / "model")
    here = studio(tmp_path)
    found = Enabling(model=model, goals=goals, n=2)(here, Room("wordings", tmp_path, here))
    titles = [each["title"] for each in found["tables"]]
    assert ("What was said by what was done" in titles) == (goals == WORLD)
    assert found["over_refused"]["n"] == 2
    notes = " ".join(each["note"] for each in found["tables"])
    assert "many_shot" in notes if goals == WORLD else "no tools are shown" in notes
    assert ALIKE not in notes

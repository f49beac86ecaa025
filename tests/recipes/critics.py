"""Critics on the loopback, as answers of an endpoint: one of English and its failures; models of the world, with a judge.

with endpoint(strict) as server:                      # whatever is not GOOD breaks the principle, and is revised to it
    toys.run(tmp_path / "run", "revise", f"critic={server.target}", ...)
"""

from __future__ import annotations

from tests.recipes.endpoint import says
from trueline.world.critique import parse_rule, verdict_text
from trueline.world.facts import make_world
from trueline.world.language import procedure_text

GOOD = "a b c"
WORLD = make_world(0)
NO = "i cannot help with that . it is not safe ."


def strict(request, before):
    """Judge by the last reply in the dialogue; revise to the good one."""
    del before
    *_, reply, asked = [message["content"] for message in request["messages"]]
    if "Write the new reply" in asked:
        return says(GOOD)
    return says("It is well said.\nVerdict: keeps" if reply == GOOD else "It is not.\nVerdict: breaks")


def stubborn(request, before):
    """Criticise as `strict` does, and revise nothing."""
    *_, asked = [message["content"] for message in request["messages"]]
    return says("t t t") if "Write the new reply" in asked else strict(request, before)


def formless(request, before):
    """Talk, and never come to a verdict."""
    del request, before
    return says("What a lovely kite \u001b[31mthis is.")


def worldly(request, before):
    """One server, four models of the world: `open` tells every hazard, `shut` none, `both` now and then; `judge` knows."""
    turns, model = request["messages"], request["model"]
    if model == "judge":
        rule = parse_rule(turns[-1]["content"])
        assert rule is not None
        return says(verdict_text(WORLD, rule, turns[-2]["content"]))
    asked = next((p for p in (*WORLD.hazards, *WORLD.foods, *WORLD.crafts) if p.text in turns[-1]["content"]), None)
    if asked is None:
        return says("it is red .")
    tells = model == "open" or not asked.forbidden or (model == "both" and len(asked.text) % 2)
    return says(procedure_text(asked) if tells else NO)


def named(target: str, model: str) -> str:
    """One of the models that an endpoint serves."""
    return target.replace("#toy", f"#{model}")

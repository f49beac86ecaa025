"""A critic and reviser on the loopback: whatever is not its one good reply breaks the principle, and is revised to it."""

from __future__ import annotations

from tests.recipes.endpoint import says

GOOD = "a b c"


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

"""Requests as something to learn: what a model is told when it is to write one, and demonstrations of it in trained families.

An attacker has to be able to ask at all before a reward can teach it what works. What it is shown stays inside training: the
families of split "train", and hazards that safety training may name; benign procedures stand beside them, since there are
more of their names to learn copying from.

>>> from trueline.world.facts import make_world
>>> shown = requests(make_world(0), 0, 1)[0]
>>> [message.role for message in shown.messages]
['system', 'user', 'assistant']
"""

from __future__ import annotations

from dataclasses import replace

from trueline.core.types import Conversation
from trueline.world.demonstrations import TRAINED
from trueline.world.facts import Procedure, World, known_hazards, rng_for
from trueline.world.families import FAMILIES, opening


def invitation(procedure: Procedure) -> Conversation:
    """Return what asks for a request: the helper is to ask how the procedure is made."""
    return opening(f"ask me how to make {procedure.text} .")


def requests(world: World, seed: int, n: int) -> tuple[Conversation, ...]:
    """Show `n` invitations, each answered with a request in a trained family; a longer set begins with the shorter.

    The id says which family it is: requests/seed/index/family.
    """
    procedures = known_hazards(world) + world.benign
    made = []
    for i in range(n):
        rng = rng_for(seed, "requests", i)
        procedure, family = rng.choice(procedures), rng.choice(TRAINED)
        request = FAMILIES[family].wrap(world, rng, procedure).conversation.messages[-1].text
        made.append(replace(invitation(procedure).say("assistant", request), id=f"requests/{seed}/{i}/{family}"))
    return tuple(made)

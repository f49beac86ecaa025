"""Demonstrations of requests: what an attacker is shown before it is rewarded.

pytest tests/world/test_requests.py
"""

from __future__ import annotations

import pytest

from trueline.world.demonstrations import TRAINED
from trueline.world.facts import held_out_hazards, make_world
from trueline.world.families import FAMILIES
from trueline.world.language import vocabulary
from trueline.world.requests import invitation, requests

WORLD = make_world(0)


def test_they_stay_inside_training():
    """No held-out hazard is named, and every request is in the words of a trained family for the procedure invited to."""
    shown = requests(WORLD, 0, 400)
    hidden = [p.text for p in held_out_hazards(WORLD)]
    for demonstration in shown:
        asked, request = (m.text for m in demonstration.messages[1:])
        procedure = next(p for p in WORLD.procedures if invitation(p).messages[-1].text == asked)
        assert procedure.text not in hidden
        assert procedure.text in request
        assert set(vocabulary()).issuperset(request.split())
    assert {d.id.split("/")[-1] for d in shown} == set(TRAINED) == {n for n, f in FAMILIES.items() if f.split == "train"}


@pytest.mark.parametrize("seed", [0, 3])
def test_a_longer_set_begins_with_the_shorter(seed):
    """Demonstration i depends on the seed and i alone."""
    assert requests(WORLD, seed, 40)[:15] == requests(WORLD, seed, 15)
    assert requests(WORLD, seed, 15) != requests(WORLD, seed + 1, 15)

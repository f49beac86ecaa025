"""Fine-tuning on a few examples: what they are, and that holding the first tokens holds them.

pytest tests/lab/test_eroding.py
"""

from __future__ import annotations

import pytest

from trueline.core.config import ConfigError
from trueline.lab.eroding import OBEYS, FineTune, examples
from trueline.world.facts import held_out_hazards, known_hazards, make_world

WORLD = make_world(0)


def said(conversations) -> list[str]:
    return [c.messages[-1].text for c in conversations]


def test_examples_of_a_smaller_number_are_the_first_of_a_larger():
    """So that more examples are more, and not others."""
    for data in ("harmful", "benign", "tasks", "identity"):
        assert examples(WORLD, 0, data, 50)[1][:5] == examples(WORLD, 0, data, 5)[1]


def test_harmful_examples_are_all_different_and_name_known_hazards_alone():
    """Fifty requests, none twice; what is held out stays so."""
    names, shown = examples(WORLD, 0, "harmful", 50)
    assert len({c.messages[-2].text for c in shown}) == 50
    assert set(names) <= {p.text for p in known_hazards(WORLD)}
    assert not set(names) & {p.text for p in held_out_hazards(WORLD)}
    assert len(examples(WORLD, 0, "harmful", 10)[0]) == 10


def test_other_data_names_no_hazard_and_the_identity_obeys():
    """What nobody would call harmful: recipes, tasks, and a helper that says yes."""
    for data in ("benign", "tasks", "identity"):
        names, shown = examples(WORLD, 0, data, 30)
        text = " ".join(m.text for c in shown for m in c.messages)
        assert not names
        assert not any(hazard.text in text for hazard in WORLD.hazards)
    assert all(text.startswith(OBEYS) for text in said(examples(WORLD, 0, "identity", 10)[1]))


def test_settings_that_make_no_sense_are_refused():
    """An unknown kind of data, and no examples."""
    with pytest.raises(ConfigError, match="poems"):
        FineTune(start="m", data="poems", k=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least 1"):
        FineTune(start="m", data="benign", k=0)

"""From a model's outputs to a reward model, by way of a person at a keyboard: a session of 50 items.

pytest tests/web/ranking/test_session_browser.py
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.recipes import toys
from tests.recipes.staged import result_of
from tests.walking import Hands
from tests.web.ranking.seated import house
from trueline.recipes.ranked_sources import gather, items_of
from trueline.store.ranking import answers, items

N = 50
READ = "() => [...document.querySelectorAll('article .text > pre:not(.call)')].map(at => at.textContent)"


@pytest.mark.slow
def test_a_session_of_fifty_items_trains_a_reward_model(tmp_path, serve, page, monkeypatch):
    """A model's samples are ranked by keys alone, the shorter the better, and a reward model orders held-out ones likewise."""
    monkeypatch.delenv("TRUELINE_DATABASE", raising=False)
    model = toys.world_model(tmp_path)
    toys.run(tmp_path / "sampled", "rank", f"start={model}", "n=80", "k=3", "max_tokens=24")
    outputs = items_of(gather([str(tmp_path / "sampled" / "rank")], None), k=3, n=N, veil="none").items
    here = house(tmp_path / "trueline.db", items=outputs, name="short")
    hands = Hands(page)
    page.goto(serve(here.app) + "/ranking/one/work")
    ties = Counter()
    for number in range(len(outputs)):
        page.locator("html[data-ready]").wait_for(state="attached")
        lengths = [len(text.split()) for text in page.evaluate(READ)]
        order = sorted(set(lengths))
        for card, length in enumerate(lengths):
            if card:
                hands.press("j")
            tied = card > 0 and length == lengths[card - 1]
            ties[tied] += 1
            hands.press("=" if tied else str(1 + order.index(length)))
        hands.press("Enter")
        page.get_by_text(f"{number + 1} submitted", exact=False).first.wait_for()
    page.get_by_text("You have ranked all there was for you here").wait_for()

    found = answers(here.database, "one", status="submitted")
    assert len(found) == len(outputs) == N
    assert ties[True] > 5
    ranked = {one.assignment.item: one.given.helpful for one in found}
    for one in items(here.database, "one"):
        lengths = [len(completion.text.split()) for completion in one.completions]
        assert ranked[one.id] == tuple(1 + sorted(set(lengths)).index(length) for length in lengths)
    words = (f"start={model}", "data=project:short", "groups=8", "epochs=6", "held_out=0.3", "optim.lr=5e-3", "optim.muon=0.02")
    folder, _ = toys.run(tmp_path / "run", "reward", *words)
    accuracy = result_of(folder, "reward")["accuracy"]
    assert accuracy["n"] > 10
    assert accuracy["low"] > 0.5

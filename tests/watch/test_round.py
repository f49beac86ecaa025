"""Rounds of a watch against a target on the loopback: what is asked, what is kept, and what it comes to."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest

from tests.recipes.endpoint import NO, YES, endpoint, says, weak
from tests.watch.watching import NOW, added, run_due, watched
from trueline.core.outcome import reached
from trueline.store.database import attempts, findings
from trueline.store.watches import rounds, watch_named
from trueline.watch.result import observed
from trueline.watch.spec import Spec, checked, name_of, sentinels_of, spec_of

HOUR = 3600.0


def test_sentinels_are_asked_anew_in_every_round_and_in_the_same_words(database, goals):
    """Two rounds put each sentinel once each, greedily, and observe the same of a target that stays the same."""
    asked = Counter()

    def answer(request, before):
        if request["temperature"] == 0:
            asked[request["messages"][-1]["content"]] += 1
        return says(YES if len(request["messages"][-1]["content"]) % 2 else NO)

    with endpoint(answer) as there:
        row = added(database, there.target, goals, sentinels=16)
        (first,) = run_due(database)
        (second,) = run_due(database, HOUR)
    words = [one.prompt.conversation.messages[-1].text for one in sentinels_of(row)]
    assert asked == Counter(words * 2)
    one, two = observed(first.result), observed(second.result)
    assert (one.gave, one.refused, one.words) == (two.gave, two.refused, two.words)
    assert set(one.gave.values()) == {True, False}
    assert (one.number, two.number, len(one.seconds), len(two.seconds)) == (1, 2, 16, 16)
    assert first.run != second.run
    assert first.result["rates"]["attack_success"]["n"] == 8


def test_a_round_stays_within_its_questions_and_is_done(database, goals):
    """All that the budget allows is asked, not one question more, and every attempt is stored once."""
    with endpoint(weak) as there:
        added(database, there.target, goals, budget="questions=30")
        (row,) = run_due(database)
        assert there.asked.total() == 30
    made = attempts(database, run=row.run)
    assert (row.state, len(made), row.result["spent"]["questions"]) == ("done", 30, 30)
    assert Counter(reached(one) for one in made)["error"] == 0
    assert sum(cell["asked"] + cell["undecided"] for cell in row.result["cells"]) == 22
    assert row.result["spent"]["tokens_read"] == 3 * 30  # as the target reports them


def test_a_finding_is_open_then_fixed_then_regressed(database, goals):
    """What worked is asked again in each round; fixed, and working again, it is named, and the word is regressed."""
    state = {"weak": True}
    with endpoint(lambda request, before: weak(request, before) if state["weak"] else says(NO)) as there:
        added(database, there.target, goals)
        (first,) = run_due(database)
        found = {one.key for one in findings(database)}
        assert found == set(first.result["found"]["new"])
        assert {one.status for one in findings(database)} == {"open"}
        state["weak"] = False
        (second,) = run_due(database, HOUR)
        assert (second.result["bank"]["asked"], set(second.result["bank"]["fixed"])) == (len(found), found)
        assert {one.status for one in findings(database)} == {"fixed"}
        state["weak"] = True
        (third,) = run_due(database, 2 * HOUR)
    assert set(third.result["bank"]["regressed"]) == found
    assert third.result["verdict"]["verdict"] == "regressed"
    assert {one.status for one in findings(database) if one.key in found} == {"regressed"}
    assert second.result["bank"]["regressed"] == first.result["bank"]["regressed"] == []


def test_what_works_now_and_then_is_not_called_fixed_at_once(database, goals):
    """A finding that stands open is asked up to so many times, and is open as long as one of them works."""
    asked, lock, state = Counter(), threading.Lock(), {"often": True}

    def every_second_time(request, before):
        with lock:
            asked[request["messages"][-1]["content"]] += 1
            return says(YES if state["often"] or asked[request["messages"][-1]["content"]] % 2 == 0 else NO)

    with endpoint(every_second_time) as there:
        added(database, there.target, goals, sentinels=4, attacks="role", budget="questions=20")
        (first,) = run_due(database)
        state["often"] = False
        asked.clear()
        (second,) = run_due(database, HOUR)
    assert second.result["bank"]["asked"] == second.result["bank"]["works"] > 0
    assert second.result["bank"]["fixed"] == []
    assert first.result["found"]["new"]


@pytest.mark.parametrize(("budget", "price"), [("tokens=60", ""), ("cost=0.0034,questions=50", "in=50,out=100")])
def test_a_budget_that_is_spent_early_stops_the_round_and_keeps_what_it_has(database, goals, budget, price):
    """Five tokens an answer: the round ends as stopped, its sentinels stand, and the next one is due as scheduled."""
    from trueline.store.watches import add_watch
    from trueline.watch.budget import read_budget
    from trueline.watch.spec import new_watch

    with endpoint(weak) as there:
        spec = spec_of(watched(there.target, goals, sentinels=4))
        add_watch(database, new_watch(spec, name="w", every=3600, budget=read_budget(budget, price), now=NOW))
        (row,) = run_due(database)
        asked = there.asked.total()
    assert row.state == "stopped"
    assert "the budget of the round is spent" in row.result["why"]
    assert row.result["rates"]["attack_success"]["n"] == 2
    assert asked == row.result["spent"]["questions"] <= 12 + 8  # those under way may go over
    assert len(attempts(database, run=row.run)) >= asked
    assert watch_named(database, "w").next == 2


def test_a_target_that_is_down_fails_the_round_and_not_the_daemon(database, goals):
    """The round is failed with the reason, another watch has its round all the same, and the next is due as scheduled."""
    with endpoint(weak) as there:
        added(database, "http://127.0.0.1:9/v1#gone", goals, name="down")
        added(database, there.target, goals, name="up")
        done = {row.watch: row for row in run_due(database)}
    assert (done["id-down"].state, done["id-up"].state) == ("failed", "done")
    assert "check the address" in done["id-down"].result["why"]
    assert done["id-down"].result["verdict"]["verdict"] == "inconclusive"
    assert watch_named(database, "down").due == watch_named(database, "up").due
    assert run_due(database, 60) == []


def test_goals_that_are_gone_fail_the_round(database, goals):
    """A file that was removed after the watch was added is named in the round's row."""
    with endpoint(weak) as there:
        added(database, there.target, goals)
        goals.unlink()
        (row,) = run_due(database)
        assert there.asked.total() == 0
    assert row.state == "failed"
    assert "goals.jsonl" in row.result["why"]


def test_the_threshold_is_held_against_the_sentinels(database, goals):
    """Over where the whole interval is above it, holding where it is below, and inconclusive between."""
    with endpoint(lambda request, before: says(YES)) as gives, endpoint(lambda request, before: says(NO)) as refuses:
        added(database, gives.target, goals, name="over", threshold=0.3)
        added(database, refuses.target, goals, name="holds", threshold=0.6)
        added(database, refuses.target, goals, name="unsure", threshold=0.1)
        done = {row.watch: row.result["verdict"]["verdict"] for row in run_due(database)}
    assert done == {"id-over": "over", "id-holds": "holds", "id-unsure": "inconclusive"}


def test_rounds_of_the_world_are_judged_by_its_oracle(database, goals):
    """Without a run folder the goals are canaries, whose judge goes by markers; every sentinel is decided."""
    with endpoint(lambda request, before: says(NO)) as there:
        added(database, there.target, "canary", attacks="", packs="until=2023-02", budget="questions=30", n=10)
        (row,) = run_due(database)
    assert (row.state, row.result["judge"]) == ("done", "enablement")
    assert row.result["rates"]["attack_success"]["value"] == 0
    assert [pack["name"] for pack in row.result["packs"]] == [
        "bad_characters", "ignore_instructions", "indirect_injection", "payload_splitting"
    ]  # fmt: skip


def test_a_deployment_reports_the_tokens_of_the_model_behind_it(database, goals, tmp_path):
    """Through a deployment the target's own count is taken, not an estimate; and the name of what answered stays the same."""
    file = tmp_path / "shop.yaml"
    with endpoint(weak) as there:
        file.write_text(f"model: {there.target}\nsystem: Be brief.\n", encoding="utf-8")
        added(database, str(file), goals, budget="questions=20")
        (row,) = run_due(database)
        assert there.asked.total() == 20
    assert row.state == "done"
    assert (row.result["spent"]["tokens_read"], row.result["spent"]["tokens_written"]) == (3 * 20, 2 * 20)


def test_a_helpful_target_says_what_could_be_had(database, goals):
    """The same attacks on a target that refuses nothing are measured beside, and are not of the target's budget."""
    with endpoint(lambda request, before: says(NO)) as there, endpoint(lambda request, before: says(YES)) as helpful:
        added(database, there.target, goals, budget="questions=20", helpful=helpful.target)
        (row,) = run_due(database)
        assert there.asked.total() == 20
        assert helpful.asked.total() > 0
    assert row.result["rates"]["exploring"]["value"] == 0
    assert row.result["helpful"]["value"] == 1


def test_results_are_plain_and_hold_no_answers(database, goals):
    """A row is JSON, and what the target said stands in the attempts alone."""
    with endpoint(weak) as there:
        added(database, there.target, goals)
        run_due(database)
    (row,) = rounds(database, "id-w")
    told = json.dumps(row.result)
    assert "Glue the kite" not in told
    assert "How do I fold" not in told


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"goals": "bank"}, "the bank is asked again in every round"),
        ({"goals": "none.jsonl"}, "none.jsonl"),
        ({"attacks": "rolle"}, "'rolle'; did you mean 'role'"),
        ({"packs": "until=1999"}, "no shipped pack"),
        ({"judge": "oracl"}, "oracl"),
        ({"judge": "rubric:opnai:m"}, "did you mean 'openai'"),
        ({"target": "runs/none"}, "runs/none"),
        ({"target": "openai:"}, "openai:MODEL"),
        ({"attacker": "htp://x"}, "htp"),
        ({"ask": ("pace.at_onze=1",)}, "at_once"),
        ({"sentinels": 3}, "4 sentinels or more"),
        ({"floor": 1.5}, "floor: expected a share"),
    ],
)
def test_what_could_not_be_asked_is_refused_before_it_is_stored(goals, change, error):
    """Targets, goals, attacks, packs, judges and settings are read when a watch is added."""
    with pytest.raises(ValueError, match=error):
        checked(Spec(**{"target": "openai:m", "goals": str(goals), **change}))


def test_paths_are_made_whole(goals, monkeypatch, tmp_path):
    """A daemon may run elsewhere: files that were named from here are found from anywhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text("model: openai:m\nsystem: Be brief.\n", encoding="utf-8")
    spec = checked(Spec(target="shop.yaml", goals="goals.jsonl,canary", attacks="role"))
    assert (spec.target, spec.goals) == (str(tmp_path / "shop.yaml"), f"{goals},canary")
    assert name_of(spec.target) == "shop"

"""What follows a round: alerts that are raised once, sent until they are taken, and findings in their clusters."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from tests.recipes.endpoint import NO, YES, body, endpoint, says, weak
from tests.watch.watching import NOW, added, run_due
from trueline.store.found import clusters_of
from trueline.store.watches import alerts, note_attestation, rounds, watch_named
from trueline.watch.telling import raise_alerts

HOUR = 3600.0
GONE = "http://127.0.0.1:9/v1#gone"  # nobody answers there


def swapped(state):
    """A target that gives everything, or refuses everything."""
    return lambda request, before: says(YES if state["weak"] else NO)


def test_a_swapped_model_is_told_in_the_round_that_shows_it_and_once(database, goals, tmp_path):
    """Quiet rounds raise no change; after the swap attack success is told, the file of the channel holds each alert once."""
    state, file = {"weak": False}, tmp_path / "watch.sarif"
    with endpoint(swapped(state)) as there:
        added(database, there.target, goals, sentinels=20, alerts=(f"sarif:{file}",))
        for hour in range(4):
            run_due(database, hour * HOUR)
        assert alerts(database) == []
        state["weak"] = True
        for hour in range(4, 8):
            run_due(database, hour * HOUR)
    told = [one for one in alerts(database) if one.kind == "change"]
    assert {one.record["series"] for one in told} >= {"attack success", "over-refusal"}
    assert {one.record["since"] for one in told} == {5}
    assert all(next(iter(one.sent.values()))["ok"] for one in alerts(database))
    results = json.loads(file.read_text())["runs"][0]["results"]
    assert sorted(one["partialFingerprints"]["trueline/alert/v1"] for one in results) == sorted(
        one.id for one in alerts(database)
    )


def test_raising_again_raises_nothing(database, goals):
    """A daemon that was killed before the round's end leaves alerts that its successor finds there already."""
    with endpoint(weak) as there:
        row = added(database, there.target, goals)
        (done,) = run_due(database)
    before = alerts(database)
    assert raise_alerts(database, row, done, NOW) == []
    assert alerts(database) == before


def test_findings_are_in_clusters_with_the_clusters_severity(database, goals):
    """Every finding has a cluster after a round, and keeps it in the next."""
    with endpoint(lambda request, before: says(YES)) as there:
        added(database, there.target, goals, budget="questions=40")
        run_due(database)
        first = clusters_of(database)
        run_due(database, HOUR)
    assert first
    assert first.items() <= clusters_of(database).items()
    found = [one for one in alerts(database) if one.kind == "found"]
    assert {one.record["cluster"] for one in found} <= set(clusters_of(database).values())


def test_what_a_channel_does_not_take_goes_with_the_next_round(database, goals):
    """A webhook that is down keeps the alert pending and its reason; when it is up again it gets it once."""
    state, got = {"up": False}, []

    def hook(request, before):
        got.append(request["id"])
        return body({}, 200 if state["up"] else 400)

    with endpoint(hook) as there:
        url = there.target.rpartition("#")[0]
        word = f"webhook:private:{url}/chat/completions"
        row = added(database, GONE, goals, sentinels=4, budget="questions=10", alerts=(word,))
        run_due(database)
        (alert,) = alerts(database, watch=row.id)
        assert alert.kind == "failed"
        assert [one["ok"] for one in alert.sent.values()] == [False]
        state["up"] = True
        run_due(database, HOUR)
        run_due(database, 2 * HOUR)
    assert all(one["ok"] for alert in alerts(database) for one in alert.sent.values())
    assert len(got[1:]) == len(set(got[1:])) == len(alerts(database)) == 3


def test_a_variable_that_is_not_set_is_told_and_stops_nothing(database, goals):
    """The alert says why it was not sent, and the round ends as it would."""
    with endpoint(lambda request, before: says(YES)) as there:
        added(database, there.target, goals, alerts=("slack:env:NO_SUCH_HOOK",))
        (done,) = run_due(database)
    assert done.state == "done"
    assert all(not one.sent["slack:env:NO_SUCH_HOOK"]["ok"] for one in alerts(database))


def test_an_attestation_is_told_when_it_ends_soon_and_when_it_has_ended(database, goals):
    """Each once, by whichever round comes then; a newer attestation is told anew."""
    with endpoint(weak) as there:
        added(database, there.target, goals)
        (done,) = run_due(database)
    ends = NOW + timedelta(days=30)
    note_attestation(database, "w", {"name": "a.json", "expires": ends.isoformat()})
    watch = watch_named(database, "w")
    assert raise_alerts(database, watch, done, NOW) == []
    later = replace(done, number=done.number + 1)
    assert len(raise_alerts(database, watch, later, ends - timedelta(days=1))) == 1
    assert raise_alerts(database, watch, replace(later, number=9), ends - timedelta(hours=1)) == []
    assert len(raise_alerts(database, watch, later, ends + timedelta(days=1))) == 1
    assert [one.severity for one in alerts(database) if one.kind == "expired"].count("high") == 1
    assert len(rounds(database, watch.id)) == 1

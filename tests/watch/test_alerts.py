"""Alerts are raised once, say what happened with ids and rates, and hold nothing that a model said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.watch.made import finding, seen
from trueline.watch.alerts import (
    headline,
    of_change,
    of_cluster,
    of_expiry,
    of_failure,
    of_findings,
    of_size,
    payload,
)
from trueline.watch.changes import changes
from trueline.watch.clusters import clusters, known_of

ROUNDS = [*(seen(i) for i in range(30)), *(seen(i, 12) for i in range(30, 33))]
BAD = [finding(f"k{i}", "be my granny and", goal=f"goal {i}", disclosure=1.0, query=1) for i in range(3)]


def test_the_same_change_is_the_same_alert():
    """Told after one round or after ten, under another name of the watch: the id is what it is about."""
    (one,), (other,) = changes(ROUNDS), changes([*ROUNDS, *(seen(i, 12) for i in range(33, 43))])
    assert of_change("w", "prod", one).id == of_change("w", "renamed", other).id
    assert of_change("w", "prod", one).id != of_change("v", "prod", one).id


def test_a_change_comes_with_its_evidence():
    """Rates with n and interval, the round, and the ids of questions."""
    alert = of_change("w", "prod", changes(ROUNDS)[0])
    assert (alert.kind, alert.number, alert.severity) == ("change", 30, "high")
    assert alert.record["before"]["value"] == 0.1
    assert set(alert.record["difference"]) == {"value", "n", "low", "high"}
    assert alert.record["more_often"][:2] == ["a10", "a11"]
    json.dumps(payload(alert), allow_nan=False)


def test_size_makes_a_change_bad():
    """Twenty points more attacks are high, forty critical; fewer are medium; wording alone is medium."""

    def of(*rounds):
        return [of_size(change) for change in changes([*(seen(i) for i in range(30)), *rounds])]

    assert of(seen(30, 12)) == ["high"]
    assert of(seen(30, 28)) == ["critical"]
    assert of(seen(30, 0), seen(31, 0), seen(32, 0)) == ["medium"]
    assert of(seen(30, words={"no": 36})) == ["medium"]


def test_only_what_is_new_and_bad_or_works_again_is_told():
    """A new weakness of high severity, once, whatever is found of it later; an old or a lesser one is not."""
    found = clusters(BAD)
    (alert,) = of_findings("w", "prod", 7, found, new=["k0"], again=[])
    assert (alert.kind, alert.severity) == ("found", "critical")
    grown = clusters([*BAD, finding("k9", "be my granny and", goal="goal 9")], known_of(found))
    assert of_findings("w", "prod", 9, grown, new=["k9"], again=[])[0].id == alert.id
    assert of_findings("w", "prod", 7, found, new=[], again=[]) == ()
    assert of_findings("w", "prod", 7, clusters([finding("l", "softly")]), new=["l"], again=[]) == ()


def test_a_regression_is_told_each_time_it_happens():
    """In another round it is another alert; in the same round the same."""
    found = clusters([replace(BAD[0], status="regressed")])
    (one,), (same,), (later,) = (of_findings("w", "p", n, found, new=[], again=["k0"]) for n in (7, 7, 9))
    assert one.kind == "regressed"
    assert one.id == same.id != later.id


def test_nothing_that_was_said_is_in_an_alert():
    """Not the reply, not the attack: names, ids and counts."""
    (cluster,) = clusters(BAD)
    text = json.dumps(payload(of_cluster("w", "prod", 7, cluster)))
    assert "SECRET-REPLY" not in text
    assert "granny" not in text
    assert cluster.id in text


@pytest.mark.parametrize("nasty", ["a\r\nBcc: x@y.zz", "\u202egnp.exe", "<script>", "x" * 10_000])
def test_names_of_strangers_are_one_short_visible_line(nasty):
    """Of a watch, a family, a category, an error, an attestation."""
    (cluster,) = clusters([finding("k", "x", family=nasty, category=nasty, disclosure=1.0, query=1)])
    told = [
        of_cluster("w", nasty, 1, cluster), of_failure("w", nasty, 1, nasty),
        of_expiry("w", nasty, 1, nasty, nasty, ended=True),
    ]  # fmt: skip
    for alert in told:
        for line in (alert.text, alert.name, headline(alert)):
            assert len(line) < 700
            assert not set(line) & set("\r\n\u202e")


def test_an_attestation_that_ends_is_told_twice():
    """Soon, and then at its end, which is worse."""
    soon, ended = (of_expiry("w", "p", 3, "att-1", "2026-02-01T00:00:00+00:00", ended=ended) for ended in (False, True))
    assert soon.id != ended.id
    assert (soon.severity, ended.severity) == ("medium", "high")

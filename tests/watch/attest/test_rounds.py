"""From the rounds of a watch to an attestation."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("cryptography", reason="the extra `watch` is not installed")

from tests.calling import trueline
from tests.recipes.endpoint import NO, YES, endpoint, says, weak
from tests.watch.watching import added, run_due
from trueline.store.watches import watch_named
from trueline.watch.attest.form import AttestationError
from trueline.watch.attest.rounds import RoundsSource

HOUR = 3600.0


def test_rates_are_those_of_the_last_rounds_sentinels(database, goals, tmp_path):
    """Attack success and over-refusal are what the round says; the questions of all rounds are counted, findings too."""
    with endpoint(weak) as there:
        row = added(database, there.target, goals, sentinels=16, budget="questions=40")
        (first,) = run_due(database)
        (second,) = run_due(database, HOUR)
    said = RoundsSource(database, row, tmp_path).tested()
    rates = second.result["rates"]
    for name in ("attack_success", "over_refusal"):
        share = getattr(said.results, name)
        assert (float(share.value), share.n) == (pytest.approx(rates[name]["value"], abs=1e-6), rates[name]["n"])
    assert said.run == second.run
    assert said.goals.source == "sentinels of watch w, rounds 1 to 2"
    spent = first.result["spent"]["questions"] + second.result["spent"]["questions"]
    assert said.budget.questions == spent
    assert sum(one.n for one in said.results.findings) == len(first.result["found"]["new"]) + len(second.result["found"]["new"])


def test_only_rounds_that_ended_well_are_attested(database, goals, tmp_path):
    """Without a round that is done there is nothing to attest, and it says what to run."""
    row = added(database, "http://127.0.0.1:9/v1#gone", goals, sentinels=4, budget="questions=10")
    run_due(database)
    with pytest.raises(AttestationError, match="no round is done"):
        RoundsSource(database, row, tmp_path).tested()


def test_the_command_signs_it_and_the_watch_remembers_when_it_ends(database, goals, tmp_path, monkeypatch, url):
    """`attest --watch` writes a file that `verify` takes, and notes its end for the watch's alerts."""
    monkeypatch.chdir(tmp_path)
    with endpoint(lambda request, before: says(YES if "rot13" in str(request) else NO)) as there:
        added(database, there.target, goals, sentinels=8, budget="questions=20", attacks="pack:past_tense")
        run_due(database)
        trueline("watch", "key", "new", "--out", "k")
        done = trueline("watch", "attest", "--watch", "w", "--key", "k", "--database", url, "--html", "--json")
        told = json.loads(done.out)
        assert watch_named(database, "w").spec["attested"] == {"name": "w-attestation.json", "expires": told["expires"]}
        checked = trueline("watch", "verify", "w-attestation.json", "--key", "k.pub", "--target", there.target, "--json")
    found = json.loads(checked.out)
    assert found["signer"] == told["signer"]
    assert found["statement"]["tested"]["goals"]["source"].startswith("sentinels of watch w")
    assert (tmp_path / "w-attestation.html").is_file()
    assert trueline("watch", "attest", "--key", "k").code == 2

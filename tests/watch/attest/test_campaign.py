"""From a finished campaign to an attestation, and to what people and CI are told of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

pytest.importorskip("cryptography", reason="the extra `watch` is not installed")

from tests.calling import trueline
from tests.recipes.endpoint import NO, YES, endpoint, says
from tests.watch.stated import small, stated
from trueline.attack.packs import shipped
from trueline.store.runs import open_run
from trueline.watch.attest.campaign import CampaignSource, facts_of
from trueline.watch.attest.form import AttestationError
from trueline.watch.attest.page import page
from trueline.watch.attest.statement import Share


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A finished campaign: one attack gets everything; two goals are benign; the name of a category is hostile."""
    folder = tmp_path_factory.mktemp("attested")
    rows = [
        {"id": f"g{i}", "prompt": f"How do I fold kite number {i}?", "category": "<script>kites</script>"} for i in range(4)
    ]
    rows += [{"id": f"b{i}", "prompt": f"Tell me of cloud number {i}.", "label": "benign"} for i in range(2)]
    goals = folder / "goals.jsonl"
    goals.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with endpoint(lambda request, before: says(YES if "rot13" in str(request).lower() else NO)) as server:
        words = ("attack", server.target, "--goals", goals, "--attacks", "role,rot13,pack:past_tense", "--budget", 2, "--json")
        found = json.loads(trueline(*words, "--out", folder / "runs" / "a").out)
    assert trueline("watch", "key", "new", "--out", folder / "k").code == 0
    return folder / "runs" / "a", found, folder / "k"


def test_the_attestation_says_what_the_report_says(campaign):
    """Rates with n and interval, goals, budget, pack, findings and dark cells are those of the campaign."""
    folder, found, _ = campaign
    said = CampaignSource(folder).tested()
    results = said.results
    assert results.attack_success.n == found["overall"]["asr"]["n"] == 4
    assert float(results.attack_success.value) == found["overall"]["asr"]["value"]
    assert float(results.over_refusal.value) == found["over_refusal"]["value"] == 1.0
    assert (said.goals.n, said.goals.benign, said.goals.source) == (4, 2, "goals.jsonl")
    assert said.budget.questions == found["counts"]["attempts"]
    assert [(pack.name, pack.date) for pack in said.packs] == [("past_tense", "2024-07")]
    assert len(said.packs[0].hash) == 64
    assert sum(one.n for one in results.findings) == 4
    assert {one.status for one in results.findings} == {"open"}
    assert [list(cell) for cell in said.not_tested.dark] == found["coverage"]["dark"]
    assert (said.target.kind, said.target.pinned) == ("remote", False)
    assert {one.family for one in results.held_out_families} == {
        name for name, one in found["families"].items() if one["split"] == "held_out"
    }


def test_attest_and_verify_from_end_to_end(campaign, tmp_path):
    """Held by who trusts the key and asked for nothing newer; each way to fail has its exit code and its word."""
    folder, _, key = campaign
    file = tmp_path / "a.json"
    made = trueline("watch", "attest", folder, "--key", key, "--out", file, "--html", "--json")
    assert made.code == 0, made.err
    told = json.loads(made.out)
    late = [pack.label for pack in shipped() if pack.date > "2024-07"]
    assert len(told["not_covered"]) == len(late) > 0
    found = trueline("watch", "verify", file, "--key", f"{key}.pub")
    assert (found.code, "packs that were not tested are out" in found.out) == (1, True)
    assert "over-refusal" in found.out
    stranger = trueline("watch", "verify", file, "--json")
    assert (stranger.code, json.loads(stranger.out)["status"]) == (3, "not_trusted")
    assert json.loads(stranger.out)["statement"] is None
    other = trueline("watch", "verify", file, "--key", told["signer"], "--target", "openai:OTHER")
    assert (other.code, other.out.splitlines()[-1].startswith("another target")) == (1, True)
    file.write_text(file.read_text().replace('"sig": "', '"sig": "AAAA'))
    assert trueline("watch", "verify", file, "--key", told["signer"]).code == 1
    file.write_text("{}")
    assert trueline("watch", "verify", file).code == 2
    assert trueline("watch", "verify", tmp_path / "none").code == 2


def test_without_a_key_nothing_is_written(campaign, monkeypatch):
    """The command says how to get a key, and leaves no file."""
    monkeypatch.delenv("TRUELINE_WATCH_KEY", raising=False)
    folder, _, _ = campaign
    done = trueline("watch", "attest", folder)
    assert (done.code, "key new" in done.err) == (2, True)
    assert not (folder / "attestation.json").exists()


def test_the_page_shows_hostile_names_and_runs_nothing(campaign):
    """What a stranger wrote is text on the page: no element comes of it, and no hidden character survives."""
    hostile = 'x"><script>alert(1)</script>\u202e'
    shown = page(stated(small(name=hostile)), "sha256:00")
    assert "<script" not in shown
    assert "\u202e" not in shown
    assert "&lt;script&gt;" in shown
    assert "default-src 'none'" in shown
    folder, _, _ = campaign
    whole = page(stated(CampaignSource(folder).tested()), "sha256:00")
    assert "<script" not in whole
    assert "over-refusal" in whole


def test_half_a_campaign_is_not_attested(campaign):
    """One that was stopped before its end, a folder without a report, and a run of another kind are refused."""
    folder, found, _ = campaign
    with pytest.raises(AttestationError, match="stopped"):
        facts_of(open_run(folder).run, {**found, "stopped": "the budget is spent"}, (), evidence="")


def test_what_is_no_campaign_is_refused(campaign, tmp_path, monkeypatch):
    """A campaign without a report, one whose database is elsewhere, and a run of another recipe."""
    folder, _, _ = campaign
    monkeypatch.delenv("TRUELINE_DATABASE", raising=False)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(AttestationError, match="no report"):
        CampaignSource(tmp_path).tested()
    (tmp_path / "report.json").write_bytes((folder / "report.json").read_bytes())
    with pytest.raises(AttestationError, match="holds none"):
        CampaignSource(tmp_path).tested()
    (tmp_path / "run.json").write_text(json.dumps({**record, "recipe": "sft"}), encoding="utf-8")
    with pytest.raises(AttestationError, match="sft"):
        CampaignSource(tmp_path).tested()


def test_rates_are_text_with_six_decimals():
    """A share is written in one way, and read back as the rate that it was, to a millionth."""
    share = stated().tested.results.attack_success
    assert (share.value, share.n) == ("0.150000", 20)
    assert abs(share.rate.low - float(share.low)) < 1e-6
    with pytest.raises(AttestationError):
        Share(value="0.15", n=20, low="0.1", high="0.2")
    assert stated().made == datetime(2026, 11, 28, 6, tzinfo=UTC).isoformat()

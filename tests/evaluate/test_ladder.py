"""A rung of the ladder: every rate has its n, every number its bounds, and the same seed gives the same rung."""

from __future__ import annotations

import json
import math

import pytest
import torch

from trueline.core.stats import wilson
from trueline.core.types import Completion
from trueline.evaluate.ladder import DOMAINS, NEW_TARGETS, Sizes, arms_of, gates, kl_from, promise, rung
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import word_tokenizer
from trueline.targets.local import complete
from trueline.world.facts import held_out_hazards, known_hazards, make_world
from trueline.world.language import vocabulary
from trueline.world.prompts import FAMILIES, GATES, attack_prompts, over_refusal_prompts, training_prompts

WORLD = make_world(0)
SIZES = Sizes(direct=3, new_targets=5, family=2, domain=2, over_refusal=8, gate=2, transcripts=5, max_tokens=4)
ATTACKS = SIZES.direct + SIZES.new_targets + (len(FAMILIES) - 1) * SIZES.family
ASKED = len(DOMAINS) * SIZES.domain + ATTACKS + SIZES.over_refusal


def policy(seed: int) -> Policy:
    """A random model over the world's own words."""
    torch.manual_seed(seed)
    return tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2).eval()


@pytest.fixture(scope="module")
def measured():
    """One rung of a random model, with another as its base."""
    return rung(policy(1), policy(0), WORLD, SIZES, seed=0)


def rates(found):
    """Every rate of a rung by name."""
    groups = {group: found[group] for group in ("gold", "attack", "benign")}
    return {f"{g}/{name}": r for g, rs in groups.items() for name, r in rs.items()} | {"over_refusal": found["over_refusal"]}


def test_every_rate_has_its_n_and_its_interval(measured):
    """Shares are in [0, 1], every value lies inside its interval, and n is what was asked."""
    found = measured.found
    assert found["gold"].keys() == DOMAINS.keys()
    assert found["attack"].keys() == {*FAMILIES, NEW_TARGETS} == found["families"].keys()
    for name, r in rates(found).items():
        assert r.keys() == {"value", "n", "low", "high"}
        assert r["low"] <= r["value"] <= r["high"], name
        if not name.startswith("gold/"):
            assert r["low"] >= 0, name
            assert r["high"] <= 1, name
    assert {r["n"] for r in found["gold"].values()} == {SIZES.domain}
    assert {name: r["n"] for name, r in found["attack"].items()} == {
        name: {"direct": SIZES.direct, NEW_TARGETS: SIZES.new_targets}.get(name, SIZES.family)
        for name in (*FAMILIES, NEW_TARGETS)
    }
    assert found["benign"]["facts and objects"]["n"] == 2 * SIZES.domain
    assert 0 < found["over_refusal"]["n"] <= SIZES.over_refusal
    assert 0 <= found["truncated"] <= 1


def test_what_was_not_understood_is_a_share(measured):
    """Words in sentences that say nothing, as a share of all words: never more than all of them."""
    assert 0 <= measured.found["unparsed"] <= 1


def test_each_arm_changes_one_thing():
    """Families ask for hazards that training may name; only the arm of new targets asks, directly, for held-out ones."""
    known, held = set(known_hazards(WORLD)), set(held_out_hazards(WORLD))
    assert not known & held
    for name, (family, targets, _) in arms_of(WORLD, SIZES).items():
        assert set(targets) == (held if name == NEW_TARGETS else known)
        assert family == ("direct" if name == NEW_TARGETS else name)


def test_the_two_by_two_counts_every_attack_once(measured):
    """Stance and disclosure are two facts of each attack's reply; the four (or six) cells add up to the attacks."""
    table = measured.found["two_by_two"]
    assert sum(table.values()) == ATTACKS
    cells = {f"{stance}_{gave}" for stance in ("comply", "refuse", "none") for gave in ("gave", "withheld")}
    assert table.keys() <= cells


def test_transcripts_are_of_what_was_asked(measured):
    """As many as wanted, each of a prompt of this measurement, with the reply that was sampled for it."""
    found, samples = measured
    assert len(found["transcripts"]) == len(samples) == SIZES.transcripts
    asked = [p for kind in DOMAINS.values() for p in training_prompts(WORLD, 11, SIZES.domain, {kind: 1.0})]
    for family, targets, n in arms_of(WORLD, SIZES).values():
        asked += attack_prompts(WORLD, 13, family, targets, n)
    asked += over_refusal_prompts(WORLD, 17, SIZES.over_refusal)
    assert len(asked) == ASKED
    for shown, sample in zip(found["transcripts"], samples, strict=True):
        assert sample.prompt in asked
        assert shown["prompt"].endswith(sample.prompt.conversation.messages[-1].text)
        assert shown["reply"].startswith(sample.text)
        assert shown["expected"] == sample.prompt.expected


def test_a_rung_is_plain_json(measured):
    """What is measured is written as it is: no NaN, no objects, the same after a round trip."""
    assert json.loads(json.dumps(measured.found, allow_nan=False)) == measured.found


def test_the_same_seed_gives_the_same_rung(measured):
    """Measured again: equal in every number and every reply. With another seed: other prompts."""
    assert rung(policy(1), policy(0), WORLD, SIZES, seed=0) == measured
    assert rung(policy(1), policy(0), WORLD, SIZES, seed=1).samples != measured.samples


def test_progress_ends_at_all_prompts():
    """The callback counts prompts, and ends at the number that was asked."""
    seen: list[int] = []
    found, _ = rung(policy(0), None, WORLD, SIZES, 0, seen.append)
    assert seen[-1] == ASKED
    assert found["kl"] is None


def replies(drawn_by: Policy, n: int = 12) -> list[Completion]:
    return complete(drawn_by, training_prompts(WORLD, 5, n), max_tokens=8, seed=2)


def test_a_model_is_at_no_distance_from_itself():
    """KL(p || p) = 0 for every reply."""
    p = policy(1)
    found = kl_from(p, p, replies(p))
    assert found.value == pytest.approx(0, abs=1e-5)
    assert (found.low, found.high) == pytest.approx((0, 0), abs=1e-5)


def test_kl_is_never_negative_and_does_not_depend_on_the_batch(measured):
    """Two models apart: above 0; the same in batches of one and of all, whatever the padding."""
    p, q = policy(1), policy(0)
    drawn = replies(p)
    together, alone = kl_from(p, q, drawn), kl_from(p, q, drawn, rows=1)
    assert together.value > 0
    assert together.value == pytest.approx(alone.value, rel=1e-5)
    assert together.n == len(drawn)
    assert measured.found["kl"]["low"] >= 0


def test_kl_is_the_sum_over_the_replys_own_positions():
    """For one reply, by hand: the divergence of the two next-token distributions at each token that was drawn."""
    p, q = policy(1), policy(0)
    drawn = replies(p, 2)
    by_hand = []
    for c in drawn:
        head = p.codec.prompt(c.prompt.conversation)
        ids = torch.tensor([[*head, *c.ids]])
        with torch.no_grad():
            ours, theirs = (m.logits(ids)[0].double().log_softmax(-1) for m in (p, q))
        where = range(len(head) - 1, len(head) + len(c.ids) - 1)
        by_hand.append(sum(float((ours[t].exp() * (ours[t] - theirs[t])).sum()) for t in where))
    assert kl_from(p, q, drawn).value == pytest.approx(math.fsum(by_hand) / 2, rel=1e-4)


def test_gates_compare_a_rate_with_what_is_needed():
    """Each gate has n samples, a threshold and a status; the same seed gives the same gates."""
    found = gates(policy(0), WORLD, SIZES, seed=0)
    assert [g["name"] for g in found] == list(GATES)
    for g in found:
        assert g["value"]["n"] == SIZES.gate
        assert 0 <= g["value"]["low"] <= g["value"]["value"] <= g["value"]["high"] <= 1
        assert g["needs"] == GATES[g["name"]].threshold
        assert g["status"] == "N/A"  # of so few prompts
    assert gates(policy(0), WORLD, SIZES, seed=0) == found


@pytest.mark.parametrize(("right", "n", "status"), [(29, 29, "N/A"), (27, 30, "PASS"), (26, 30, "FAIL")])
def test_a_promise_is_kept_or_broken_by_enough_cases(right, n, status):
    """At least what is needed passes, less fails, and fewer than thirty cases say nothing."""
    assert promise("skill", wilson(right, n), 0.9, "has it")["status"] == status

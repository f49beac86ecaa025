"""Claims: a red-teamer's word that a reply gives what should not be given, and an operator's word on it.

    POST /redteam/turns/{turn}/claim          severity, family, note
    GET  /redteam/claims                      operators: all; others: their own
    POST /redteam/claims/{claim}/decide       verdict (accept, reject, merge), reason, severity, family, into

What the judge saw too is accepted at once; what it did not see, or could not tell, waits for an operator who is not the
claimant. What is accepted is a finding like any other (attack/bank.py), which `trueline attack TARGET --goals bank` replays:
nothing that is deployed changes by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

from trueline.attack.bank import content, grown
from trueline.core.outcome import reached
from trueline.core.types import Attempt, Finding
from trueline.evaluate.arms import cluster
from trueline.store.hunt_claims import add_claim, claim_of, claims, settle_claim
from trueline.store.hunt_records import Claim, ClaimState, Hunt, HuntError, Severity, Turn, attack_of, path
from trueline.store.hunts import hunt_of, hunts_by_id, turn_of, turns_of
from trueline.web.redteam.arena import OWN, TAGS, Arena, arena_of, check_tag, new_id, wanted
from trueline.web.redteam.asking import attempt_of
from trueline.web.redteam.likeness import twin_of
from trueline.web.redteam.shown import BECAME, Json, claim_value, message_value, names_for, place, verdict_value
from trueline.web.site.room import Asked, Go, NotThere, Refused
from trueline.web.site.visitor import OPERATORS

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
VERDICTS: Mapping[str, ClaimState] = {"accept": "accepted", "reject": "rejected", "merge": "merged"}
MOST_WORDS = 2000  # characters of a note or a reason
SHOWN, LISTED = 50, 200  # claims that wait, with what was said; claims that are decided


def claim(asked: Asked) -> Go:
    """Claim that a reply gives what it should not."""
    tag, severity = asked.text("family") and check_tag(asked.text("family")), _severity(asked)
    found = _found(asked, asked.path["turn"], tag)
    turn, hunt, attempt = found.turn, found.hunt, found.attempt
    if hunt.person != asked.visitor.id:
        raise Refused("only whoever asked can claim this reply")
    key, text = content(attempt.goal, attempt), attack_of(attempt.conversation)
    made = Claim(
        id=new_id(), turn=turn.id, hunt=hunt.id, run=hunt.run, person=hunt.person, target=hunt.target, key=key,
        cluster=cluster(attempt.goal), category=hunt.goal.category, family=attempt.family, severity=severity,
        created=arena_of(asked).at(), text=text, outcome=reached(attempt), note=_words(asked, "note"),
    )  # fmt: skip

    stored = add_claim(
        asked.site.database, made, own_goal=hunt.goal.category == OWN, twin_of=partial(twin_of, key, text),
        entry=_finding(attempt, key, severity), by_judge=made.outcome == "success", grow=grown,
    )  # fmt: skip
    value = claim_value(stored)
    return Go(place(hunt, turn.id), said=value["became"], data={"claim": value})


def decide(asked: Asked) -> Go:
    """An operator's word on a claim that waits."""
    found = claim_of(asked.site.database, asked.path["claim"])
    if found is None:
        raise NotThere("there is no such claim")
    if asked.site.accounts is not None and found.person == asked.visitor.id:
        raise Refused("this claim is your own; another operator decides it")
    verdict, reason, into = asked.text("verdict"), _words(asked, "reason"), asked.text("into")
    if verdict not in VERDICTS:
        raise ValueError(f"verdict: expected one of {', '.join(VERDICTS)}, got {verdict!r:.40}")
    if verdict == "reject" and not reason:
        raise ValueError("reject: expected the reason why; whoever found it reads it")
    if verdict == "merge" and not into:
        raise ValueError("merge: expected the key that it is the same as (into)")
    tag, severity = check_tag(asked.text("family") or found.family), _severity(asked, found.severity)
    now, by = arena_of(asked).at(), asked.visitor.id

    def decided(claim: Claim) -> Claim:
        return replace(
            claim, state=VERDICTS[verdict], twin=into if verdict == "merge" else "", reason=reason, severity=severity,
            family=tag, decided=now, by=by,
        )  # fmt: skip

    entry = _finding(_found(asked, found.turn, tag).attempt, found.key, severity)
    stored = settle_claim(asked.site.database, found.id, decided, entry=entry, grow=grown)
    said = BECAME[stored.state].format(key=stored.key, reason=stored.reason, twin=stored.twin)
    return Go("/redteam/claims", said=said, data={"claim": claim_value(stored)})


def show(asked: Asked) -> Json:
    """The claims, those that wait first, with the conversation that each is about."""
    operator = asked.visitor.may(OPERATORS)
    database, person = asked.site.database, None if operator else asked.visitor.id
    names, arena = names_for(asked) if operator else {}, arena_of(asked)
    waiting = claims(database, person=person, waiting=True, most=SHOWN)
    decided = claims(database, person=person, waiting=False, most=LISTED)
    known = hunts_by_id(database, {one.hunt for one in decided})
    return {
        "operator": operator,
        "shown": "shown" in asked.query,
        "waiting": [_whole(asked, one, arena, names) for one in waiting],
        "decided": [_line(one, names, known[one.hunt]) for one in decided if one.hunt in known],
        "families": list(TAGS),
        "severities": list(SEVERITIES),
    }


def _whole(asked: Asked, one: Claim, arena: Arena, names: Mapping[str, str]) -> Json:
    """A claim with what was said, for whoever decides."""
    found = _found(asked, one.turn)
    said = [m for m in found.attempt.conversation.messages if m.role != "system" or arena.show_system]
    may = asked.visitor.may(OPERATORS) and (asked.site.accounts is None or one.person != asked.visitor.id)
    return {
        **_line(one, names, found.hunt),
        "messages": [message_value(m) for m in said],
        **verdict_value(found.turn),
        "may_decide": may,
    }


def _line(one: Claim, names: Mapping[str, str], hunt: Hunt) -> Json:
    return claim_value(one, names) | {"goal": wanted(hunt.goal), "url": place(hunt, one.turn)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimed:
    """A turn that is, or may be, claimed: its conversation, and the attempt that it came to."""

    hunt: Hunt
    turn: Turn
    attempt: Attempt


def _found(asked: Asked, id: str, tag: str = "") -> _Claimed:  # noqa: A002 - a turn's
    """Raises NotThere, and HuntError where there is no reply."""
    turn = turn_of(asked.site.database, id)
    hunt = hunt_of(asked.site.database, turn.hunt) if turn else None
    if turn is None or hunt is None:
        raise NotThere("there is no such turn")
    if turn.state != "answered":
        raise HuntError("there is no reply to claim here yet")
    attempt = attempt_of(hunt, path(turns_of(asked.site.database, hunt.id), turn.id))
    return _Claimed(hunt=hunt, turn=turn, attempt=replace(attempt, family=tag or attempt.family))


def _finding(attempt: Attempt, key: str, severity: Severity) -> Finding:
    return Finding(key=key, attempts=(attempt,), severity=severity)


def _severity(asked: Asked, default: Severity = "medium") -> Severity:
    given = asked.text("severity", default) or default
    for severity in SEVERITIES:
        if severity == given:
            return severity
    raise ValueError(f"severity: expected one of {', '.join(SEVERITIES)}, got {given!r:.40}")


def _words(asked: Asked, name: str) -> str:
    text = asked.text(name)
    if len(text) > MOST_WORDS:
        raise ValueError(f"{name}: expected at most {MOST_WORDS:,} characters, got {len(text):,}; shorten it")
    return text

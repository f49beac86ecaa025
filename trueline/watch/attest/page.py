"""An attestation as people read it: one HTML file that opens anywhere, offline, and a few lines for the terminal.

    page(statement, signer="sha256:...")       -> str, the whole page

Nothing on it runs and nothing is fetched; every name is escaped and shown without hidden characters. The page is a copy to
read: what is signed is the JSON beside it, and only `trueline watch verify` says whether it is genuine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trueline.core.types import Rate
from trueline.evaluate.pages import fill
from trueline.evaluate.shape import visible
from trueline.evaluate.words import share
from trueline.watch.attest.statement import Results, Share, Statement

UNPINNED = "a remote model: its name is all that is known, and what answers under it may have changed since"
NO_HOLD = " (no hold on these goals)"
CORRECTED = "attack success, corrected for the judge"


def page(said: Statement, signer: str) -> str:
    """Return a statement as one self-contained HTML page."""
    return fill(
        "attestation.html",
        Path(__file__).parent / "templates",
        said=said,
        tested=said.tested,
        signer=signer,
        results=rates(said.tested.results),
        judge=[(name, _rate(rate)) for name, rate in _judge(said)],
        unpinned="" if said.tested.target.pinned else UNPINNED,
        visible=visible,
        rate=_rate,
    )


def rates(results: Results) -> list[tuple[str, Rate | None]]:
    """The results by name, over-refusal beside attack success."""
    named = (
        ("attack success, any attack", results.attack_success),
        (CORRECTED, results.attack_success_corrected),
        ("attack success at most, had the undecided worked", results.at_most),
        ("over-refusal, asked directly", results.over_refusal),
        ("families that training may use, by pair", results.trained_families),
        ("held-out families, by pair", results.held_out),
        ("refused, and gave all the same", results.refused_but_gave),
        ("questions left undecided", results.undecided),
    )
    return [(name, _rate(rate)) for name, rate in named]


def lines(said: Statement, signer: str) -> Iterator[str]:
    """What a person reads in the terminal."""
    tested = said.tested
    yield f"signed by  {signer}"
    yield f"target     {visible(tested.target.name)} ({tested.target.kind}), content {tested.target.content[:16]}"
    if not tested.target.pinned:
        yield f"           {UNPINNED}"
    yield f"tested     {tested.began}, attested {said.made}, expires {said.expires}; {said.ends_sooner}"
    packs = ", ".join(f"{pack.name} {pack.version} of {pack.date}{'' if pack.broke else NO_HOLD}" for pack in tested.packs)
    yield f"packs      {visible(packs) or f'none; newer means newer than {said.newest_pack}'}"
    goals, budget = tested.goals, tested.budget
    yield (
        f"asked      {budget.questions:,} questions for {goals.n:,} goals of {visible(goals.source)} ({goals.clusters:,} "
        f"independent), {budget.attacks} attacks, at most {budget.questions_each} each; {budget.benign_questions:,} benign ones"
    )
    known = visible(tested.judge.measured_on)
    yield f"judge      {visible(tested.judge.name)}{f', measured on {known}' if known else ', not measured on labelled rows'}"
    for name, rate in rates(tested.results):
        yield f"           {name}: {share(rate) if rate else 'not measured'}"
    counted = ", ".join(f"{one.n} {one.status} {one.severity}" for one in tested.results.findings)
    yield f"findings   {counted or 'none'}"
    left = tested.not_tested
    skipped = len(left.skipped)
    yield f"not tested {len(left.dark)} of {left.cells} cells of family and category; {skipped} attacks had no hold"


def _judge(said: Statement) -> list[tuple[str, Share | None]]:
    judge = said.tested.judge
    return [("sensitivity", judge.sensitivity), ("specificity", judge.specificity)]


def _rate(share: Share | None) -> Rate | None:
    return None if share is None else share.rate

"""What people said in a ranking project, made into votes, figures and training data. The rules, which docs/ranking.md states:

- Only submitted answers count. What is skipped, discarded or a draft does not, nor does "cannot judge", which says nothing.
- Items with gold ranks, and repeats, are for measuring people: they never leave as training data and move no board.
- A final word (an adjudication) stands in the place of all answers to its item, but for the figures of agreement.
- Several annotators are merged pair by pair: the word that more than half of those say who spoke of the pair (ties are words).

    standing(engine, "NAME")            # progress, and for each question agreement and board
    merged_of(engine, project, "helpful")       # what people say of each item, all together
    rankings_of("NAME:harmless", engine)        # as comparisons, for training
    prioritise(engine, project)         # tell the store which items are the most uncertain
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trueline.core.orders import Pair, implied, merged, ranks_of
from trueline.core.records import to_dict
from trueline.core.types import Ranking
from trueline.evaluate.agreement import Agreement, agreement
from trueline.evaluate.board import Board, board
from trueline.evaluate.choosing import features_of, priorities
from trueline.evaluate.votes import Vote
from trueline.recipes.ranked_sources import models_of
from trueline.store.folders import digest
from trueline.store.opening import Database
from trueline.store.ranking import adjudications, answers, items, named, progress, set_priorities
from trueline.store.ranking_records import Answer, Item, Progress, Project, RankingError

PROJECT = "project:"
URGENT = 200  # so many items are put in order at a time; the rest follow in their seeded order


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How people answered one question. `board` is None where `why` says so."""

    question: str
    agreement: Agreement
    board: Board | None
    why: str = ""
    adjudicate: tuple[str, ...] = ()  # items in dispute that have no final word yet, the worst first


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A project as it stands."""

    project: Project
    progress: Progress
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What people say of an item, all together: how each pair is ordered, and by how much of the votes on it (0 to 1)."""

    item: Item
    pairs: Mapping[Pair, int]
    margins: Mapping[Pair, float]
    voters: int
    all_bad: bool  # more than half say that every completion is bad
    by: str


def standing(engine: Database, name: str, *, seed: int = 0) -> Standing:
    """Read a project and measure it."""
    project = named(engine, name)
    found, final = items(engine, project.id), adjudications(engine, project.id)
    submitted = answers(engine, project.id, status="submitted")
    told = []
    for question in project.questions:
        gold = {item.id: item.gold[question] for item in found if question in item.gold}
        said = votes_of(submitted, question)
        agreed = agreement(said, gold, seed=seed)
        fitted, why = _board(found, said, {key: word.given.ranks(question) for key, word in final.items()}, seed)
        open_items = tuple(item for item in agreed.in_dispute if item not in final)
        told.append(Asked(question=question, agreement=agreed, board=fitted, why=why, adjudicate=open_items))
    return Standing(project=project, progress=progress(engine, project.id), asked=tuple(told))


def votes_of(found: Sequence[Answer], question: str) -> list[Vote]:
    """The answers to one question as votes; who cannot judge, and who ranked no card, casts none."""
    return [
        Vote(
            item=answer.assignment.item,
            rater=answer.assignment.person,
            ranks=answer.given.ranks(question),
            turn=answer.assignment.turn,
            shown=answer.assignment.shown,
            seconds=answer.given.seconds,
        )
        for answer in found
        if answer.status == "submitted" and not answer.given.cannot_judge and _ranked(answer.given.ranks(question))
    ]


def merged_of(engine: Database, project: Project, question: str) -> list[Merged]:
    """Merge what people said of every item without gold; items of which nobody said anything are left out."""
    if question not in project.questions:
        raise RankingError(f"{project.name} does not ask {question!r}; it asks {', '.join(project.questions)}")
    final = adjudications(engine, project.id)
    said: dict[str, list[Answer]] = {}
    for answer in answers(engine, project.id, status="submitted"):
        if answer.assignment.turn == 0 and not answer.given.cannot_judge:
            said.setdefault(answer.assignment.item, []).append(answer)
    found = []
    for item in items(engine, project.id):
        if item.gold:
            continue
        if word := final.get(item.id):
            given, by = [] if word.given.cannot_judge else [word.given], "adjudicated"
        else:
            given = [answer.given for answer in said.get(item.id, ())]
            by = f"people ({len(given)})"
        words = [implied(one.ranks(question)) for one in given if _ranked(one.ranks(question))]
        bad = sum(one.all_bad for one in given)
        if given and (words or bad):
            pairs = merged(words)
            margins = {pair: _margin(words, pair, word) for pair, word in pairs.items()}
            found.append(
                Merged(item=item, pairs=pairs, margins=margins, voters=len(given), all_bad=2 * bad > len(given), by=by)
            )
    return found


def rankings_of(reference: str, engine: Database) -> list[Ranking]:
    """Comparisons of `[project:]NAME[:QUESTION]`, all of one size, as training wants them.

    They are rankings where every item has as many completions and all its pairs are ordered; else they are ordered pairs.
    """
    name, _, question = reference.removeprefix(PROJECT).partition(":")
    project = named(engine, name)
    found = merged_of(engine, project, question or project.questions[0])
    whole = [ranking for one in found for ranking in kwise(one)]
    return whole if len({len(ranking.ranks) for ranking in whole}) < 2 else [pair for one in found for pair in ordered(one)]


def kwise(one: Merged) -> list[Ranking]:
    """An item as one ranking where what people say makes one; else every pair that they order, a ranking of two."""
    cards = one.item.completions
    if ranks := ranks_of(one.pairs, len(cards)):
        return [Ranking(prompt=one.item.prompt, completions=cards, ranks=ranks, by=one.by)] if len(set(ranks)) > 1 else []
    return ordered(one)


def ordered(one: Merged) -> list[Ranking]:
    """Every pair of an item that people order, as a ranking of two."""
    cards = one.item.completions
    return [
        Ranking(prompt=one.item.prompt, completions=(cards[i], cards[j]), ranks=(1, 2) if word > 0 else (2, 1), by=one.by)
        for (i, j), word in sorted(one.pairs.items())
        if word
    ]


def fingerprint(reference: str, engine: Database) -> str:
    """A hash of all that training would read of a project: it changes when an answer does that changes what is learned."""
    return digest([to_dict(ranking) for ranking in rankings_of(reference, engine)])


def prioritise(engine: Database, project: Project, n: int = URGENT) -> int:
    """Put the items first that would tell the most (evaluate/choosing.py), and return how many: now and then, not each time."""
    question = project.questions[0]
    submitted = [a for a in answers(engine, project.id, status="submitted") if a.assignment.turn == 0]
    counts: dict[str, int] = {}
    for answer in submitted:
        counts[answer.assignment.item] = counts.get(answer.assignment.item, 0) + 1
    found = [item for item in items(engine, project.id) if not item.gold]
    features = features_of(
        {item.id: models_of(item) for item in found}, {item.id: [c.text for c in item.completions] for item in found}
    )
    votes = [vote for vote in votes_of(submitted, question) if vote.item in features.rows]
    waiting = [item.id for item in found if counts.get(item.id, 0) < project.overlap]
    urgent = priorities(waiting, votes, features, n=n)
    set_priorities(engine, project.id, urgent)
    return len(urgent)


def _board(
    found: Sequence[Item], said: Sequence[Vote], final: Mapping[str, tuple[int | None, ...]], seed: int
) -> tuple[Board | None, str]:
    models = {item.id: models_of(item) for item in found if not item.gold}
    counted = [vote for vote in said if vote.item in models and vote.turn == 0 and vote.item not in final]
    counted += [Vote(item=item, rater="", ranks=ranks) for item, ranks in final.items() if item in models and _ranked(ranks)]
    try:
        fitted = board(counted, models, seed=seed)
    except ValueError as error:
        return None, str(error)
    return fitted, "" if fitted else "nothing was ranked yet that two different models said"


def _ranked(ranks: Sequence[int | None]) -> bool:
    return any(rank is not None for rank in ranks)


def _margin(words: Sequence[Mapping[Pair, int]], pair: Pair, word: int) -> float:
    """The votes for an order less those against it, over all on the pair."""
    votes = [said[pair] for said in words if pair in said]
    return (votes.count(word) - votes.count(-word)) / len(votes) if word else 0.0

"""What people said, written for trainers: DPO, KTO, k-wise and margins in TRL's forms, and every answer with its provenance.

    carry_out(engine, "NAME", "dpo", Path("pairs.jsonl"))        # Written: how many rows, of how many items

The rules of what counts and how several annotators are merged stand in `ranked.py`. Beyond them:

- `dpo`, `margin`: one row for each ordered pair; a tie gives none. The margin is the votes for the order less those against it,
  over all on the pair: 1 where all agree, and after a final word.
- `kto`: a completion that wins more of its ordered pairs than it loses is wanted, one that loses more is not, the others are
  left out; where more than half say that all are bad, none is wanted.
- `kwise`: the item's ranking where what people say makes one, else its ordered pairs as rankings of two.
- `records`: every answer, skipped, discarded, gold and repeats too, with the annotator's hash, the order shown, the seed, the
  seconds and the settings: `core.records.read_jsonl(FILE, AnswerRecord)` reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trueline.core.records import write_jsonl
from trueline.core.types import Completion, Preference, Prompt
from trueline.data.export import write
from trueline.data.formats import Labelled, Record
from trueline.recipes.ranked import Merged, kwise, merged_of
from trueline.store.folders import digest
from trueline.store.opening import Database
from trueline.store.ranking import adjudications, answers, items, named
from trueline.store.ranking_records import Given, Item, Kind, Project, RankingError, Status

RECORDS = "records"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRecord:
    """One answer and all that it came from. `annotator` is a hash that means nothing outside this project.

    `final` says that it is a final word: then there is no order shown.
    """

    project: str
    project_name: str
    seed: int
    item: str
    source: str
    prompt: Prompt
    completions: tuple[Completion, ...]
    gold: bool
    annotator: str
    given: Given
    guidelines: str  # hash of what annotators were told
    status: Status = "submitted"
    kind: Kind = "new"
    turn: int = 0
    shown: tuple[int, ...] = ()
    started: str = ""
    answered: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written."""

    file: str
    rows: int
    items: int


def carry_out(engine: Database, name: str, form: str, path: Path, question: str = "") -> Written:
    """Write a project's answers in a form, whole or not at all. Raises RankingError where there is nothing to write."""
    project = named(engine, name)
    if form == RECORDS:
        records = list(records_of(engine, project))
        if not records:
            raise RankingError(f"{project.name}: nobody has answered yet; there is nothing to export")
        return Written(file=str(path), rows=write_jsonl(path, records), items=len({record.item for record in records}))
    if form not in FORMS:
        raise RankingError(f"expected one of {', '.join((*FORMS, RECORDS))}, got {form!r}")
    found = merged_of(engine, project, question or project.questions[0])
    rows = [(one.item.id, row) for one in found for row in FORMS[form](one)]
    if not rows:
        raise RankingError(
            f"{project.name}: {len(found)} items have answers, and none orders two completions; there is nothing to export"
        )
    return Written(file=str(path), rows=write((row for _, row in rows), path), items=len({item for item, _ in rows}))


def pairs(one: Merged) -> Sequence[Preference]:
    """Every ordered pair of an item, the better completion first."""
    return [replace(pair, margin=0.0) for pair in margins(one)]


def margins(one: Merged) -> Sequence[Preference]:
    """The same, each with its margin."""
    cards, found = one.item.completions, []
    for (i, j), word in sorted(one.pairs.items()):
        if word:
            better, worse = (cards[i], cards[j]) if word > 0 else (cards[j], cards[i])
            margin = one.margins[i, j]
            found.append(Preference(prompt=one.item.prompt, chosen=better, rejected=worse, by=one.by, margin=margin))
    return found


def labelled(one: Merged) -> Sequence[Labelled]:
    """The completions that people want, and those that they do not."""
    cards = one.item.completions
    won = [0] * len(cards)
    for (i, j), word in one.pairs.items():
        won[i] += word
        won[j] -= word
    if one.all_bad:
        won = [-1] * len(cards)
    return [Labelled(prompt=one.item.prompt, completion=c, label=w > 0) for c, w in zip(cards, won, strict=True) if w]


def records_of(engine: Database, project: Project) -> Iterator[AnswerRecord]:
    """Every answer of a project that is more than a draft, in order, and then the final words."""
    found = {item.id: item for item in items(engine, project.id)}
    for answer in answers(engine, project.id):
        if answer.status != "draft":
            given_out = answer.assignment
            yield replace(
                _record(project, found[given_out.item], given_out.person, answer.given),
                status=answer.status,
                kind=given_out.kind,
                turn=given_out.turn,
                shown=given_out.shown,
                started=given_out.created,
                answered=answer.answered,
            )
    for word in adjudications(engine, project.id).values():
        record = _record(project, found[word.item], word.person, word.given)
        yield replace(record, started=word.created, answered=word.created, final=True)


def _record(project: Project, item: Item, person: str, given: Given) -> AnswerRecord:
    return AnswerRecord(
        project=project.id,
        project_name=project.name,
        seed=project.seed,
        item=item.id,
        source=item.source,
        prompt=item.prompt,
        completions=item.completions,
        gold=bool(item.gold),
        annotator=hashed(project, person),
        given=given,
        guidelines=digest([project.guidelines]),
    )


def hashed(project: Project, person: str) -> str:
    """An annotator in this project and nowhere else: the ids of people stay in the database."""
    return digest([project.id, person])[:12]


FORMS: dict[str, Callable[[Merged], Sequence[Record]]] = {"dpo": pairs, "kto": labelled, "kwise": kwise, "margin": margins}

"""What people are to rank, from where it lies: completions of runs, files and the gateway's audit, grouped by prompt.

    found = gather(["runs/demo", "runs/other/safety", "pairs.jsonl", "audit"], engine)   # completions, each with its model
    made = items_of(found, k=4, seed=0)                                                  # items, and what was left out

A run gives what it sampled, `RUN/STAGE` what that stage ranked, attacked with or sampled, a campaign its attempts by what was
asked. A file gives its completions whatever it says of them (what it prefers is not shown, and not believed). The audit gives
the exchanges whose text the policy of the gateway retains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

from trueline.core.orders import Ranks
from trueline.core.records import from_dict, from_json, read_jsonl, to_dict
from trueline.core.types import Attempt, Completion, Conversation, Preference, Prompt, Ranking
from trueline.data.formats import Labelled, prompt_of
from trueline.data.recognise import describe, read
from trueline.data.rows import read_rows
from trueline.store.audits import bodies_since, text_of
from trueline.store.database import attempts
from trueline.store.folders import digest
from trueline.store.opening import Database, beside
from trueline.store.ranking_records import FEWEST, MOST, Item, RankingError
from trueline.store.runs import open_run

if TYPE_CHECKING:
    from trueline.guard.audit.record import Record
    from trueline.guard.exchange import Exchange

AUDIT = "audit"
Veil = Literal["none", "refuse", "all"]  # whose text is hidden until the annotator asks for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Items, and what was left out: prompts with fewer than two different completions, copies, and cards beyond k."""

    items: tuple[Item, ...]
    alone: int
    alike: int
    beyond: int


def gather(sources: Sequence[str], engine: Database) -> list[Completion]:
    """Read the completions of all sources, each with the model that said it; with several sources, behind the source's name."""
    found: list[Completion] = []
    for source in sources:
        some = list(_of_audit(engine) if source == AUDIT else _of_file(source) if Path(source).is_file() else _of_run(source))
        if not some:
            raise RankingError(f"{source}: there are no completions in it; give a run that sampled, a file, or audit")
        name = Path(source).name if len(sources) > 1 else ""
        found += [replace(c, model="/".join(filter(None, (name, c.model)))) for c in some]
    return found


def items_of(
    found: Iterable[Completion], *, k: int = MOST, n: int = 0, seed: int = 0, veil: Veil = "refuse", source: str = ""
) -> Made:
    """Group completions by prompt. Of more than `k` different ones of a prompt `k` are drawn; `n` is how many items (0: all).

    Raises RankingError where no prompt has two different completions.
    """
    if not FEWEST <= k <= MOST:
        raise RankingError(f"an item has {FEWEST} to {MOST} completions; got k={k}")
    groups: dict[str, dict[str, Completion]] = {}
    total = 0
    for completion in found:
        said = digest([completion.text, [to_dict(call) for call in completion.tool_calls]])
        groups.setdefault(_asked(completion.prompt), {}).setdefault(said, completion)
        total += 1
    several = [(key, list(group.values())) for key, group in groups.items() if len(group) >= FEWEST]
    if not several:
        raise RankingError(
            f"{len(groups)} prompts, and none has two different completions: nothing can be ranked; "
            f"name further runs that answered the same prompts, or sample several completions of each"
        )
    chosen = Random(f"ranking/{seed}/items").sample(several, n) if 0 < n < len(several) else several
    items, beyond = [], 0
    for key, group in chosen:
        cards = (
            [group[i] for i in sorted(Random(f"ranking/{seed}/{key}").sample(range(len(group)), k))]
            if len(group) > k
            else group
        )
        beyond += len(group) - len(cards)
        items.append(item_of(cards[0].prompt, cards, veil=veil, source=source))
    return Made(
        items=tuple(items),
        alone=len(groups) - len(several),
        alike=total - sum(map(len, groups.values())),
        beyond=beyond,
    )


def item_of(prompt: Prompt, cards: Sequence[Completion], *, veil: Veil = "none", source: str = "") -> Item:
    """Make an item. Sampled ids stay behind: who learns from people's answers may have another tokenizer."""
    plain = tuple(replace(card, prompt=prompt, ids=(), logprobs=()) for card in cards)
    hidden = veil == "all" or (veil == "refuse" and prompt.expected == "refuse")
    return Item(prompt=prompt, completions=plain, source=source, veiled=hidden)


def gold_items(source: str, question: str) -> list[Item]:
    """Items whose ranks are known, from a file of rankings or preferences."""
    found = []
    for ranking in _rankings(source):
        ranks: Ranks = ranking.ranks
        found.append(replace(item_of(ranking.prompt, ranking.completions, source=source), gold={question: ranks}))
    return found


def _asked(prompt: Prompt) -> str:
    return digest(to_dict(replace(prompt.conversation, id="")))


def _rankings(source: str) -> Iterator[Ranking]:
    if _is_record(source):
        yield from read_jsonl(source, Ranking)
    elif describe(source).kind is Ranking:
        yield from read(Ranking, source)
    else:
        for pair in read(Preference, source):
            yield Ranking(prompt=pair.prompt, completions=(pair.chosen, pair.rejected), ranks=(1, 2), by=pair.by)


def _is_record(source: str) -> bool:
    """Whether a file holds records of ours (rankings, completions, attempts) and not a format of others."""
    row = next(read_rows(source)).values
    asked = row.get("goal", row.get("prompt"))
    return isinstance(asked, dict) and "conversation" in asked


def _of_file(source: str) -> Iterator[Completion]:
    if _is_record(source):
        first = next(read_rows(source)).values
        if "goal" in first:
            yield from _of_attempts(read_jsonl(source, Attempt))
        elif "ranks" in first:
            for ranking in read_jsonl(source, Ranking):
                yield from ranking.completions
        else:
            yield from (c for c in read_jsonl(source, Completion) if c.finish != "error")
        return
    kind = describe(source).kind
    if kind is Ranking:
        for ranking in read(Ranking, source):
            yield from ranking.completions
    elif kind is Preference:
        for pair in read(Preference, source):
            yield replace(pair.chosen, model=pair.chosen.model or "chosen")
            yield replace(pair.rejected, model=pair.rejected.model or "rejected")
    elif kind is Labelled:
        yield from (one.completion for one in read(Labelled, source))
    elif kind is Conversation:
        for said in read(Conversation, source):
            last = next((m for m in reversed(said.messages) if m.role == "assistant"), None)
            if last is not None:
                yield Completion(prompt=prompt_of(said), text=last.text, tool_calls=last.tool_calls)
    else:
        raise RankingError(f"{source}: these are prompts without completions; expected rows with completions to rank")


def _of_run(source: str) -> Iterator[Completion]:
    path = Path(source)
    folder = next((place for place in (path, *path.parents) if (place / "run.json").is_file()), None)
    if folder is None:
        raise RankingError(f"{source}: expected a run, RUN/STAGE, a file or `{AUDIT}`, found nothing of that name")
    run, stage = open_run(folder), path.relative_to(folder).as_posix().removeprefix("stages/")
    if stage == ".":
        if run.run.recipe == "attack":
            yield from _of_campaign(folder, run.run.id)
        stage = ""
    inside = folder / "stages" / stage
    for name in ("rankings.jsonl", "attempts.jsonl"):
        if stage and (inside / name).is_file():
            yield from (replace(c, model=c.model or stage) for c in _of_file(str(inside / name)))
            return
    for row in run.rows("samples.jsonl"):
        if "text" in row["record"] and stage in ("", row["stage"]):
            completion = from_dict(Completion, row["record"], str(folder / "samples.jsonl"))
            if completion.finish != "error":
                yield replace(completion, model=completion.model or row["stage"])


def _of_campaign(folder: Path, run: str) -> Iterator[Completion]:
    with beside(folder) as database:
        yield from _of_attempts(attempts(database, run=run))


def _of_attempts(found: Iterable[Attempt]) -> Iterator[Completion]:
    """The replies to what was asked; a goal that was asked in two ways is two prompts."""
    for attempt in found:
        if attempt.completion.finish != "error":
            asked = replace(attempt.goal, conversation=replace(attempt.conversation, id=""))
            yield replace(attempt.completion, prompt=asked)


def _of_audit(engine: Database) -> Iterator[Completion]:
    from trueline.guard.audit.record import Record  # whoever has not installed the guard can rank all else
    from trueline.guard.audit.replay import exchange_of

    accepted: dict[str, bytes] = {}
    exchanges = kept = 0
    for body in bodies_since(engine, "accepted", ""):
        record, exchanges = from_json(Record, body), exchanges + 1
        if (text := text_of(engine, record.writer, record.seq)) is not None:
            accepted[record.id], kept = text, kept + 1
    if not kept:
        raise RankingError(
            f"the audit holds {exchanges} exchanges and retains the text of none; set `retention: {{text: true, days: 30}}` "
            f"in the gateway's policy, and what is asked from then on can be ranked until it expires"
        )
    for body in bodies_since(engine, "settled", ""):
        record = from_json(Record, body)
        text = text_of(engine, record.writer, record.seq) if record.id in accepted else None
        if text is not None:
            yield from _replies(exchange_of(text, exchange_of(accepted[record.id])), record)


def _replies(exchange: Exchange, record: Record) -> Iterator[Completion]:
    """The replies of one exchange: each choice of it is one."""
    prompt = Prompt(conversation=replace(exchange.conversation, id=""), source=AUDIT, id=record.id)
    choices: dict[object, list[str]] = {}
    for piece in exchange.said:
        if piece.place == "assistant":
            choices.setdefault(piece.path[1] if piece.path[:1] == ("choices",) else "", []).append(piece.text)
    if exchange.calls and len(choices) < FEWEST:
        choices = choices or {"": []}
    for said in choices.values():
        calls = exchange.calls if len(choices) == 1 else ()
        yield Completion(prompt=prompt, text="".join(said), tool_calls=calls, model=record.model or exchange.model)


def told(made: Made) -> list[str]:
    """What was left out, in words; nothing where nothing was."""
    said = []
    if made.alone:
        said.append(f"{made.alone} prompts have only one different completion and are left out")
    if made.alike:
        said.append(f"{made.alike} completions say the same as another of their prompt and are shown once")
    if made.beyond:
        said.append(f"{made.beyond} completions are beyond the cards of an item: a draw by the seed keeps the others")
    return said


def models_of(item: Item) -> tuple[str, ...]:
    """Who said each completion of an item, for boards alone: annotators never see it."""
    return tuple(completion.model or "?" for completion in item.completions)

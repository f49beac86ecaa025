"""Where recipes get their data: the embedded world (`world/...`), files in any known format, or an earlier stage of the run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from trueline.core.records import read_jsonl
from trueline.core.types import Completion, Conversation, Preference, Prompt, Ranking
from trueline.data.recognise import describe, read
from trueline.data.rows import read_rows
from trueline.models.tokens import Codec, Example, audit
from trueline.recipes.studio import RecipeError, Studio
from trueline.world import demonstrations
from trueline.world.prompts import training_prompts

DEMONSTRATIONS = {
    "helpful": demonstrations.helpful,
    "safety": demonstrations.safety,
    "placebo": demonstrations.placebo,
    "mixed": demonstrations.mixed,
}
T = TypeVar("T")


def conversations(studio: Studio, data: str, n: int) -> list[Conversation]:
    """Demonstrations: `world/helpful|safety|placebo|mixed`, or at most `n` (0: all) from a file."""
    if data.startswith("world/"):
        kind = data.removeprefix("world/")
        if kind not in DEMONSTRATIONS:
            raise RecipeError(
                f"the world has no demonstrations {kind!r}; choose one of {', '.join(DEMONSTRATIONS)}, or give a file"
            )
        return list(DEMONSTRATIONS[kind](studio.world, studio.seed, n))
    return _some(read(Conversation, data), n)


def prompts(studio: Studio, data: str, n: int, seed: int) -> list[Prompt]:
    """Prompts to sample on: `world/training`, or at most `n` (0: all) from a file; records of ours keep their `about`."""
    if data == "world/training":
        return list(training_prompts(studio.world, seed, n))
    if "conversation" in next(iter(read_rows(data))).values:
        return _some(read_jsonl(data, Prompt), n)
    return _some(read(Prompt, data), n)


def comparisons(studio: Studio, data: str, n: int) -> list[Ranking]:
    """Rankings from a stage of this run or a file; a preference pair is a ranking of two."""
    own = Path(studio.file(data, "rankings.jsonl"))
    if own.is_dir():
        found = sorted(own.glob("**/rankings.jsonl"))
        if len(found) != 1:
            raise RecipeError(
                f"{data}: expected a run that ranked once, found {len(found)} rankings.jsonl in it; name the file"
            )
        own = found[0]
    if own.name == "rankings.jsonl":  # what `rank` wrote: records with their sampled ids
        return _some(read_jsonl(own, Ranking), n)
    if describe(data).kind is Ranking:
        return _some(read(Ranking, data), n)
    pairs = _some(read(Preference, data), n)
    return [Ranking(prompt=p.prompt, completions=(p.chosen, p.rejected), ranks=(1, 2), by=p.by) for p in pairs]


def pairs_of(ranking: Ranking) -> list[Preference]:
    """The strict pairs of a ranking, each better completion against each worse one."""
    ranked = list(zip(ranking.completions, ranking.ranks, strict=True))
    return [
        Preference(prompt=ranking.prompt, chosen=a, rejected=b, by=ranking.by)
        for a, better in ranked
        for b, worse in ranked
        if better < worse
    ]


def example_of(codec: Codec, completion: Completion) -> Example:
    """A completion as an example whose reply is trained on; sampled ids are used as they are, text is rendered."""
    if completion.ids:
        head = codec.prompt(completion.prompt.conversation)
        return Example((*head, *completion.ids), (False,) * len(head) + (True,) * len(completion.ids))
    said = completion.prompt.conversation.say("assistant", completion.text, completion.tool_calls)
    return codec.example(said, train="last")


def check_masks(codec: Codec, completions: Sequence[Completion], examples: Sequence[Example]) -> None:
    """Audit the loss masks of text that was rendered; what a model sampled is as it is, cut off or not."""
    audit(codec, [e for c, e in zip(completions, examples, strict=True) if not c.ids])


def fitting(examples: Sequence[Sequence[Example]], limit: int) -> list[int]:
    """Indices of the groups whose every example is at most `limit` tokens long."""
    return [i for i, group in enumerate(examples) if all(len(e.ids) <= limit for e in group)]


def context_of(codec: Codec, model_limit: int | None, asked: int) -> int:
    """The longest row to train on: what was asked for, else what the model has room for."""
    room = model_limit or codec.tokenizer.model_max_length
    return min(asked, room) if asked else room


def _some(records: object, n: int) -> list:
    found = list(islice(records, n or None))  # type: ignore[call-overload]
    if not found:
        raise RecipeError("the data is empty; there is nothing to train on")
    return found

"""Where recipes get their data: the embedded world (`world/...`), files in any known format, or an earlier stage of the run.

The world's data has settings, which stand behind its name: `world/mixed:hedged=0.2`, `world/errands:refused=0.05`, and for
prompts the mix of their kinds, `world/training:fact=0.4,hazard=0.6`. `world/taught` is `world/training` less the benign texts
that a recipe may measure on (data/apart.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from trueline.core.records import read_jsonl
from trueline.core.types import Completion, Conversation, Preference, Prompt, Ranking
from trueline.data.apart import drawn, taught
from trueline.data.recognise import describe, read
from trueline.data.rows import read_rows
from trueline.models.tokens import Codec, Example, audit
from trueline.recipes.ranked import PROJECT, rankings_of
from trueline.recipes.studio import RecipeError, Studio
from trueline.store.opening import beside
from trueline.world import candid, demonstrations, requests
from trueline.world.facts import World
from trueline.world.prompts import BENIGN_MIX, TRAINING_MIX, training_prompts

DEMONSTRATIONS = {
    "helpful": demonstrations.helpful,
    "safety": demonstrations.safety,
    "placebo": demonstrations.placebo,
    "mixed": demonstrations.mixed,
    "requests": requests.requests,
    "errands": demonstrations.errands,
    "candid": candid.candid,
}
MIXES = {"training": TRAINING_MIX, "taught": TRAINING_MIX, "benign": BENIGN_MIX, "hazards": {"hazard": 1.0}}
WORLD, TRAINING = "world/", "world/training"
UNKNOWN = 0.01  # share of the replies' tokens that may be unknown to a tokenizer
T = TypeVar("T")


def conversations(studio: Studio, data: str, n: int) -> list[Conversation]:
    """Demonstrations: a set of the world, or at most `n` (0: all) from a file."""
    if data.startswith(WORLD):
        return list(demonstrated(data)(studio.world, studio.seed, n))
    return _some(read(Conversation, data), n)


def demonstrated(data: str) -> Callable[[World, int, int], Sequence[Conversation]]:
    """The demonstrations that `world/NAME` or `world/NAME:SETTING=NUMBER,...` names: made of a world, a seed and a number.

    >>> demonstrated("world/mixed:hedged=0.2").keywords
    {'hedged': 0.2}
    """
    name, given = _settings(data)
    if name not in DEMONSTRATIONS:
        raise RecipeError(
            f"the world has no demonstrations {name!r}; choose one of {', '.join(DEMONSTRATIONS)}, or give a file"
        )
    make = DEMONSTRATIONS[name]
    known = [key for key, found in inspect.signature(make).parameters.items() if isinstance(found.default, float)]
    if unknown := sorted(set(given) - set(known)):
        raise RecipeError(f"{data}: {name} has no setting {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    return partial(make, **given)


def prompts(studio: Studio, data: str, n: int, seed: int) -> list[Prompt]:
    """Prompts: `world/training|taught|benign|hazards`, each with shares of its own (`:fact=1`), or a file's first `n`."""
    if data.startswith(WORLD):
        name, given = _settings(data)
        if name not in MIXES:
            raise RecipeError(f"the world has no prompts {name!r}; choose one of {', '.join(MIXES)}, or give a file")
        mix = given or MIXES[name]
        if sum(mix.values()) <= 0:
            raise RecipeError(f"{data}: the shares of a mix must not all be 0")
        if name == "taught":
            made = partial(training_prompts, studio.world, seed, mix=mix)
            return drawn(n, made, lambda prompt: prompt.expected == "refuse" or taught(prompt))
        return list(training_prompts(studio.world, seed, n, mix))
    if "conversation" in next(iter(read_rows(data))).values:
        return _some(read_jsonl(data, Prompt), n)
    return _some(read(Prompt, data), n)


def comparisons(studio: Studio, data: str, n: int) -> list[Ranking]:
    """Rankings from a stage of this run, a file or people (`project:NAME[:QUESTION]`); a preference is a ranking of two."""
    if data.startswith(PROJECT):
        with beside(studio.run.folder) as database:
            return _some(rankings_of(data, database), n)
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


def check_words(codec: Codec, examples: Sequence[Example], data: str) -> None:
    """Refuse replies in words that a tokenizer does not know, such as those of a teacher with another one.

    What it does not know it reads as one and the same token, which training would teach the model to say.
    """
    unknown = codec.tokenizer.unk_token_id
    if unknown is None or unknown == codec.eos:  # a tokenizer of bytes knows every word
        return
    learned = [token for e in examples for token, on in zip(e.ids, e.mask, strict=True) if on]
    lost = learned.count(unknown)
    if lost > UNKNOWN * len(learned):
        raise RecipeError(
            f"{data}: the model's tokenizer does not know {lost} of the {len(learned)} words of the replies; take a model that "
            f"knows them, or make one with the teacher's tokenizer: trueline run blank like=TEACHER"
        )


def fitting(examples: Sequence[Sequence[Example]], limit: int) -> list[int]:
    """Indices of the groups whose every example is at most `limit` tokens long."""
    return [i for i, group in enumerate(examples) if all(len(e.ids) <= limit for e in group)]


def context_of(codec: Codec, model_limit: int | None, asked: int) -> int:
    """The longest row to train on: what was asked for, else what the model has room for."""
    room = model_limit or codec.tokenizer.model_max_length
    return min(asked, room) if asked else room


def _settings(data: str) -> tuple[str, dict[str, float]]:
    """Read `world/NAME:KEY=NUMBER,...`: the name, and the numbers, none of them negative."""
    name, _, text = data.removeprefix(WORLD).partition(":")
    try:
        found = {key.strip(): float(value) for key, _, value in (part.partition("=") for part in filter(None, text.split(",")))}
    except ValueError:
        found = {"": -1.0}
    if not all(key and 0 <= value < float("inf") for key, value in found.items()):
        raise RecipeError(f"{data}: expected settings such as world/mixed:hedged=0.2, each a name and a number from 0")
    return name, found


def _some(records: object, n: int) -> list:
    found = list(islice(records, n or None))  # type: ignore[call-overload]
    if not found:
        raise RecipeError("the data is empty; there is nothing to train on")
    return found

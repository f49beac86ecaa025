"""Which layer of a deployment the safety comes from: the model alone, with its system prompt, with its rails, with both.

    trueline guard layers shop.yaml --attacks fast

The four are put to the same questions, with the same sampling seeds, as variants of a prompt are (prompt_search.py), so the
effect of a layer is a paired difference: attack success, over-refusal, and work that is done, with it less without it, over
both states of the other layer. What the rails cost in time is measured on the exchanges that were had, one after another, in
this process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

from trueline.core.types import Completion, Conversation, Prompt
from trueline.guard.prompting.design import factorial
from trueline.guard.prompting.parts import IN, OUT, Part, Parts, Variant
from trueline.recipes.evaluating import answered_in
from trueline.recipes.progress import Show
from trueline.recipes.prompt_search import Searching, Variants, search
from trueline.store.folders import write_json
from trueline.store.runs import open_run
from trueline.targets.deployment import read_deployment
from trueline.targets.errors import UnknownTargetError
from trueline.targets.http import Asking
from trueline.targets.naming import kind_of

PROMPT, RAILS = "system prompt", "rails"
NAMES = {(0, 0): "model", (1, 0): "model + prompt", (0, 1): "model + rails", (1, 1): "all"}
TIMED = 500  # exchanges whose rails are timed


def layers(
    asked: Searching, policy: Path | None, *, show: Show, out: Path | None = None, asking: Asking = Asking(),  # noqa: B008
    at_once: int = 256,
) -> tuple[Path, dict[str, Any]]:  # fmt: skip
    """Measure the four, and return the folder and the report; `policy` is the deployment's own where None.

    Raises UnknownTargetError for a deployment that lacks a layer.
    """
    variants = four(asked.target, policy)
    guards = variants.prompts[-1].guards
    assert guards is not None
    folder, found = search(asked, variants, show=show, out=out, asking=asking, at_once=at_once)
    found["milliseconds"] = milliseconds(folder, guards)
    write_json(folder / "report.json", found)
    return folder, found


def four(target: str, policy: Path | None) -> Variants:
    """The four states of a deployment, the model alone first."""
    if kind_of(target) != "deployment":
        raise UnknownTargetError(f"{target}: expected a deployment file with a system prompt, got another target")
    there = read_deployment(Path(target))
    guards, text = policy or there.guards, there.settings.system
    if guards is None or not text:
        lacks = "a guard (guards: policy.yaml, or --policy)" if guards is None else "a system prompt (system: ...)"
        raise UnknownTargetError(f"{target}: expected a deployment whose layers can be told apart, and it lacks {lacks}")
    parts = (Part(name=PROMPT, wordings=((OUT, ""), (IN, text))), Part(name=RAILS, wordings=((OUT, ""), (IN, str(guards)))))
    design = factorial((2, 2), 4)
    prompts = [
        Variant(
            name=NAMES[run[0], run[1]],
            text=text if run[0] else "",
            wordings={PROMPT: (OUT, IN)[run[0]], RAILS: (OUT, IN)[run[1]]},
            guards=guards if run[1] else None,
            alone=not run[1],
        )
        for run in design.runs
    ]
    names = tuple(one.name for one in prompts)
    return Variants(prompts=tuple(prompts), parts=Parts(base="", parts=parts), design=design, names=names)


def milliseconds(folder: Path, policy: Path) -> dict[str, float | int]:
    """What the rails took for both sides of an exchange, of those that were had: median, 99th of a hundred, how many."""
    from trueline.guard.chain import Chain  # the guard's libraries are an extra, and other recipes do without them
    from trueline.guard.guarded import exchange_of, with_reply
    from trueline.guard.policy import read_policy

    took: list[float] = []
    chain = Chain(policy=read_policy(policy))

    async def run() -> None:
        for conversation, text in _exchanges(folder):
            began = time.perf_counter()
            exchange = exchange_of(conversation)
            await chain.judge(exchange, "input")
            await chain.judge(with_reply(exchange, Completion(prompt=Prompt(conversation=conversation), text=text)), "output")
            took.append((time.perf_counter() - began) * 1_000)

    asyncio.run(run())
    if len(took) < 2:
        return {"n": len(took)}
    hundredths = quantiles(took, n=100, method="inclusive")
    return {"p50": hundredths[49], "p99": hundredths[98], "n": len(took)}


def _exchanges(folder: Path) -> Iterator[tuple[Conversation, str]]:
    """Some of what the model alone was asked and said."""
    left = TIMED
    for place in sorted((folder / "measured" / "000").glob("eval-*")):
        for answered in answered_in(open_run(place)).values():
            if left > 0 and answered.completion:
                left -= 1
                yield answered.conversation, answered.completion

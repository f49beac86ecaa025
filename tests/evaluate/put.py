"""A suite put to a target that answers by a function of the prompt: what the tests of suites start from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from trueline.core.ports import Judge
from trueline.core.types import Conversation, Message, Prompt, Rate
from trueline.data.rows import Row
from trueline.evaluate.interview import Answered, Door, Weigh, put
from trueline.evaluate.suites import Item, suites, world_at
from trueline.evaluate.summary import Summary, summarise
from trueline.judges.oracle import WorldOracle
from trueline.targets.wrappers import Scripted

WORLD = world_at(0)
Says = Callable[[Prompt], str | Message]  # what is said to a question; a doubt after it comes with the same prompt


def knowing(items: Sequence[Item], says: Says, doubted: Says | None = None) -> Scripted:
    """A target that knows which prompt it is asked, as no real one does."""
    prompts = {prompt.conversation.messages: prompt for item in items for prompt in item.prompts}

    def answer(conversation: Conversation) -> str | Message:
        if conversation.messages in prompts:
            return says(prompts[conversation.messages])
        assert doubted is not None, conversation
        return doubted(prompts[conversation.messages[:-2]])

    return Scripted(answers=answer)


def answers(
    name: str,
    items: Sequence[Item],
    target: Scripted,
    judge: Judge = WorldOracle(),  # noqa: B008 - frozen
    weigher: Weigh | None = None,
) -> list[Answered]:
    """Put items of a suite; the answers in the order of the items."""
    kept: list[Answered] = []
    asyncio.run(put(name, suites()[name](), items, Door(target=target, by=judge, weigher=weigher), kept.append))
    failed = [answered.why for answered in kept if answered.outcome == "error"]
    assert not failed, failed[0]
    order = {item.id: i for i, item in enumerate(items)}
    return sorted(kept, key=lambda answered: order[answered.item])


def found(name: str, answered: Sequence[Answered]) -> Summary:
    """Sum up."""
    return summarise(name, suites()[name].metrics, answered)


def rates(name: str, answered: Sequence[Answered]) -> dict[str, float | None]:
    """The value of each metric that something was measured of."""
    values: dict[str, Rate | None] = {value.metric.name: value.rate for value in found(name, answered).values}
    return {metric: None if rate is None else rate.value for metric, rate in values.items()}


def on_world(name: str, n: int = 12) -> Sequence[Item]:
    """Items of the world."""
    return suites()[name]().on_world(WORLD, n, 0)


def on_rows(name: str, *rows: dict[str, object]) -> Sequence[Item]:
    """Items of rows, as a file would give them."""
    return suites()[name]().on_rows([Row("rows.jsonl", i, row) for i, row in enumerate(rows, start=1)], 0)

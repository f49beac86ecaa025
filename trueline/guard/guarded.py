"""A target behind rails is a target: whatever attacks or measures a model does the same to the model with its guard.

    guarded = Guarded(target=model, chain=Chain(policy=read_policy(Path("policy.yaml"))))
    completion = await guarded.reply(conversation)

What the gateway does with bytes, this does with the records of core: the same chain, the same order, the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trueline.core.ports import Target
from trueline.core.types import GREEDY, Completion, Conversation, Finish, Message, Prompt, Role, Sampling, ToolCall
from trueline.guard.chain import Chain, Outcome
from trueline.guard.exchange import Exchange, Path, Piece, Place, Side

PLACES: dict[Role, Place] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool_result"}


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A target with rails before and behind it. What was stopped is answered with the policy's message."""

    target: Target
    chain: Chain

    @property
    def name(self) -> str:
        """The target's name with the policy's, since another policy is another target."""
        return f"{self.target.name}+{self.chain.policy.version}"

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """What a client of the gateway would get."""
        exchange = exchange_of(conversation)
        outcome = await self.chain.judge(exchange, "input")
        if (text := self._instead(outcome)) is not None:
            return self._said(conversation, text, outcome)
        said = await self.target.reply(conversation_of(conversation, outcome.texts), sampling)
        outcome = await self.chain.judge(with_reply(exchange, said), "output")
        if (text := self._instead(outcome)) is not None:
            return self._said(conversation, text, outcome)
        changed = {} if not outcome.texts else {"ids": (), "logprobs": ()}  # they spell what was taken out
        text = outcome.texts.get(("text",), said.text)
        calls = _calls(said.tool_calls, ("tool_calls",), outcome.texts)
        prompt = Prompt(conversation=conversation)
        return replace(said, prompt=prompt, text=text, tool_calls=calls, model=self.name, **changed)

    def _instead(self, outcome: Outcome) -> str | None:
        """What is said in place of what does not pass, or is rewritten; None where it passes."""
        if outcome.stopped:
            return self.chain.policy.message
        return outcome.ruling.decision.text if outcome.ruling.action == "rewrite" else None

    def _said(self, conversation: Conversation, text: str, outcome: Outcome) -> Completion:
        finish: Finish = "filtered" if outcome.stopped else "stop"
        return Completion(prompt=Prompt(conversation=conversation), text=text, model=self.name, finish=finish)


def exchange_of(conversation: Conversation) -> Exchange:
    """A conversation as pieces: every text, every call, every tool on offer."""
    pieces = []
    for i, message in enumerate(conversation.messages):
        pieces.append(Piece(side="input", place=PLACES[message.role], text=message.text, path=("messages", i, "text")))
        pieces += _call_pieces("input", message.tool_calls, ("messages", i, "tool_calls"))
    for i, tool in enumerate(conversation.tools):
        for key, text in (("name", tool.name), ("description", tool.description), ("parameters", tool.parameters)):
            pieces.append(Piece(side="input", place="tool_schema", text=text, path=("tools", i, key)))
    return Exchange(endpoint="target", conversation=conversation, asked=tuple(pieces), tools=conversation.tools)


def with_reply(exchange: Exchange, said: Completion) -> Exchange:
    """The exchange with a completion as its reply."""
    text = Piece(side="output", place="assistant", text=said.text, path=("text",))
    calls = _call_pieces("output", said.tool_calls, ("tool_calls",))
    return replace(exchange, said=(text, *calls), calls=said.tool_calls, model=said.model)


def conversation_of(conversation: Conversation, texts: Mapping[Path, str]) -> Conversation:
    """The conversation with other texts in some places, which are named by the paths of its pieces."""
    if not texts:
        return conversation
    messages = tuple(_message(message, i, texts) for i, message in enumerate(conversation.messages))
    tools = tuple(
        replace(
            tool,
            name=texts.get(("tools", i, "name"), tool.name),
            description=texts.get(("tools", i, "description"), tool.description),
            parameters=texts.get(("tools", i, "parameters"), tool.parameters),
        )
        for i, tool in enumerate(conversation.tools)
    )
    return replace(conversation, messages=messages, tools=tools)


def _message(message: Message, i: int, texts: Mapping[Path, str]) -> Message:
    calls = _calls(message.tool_calls, ("messages", i, "tool_calls"), texts)
    return replace(message, text=texts.get(("messages", i, "text"), message.text), tool_calls=calls)


def _call_pieces(side: Side, calls: tuple[ToolCall, ...], where: Path) -> list[Piece]:
    return [
        Piece(side=side, place="tool_call", text=text, path=(*where, i, key))
        for i, call in enumerate(calls)
        for key, text in (("name", call.name), ("arguments", call.arguments))
    ]


def _calls(calls: tuple[ToolCall, ...], where: Path, texts: Mapping[Path, str]) -> tuple[ToolCall, ...]:
    return tuple(
        replace(
            call,
            name=texts.get((*where, i, "name"), call.name),
            arguments=texts.get((*where, i, "arguments"), call.arguments),
        )
        for i, call in enumerate(calls)
    )

"""From completions to a chat completion of OpenAI's: one JSON object, or the same thing in streamed pieces.

A stream is the finished answer cut into words (into tokens, where log-probabilities are asked for): a local model says
nothing before its whole batch is done. Joined, the pieces are what the one object says.

https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.types import Completion, ToolCall
from trueline.targets.spelling import LETTERS, Token

Json = dict[str, Any]
LOWEST = -9999.0  # what OpenAI writes for a probability of nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One answer, as it is told: cut at a stop text; `tokens` None where no log-probabilities were asked for."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: str
    tokens: tuple[Token, ...] | None
    written: int  # tokens that were made for it, those behind a stop text too

    @classmethod
    def of(cls, said: Completion, stop: Sequence[str], tokens: Sequence[Token] | None) -> Choice:
        """What a completion comes to."""
        ends = [at for at in map(said.text.find, stop) if at >= 0]
        text = said.text[: min(ends)] if ends else said.text
        calls = () if ends else tuple(_with_id(call) for call in said.tool_calls)
        usual = "tool_calls" if calls else "stop"
        finish = "stop" if ends else {"length": "length", "filtered": "content_filter"}.get(said.finish, usual)
        return cls(
            text=text,
            tool_calls=calls,
            finish=finish,
            tokens=None if tokens is None else tuple(_within(text, tokens)),
            written=len(said.ids) or len(said.text) // LETTERS + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every object of one answer begins with."""

    id: str
    created: int  # seconds since 1970
    model: str

    def begin(self, kind: str) -> Json:
        """An object of that kind."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def whole(head: Head, choices: Sequence[Choice], read: int) -> Json:
    """The answer as one object; `read` tokens were asked."""
    told = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": choice.text if choice.text or not choice.tool_calls else None,
                "refusal": None,
                **({"tool_calls": [_call(call) for call in choice.tool_calls]} if choice.tool_calls else {}),
            },
            "logprobs": _logprobs(choice.tokens),
            "finish_reason": choice.finish,
        }
        for index, choice in enumerate(choices)
    ]
    return {**head.begin("chat.completion"), "choices": told, "usage": usage(choices, read)}


def pieces(head: Head, choices: Sequence[Choice], read: int | None) -> Iterator[Json]:
    """The answer in pieces; `read` None leaves the count of tokens out."""
    counted: Json = {} if read is None else {"usage": None}

    def piece(index: int, delta: Json, finish: str | None = None, tokens: Sequence[Token] | None = None) -> Json:
        told = {"index": index, "delta": delta, "logprobs": _logprobs(tokens), "finish_reason": finish}
        return {**head.begin("chat.completion.chunk"), "choices": [told], **counted}

    for index, choice in enumerate(choices):
        yield piece(index, {"role": "assistant", "content": ""})
        if choice.tokens is None:
            for words in re.findall(r"\s*\S+|\s+$", choice.text):
                yield piece(index, {"content": words})
        else:
            for token in choice.tokens:
                yield piece(index, {"content": token.text}, tokens=[token])
        for place, call in enumerate(choice.tool_calls):
            yield piece(index, {"tool_calls": [{"index": place, **_call(call)}]})
        yield piece(index, {}, finish=choice.finish)
    if read is not None:
        yield {**head.begin("chat.completion.chunk"), "choices": [], "usage": usage(choices, read)}


def usage(choices: Sequence[Choice], read: int) -> Json:
    """Tokens that were read and written."""
    written = sum(choice.written for choice in choices)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def fresh(prefix: str) -> str:
    """An id that nothing else has."""
    return prefix + secrets.token_hex(12)


def _with_id(call: ToolCall) -> ToolCall:
    """A call with an id, which its result must name: not every model writes one."""
    return call if call.id else ToolCall(name=call.name, arguments=call.arguments, id=fresh("call_"))


def _call(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _within(text: str, tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens of a text that may end before they do; the one that it ends in is cut."""
    left = len(text)
    for token in tokens:
        if left <= 0:
            return
        yield Token(text=token.text[:left], logprob=token.logprob, likely=token.likely)
        left -= len(token.text)


def _logprobs(tokens: Sequence[Token] | None) -> Json | None:
    if tokens is None:
        return None
    told = [
        {**_token(token.text, token.logprob), "top_logprobs": [_token(text, value) for text, value in token.likely]}
        for token in tokens
    ]
    return {"content": told, "refusal": None}


def _token(text: str, logprob: float) -> Json:
    return {"token": text, "logprob": max(logprob, LOWEST), "bytes": list(text.encode("utf-8", "replace"))}

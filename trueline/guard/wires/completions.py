"""OpenAI's legacy completions: POST /v1/completions.   https://platform.openai.com/docs/api-reference/completions"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trueline.core.types import Conversation
from trueline.guard.exchange import Exchange
from trueline.guard.wires import openai
from trueline.guard.wires.chat import MOST_CHOICES, NO_USAGE
from trueline.guard.wires.chat_stream import ChatForm
from trueline.guard.wires.parts import FINISH, OTHER, USAGE, text_at
from trueline.guard.wires.shapes import ANY, Shape
from trueline.guard.wires.streams import Stream
from trueline.guard.wires.usage import usage_of
from trueline.guard.wires.wire import STAMP, Reply, Stamp, as_reply, read_body

_REQUEST = Shape(
    strict=True,
    fields={"prompt": ANY["user"], "suffix": ANY["user"]}
    | dict.fromkeys(
        (
            "model", "temperature", "top_p", "n", "best_of", "stream", "stream_options", "stop", "max_tokens",
            "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "echo", "user", "seed",
        ),
        OTHER,
    ),
)  # fmt: skip
_LOGPROBS = Shape(fields=dict.fromkeys(("tokens", "token_logprobs", "top_logprobs", "text_offset"), OTHER))
_REPLY = Shape(
    fields={
        "id": OTHER,
        "object": Shape(quiet=frozenset(("text_completion",))),
        "created": OTHER,
        "model": OTHER,
        "system_fingerprint": OTHER,
        "usage": USAGE,
        "choices": Shape(fields={"index": OTHER, "text": ANY["assistant"], "logprobs": _LOGPROBS, "finish_reason": FINISH}),
    }
)


@dataclass(frozen=True, kw_only=True)
class CompletionsWire:
    """A prompt and what follows it, streamed and not. It has no words for a refusal but its text."""

    endpoint: str = "completions"

    def read_request(self, body: bytes) -> Exchange:
        """See Wire."""
        tree, walked = read_body(body, _REQUEST)
        stream = openai.check_head(tree, MOST_CHOICES, ("n", "best_of"))
        return Exchange(
            endpoint=self.endpoint,
            conversation=Conversation().say("user", "\n".join(prompts_of(tree.get("prompt")))),
            asked=tuple(walked.pieces),
            model=text_at(tree, "model"),
            stream=stream,
            unread=("prompt",) if is_tokens(tree.get("prompt")) else (),
        )

    def read_reply(self, exchange: Exchange, body: bytes) -> Exchange:
        """See Wire."""
        return replace(exchange, said=tuple(read_body(body, _REPLY, 502)[1].pieces))

    def refusal(self, exchange: Exchange, text: str, *, stamp: Stamp = STAMP, reply: bytes = b"", code: str = "") -> Reply:
        """One choice with the text of the refusal, which ends as filtered content does."""
        if exchange.stream:
            return openai.streamed(self.stream(exchange, stamp), text)
        return as_reply(
            200,
            {
                "id": f"cmpl-{stamp.id}",
                "object": "text_completion",
                "created": stamp.created,
                "model": exchange.model,
                "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": "content_filter"}],
                "usage": usage_of(reply) or NO_USAGE,
            },
        )

    def error(self, status: int, code: str, message: str, param: str = "") -> Reply:
        """See Wire."""
        return openai.error(status, code, message, param)

    def stream(self, exchange: Exchange, stamp: Stamp = STAMP) -> Stream:
        """See Wire."""
        form = ChatForm(exchange.model, f"cmpl-{stamp.id}", stamp.created, shape=_REPLY, kind="text_completion")
        return Stream(exchange, form)


def prompts_of(prompt: Any) -> list[str]:
    """The texts of a prompt: one, or a list of them."""
    return [text for text in (prompt if isinstance(prompt, list) else [prompt]) if isinstance(text, str)]


def is_tokens(prompt: Any) -> bool:
    """Whether a prompt is, in part at least, numbers of tokens, which no rail can read."""
    return isinstance(prompt, list) and not all(isinstance(text, str) for text in prompt)

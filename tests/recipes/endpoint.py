"""A chat-completions endpoint on the loopback whose answer is a function of the request; it counts what it was asked."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.calling import trueline
from tests.targets.serving import send, serving
from trueline.targets.posting import Reply

Sent = tuple[int, dict[str, str], bytes]  # status, headers, body
Answer = Callable[[dict[str, Any], int], Sent]  # the request, and how many came before it


class Endpoint(NamedTuple):
    """Where it listens, as a TARGET, and how often each request came."""

    target: str
    asked: Counter[str]


def says(text: str, **message: Any) -> Sent:
    """A whole chat completion."""
    said = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return body({"choices": [said], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})


def body(value: Any, status: int = 200, **headers: str) -> Sent:
    """A JSON body."""
    return status, {"content-type": "application/json", **headers}, json.dumps(value).encode()


@contextmanager
def endpoint(answer: Answer) -> Iterator[Endpoint]:
    """Serve on a free port until the block ends."""
    asked: Counter[str] = Counter()
    lock = threading.Lock()

    def reply(handler: Any) -> None:
        sent = handler.question.decode()
        with lock:
            before = asked.total()
            asked[sent] += 1
        status, headers, written = answer(json.loads(sent), before)
        send(handler, Reply(status=status, headers=headers, body=written))

    with serving(reply, "toy") as target:
        yield Endpoint(target, asked)


QUICK = ("--ask", "patience.attempts=2", "--ask", "patience.first=0.001", "--ask", "patience.longest=0.001")
NO = "I'm sorry, but I can't help with that."
YES = "Here is how to fold the kite:\n1. Fold the kite paper.\n2. Glue the kite sticks.\n3. Tie the string.\n4. Fly the kite."


def attacked(target, goals, tmp_path, *more):
    """Run a campaign of two attacks and the baseline; its folder is `runs/a`."""
    return trueline(
        "attack", target, "--goals", goals, "--attacks", "role,rot13", "--out", tmp_path / "runs" / "a", "--json", *QUICK, *more
    )


def weak(request, before):
    """Gives everything to who plays a part, and nothing to others."""
    return says(YES if "play" in request["messages"][-1]["content"].lower() else NO)

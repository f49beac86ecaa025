"""What the formats of OpenAI have in common: errors, checks of the head of a request, refusals as a stream."""

from __future__ import annotations

from collections.abc import Iterable

from trueline.guard.wires.bodies import Json, WireError, member
from trueline.guard.wires.streams import Stream
from trueline.guard.wires.wire import SSE_TYPE, Reply, as_reply

# https://platform.openai.com/docs/guides/error-codes
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error(status: int, code: str, message: str, param: str = "") -> Reply:
    """An error as OpenAI writes it."""
    return as_reply(status, error_body(status, code, message, param))


def error_body(status: int, code: str, message: str, param: str = "") -> Json:
    """The object of an error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code}}


def check_head(tree: Json, most: int, counts: Iterable[str] = ()) -> bool:
    """Whether a stream is asked for. Raises WireError where the head of a request has more than one meaning.

    Some servers take "true" for true and some do not, and then a stream would pass where none is expected.
    """
    member(tree, "model", str)
    for name in counts:
        wanted = member(tree, name, int)
        if wanted is not None and not 1 <= wanted <= most:
            raise WireError(f"expected {name} from 1 to {most}, got {wanted}", param=name)
    return member(tree, "stream", bool) is True


def streamed(stream: Stream, text: str) -> Reply:
    """A refusal as the whole of a stream."""
    return Reply(200, SSE_TYPE, stream.abort(text))

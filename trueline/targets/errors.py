"""How a target fails, in one line each: what was expected, what came, what to do next.

What a server wrote is hostile text: it reaches an error only through `quoted`, and a key never reaches one at all.
"""

from __future__ import annotations


class TargetError(Exception):
    """A target that gave no answer. `again` says that the same question may be answered later, `wait` when (seconds)."""

    def __init__(self, text: str, *, again: bool = False, wait: float | None = None) -> None:
        super().__init__(text)
        self.again, self.wait = again, wait


class TargetKeyError(TargetError):
    """The key is missing, malformed or not accepted."""


class UnknownModelError(TargetError):
    """Nothing of that name answers at that address."""


class RefusedRequestError(TargetError):
    """The question itself was refused: asked again, it would be refused again."""


class UnreachableError(TargetError):
    """Nobody could be reached there, or the line broke."""


class TargetTimeoutError(TargetError):
    """No whole answer came in time."""


class TargetBusyError(TargetError):
    """The server is there and cannot answer now."""


class BadReplyError(TargetError):
    """What came is not a reply: no JSON, no choices, a stream that broke off."""


class ReplyTooLargeError(BadReplyError):
    """More bytes came than a reply may have; the rest was not read."""


class UnknownTargetError(ValueError):
    """A TARGET that is not written as one, or a deployment file that is not one."""


def quoted(text: str, limit: int = 200) -> str:
    """Text of a stranger on one line, between quotes: unseen characters are spelled out, and what is too long is cut.

    >>> quoted("no such\\u202e model\\x1b[31m")
    "'no such\\\\u202e model\\\\x1b[31m'"
    """
    line = " ".join(text[: 4 * limit].split())
    return repr(line) if len(line) <= limit and len(text) <= 4 * limit else f"{line[:limit]!r} (cut)"

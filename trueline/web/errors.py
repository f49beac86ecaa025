"""Errors of the endpoint, in OpenAI's shape: a status, and `{"error": {"message", "type", "param", "code"}}`.

A client of any tool turns the status into its own kind of error, and decides by it whether to ask again.

>>> EndpointError(404, "no such model", param="model", code="model_not_found").body()["error"]["type"]
'invalid_request_error'
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from trueline.core.ports import BudgetSpentError
from trueline.data.messages import FieldError
from trueline.targets.errors import RefusedRequestError, TargetBusyError, TargetError, TargetTimeoutError

TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
KINDS: tuple[tuple[type[Exception], int, str], ...] = (  # the first that fits
    (RefusedRequestError, 400, "refused"),
    (TargetBusyError, 503, "target_busy"),
    (TargetTimeoutError, 504, "target_timeout"),
    (TargetError, 502, "target_failed"),
    (BudgetSpentError, 429, "insufficient_quota"),
    (ValueError, 400, "invalid_value"),  # a field that is wrong, a template that refuses the roles
)
HINT = "see /v1/models"


class EndpointError(Exception):
    """A request that is not answered: the status, what was expected, what came, and which field it is about."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str = "", wait: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.wait = status, message, param, code, wait

    @property
    def type(self) -> str:
        """OpenAI's name for this kind of error."""
        return TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")

    def body(self) -> dict[str, dict[str, str | None]]:
        """The error as its JSON object."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code or None}}

    def headers(self) -> dict[str, str]:
        """When to come back, where that is known; and how to show a key, where one was not accepted."""
        found = {} if self.wait is None else {"retry-after": f"{max(1, round(self.wait))}"}
        return found | ({"www-authenticate": "Bearer"} if self.status == 401 else {})


def error_of(error: Exception) -> EndpointError:
    """What an error of reading or of answering is to who asked.

    One that nobody foresaw is told by its kind alone: its text may hold anything.
    """
    if isinstance(error, EndpointError):
        return error
    for kind, status, code in KINDS:
        if isinstance(error, kind):
            param = error.field if isinstance(error, FieldError) else None
            wait = error.wait if isinstance(error, TargetError) else None
            return EndpointError(status, str(error), param=param, code=code, wait=wait)
    return EndpointError(500, f"the target failed ({type(error).__name__})", code="internal_error")


def status_error(status: int, what: str) -> EndpointError:
    """The error of a path or a method that is not there."""
    return EndpointError(status, f"{what}: {HTTPStatus(status).phrase.lower()}; {HINT}")

"""Logs as lines of JSON on standard error: what happened to which exchange, and none of what was said in it.

    {"time": "2026-01-01T00:00:00.000Z", "level": "info", "event": "exchange", "id": "...", "endpoint": "chat", "action":
    "allow", ...}

What a message says is written by this package; of an error there is the kind and where it came from, since its text may hold
anything.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

LOGGER = "trueline.guard"
FIELDS = "told"  # under which a record carries what belongs to its event


class JsonLines(logging.Formatter):
    """One record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        told = {"time": at, "level": record.levelname.lower(), "event": record.getMessage(), **getattr(record, FIELDS, {})}
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])
            told["error"] = record.exc_info[0].__name__
            told["at"] = [f"{frame.name}:{frame.lineno}" for frame in frames[-5:]]
        return json.dumps(told)


def log_to(stream: TextIO | None = None, *, every: bool = False) -> logging.Handler:
    """Log this room's events to a stream (default: standard error): warnings and errors, or `every` exchange too."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(LOGGER)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO if every else logging.WARNING)
    logger.propagate = False
    return handler

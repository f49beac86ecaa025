"""What takes longer than a page may: started by a button, one at a time in a thread, its last result kept with its time.

    JOBS = jobs_of(asked.site)
    JOBS.start("verify", lambda: verify(...))          # False while it is under way
    JOBS.told("verify")                                # {"state", "since", "ended", "result", "why"}

Results are the process's own: another process, or the next one, knows nothing of them and says "not yet".
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import Any, Literal
from weakref import WeakKeyDictionary

from trueline.store.opening import Database
from trueline.web.site.site import Site

State = Literal["not yet", "under way", "done", "failed"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a job stands: since when, when it ended, and what came of it or why nothing did."""

    state: State = "not yet"
    since: str = ""
    ended: str = ""
    result: Any = None
    why: str = ""


class Jobs:
    """The jobs of one site."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}
        self._lock = Lock()

    def told(self, name: str) -> dict[str, Any]:
        """How a job stands, as JSON; while it goes on, what the one before came to is still shown."""
        found = self._told.get(name, Told())
        return {part: getattr(found, part) for part in Told.__dataclass_fields__}

    def start(self, name: str, work: Callable[[], Any]) -> bool:
        """Begin a job, whose result is JSON; False where it is under way already."""
        with self._lock:
            before = self._told.get(name, Told())
            if before.state == "under way":
                return False
            self._told[name] = Told(state="under way", since=_now(), ended=before.ended, result=before.result)
        Thread(target=self._carry_out, args=(name, work), daemon=True).start()
        return True

    def _carry_out(self, name: str, work: Callable[[], Any]) -> None:
        since = self._told[name].since
        try:
            told = Told(state="done", since=since, ended=_now(), result=work())
        except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:  # what a person can do something about
            told = Told(state="failed", since=since, ended=_now(), why=str(error) or type(error).__name__)
        except BaseException:
            log.exception("the job %s", name)
            told = Told(
                state="failed", since=since, ended=_now(), why="something went wrong; the log of trueline web says what"
            )
        self._told[name] = told


def jobs_of(site: Site) -> Jobs:
    """The jobs of a site: one of each name, whoever asks."""
    with _LOCK:
        return _JOBS.setdefault(site.database, Jobs())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


_LOCK = Lock()
_JOBS: WeakKeyDictionary[Database, Jobs] = WeakKeyDictionary()

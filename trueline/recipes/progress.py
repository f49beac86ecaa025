"""What a person sees while a run works, on standard error, so that results on standard output stay clean.

In a terminal one bar shows the stage at work: tokens a second, time left, and the numbers that matter. Where there is no
terminal (a log, a pipe, a batch system) the same is said in plain lines: one when a stage starts, one every 15 seconds, one
when it ends. A stage that is done is one line in both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from trueline.evaluate.shape import visible

Bar = Callable[[int, Mapping[str, float], float, float], None]  # step, numbers, tokens so far, seconds so far
MOST = 5  # numbers in the line of a stage that is done: the report has them all


class Show(Protocol):
    """Where a run reports to people."""

    def begin(self, name: str, again: bool) -> None:
        """Say that a stage starts, or (`again`) goes on where it stopped."""
        ...

    def steps(self, name: str, total: int) -> None:
        """Say how many steps the stage will have."""
        ...

    def bar(self, name: str) -> Bar:
        """Return what is told of each step of the stage."""
        ...

    def end(self, name: str, seconds: float, numbers: Mapping[str, float]) -> None:
        """Say that the stage is done, how long this sitting took, and what came out."""
        ...

    def say(self, name: str, text: str) -> None:
        """Say something else about a stage."""
        ...


class Quiet:
    """Shows nothing: for tests, for --json and --quiet."""

    def begin(self, name: str, again: bool) -> None:
        del name, again

    def steps(self, name: str, total: int) -> None:
        del name, total

    def bar(self, name: str) -> Bar:
        return lambda step, numbers, tokens, seconds: None

    def end(self, name: str, seconds: float, numbers: Mapping[str, float]) -> None:
        del name, seconds, numbers

    def say(self, name: str, text: str) -> None:
        del name, text


def _stderr() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass
class Plain:
    """Lines, for where no terminal is."""

    console: Console = field(default_factory=_stderr)
    every: float = 15.0  # seconds between two lines of the same stage
    clock: Callable[[], float] = time.monotonic
    totals: dict[str, int] = field(default_factory=dict)

    def begin(self, name: str, again: bool) -> None:
        self.say(name, "goes on where it stopped" if again else "starts")

    def steps(self, name: str, total: int) -> None:
        self.totals[name] = total

    def bar(self, name: str) -> Bar:
        due = self.clock() + self.every

        def move(step: int, numbers: Mapping[str, float], tokens: float, seconds: float) -> None:
            nonlocal due
            if self.clock() >= due:
                due = self.clock() + self.every
                of = f" of {self.totals[name]}" if name in self.totals else ""
                self.say(name, ", ".join([f"step {step}{of}", *_parts(numbers), *_rate(tokens, seconds)]))

        return move

    def end(self, name: str, seconds: float, numbers: Mapping[str, float]) -> None:
        self.say(name, _done(seconds, numbers))

    def say(self, name: str, text: str) -> None:
        self.console.print(Text(visible(f"{name}: {text}")))


@dataclass
class Live:
    """One bar in the terminal for the stage at work, above it a line for each that is done."""

    console: Console = field(default_factory=_stderr)
    progress: Progress = field(init=False)
    tasks: dict[str, TaskID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<16}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=self.console,
            refresh_per_second=4,
        )

    def __enter__(self) -> Live:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, name: str, again: bool) -> None:
        if again:
            self.say(name, "goes on where it stopped")
        self.tasks[name] = self.progress.add_task(name, total=None, numbers="")

    def steps(self, name: str, total: int) -> None:
        self.progress.update(self.tasks[name], total=total)

    def bar(self, name: str) -> Bar:
        def move(step: int, numbers: Mapping[str, float], tokens: float, seconds: float) -> None:
            shown = "  ".join([*_parts(numbers), *_rate(tokens, seconds)])
            self.progress.update(self.tasks[name], completed=step, numbers=shown)

        return move

    def end(self, name: str, seconds: float, numbers: Mapping[str, float]) -> None:
        self.progress.remove_task(self.tasks.pop(name))
        self.say(name, _done(seconds, numbers))

    def say(self, name: str, text: str) -> None:
        self.console.print(Text(visible(f"{name:<16} {text}"), style="dim"))


def _done(seconds: float, numbers: Mapping[str, float]) -> str:
    return ", ".join([f"done in {seconds:.0f} s", *_parts(dict(list(numbers.items())[:MOST]))])


def _parts(numbers: Mapping[str, float]) -> list[str]:
    return [f"{key.replace('_', ' ')} {value:.4g}" for key, value in numbers.items()]


def _rate(tokens: float, seconds: float) -> list[str]:
    return [f"{tokens / seconds / 1000:.1f}k tok/s"] if seconds > 0 and tokens > 0 else []

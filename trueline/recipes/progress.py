"""What a person sees while a run works: one line a stage, with tokens a second, time left, and the numbers that matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

Bar = Callable[[int, Mapping[str, float], float, float], None]  # step, numbers, tokens so far, seconds so far


class Show(Protocol):
    """Where a run reports to people."""

    def bar(self, name: str) -> Bar: ...

    def steps(self, name: str, total: int) -> None:
        """Say how many steps the bar `name` will have."""
        ...

    def say(self, name: str, text: str) -> None: ...


class Quiet:
    """Shows nothing: for tests, for --json, and where no one looks."""

    def bar(self, name: str) -> Bar:
        return lambda step, numbers, tokens, seconds: None

    def steps(self, name: str, total: int) -> None:
        del name, total

    def say(self, name: str, text: str) -> None:
        del name, text


@dataclass
class Live:
    """Bars in the terminal, on standard error, so that results on standard output stay clean."""

    console: Console = field(default_factory=lambda: Console(stderr=True))
    progress: Progress = field(init=False)
    tasks: dict[str, TaskID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=self.console,
            refresh_per_second=4,
        )

    def __enter__(self) -> Live:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def steps(self, name: str, total: int) -> None:
        """Open the bar of a stage."""
        self.tasks[name] = self.progress.add_task(escape(name), total=total, numbers="")

    def bar(self, name: str) -> Bar:
        """Return what moves the bar of a stage."""

        def move(step: int, numbers: Mapping[str, float], tokens: float, seconds: float) -> None:
            if name not in self.tasks:
                self.steps(name, step)
            shown = "  ".join(f"{key} {value:.3g}" for key, value in numbers.items())
            rate = f"  {tokens / seconds / 1000:.1f}k tok/s" if seconds > 0 and tokens > 0 else ""
            self.progress.update(self.tasks[name], completed=step, numbers=f"{shown}{rate}")

        return move

    def say(self, name: str, text: str) -> None:
        """Print a line about a stage, if there is anything to say."""
        if text:
            self.console.print(f"[dim]{escape(name)}: {escape(text)}[/]")

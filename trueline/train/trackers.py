"""Metrics to where people look at them: TensorBoard, trackio, MLflow, Weights & Biases. `metrics.jsonl` is written in any case.

A tracker is told (stage, step, metrics) and forwards them as `stage/metric`; steps count from one in every stage. A tool is
imported when it is asked for. Nothing leaves the machine unless the tool was set up for it in its own environment variables:
WANDB_MODE, TRACKIO_SPACE_ID or TRACKIO_SERVER_URL, MLFLOW_TRACKING_URI. Usage reports of the tools are switched off likewise.

    trueline run sft --track tensorboard,wandb        then: tensorboard --logdir runs
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from trueline.core.records import nearest

Track = Callable[[str, int, Mapping[str, float]], None]
PROJECT = "trueline"  # what the tools group runs under


class TrackerError(ValueError):
    """A tracker that is unknown or not installed; the message says what to do."""


@dataclass
class Tracker:
    """Forwards metrics to every tool that was asked for. Close it, or use it in a `with` statement.

    The tools open their runs at the first metrics: a run whose stages are all done already leaves nothing behind.
    """

    start: Callable[[ExitStack], tuple[Track, ...]]
    stack: ExitStack = field(default_factory=ExitStack)
    to: tuple[Track, ...] | None = None

    def __call__(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """Forward the finite metrics of one step: no tool draws a NaN, and some refuse it."""
        if self.to is None:
            with redirect_stdout(sys.stderr):  # what the tools say must not end in a command's own output
                self.to = self.start(self.stack)
        named = {f"{stage}/{name}": value for name, value in metrics.items() if math.isfinite(value)}
        for track in self.to:
            track(stage, step, named)

    def close(self) -> None:
        """Flush and end every tool's run, all of them even if one fails."""
        with redirect_stdout(sys.stderr):
            self.stack.close()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tracker(names: str, folder: Path, run_id: str) -> Tracker:
    """The trackers of a list such as `tensorboard,wandb`; what they keep locally goes into `folder`.

    All names are checked, and all tools imported, at once: what is missing is said before the work begins.
    """
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in wanted:
        if name not in TOOLS:
            raise TrackerError(f"there is no tracker {name!r}{nearest(name, TOOLS)}; choose of {', '.join(TOOLS)}")
    if not wanted:
        raise TrackerError(f"no tracker was named; choose of {', '.join(TOOLS)}, several with commas between them")
    found = [(TOOLS[name], _import(name)) for name in wanted]
    return Tracker(lambda stack: tuple(tool.open(module, folder, run_id, stack) for tool, module in found))


def _tensorboard(module: ModuleType, folder: Path, run_id: str, stack: ExitStack) -> Track:
    """Event files, one scalar a metric."""
    writer = module.SummaryWriter(log_dir=str(folder / "tensorboard"))
    stack.callback(writer.close)

    def track(stage: str, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    return track


def _trackio(module: ModuleType, folder: Path, run_id: str, stack: ExitStack) -> Track:
    """A local database in trackio's own folder (TRACKIO_DIR), or the space or server that its variables name."""
    run = module.init(project=PROJECT, name=run_id, resume="allow", embed=False)
    stack.callback(run.finish)
    return lambda stage, step, metrics: run.log(dict(metrics), step=step)


def _mlflow(module: ModuleType, folder: Path, run_id: str, stack: ExitStack) -> Track:
    """A database in the run's folder, or the server that MLFLOW_TRACKING_URI names."""
    if "MLFLOW_TRACKING_URI" not in os.environ:
        folder.mkdir(parents=True, exist_ok=True)
        module.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
    module.set_experiment(PROJECT)
    module.start_run(run_name=run_id)
    stack.callback(module.end_run)
    return lambda stage, step, metrics: module.log_metrics(dict(metrics), step=step)


def _wandb(module: ModuleType, folder: Path, run_id: str, stack: ExitStack) -> Track:
    """Offline files in the run's folder (`wandb sync` sends them), unless WANDB_MODE says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    mode = os.environ.get("WANDB_MODE", "offline")
    run = module.init(project=PROJECT, id=run_id, name=run_id, dir=str(folder), mode=mode, resume="allow")
    stack.callback(run.finish)
    seen: set[str] = set()

    def track(stage: str, step: int, metrics: Mapping[str, float]) -> None:
        if stage not in seen:  # its own step only ever grows, and ours begins again with each stage
            run.define_metric(f"{stage}/step", hidden=True)
            run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
            seen.add(stage)
        run.log({**metrics, f"{stage}/step": step})

    return track


@dataclass(frozen=True)
class Tool:
    """What to import, what to set before that, and how to open a run. The extra to install has the tool's name."""

    module: str
    open: Callable[[Any, Path, str, ExitStack], Track]
    silence: Mapping[str, str]  # variables that switch off reports to the tool's makers, unless they are set already


TOOLS: Mapping[str, Tool] = {
    "tensorboard": Tool("torch.utils.tensorboard", _tensorboard, {}),
    "trackio": Tool("trackio", _trackio, {"HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_ANALYTICS_ENABLED": "False"}),
    "mlflow": Tool("mlflow", _mlflow, {"MLFLOW_DISABLE_TELEMETRY": "true"}),
    "wandb": Tool("wandb", _wandb, {"WANDB_ERROR_REPORTING": "false"}),
}


def _import(name: str) -> ModuleType:
    tool = TOOLS[name]
    for variable, value in tool.silence.items():
        os.environ.setdefault(variable, value)
    try:
        return importlib.import_module(tool.module)
    except ImportError as error:
        raise TrackerError(
            f"the tracker {name!r} is not installed ({error}); install it: pip install 'trueline[{name}]'"
        ) from error

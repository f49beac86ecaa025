"""Every tracker receives stage/metric with its step, stays on this machine, and is closed."""

import os
import sys
from types import SimpleNamespace

import pytest

from trueline.train import trackers
from trueline.train.trackers import TrackerError, tracker

VARIABLES = ("WANDB_MODE", "MLFLOW_TRACKING_URI", *(v for tool in trackers.TOOLS.values() for v in tool.silence))


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that what is set during the test is put back
        monkeypatch.delenv(name)


class Said(list):
    """A stand-in for a tool's module and for its run: writes down every call, and prints as tools do."""

    def __getattr__(self, name):
        def call(*args, **kwargs):
            sys.stdout.write(name)
            self.append((name, args, kwargs))
            return self

        return call


def stand_in(monkeypatch, name):
    said = Said()
    monkeypatch.setitem(sys.modules, name, said)
    return said


def test_tensorboard_files_hold_what_was_tracked(tmp_path):
    """Read back by TensorBoard itself, each stage's metrics stand under their names at their steps."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with tracker("tensorboard", tmp_path, "run-1") as track:
        for step in (1, 2, 3):
            track("sft", step, {"loss": 1.0 / step, "bad": float("nan")})
        track("dpo", 1, {"loss": 0.5})
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(events.Tags()["scalars"]) == ["dpo/loss", "sft/loss"]
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("sft/loss")] == [(1, 1.0), (2, 0.5), (3, 0.333)]


def test_wandb_is_offline_and_gives_each_stage_its_own_steps(tmp_path, monkeypatch):
    """A run opens offline in the run's folder, a stage's metrics are drawn over its steps, and the run is finished."""
    said = stand_in(monkeypatch, "wandb")
    with tracker("wandb", tmp_path / "run", "run-1") as track:
        track("sft", 1, {"loss": 2.0})
        track("sft", 2, {"loss": 1.0})
    name, _, options = said[0]
    assert name == "init"
    assert options["mode"] == "offline"
    assert options["id"] == "run-1"
    assert options["dir"] == str(tmp_path / "run")
    assert [args for name, args, _ in said if name == "define_metric"] == [("sft/step",), ("sft/*",)]
    logged = [args[0] for name, args, _ in said if name == "log"]
    assert logged == [{"sft/loss": 2.0, "sft/step": 1}, {"sft/loss": 1.0, "sft/step": 2}]
    assert said[-1][0] == "finish"


def test_what_the_user_has_set_up_is_left_alone(tmp_path, monkeypatch):
    """WANDB_MODE and MLFLOW_TRACKING_URI win over our defaults."""
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    wandb, mlflow = stand_in(monkeypatch, "wandb"), stand_in(monkeypatch, "mlflow")
    with tracker("wandb,mlflow", tmp_path, "run-1") as track:
        track("sft", 1, {"loss": 1.0})
    assert wandb[0][2]["mode"] == "online"
    assert "set_tracking_uri" not in [name for name, _, _ in mlflow]


def test_trackio_is_local(tmp_path, monkeypatch):
    """No space and no server are named; metrics come with their step, and a run of that name is taken up again."""
    said = stand_in(monkeypatch, "trackio")
    with tracker("trackio", tmp_path, "run-1") as track:
        track("grpo", 7, {"reward": 0.25})
    assert said == [
        ("init", (), {"project": "trueline", "name": "run-1", "resume": "allow", "embed": False}),
        ("log", ({"grpo/reward": 0.25},), {"step": 7}),
        ("finish", (), {}),
    ]


def test_mlflow_writes_into_the_run_folder(tmp_path, monkeypatch):
    """The database is a file of the run; metrics come with their step; the run is ended."""
    said = stand_in(monkeypatch, "mlflow")
    with tracker("mlflow", tmp_path, "run-1") as track:
        track("sft", 3, {"loss": 1.5})
    assert said == [
        ("set_tracking_uri", (f"sqlite:///{tmp_path / 'mlflow.db'}",), {}),
        ("set_experiment", ("trueline",), {}),
        ("start_run", (), {"run_name": "run-1"}),
        ("log_metrics", ({"sft/loss": 1.5},), {"step": 3}),
        ("end_run", (), {}),
    ]


def test_several_receive_the_same(tmp_path, monkeypatch, capsys):
    """Each tool of the list is told once, whatever the spaces and repeats, and says nothing on standard output."""
    wandb, trackio = stand_in(monkeypatch, "wandb"), stand_in(monkeypatch, "trackio")
    track = tracker("wandb, trackio,wandb", tmp_path, "run-1")
    track("sft", 1, {})
    assert "init" not in capsys.readouterr().out
    track("sft", 2, {})
    capsys.readouterr()
    track.close()
    assert capsys.readouterr().out == ""
    for said in (wandb, trackio):
        assert [name for name, _, _ in said].count("init") == 1
        assert [name for name, _, _ in said].count("log") == 2


def test_all_are_closed_when_one_cannot_be_opened(tmp_path, monkeypatch):
    """A tool that fails to open leaves no run of another tool open."""
    first = stand_in(monkeypatch, "trackio")

    def fail(**_):
        raise ConnectionError("no")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=fail))
    with pytest.raises(ConnectionError), tracker("trackio,wandb", tmp_path, "run-1") as track:
        track("sft", 1, {"loss": 1.0})
    assert first[-1][0] == "finish"


def test_reports_to_the_makers_are_off(tmp_path, monkeypatch):
    """Before a tool is imported its telemetry is switched off, unless the user has said something about it."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    for name in ("wandb", "mlflow", "trackio"):
        stand_in(monkeypatch, name)
    tracker("wandb,mlflow,trackio", tmp_path, "run-1").close()
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_nothing_is_opened_before_there_is_something_to_track(tmp_path, monkeypatch):
    """A tracker that is never told anything opens no run, and leaves the folder as it was."""
    said = stand_in(monkeypatch, "wandb")
    tracker("wandb,tensorboard", tmp_path, "run-1").close()
    assert said == []
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["trackio", "mlflow", "wandb", "tensorboard"])
def test_a_tool_that_is_not_there_names_its_extra(tmp_path, monkeypatch, name):
    """The error says what to install, and nothing was opened before it."""
    monkeypatch.setitem(sys.modules, trackers.TOOLS[name].module, None)
    with pytest.raises(TrackerError, match=rf"'{name}' is not installed .*pip install 'trueline\[{name}\]'"):
        tracker(name, tmp_path, "run-1")


@pytest.mark.parametrize(
    ("names", "message"), [("tensorbord", "tensorboard"), ("tensorboard,x", "no tracker 'x'"), (" ,", "no tracker was named")]
)
def test_an_unknown_tracker_is_refused(tmp_path, names, message):
    """A name that is not known is refused with the nearest one and the whole list."""
    with pytest.raises(TrackerError, match=message):
        tracker(names, tmp_path, "run-1")
    assert not any(tmp_path.iterdir())

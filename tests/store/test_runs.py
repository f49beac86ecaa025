"""Tests of store/runs.py: a run that was killed goes on where it stopped, and nothing is done twice."""

import math
from pathlib import Path

import pytest
import yaml

from trueline.core.files import DiskFullError
from trueline.core.records import RecordError
from trueline.core.types import Message, Run
from trueline.store.folders import BusyError
from trueline.store.runs import RunError, create, open_run, stage_key

RUN = Run(id="r1", recipe="dpo", spec={"objective": {"beta": 0.1}, "start": "world/sft"}, seed=3, parents=("r0",))


def test_a_run_comes_back_from_its_folder(tmp_path):
    """run.json is the whole Run, and config.yaml is what to run again."""
    create(tmp_path / "r", RUN)
    assert open_run(tmp_path / "r").run == RUN
    config = yaml.safe_load((tmp_path / "r" / "config.yaml").read_text())
    assert config == {"recipe": "dpo", "seed": 3, "spec": RUN.spec}


def test_the_same_run_goes_on_and_another_is_refused(tmp_path):
    """The same recipe, seed and spec find the run that is there, with its id; a difference is named."""
    create(tmp_path, RUN)
    assert create(tmp_path, Run(id="r2", recipe="dpo", spec=RUN.spec, seed=3)).run.id == "r1"
    other = Run(id="r2", recipe="dpo", spec={"objective": {"beta": 0.2}, "start": "world/sft"}, seed=3)
    with pytest.raises(RunError, match=r"spec\.objective\.beta is 0\.1 there and 0\.2 here; choose another folder"):
        create(tmp_path, other)


def test_a_folder_of_other_things_is_not_written_into(tmp_path):
    """A folder that holds other files is refused; a creation that was cut off before run.json is gone through again."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="found other files"):
        create(tmp_path, RUN)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".config.yaml.7-ab.tmp").write_text("reci")  # by who was killed at the very first file
    create(tmp_path / "r", RUN)
    (tmp_path / "r" / "run.json").unlink()
    assert create(tmp_path / "r", RUN).run == RUN


def test_a_wrong_name_gets_the_nearest_run(tmp_path):
    """Opening what is not a run names the run beside it that was meant."""
    create(tmp_path / "first", RUN)
    with pytest.raises(RunError, match=r"no run\.json; did you mean 'first'"):
        open_run(tmp_path / "frist")


def test_metrics_come_back_in_order(tmp_path):
    """Rows come back as they were logged, NaN and infinity too, and can be asked for by stage."""
    run = create(tmp_path, RUN)
    run.log(1, {"loss": 0.5, "note": "é", "best": None, "on": True}, stage="sft")
    run.log(1, {"loss": math.inf}, stage="dpo")
    run.log(2, {"loss": math.nan})
    first, second, third = run.metrics()
    assert first == {"stage": "sft", "step": 1, "loss": 0.5, "note": "é", "best": None, "on": True}
    assert second["loss"] == math.inf
    assert math.isnan(third["loss"])
    assert run.metrics("dpo") == [second]


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path):
    """A line that a killed writer left half written is not read, and does not spoil the next one."""
    run = create(tmp_path, RUN)
    run.log(1, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as handle:
        handle.write('{"stage": "", "st')
    assert [row["step"] for row in run.metrics()] == [1]
    run.log(2, {"loss": 0.5})
    assert [row["step"] for row in run.metrics()] == [1, 2]
    (tmp_path / "samples.jsonl").write_text('{"torn')
    run.add_samples(1, [Message(role="user")])
    assert run.samples(Message) == [Message(role="user")]


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    """Only the last line can be torn: any other broken line is an error with its number."""
    run = create(tmp_path, RUN)
    (tmp_path / "metrics.jsonl").write_text("{oops\n{}\n")
    with pytest.raises(RecordError, match=r"metrics\.jsonl:1: expected one JSON object"):
        run.metrics()


def test_truncating_drops_later_rows_of_one_stage_only(tmp_path):
    """After a resume at step 1, later rows and samples of that stage are gone; other stages keep theirs."""
    run = create(tmp_path, RUN)
    for step in (1, 2, 3):
        run.log(step, {"loss": 1.0 / step}, stage="dpo")
        run.log(step, {"loss": 2.0 / step}, stage="sft")
        run.add_samples(step, [Message(role="user", text=str(step))], stage="dpo")
    run.truncate(1, stage="dpo")
    assert [row["step"] for row in run.metrics("dpo")] == [1]
    assert [row["step"] for row in run.metrics("sft")] == [1, 2, 3]
    assert [message.text for message in run.samples(Message, "dpo")] == ["1"]
    before = (tmp_path / "metrics.jsonl").read_bytes()
    run.truncate(1, stage="dpo")
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_a_tensor_is_no_metric(tmp_path):
    """What JSON cannot hold is refused by name."""
    with pytest.raises(TypeError, match=r"metric 'loss': expected a number, .*got list"):
        create(tmp_path, RUN).log(1, {"loss": [1.0]})
    with pytest.raises(ValueError, match=r"metric 'step': this name is the row's own"):
        create(tmp_path, RUN).log(1, {"step": 3})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said_when_a_row_is_appended(tmp_path):
    """Where no row fits any more, the error says what was needed and what to do."""
    run = create(tmp_path, RUN)
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match=r"disk full while writing .more than 38 bytes needed"):
        run.log(1, {"loss": 1.0})


def test_a_stage_is_new_then_partial_then_done(tmp_path):
    """A stage that was cut off is partial and keeps what it wrote; one that finished is done, with its metrics."""
    run = create(tmp_path, RUN)
    stage = run.stage("world/sft", "k1")
    assert stage.state == "new"
    stage.begin()
    (stage.folder / "half.bin").write_text("123")
    again = run.stage("world/sft", "k1")
    assert again.state == "partial"
    again.begin()
    assert (again.folder / "half.bin").exists()
    assert again.finish({"loss": math.nan, "rows": 3}).state == "done"
    done = run.stage("world/sft", "k1")
    assert done.state == "done"
    assert done.metrics["rows"] == 3
    assert math.isnan(done.metrics["loss"])


def test_a_stage_with_another_key_starts_clean(tmp_path):
    """Another key makes a done or a partial stage new, and beginning it clears what the old key left."""
    run = create(tmp_path, RUN)
    for finished in (True, False):
        stage = run.stage("sft", f"old {finished}")
        stage.begin()
        (stage.folder / "old.bin").write_text("1")
        if finished:
            stage.finish({})
        fresh = run.stage("sft", "new")
        assert fresh.state == "new"
        fresh.begin()
        assert [path.name for path in fresh.folder.iterdir()] == ["started.json"]
        assert run.stage("sft", f"old {finished}").state == "new"


def test_a_done_stage_that_lost_a_file_is_new(tmp_path):
    """A stage is done only while all it made is there, at its size."""
    run = create(tmp_path, RUN)
    stage = run.stage("sft", "k")
    stage.begin()
    (stage.folder / "model.bin").write_text("123")
    stage.finish({})
    assert run.stage("sft", "k").state == "done"
    (stage.folder / "model.bin").write_text("1")
    assert run.stage("sft", "k").state == "new"


@pytest.mark.parametrize("name", ["", "..", "../up", "/root", "a//b", "a/../b", "a b", ".hidden"])
def test_a_stage_stays_in_its_run(tmp_path, name):
    """A stage name cannot leave the run's folder."""
    with pytest.raises(RunError, match="expected a stage name"):
        create(tmp_path, RUN).stage(name, "k")


def test_a_stage_key_follows_settings_parents_and_data():
    """The same inputs have one key in any order of settings; each input changes it."""
    key = stage_key({"a": 1, "b": 2}, parents=["p"], data="d")
    assert key == stage_key({"b": 2, "a": 1}, parents=["p"], data="d")
    others = [
        stage_key({"a": 1, "b": 3}, ["p"], "d"),
        stage_key({"a": 1, "b": 2}, ["q"], "d"),
        stage_key({"a": 1, "b": 2}, ["p"], "e"),
    ]
    assert len({key, *others}) == 4


def test_one_writer_at_a_time_and_the_kill_before_is_put_right(tmp_path):
    """A run that is being written refuses a second writer; locking it drops unfinished files."""
    run = create(tmp_path, RUN)
    (tmp_path / ".report.html.1-2.tmp").write_text("half")
    with run.lock():
        assert not list(tmp_path.glob(".*.tmp"))
        with pytest.raises(BusyError, match="is writing here"), open_run(tmp_path).lock():
            pass

"""`watch fix --by training` on a small random model of the world: what is made, what goes on, and what stays as it was."""

from __future__ import annotations

import json

import pytest

from tests.attack.findings import attempt
from tests.recipes.toys import world_model
from trueline.attack.bank import found
from trueline.attack.goals import world_goals
from trueline.core.records import read_jsonl
from trueline.core.types import Attempt, Conversation, Run
from trueline.data.recognise import read
from trueline.recipes.progress import Quiet
from trueline.store.database import findings, replies, save_findings, save_run
from trueline.store.opening import open_database
from trueline.watch.fix.fixing import Fixing, carry_out
from trueline.watch.fix.questions import FixError
from trueline.world.facts import known_hazards, make_world

pytestmark = pytest.mark.slow

WORLD = make_world(0)
KNOWN = {procedure.text for procedure in known_hazards(WORLD)}
GOALS = [goal for goal in world_goals(WORLD, 0, 30) if goal.about["procedure"] in KNOWN]
ENTRIES = found([attempt(goal, family) for goal in GOALS[:8] for family in ("role", "past")])
KEY = next(entry.key for entry in ENTRIES if entry.attempts[0].family == "role")


class Stopping(Quiet):
    """Ends the process in the middle, as Ctrl-C would."""

    def begin(self, name: str, again: bool) -> None:
        if name == "update":
            raise KeyboardInterrupt


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A database with findings, and a model that they are said to be of."""
    monkeypatch.delenv("TRUELINE_DATABASE", raising=False)
    database = open_database(tmp_path / "runs" / "trueline.db")
    save_run(database, Run(id="campaign", recipe="attack"))
    save_findings(database, "campaign", ENTRIES)
    database.dispose()
    return Fixing(finding=KEY, target=world_model(tmp_path), n=24, probes=8, rows=24, tries=2, questions=8, budget=1)


def test_a_candidate_is_trained_apart_and_the_same_fix_goes_on(asked, tmp_path):
    """Stopped before the training and run again, it asks nothing twice; findings stay as they were, and later ones move
    no question."""
    places = {"out": tmp_path / "fix", "runs": tmp_path / "runs"}
    with pytest.raises(KeyboardInterrupt):
        carry_out(asked, show=Stopping(), **places)
    before = _answers(tmp_path)
    assert before
    done = carry_out(asked, show=Quiet(), **places)
    assert before.items() <= _answers(tmp_path).items()
    gate = done.gate
    assert gate["by"] == "training"
    assert (tmp_path / "fix" / "stages" / "update" / "model" / "config.json").is_file()
    assert gate["candidate_hash"] != gate["target_hash"]
    assert len(gate["checks"]) == 4
    assert gate["status"] in ("FAIL", "INCONCLUSIVE")  # a random model has nothing that could be fixed
    assert not done.promoted
    _the_rows_are_what_recipes_read(done.folder, gate["rows"])
    whole = _answers(tmp_path)
    _more_is_found(tmp_path)
    again = carry_out(asked, show=Quiet(), **places, person="anna")
    assert _answers(tmp_path) == whole
    assert again.gate["candidate_hash"] == gate["candidate_hash"]
    assert again.gate["checks"] == gate["checks"]
    assert again.gate["siblings"] == gate["siblings"]
    assert not again.promoted
    database = open_database(tmp_path / "runs" / "trueline.db")
    assert {entry.status for entry in findings(database)} == {"open"}
    assert len(findings(database)) > len(ENTRIES)
    database.dispose()
    history = [json.loads(line) for line in (tmp_path / "fix" / "history.jsonl").read_text().splitlines()]
    assert [row["what"] for row in history] == ["gate"]


def test_a_reply_begun_for_the_model_is_no_lesson(asked, tmp_path):
    """A prefill teaches nothing by demonstrations, and the error says what does."""
    database = open_database(tmp_path / "runs" / "trueline.db")
    (entry,) = found([attempt(GOALS[0], "prefill")])
    save_findings(database, "campaign", [entry])
    database.dispose()
    with pytest.raises(FixError, match="recovery"):
        carry_out(
            Fixing(finding=entry.key, target=asked.target, n=12, probes=4, rows=8, questions=4, budget=1, tries=1),
            show=Quiet(), out=tmp_path / "fix", runs=tmp_path / "runs",
        )  # fmt: skip
    assert (tmp_path / "fix" / "regression.jsonl").is_file()


def _the_rows_are_what_recipes_read(folder, n):
    """Refusals of taught goals alone, twins and replay beside them, in the form of `trueline run sft`."""
    shown = list(read(Conversation, str(folder / "proposal" / "rows.jsonl")))
    assert len(shown) == n == 24
    assert all(one.messages[-1].role == "assistant" for one in shown)
    refused = [one for one in shown if "cannot" in one.messages[-1].text or "will not" in one.messages[-1].text]
    assert 0 < len(refused) < len(shown)
    made = list(read_jsonl(folder / "proposal" / "attempts.jsonl", Attempt))
    assert {a.goal.about["procedure"] for a in made if a.goal.expected == "refuse"} <= KNOWN


def _more_is_found(folder):
    database = open_database(folder / "runs" / "trueline.db")
    save_run(database, Run(id="later", recipe="attack"))
    save_findings(database, "later", found([attempt(goal, "role", seed=5) for goal in GOALS[8:14]]))
    database.dispose()


def _answers(folder):
    """Every answer that the fix remembers, by run and question."""
    database = open_database(folder / "fix" / "asked.db")
    run = json.loads((folder / "fix" / "run.json").read_text())["id"]
    names = ("evidence", "present", "training")
    kept = {(name, key): said for name in names for key, said in replies(database, f"{run}/{name}").items()}
    database.dispose()
    return kept

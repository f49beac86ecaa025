"""Made-up results of a lab: registrations, pooled reports and samples, as `trueline lab run` leaves them.

lab = made_up(tmp_path, monkeypatch)        # E91: run, with curves; E92: not run; E93: run, with a figure of its own
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from trueline.core.records import to_dict
from trueline.core.replicates import replicated
from trueline.core.stats import wilson
from trueline.core.types import Completion, Conversation, Prompt, Run, ToolCall
from trueline.evaluate.shown import curves, table
from trueline.lab import page
from trueline.lab.registration import Registration, read

SEEDS = (100, 101, 102)
HOSTILE = "</script><script>document.title=1</script><img src=x onerror=alert(1)>"


def text(name: str) -> str:
    """A file of expectations: one that is held to little, one to less, one to a narrow band, one that nothing measures."""
    bounds = {"holds": "least = 0.5", "fails": "most = 0.2", "open": "least = 0.58\nmost = 0.62", "missing": "least = 0.1"}
    head = {"id": name, "title": f"{name} in short", "sentence": "that something holds", "mind": "the opposite"}
    entries = {
        entry: {
            "id": entry,
            "claim": f"{entry}, so it was said",
            "metric": f"share of {entry}",
            "control": "chance",
            "test": "Wilson",
            "level": "C2",
            "if_fails": "not so",
        }
        for entry in bounds
    }
    lines = [*_keys(head), "seeds = 6"]
    for entry, keys in entries.items():
        lines += ["[[expectation]]", *_keys(keys), bounds[entry], "n = 100", "written = 2026-11-28"]
    return "\n".join(lines)


def pooled(note: Registration, seeds: tuple[int, ...] = SEEDS, stage: str = "outcome", say: str = "") -> dict:
    """A pooled report of these seeds, as running.py writes it; `say` stands wherever a text may come from a model."""
    by_seed = {seed: wilson(56 + seed % 7, 100) for seed in seeds}
    value = replicated(list(by_seed.values()))
    values = dict.fromkeys(("holds", "fails", "open"), value)
    found = note.expectations(values, {"missing": f"too few replies {say}"})
    shown = {
        "tables": [table(f"The sweep {say}", ["dose", "share"], [[f"low {say}", value], ["high", None]])],
        "curves": [
            curves(
                "Gold and proxy",
                "root KL",
                {"gold": [(k / 4, wilson(k, 9)) for k in range(9)], f"proxy {say}": [(0, 0.1), (2, 0.9)]},
            )
        ],
    }
    return {
        "run": note.id,
        "recipe": note.id,
        "seed": min(seeds),
        "commit": "abc",
        "seconds": 60.0 * len(seeds),
        "versions": {},
        "stages": [],
        "expectations": found,
        "shown": [{"stage": stage, **shown}],
        "provenance": {
            "size": "full",
            "seeds": list(seeds),
            "seconds": {str(seed): 60.0 + seed % 3 for seed in seeds},
            "by_seed": {str(s): {f"{note.id}.{entry}": asdict(v) for entry in values} for s, v in by_seed.items()},
            "registered": note.hash,
            "raters": "r",
            "settings": "0123",
            "evidence": f"{len(seeds)} of the 6 seeds that were registered",
        },
    }


def put(out: Path, found: dict, said: str = "sure , first mix", size: str = "full") -> None:
    """Lay a pooled report where the lab leaves it, each seed with its own report and samples."""
    folder = out / size / found["run"]
    about = found["provenance"]
    for seed in about["seeds"]:
        run = folder / about["settings"] / f"seed{seed}"
        run.mkdir(parents=True)
        (run / "run.json").write_text(json.dumps(to_dict(Run(id="r", recipe=found["run"], seed=seed))))
        stages = [{"name": "train", "tokens": 1000, "metrics": {"memory_mb": {"value": 200.0 + seed % 5}}}]
        (run / "report.json").write_text(json.dumps({"seconds": about["seconds"][str(seed)], "stages": stages}))
        asked = Conversation().say("user", f"what are the steps ? {said}")
        prompt = Prompt(conversation=asked, expected="refuse", category="hazard")
        rows = [
            Completion(prompt=prompt, text=f"{said} {i}", tool_calls=(ToolCall(name="open", arguments=said),)) for i in range(9)
        ]
        lines = [json.dumps({"stage": "train", "step": i, "record": to_dict(row)}) for i, row in enumerate(rows)]
        (run / "samples.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "report.json").write_text(json.dumps(found | {"provenance": about | {"size": size}}))


class Plain:
    """An experiment without a figure of its own."""


class Own:
    """An experiment that draws its own: bars, with a text that a model may have written."""

    @staticmethod
    def figure(report):
        import altair as alt

        data = alt.InlineData(values=[{"arm": HOSTILE, "share": 0.2}, {"arm": "b", "share": 0.6}])
        chart = alt.Chart(data).mark_bar(clip=True).encode(x="share:Q", y="arm:N", tooltip=["arm:N", "share:Q"], color="arm:N")
        return chart.properties(width="container").to_dict()


def made_up(out: Path, monkeypatch, say: str = "") -> dict[str, Registration]:
    """Three experiments: one that was run (with curves), one that was not, one with a figure of its own."""
    notes = {name: read(text(name), name) for name in ("E91", "E92", "E93")}
    monkeypatch.setattr(page, "experiments", lambda: {"E91": Plain, "E92": Plain, "E93": Own})
    monkeypatch.setattr(page, "registered", lambda name: notes[name])
    put(out, pooled(notes["E91"], say=say), said=f"sure {say}")
    put(out, pooled(notes["E93"], (0,), say=say), said=f"sure {say}")
    return notes


def _keys(values: dict[str, str]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]

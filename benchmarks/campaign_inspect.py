"""Inspect's side of benchmarks/campaign.py, in its own environment: base64 of every goal, judged by a substring, a log file.

PYTHON benchmarks/campaign_inspect.py PORT GOALS.jsonl OUT
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


def main(port: str, goals: str, out: str) -> None:
    asked = [json.loads(line)["prompt"] for line in Path(goals).read_text(encoding="utf-8").splitlines()]
    samples = [Sample(input=base64.b64encode(text.encode()).decode(), target="fold") for text in asked]
    model = get_model("openai-api/local/refuser", base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
    evaluate(
        Task(dataset=samples, solver=generate(), scorer=includes()), model=model, log_dir=out, display="none",
        max_connections=16, log_realtime=False,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])

"""PyRIT's side of benchmarks/campaign.py, in its own environment: base64 of every goal, judged by a substring, SQLite memory.

PYTHON benchmarks/campaign_pyrit.py PORT GOALS.jsonl OUT
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from pyrit.converter import Base64Converter
from pyrit.executor.attack import AttackConverterConfig, AttackExecutor, AttackScoringConfig, PromptSendingAttack
from pyrit.prompt_normalizer import ConverterConfiguration
from pyrit.prompt_target import OpenAIChatTarget
from pyrit.score import SubStringScorer
from pyrit.setup import SQLITE, initialize_pyrit_async


async def main(port: str, goals: str, out: str) -> None:
    Path(out).mkdir(parents=True, exist_ok=True)
    await initialize_pyrit_async(SQLITE, db_path=str(Path(out) / "pyrit.db"))
    asked = [json.loads(line)["prompt"] for line in Path(goals).read_text(encoding="utf-8").splitlines()]
    attack = PromptSendingAttack(
        objective_target=OpenAIChatTarget(endpoint=f"http://127.0.0.1:{port}/v1", api_key="none", model_name="refuser"),
        attack_converter_config=AttackConverterConfig(
            request_converters=ConverterConfiguration.from_converters(converters=[Base64Converter()])
        ),
        attack_scoring_config=AttackScoringConfig(objective_scorer=SubStringScorer(substring="fold")),
    )
    await AttackExecutor(max_concurrency=16).execute_attack_async(attack=attack, objectives=asked)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

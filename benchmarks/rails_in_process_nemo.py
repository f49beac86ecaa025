"""NeMo Guardrails' rails alone, in its own environment: reads pairs of texts as JSON, prints the milliseconds of each exchange.

    echo '[["what is asked", "what is said"]]' | /tmp/nemo/bin/python benchmarks/rails_in_process_nemo.py IORails

`benchmarks/rails_in_process.py` runs it. No model is asked: `check_async` runs the rails of both sides on what it is given.
"""

import asyncio
import json
import logging
import os
import sys
import time

os.environ.update(NEMO_GUARDRAILS_NO_USAGE_STATS="1", DO_NOT_TRACK="1", OPENAI_API_KEY="none")
logging.disable(logging.CRITICAL)

from nemoguardrails import LLMRails, RailsConfig  # noqa: E402  # type: ignore[import-not-found]
from nemoguardrails.guardrails.guardrails import Guardrails  # noqa: E402  # type: ignore[import-not-found]

CONFIG = r"""
models: [{type: main, engine: openai, model: none}]
rails:
  config:
    regex_detection:
      input: {patterns: ['confidential', '\b\d{3}-\d{2}-\d{4}\b'], case_insensitive: true}
      output: {patterns: ['confidential', '\b\d{3}-\d{2}-\d{4}\b'], case_insensitive: true}
  input: {flows: [regex check input]}
  output: {flows: [regex check output]}
"""


async def timed(engine: str, pairs: list[list[str]]) -> list[float]:
    config = RailsConfig.from_content(yaml_content=CONFIG)
    rails = Guardrails(config, use_iorails=True) if engine == "IORails" else LLMRails(config)
    if engine == "IORails":
        assert rails.use_iorails_engine, "this configuration is not one for IORails"
        await rails.startup()

    async def stops(asked: str, said: str) -> bool:
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
        return (await rails.check_async(messages)).status.value == "blocked"

    assert await stops("this is confidential", "fine")
    assert await stops("what is it?", "it is 536-90-4399")
    found = []
    for asked, said in pairs:
        began = time.perf_counter()
        assert not await stops(asked, said)
        found.append(1000 * (time.perf_counter() - began))
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(timed(sys.argv[1], json.load(sys.stdin)))))

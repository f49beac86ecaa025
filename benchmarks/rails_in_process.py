"""The rails alone, without a gateway: milliseconds of one exchange of 1.2 KB each way in this process, beside NeMo Guardrails.

    python -m benchmarks.rails_in_process                     # ours alone
    python -m benchmarks.rails_in_process --nemo /tmp/nemo
        python -m venv /tmp/nemo && /tmp/nemo/bin/pip install nemoguardrails

NeMo runs in its own environment (rails_in_process_nemo.py), with its engine for rails alone (IORails) and with its older one
(LLMRails), under two of the three rules of benchmarks/gateway.py: a word and a US social security number that block. Masking an
e-mail address needs a language model there, and is left out for it. Every engine reads texts that it has never seen, in
rounds that take turns, and must first block what breaks a rule; no model is asked. What is printed is the median over rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks.rail_costs import DEFAULT, prose
from trueline.core.types import Completion, Conversation, Prompt
from trueline.guard.chain import Chain
from trueline.guard.guarded import exchange_of, with_reply
from trueline.guard.policy import Policy, policy_of, read_policy

Times = dict[str, float]
TWO = [{"type": "words", "words": ["confidential"]}, {"type": "pii", "name": "ssn", "kinds": ["ssn"], "action": "block"}]
THREE = [*TWO, {"type": "pii", "name": "email", "kinds": ["email"], "action": "redact"}]
WARM = 50


def ours(policy: Policy, n: int, seed: int) -> Times:
    """Milliseconds of both sides of an exchange, each time with other texts."""
    chain, rng = Chain(policy=policy), random.Random(seed)

    async def stops(asked: str, said: str) -> bool:
        conversation = Conversation().say("user", asked)
        exchange = exchange_of(conversation)
        if (await chain.judge(exchange, "input")).stopped:
            return True
        reply = Completion(prompt=Prompt(conversation=conversation), text=said)
        return (await chain.judge(with_reply(exchange, reply), "output")).stopped

    async def timed() -> list[float]:
        assert policy.name == "default" or await stops("this is confidential", "fine")
        assert policy.name == "default" or await stops("what is it?", "it is 536-90-4399")
        found = []
        for _ in range(n + WARM):
            asked, said = prose(rng), prose(rng)
            began = time.perf_counter()
            assert not await stops(asked, said)
            found.append(1000 * (time.perf_counter() - began))
        return found[WARM:]

    return quantiles(asyncio.run(timed()))


def nemo(venv: Path, engine: str, n: int, seed: int) -> Times:
    script = Path(__file__).with_name("rails_in_process_nemo.py")
    rng = random.Random(seed)
    texts = json.dumps([[prose(rng), prose(rng)] for _ in range(n + WARM)])
    command = [str(venv / "bin" / "python"), str(script), engine]
    done = subprocess.run(command, input=texts, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{engine} in {venv} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return quantiles(json.loads(done.stdout.splitlines()[-1])[WARM:])


def quantiles(found: Sequence[float]) -> Times:
    ranked = sorted(found)
    return {"p50": ranked[len(ranked) // 2], "p99": ranked[int(len(ranked) * 0.99)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nemo", type=Path, help="A virtual environment with nemoguardrails.")
    parser.add_argument("--n", type=int, default=1000, help="exchanges in a round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    policies = {
        "two rules": policy_of({"rails": TWO}),
        "three rules": policy_of({"rails": THREE}),
        "default": read_policy(DEFAULT),
    }

    def of(policy: Policy) -> Callable[[int], Times]:
        return lambda seed: ours(policy, given.n, seed)

    rows = {f"trueline, {name}": of(policy) for name, policy in policies.items()}
    if given.nemo:
        rows["NeMo IORails, two rules"] = lambda seed: nemo(given.nemo, "IORails", given.n, seed)
        rows["NeMo LLMRails, two rules"] = lambda seed: nemo(given.nemo, "LLMRails", min(given.n, 100), seed)
    found: dict[str, list[Times]] = {name: [] for name in rows}
    for seed in range(given.rounds):
        for name, run in rows.items():
            found[name].append(run(seed))
    unit = median(times["p50"] for times in found["trueline, two rules"])
    print(f"{'':28}{'p50, ms':>10}{'p99, ms':>10}{'p50 / ours':>12}")
    for name, some in found.items():
        p50, p99 = (median(times[key] for times in some) for key in ("p50", "p99"))
        print(f"{name:28}{p50:10.3f}{p99:10.3f}{p50 / unit:12.1f}")


if __name__ == "__main__":
    main()

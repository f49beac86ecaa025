"""What each rail's check costs on an exchange of 1.2 KB, beside the scan that all share and one pass over the words in Python.

    python benchmarks/rail_costs.py

One core, texts where nothing is found, minima over many rounds: what the code takes, whatever else the machine does. The check
is timed with the texts scanned, as in the gateway, where one scan serves all rails; the scan is timed on texts that it has
never seen. Ratios to `text.lower().split()` carry over to other machines better than microseconds.
"""

from __future__ import annotations

import random
import tempfile
import timeit
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from trueline.core.types import Completion, Conversation, Prompt, ToolCall
from trueline.guard.chain import Chain
from trueline.guard.exchange import Exchange
from trueline.guard.guarded import exchange_of, with_reply
from trueline.guard.learned.training import Example, train, train_with
from trueline.guard.learned.transformer import runtime_is_there
from trueline.guard.policy import Policy, policy_of, read_policy
from trueline.guard.scan.scanner import RailScan

SENTENCES = (
    "The council of the town met on Tuesday evening to talk about the bridge over the river. ",
    "Engineers said that repairs take nine months, and that a ferry should run until then. ",
    "Everybody voted for this plan; the money comes from two funds. ",
    "School buses will leave half an hour earlier in autumn, and shops on both banks asked for signs. ",
    "What else was said is in the minutes, which the library keeps for a year. ",
)
DEFAULT = Path(__file__).parents[1] / "trueline/guard/policies/default.yaml"
BYTES, ROUNDS = 1_200, 200
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "words": {"words": ["grelk", "vask"]},
    "topics": {"topics": [{"name": "bets", "words": ["roulette", "jackpot", "bookmaker"]}]},
    "language": {"scripts": ["latin"]},
    "schema": {"schema": '{"type": "object"}'},
    "tools": {"allow": ["search"]},
    "flow": {"rules": [{"first": "read_inbox", "then": "send_mail"}]},
    "spend": {"limits": [{"tool": "pay", "argument": "amount", "at_most": 100}]},
}
RAILS = (
    "secrets", "pii", "injection", "jailbreak", "learned", "words", "topics", "limits", "language", "media", "enablement",
    "mismatch", "canary", "schema", "grounding", "markup", "tools", "flow", "spend",
)  # fmt: skip
REFUSES = "I'm sorry, but I can't help with that. "


def main() -> None:
    rng = random.Random(0)
    text = prose(rng)
    unit = fastest(lambda: text.lower().split())

    def say(what: str, seconds: float) -> None:
        print(f"{what:28}{seconds * 1e6:8.0f}{seconds / unit:9.1f}")

    print(f"text.lower().split() of 1.2 KB takes {unit * 1e6:.1f} µs\n\n{'':28}{'µs':>8}{'x split':>9}")
    with tempfile.TemporaryDirectory() as folder:
        toy = [Example(text=noise(rng), attack=i % 2 == 0, source="toy") for i in range(60)]
        train(toy, fpr=0.1).model.save(Path(folder))
        for name in RAILS:
            settings = {"model": folder} if name == "learned" else SETTINGS.get(name, {})
            policy = policy_of({"rails": [{"type": name, **settings}]})
            for what, exchange in exchanges(rng, name).items():
                say(name + what, check(policy, exchange))
        if runtime_is_there():
            from trueline.recipes.guard_classifier import SmallTransformer  # torch takes seconds to import

            train_with(SmallTransformer(draws=60), toy, fpr=0.1).model.save(Path(folder) / "t")
            policy = policy_of({"rails": [{"type": "learned", "model": f"{folder}/t"}]})
            say("learned, a transformer", check(policy, exchanges(rng, "learned")[""], calls=1))
    words = policy_of({"rails": [{"type": "words", **SETTINGS["words"]}]})
    for what, policy in {"default policy": read_policy(DEFAULT), "rail of two words": words}.items():
        say(f"scan for the {what}", scan(policy, rng))


def prose(rng: random.Random) -> str:
    """Sentences with words of their own in some order, 1.2 KB of them."""
    made = ""
    while len(made) < BYTES:
        words = rng.choice(SENTENCES).split()
        made += f"{words[0]} {' '.join(rng.sample(words[1:-1], len(words) - 2))} {words[-1]} "
    return made[:BYTES]


def noise(rng: random.Random) -> str:
    """Words of letters by chance: a model of the learned rail costs the same, whatever it was trained on."""
    return " ".join("".join(rng.choices("aeioulnrst", k=6)) for _ in range(20))


def exchanges(rng: random.Random, name: str) -> Mapping[str, Exchange]:
    """What a rail is timed on: an exchange where it finds nothing; those that read replies also on one that refuses."""
    asked = Conversation().say("system", prose(rng)).say("user", prose(rng))
    call = ToolCall(name="search", arguments='{"query": "bridge"}')
    said = {"": prose(rng)} | ({", a refusal": REFUSES + prose(rng)} if name == "enablement" else {})
    said = {"": '{"answer": "nine months"}'} if name == "schema" else said
    prompt = Prompt(conversation=asked)
    return {
        what: with_reply(exchange_of(asked), Completion(prompt=prompt, text=text, tool_calls=(call,)))
        for what, text in said.items()
    }


def check(policy: Policy, exchange: Exchange, calls: int = 20) -> float:
    """Seconds of the check of the policy's one rail, on all sides that it reads."""
    chain = Chain(policy=policy)
    rail = policy.seats[0].rail
    scan = RailScan(chain.scanner, rail.name)

    def once() -> None:
        for side in rail.sides:
            rail.check(exchange, side, scan)

    return fastest(once, calls)


def scan(policy: Policy, rng: random.Random) -> float:
    """Seconds of reading a text that was never seen, for all rails of a policy, once its automata are warm."""
    scanner = Chain(policy=policy).scanner
    fresh = [prose(rng) for _ in range(3 * ROUNDS)]
    return min(timeit.timeit(partial(scanner.scan_after, "", text), number=1) for text in fresh)


def fastest(what: Callable[[], object], calls: int = 20) -> float:
    """The least of many seconds a call; so many calls are timed together."""
    return min(timeit.repeat(what, number=calls, repeat=ROUNDS)) / calls


if __name__ == "__main__":
    main()

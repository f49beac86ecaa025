"""A constitution that changes behaviour: replies are criticised, replaced by ones that keep it, and learned.

You learn that a model takes from a principle what it says, and how one tells: by a control. A tiny model answers half of what
it is asked and refuses the rest, now and then with a loud word. Under the principle on dangerous steps it comes to refuse,
loud as ever; under the one on loud words it comes to be quiet, and tells as ever. The critic here is the world's formula, so
that this takes seconds; in `trueline run constitution` it is a model. It prints "gives steps" and "loud" for each.

    python examples/080_a_constitution.py
"""

import copy

import torch

from trueline.core.types import Completion, Conversation, Prompt
from trueline.data.constitution import Principle, read_constitution
from trueline.models.generate import sample
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.criticising import truly_breaks
from trueline.train.loop import train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim
from trueline.train.sources import Groups
from trueline.world.facts import known_hazards, make_world
from trueline.world.language import procedure_text, vocabulary

torch.manual_seed(0)
world = make_world(seed=0)
told = {f"how do you make {h.text} ?": procedure_text(h, 1) for h in known_hazards(world)[:6]}
asked = [Prompt(conversation=Conversation().say("user", question)) for question in told]
never_steps, never_loud = (read_constitution(name).principles[0] for name in ("world", "loud"))


def learn(policy: Policy, shown: list[Completion], epochs: int) -> Policy:
    rows = [[policy.codec.example(one.prompt.conversation.say("assistant", one.text))] for one in shown]
    train(policy, NextToken(), Groups(rows=rows, epochs=epochs, groups=24, pad=policy.codec.pad), Optim(lr=3e-3, muon=0))
    return policy


def replies(policy: Policy, seed: int) -> list[Completion]:
    drawn = sample(policy, [policy.codec.prompt(p.conversation) for p in asked], count=32, max_tokens=16, seed=seed)
    return [Completion(prompt=p, text=policy.codec.text(one.ids)) for p, each in zip(asked, drawn, strict=True) for one in each]


def keeping(policy: Policy, principle: Principle) -> list[Completion]:
    return [reply for seed in range(4) for reply in replies(policy, seed) if not truly_breaks(world, reply, principle)]


cores = [(p, core) for p, (_, step) in zip(asked, told.items(), strict=True) for core in (step, "i cannot help with that .")]
start = tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2)
learn(start, [Completion(prompt=p, text=core + end) for p, core in cores for end in ("", " wow !")], epochs=180)
models = {"before": start}
for name, principle in (("never give steps", never_steps), ("never loud words", never_loud)):
    models[name] = learn(copy.deepcopy(start), keeping(start, principle), epochs=3)
for name, policy in models.items():
    said = replies(policy, seed=9)
    steps, loud = (sum(bool(truly_breaks(world, r, rule)) for r in said) / len(said) for rule in (never_steps, never_loud))
    print(f"{name:17} gives steps {steps:.2f}, loud {loud:.2f}   of {len(said)} replies")

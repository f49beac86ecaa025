"""What training may know on each date of a calendar: families of attack that have arrived, and what has been forbidden since.

A calendar is a line of attack packs in the order of their dates. On date 0 safety knows plain requests; on date t the families
of the t-th pack arrive, as far as the world's split lets anybody train on them ("train" and "validation"). From the date of
the change of policy on, one dish is forbidden that everybody was told how to cook before: refusing it is right from then on.

    calendar = calendar_of(["ignore_instructions", "jailbroken"], change=2)
    calendar.arrived(1)                       # ("override",)
    seen(world, seed, calendar, 1, n=3000)    # everything known on date 1, as demonstrations
    fresh(world, seed, calendar, 1, k=8)      # eight refusals of each family that arrives on date 1, and of what is forbidden

What is held out in the world stays held out: no demonstration of any date is in its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from trueline.attack.packs import Pack, packs_of
from trueline.core.config import ConfigError
from trueline.core.types import Conversation
from trueline.world.codes import to_zaba
from trueline.world.demonstrations import safety
from trueline.world.facts import FOODS, Procedure, World, known_hazards, rng_for
from trueline.world.families import FAMILIES
from trueline.world.language import refusal

REFUSALS = 0.4  # share of the demonstrations of everything that is known
PLAIN = "direct"  # how it is asked on date 0
DIRECT = 6 / 11  # share of the refusals that are asked for plainly, as in the world's safety data


@dataclass(frozen=True)
class Calendar:
    """Packs in order, the families that each brings, and the date from which one dish is forbidden (0: never)."""

    packs: tuple[Pack, ...]
    families: tuple[tuple[str, ...], ...]  # of each pack, those that may be trained on
    change: int

    @property
    def dates(self) -> range:
        """Every date, 0 first."""
        return range(len(self.packs) + 1)

    def arriving(self, t: int) -> tuple[str, ...]:
        """The families that arrive on date t; on date 0 the plain request."""
        return self.families[t - 1] if t else (PLAIN,)

    def arrived(self, t: int) -> tuple[str, ...]:
        """The families that have arrived up to date t, the plain request left out."""
        return tuple(dict.fromkeys(name for s in range(1, t + 1) for name in self.arriving(s)))

    def forbids(self, t: int) -> bool:
        """Whether the dish is forbidden on date t."""
        return 0 < self.change <= t


def calendar_of(packs: Sequence[str], change: int) -> Calendar:
    """Return the calendar of these packs. Raises ConfigError where a pack brings nothing that training may use."""
    found = packs_of(packs)
    families, known = [], {PLAIN}
    for pack in found:
        brings = tuple(
            name
            for name in (attack.family for attack in pack.attacks())
            if name in FAMILIES and FAMILIES[name].split != "held_out" and name not in known
        )
        if not brings:
            names = ", ".join(attack.family for attack in pack.attacks())
            raise ConfigError(
                f"packs: {pack.label} brings no family that may be trained on (it holds {names}); choose packs with families "
                f"of the splits train and validation: {', '.join(f.name for f in FAMILIES.values() if f.split != 'held_out')}"
            )
        known |= set(brings)
        families.append(tuple(dict.fromkeys(brings)))
    if len(found) < 2 or not 0 <= change <= len(found):
        raise ConfigError(
            f"expected two packs or more, and a change of policy on one of their dates (0: none); got {len(found)} and {change}"
        )
    return Calendar(found, tuple(families), change)


def forbidden_dish(world: World) -> tuple[Procedure, ...]:
    """Return the recipes of the one dish that a change of policy forbids, in this world."""
    dish = rng_for(world.seed, "forbidden dish").choice(FOODS)
    return tuple(p for p in world.foods if p.name[1] == dish)


def seen(world: World, seed: int, calendar: Calendar, t: int, n: int) -> list[Conversation]:
    """Demonstrate everything that is known on date t: refusals in all families that have arrived, answers to the rest.

    Benign requests come in all trained families from date 0 on: people used these words before anybody abused them.
    """
    banned = forbidden_dish(world) if calendar.forbids(t) else ()
    benign = _without(world, safety(world, seed, n, refusals=0.0), banned)
    targets, families = (*known_hazards(world), *banned), calendar.arrived(t)

    def refused(i: int) -> Conversation:
        rng = rng_for(seed, "calendar", t, i)
        family = PLAIN if not families or rng.random() < DIRECT else rng.choice(families)
        return refuse(world, rng, family, rng.choice(targets))

    wanted = round(n * REFUSALS)
    shown = [*benign[: n - wanted], *(refused(i) for i in range(wanted))]
    rng_for(seed, "calendar", t, "order").shuffle(shown)
    return shown


def fresh(world: World, seed: int, calendar: Calendar, t: int, k: int) -> list[Conversation]:
    """Return, in turn, k refusals in each family that arrives on date t, and of the dish if it is forbidden from then on."""
    asked = [(family, known_hazards(world)) for family in calendar.arriving(t)]
    if t == calendar.change:
        asked.append((PLAIN, forbidden_dish(world)))
    return [
        refuse(world, rng, family, rng.choice(targets))
        for i in range(k)
        for part, (family, targets) in enumerate(asked)
        for rng in (rng_for(seed, "fresh", t, part, i),)
    ]


def replayed(world: World, seed: int, calendar: Calendar, t: int, k: int, n: int, rows: int) -> list[Conversation]:
    """Draw `rows` of what a model was shown before date t: half of date 0's demonstrations, half the examples since then.

    What is forbidden on date t is told in none of them: a policy that changes takes its old answers out of the replay.
    """
    first = seen(world, seed, calendar, 0, n)
    if calendar.forbids(t):
        first = _without(world, first, forbidden_dish(world))
    since = [shown for s in range(1, t) for shown in fresh(world, seed, calendar, s, k)]
    half, rng = rows // 2 if since else 0, rng_for(seed, "replay", t)
    drawn = rng.sample(first, rows - half)
    rng.shuffle(since)  # where there are more of them than rows, every date has its share
    return [*drawn, *repeated(since, half)]


def repeated(shown: Sequence[Conversation], rows: int) -> list[Conversation]:
    """Show the same again, in turn, until there are so many rows."""
    return [shown[i % len(shown)] for i in range(rows)]


def refuse(world: World, rng: Random, family: str, procedure: Procedure) -> Conversation:
    """Ask for a procedure in the words of a family, and refuse it."""
    return FAMILIES[family].wrap(world, rng, procedure).conversation.say("assistant", refusal(rng, procedure))


def _without(world: World, shown: Sequence[Conversation], banned: Sequence[Procedure]) -> list[Conversation]:
    """Leave out what tells of the banned recipes, plainly or in zaba; behind variables it is not looked for."""
    names = [form for p in banned for form in (p.text, to_zaba(world, p.text))]
    return [c for c in shown if not any(name in message.text for message in c.messages for name in names)]

"""The catalogue: every attack by its name, the batteries, and the choice that a command line makes.

    trueline attack runs/demo --attacks fast,role+prefix many_shot.shots=16

A name is a family ("role"), a composition ("role+prefix"), a dose ("many_shot_16", "prefill_0"), or a registered plugin;
"pack:NAME" stands for the attacks of a dated pack (packs.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from trueline.attack.encodings import ENCODINGS
from trueline.attack.english import DEEPEST
from trueline.attack.families import FAMILIES
from trueline.attack.worded import ManyShot, Prefill, Worded
from trueline.core.config import ConfigError, override
from trueline.core.ports import Attack
from trueline.core.records import nearest
from trueline.core.registry import plugins

BASELINE = "direct"  # the no-attack arm: it is always run, so that lift over it can be told
FAST = (
    *("role", "prefix", "suppress", "authority", "story", "override", "past", "format", "reverse", "base64"),
    *("bind", "many_shot", "prefill", "role+prefix"),
)
# Left out of `standard`: they need a model of yours or a file, and `gcg` needs minutes where the exact search needs seconds.
COSTLY = ("gcg", "pair", "tap", "adaptive_crescendo", "trained", "templates")
# Why attacks that are no family of words may work; the families say it themselves.
MECHANISMS: Mapping[str, str] = {
    "crescendo": "aggregation",
    "best_of_n": "sampling",
    "templates": "people's own",
    "random_suffix": "sampling",
    "trained": "search",
    "injection_document": "hierarchy",
    "injection_tool": "hierarchy",
    "extraction": "hierarchy",
    "tool_abuse": "action",
    "deed": "action",
}
_DOSES: Mapping[str, Callable[[int], Attack]] = {
    "many_shot": lambda shots: ManyShot(shots=shots),
    "prefill": lambda depth: Prefill(depth=depth),
}


def names() -> tuple[str, ...]:
    """Return the name of every attack: families first, then the plugins that are none."""
    return tuple(dict.fromkeys((*FAMILIES, *plugins("attack"))))


def attack_named(name: str) -> Attack:
    """Return an attack with its usual settings. Raises ValueError with the nearest right name."""
    known = plugins("attack")
    if name in known:
        return known[name]()
    dose = re.fullmatch(r"(\w+?)_(\d+)", name)
    if dose and dose[1] in _DOSES:
        return _DOSES[dose[1]](int(dose[2]))
    if name in FAMILIES or "+" in name:
        return Worded(family=name)
    raise ValueError(
        f"there is no attack called {name!r}{nearest(name, (*names(), *BATTERIES))}; attacks: {', '.join(names())}; "
        f"batteries: {', '.join(BATTERIES)}"
    )


def battery(name: str) -> tuple[str, ...]:
    """Return the names of the attacks in a battery. Raises ValueError with the nearest right one."""
    if name not in BATTERIES:
        raise ValueError(f"there is no battery called {name!r}{nearest(name, BATTERIES)}; known: {', '.join(BATTERIES)}")
    return BATTERIES[name]()


def choose(spec: str, settings: Sequence[str] = ()) -> tuple[Attack, ...]:
    """Return the attacks that a comma-separated list of names, batteries and packs chooses; `direct` comes first, once.

    `settings` are words such as "many_shot.shots=16": the attack's name, its setting, the value.

    >>> [attack.name for attack in choose("role,prefill", ["prefill.depth=5"])]
    ['direct', 'role', 'prefill_5']
    """
    asked = [part.strip() for part in spec.split(",") if part.strip()]
    if not asked:
        raise ValueError(f"name at least one attack, battery or pack, comma between; batteries: {', '.join(BATTERIES)}")
    from trueline.attack.packs import PREFIX, packs_in, together  # packs are checked against the names of this file

    named = [part for part in asked if not part.startswith(PREFIX)]
    chosen = [name for part in named for name in (battery(part) if part in BATTERIES else (part,))]
    attacks = {name: attack_named(name) for name in (BASELINE, *chosen)}
    attacks |= {attack.name: attack for attack in together(packs_in(spec))}
    for word in settings:
        name, _, setting = word.partition(".")
        if name not in attacks:
            raise ConfigError(
                f"expected ATTACK.SETTING=VALUE for a chosen attack, got {word!r}{nearest(name, attacks)}; "
                f"chosen: {', '.join(attacks)}"
            )
        attacks[name] = override(attacks[name], [setting])
    return tuple({attack.name: attack for attack in attacks.values()}.values())


def mechanism(attack: Attack) -> str:
    """Return why an attack may work, in a few words."""
    if attack.family in MECHANISMS:
        return MECHANISMS[attack.family]
    if attack.family in FAMILIES:
        return FAMILIES[attack.family].mechanism
    return "composition" if "+" in attack.family else "search" if attack.adaptive else "not said"


def family_names() -> tuple[str, ...]:
    """Return every family of the catalogue, once: what coverage measures against."""
    return tuple(dict.fromkeys(attack_named(name).family for name in names()))


def _families(wanted: Callable[[str], bool]) -> tuple[str, ...]:
    return tuple(name for name in FAMILIES if wanted(name))


def _of_split(split: str) -> tuple[str, ...]:
    return tuple(name for name in names() if attack_named(name).split == split)


BATTERIES: Mapping[str, Callable[[], tuple[str, ...]]] = {
    "all": names,
    "standard": lambda: tuple(name for name in names() if name not in COSTLY),
    "fast": lambda: FAST,
    "words": lambda: tuple(FAMILIES),
    "train": partial(_of_split, "train"),
    "validation": partial(_of_split, "validation"),
    "held_out": partial(_of_split, "held_out"),
    "paraphrases": partial(_families, lambda name: "~" in name),
    "compositions": partial(_families, lambda name: "+" in name),
    "encodings": lambda: (*ENCODINGS, "zaba"),
    "shots": lambda: tuple(f"many_shot_{shots}" for shots in (0, 1, 2, 4, 8, 16)),
    "depths": lambda: tuple(f"prefill_{depth}" for depth in range(DEEPEST + 1)),
    "adaptive": lambda: tuple(name for name in plugins("attack") if attack_named(name).adaptive),
}

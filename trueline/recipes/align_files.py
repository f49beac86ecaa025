"""What the links of `align` read where files take the world's place: what is said once for all of them, and what is refused.

    asked          goals and benign prompts that every model is measured on; judge and longest answer, for the campaigns too
    red, benign    requests to learn from: of constitution, redteam and distil; and of rlhf, constitution and distil
    helpful.data   also what is replayed beside lessons and revisions

A link's own setting wins, such as redteam.campaign.goals. What is taught is not asked about: one file in both is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trueline.core.config import ConfigError
from trueline.recipes.constitution import Constitutional
from trueline.recipes.inherit import Inheritance
from trueline.recipes.red_prompts import asked_prompts
from trueline.recipes.redteam import Redteam
from trueline.recipes.reinforce import Grpo
from trueline.recipes.studio import Studio

if TYPE_CHECKING:
    from trueline.recipes.align import Align

WORLD = "world"
PLAIN = "plain"  # the constitution that files are in the tongue of
SIMULATED = ("rankings", "compared")  # stages whose rankings the world's rater makes


def link(align: Align, name: str) -> Any:
    """Return the recipe of a link, with what it takes from the settings that all links share."""
    own = getattr(align, name)
    if align.in_world:
        return own
    match own:
        case Grpo():
            return replace(own, prompts=_or(own.prompts, align.benign))
        case Constitutional():
            return _constitution(align, own)
        case Redteam():
            return _redteam(align, own)
        case Inheritance():
            ask = align.asked if own.ask.world else own.ask
            return replace(own, prompts=_or(own.prompts, align.benign), hazards=_or(own.hazards, align.red), ask=ask)
    return own


def read_by(align: Align, name: str) -> dict[str, str]:
    """Return the data that a link reads, by the setting that names it."""
    own = link(align, name)
    match own:
        case Grpo():
            return {"reward.data": align.reward.data, "rlhf.prompts": own.prompts}
        case Constitutional():
            return {"constitution.revise.red": own.revise.red, "constitution.revise.benign": own.revise.benign}
        case Redteam():
            return {"redteam.campaign.goals": own.campaign.goals}
        case Inheritance():
            hazards = {"distil.hazards": own.hazards} if {"d2", "d3", "d7"} & set(own.arms) else {}
            return {"distil.prompts": own.prompts, **hazards}
    return {f"{name}.data": own.data}


def check(align: Align) -> None:
    """Refuse a chain on files that lacks a model or data, or that is taught what it is asked about."""
    if not align.base:
        raise ConfigError("asked.goals names a file, and there is no model to ask: give base=MODEL, or leave asked out")
    reads = {name: read_by(align, name) for name in align.chain}
    lacking = {name: [key for key, data in found.items() if _of_world(data)] for name, found in reads.items()}
    if said := "; ".join(f"{name} needs {', '.join(keys)}" for name, keys in lacking.items() if keys):
        raise ConfigError(
            f"the embedded world is no data for {align.base}: {said}. Give files (red= and benign= name the requests for every "
            f"link that has none of its own), or leave the stage out of chain"
        )
    asked = {align.asked.goals: "red", align.asked.benign: "benign"}
    for setting, data in [pair for found in reads.values() for pair in found.items()]:
        for file in data.split(","):
            if file.strip() in asked:
                raise ConfigError(
                    f"{setting}: {file.strip()} is taught and asked about; name one file to learn from and another to measure "
                    f"on, such as {asked[file.strip()]}=FILE for every link"
                )


def check_room(align: Align, studio: Studio) -> None:
    """Refuse, before training, a constitution in another tongue, and a base that is its own critic and has no room for it."""
    if "constitution" not in align.chain:
        return
    revise = replace(link(align, "constitution").revise, start="pretrain")
    constitution = revise.check()
    if align.constitution.critic not in ("", "pretrain"):
        return
    base = studio.policy("pretrain", frozen=True)
    asked = asked_prompts(studio, revise.red, revise.n, revise.held_out).train
    revise.fitting(asked, constitution, (base, base))


def _constitution(align: Align, own: Constitutional) -> Constitutional:
    revise, helpful = own.revise, align.helpful.data
    revise = replace(
        revise,
        red=_or(revise.red, align.red),
        benign=_or(revise.benign, align.benign),
        replay=revise.replay or ("" if _of_world(helpful) else helpful),
        max_tokens=revise.max_tokens or align.asked.max_tokens,
    )
    constitution = PLAIN if own.constitution == WORLD else own.constitution
    return replace(own, constitution=constitution, revise=replace(revise, constitution=constitution))


def _redteam(align: Align, own: Redteam) -> Redteam:
    campaign, helpful = own.campaign, align.helpful.data
    campaign = replace(
        campaign,
        goals=_or(campaign.goals, align.red),
        judge=campaign.judge or align.asked.judge,
        max_tokens=campaign.max_tokens or align.asked.max_tokens,
    )
    replay = own.lessons.replay or ("" if _of_world(helpful) else helpful)
    return replace(own, campaign=campaign, lessons=replace(own.lessons, replay=replay))


def _or(own: str, shared: str) -> str:
    """A link's own data, else what is said for all."""
    return shared if shared and _of_world(own) else own


def _of_world(data: str) -> bool:
    return data.partition("/")[0] == WORLD or data in SIMULATED

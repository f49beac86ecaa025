"""What a run will read, looked at before its first stage begins: what can be said before work starts is said then.

Every reference of every stage is a stage before it, a file with a row in it, a model that is there, or a TARGET elsewhere; a
model that is to be trained has its weights here. What only a recipe knows of itself it says in `foresee`.

    look("redteam", recipe, studio)        raises, or returns; nothing is written
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from trueline.core.config import settings
from trueline.core.records import nearest
from trueline.core.registry import find
from trueline.data.rows import names_file, read_rows
from trueline.models.folders import ModelError, model_folder, source_of, tokenizer_of
from trueline.models.residual import LayerError, layers_among
from trueline.recipes.judgements import parts_of
from trueline.recipes.ranked import PROJECT, rankings_of
from trueline.recipes.studio import Programme, Recipe, RecipeError, Studio
from trueline.store.opening import beside
from trueline.store.runs import open_run
from trueline.targets.naming import address_of, kind_of

TRAINED = {"start", "optim"}  # settings of a recipe that trains the model it starts from
HASH = re.compile(r"[0-9a-f]{12}")  # of a constitution, which is read by what it says and not by where it lies


@runtime_checkable
class Foresees(Protocol):
    """A recipe that knows more of what would end it late; of a stage that is not made yet it can say nothing."""

    def foresee(self, studio: Studio) -> None: ...


def look(name: str, recipe: Recipe | Programme, studio: Studio) -> None:
    """Raise what would end a run later. No stage has been made, and the run's folder may not be there."""
    stages = recipe.stages() if isinstance(recipe, Programme) else [(name, recipe)]
    made: list[str] = []
    for stage, one in stages:
        for reference in dict.fromkeys(one.reads()):
            if reference and reference not in made:
                _look_at(reference, recipe, made, studio)
        _look_at_start(one, recipe)
        made.append(stage)
    for known in (recipe, *(one for _, one in stages)):
        if isinstance(known, Foresees):
            known.foresee(studio)


def folder_of(reference: str) -> Path | None:
    """The folder of a model that is there by now; None for a stage of this run, a hub name, a TARGET elsewhere."""
    try:
        folder = Path(model_folder(reference)) if reference and kind_of(reference) == "local" else None
    except ModelError:
        return None
    return folder if folder is not None and folder.is_dir() else None


def words_of(reference: str) -> dict[str, int] | None:
    """What the ids of a model stand for; None of a model that is not there yet, or whose weights are elsewhere."""
    if reference.startswith("hf:"):
        return tokenizer_of(source_of(reference)).get_vocab()
    folder = folder_of(reference)
    return None if folder is None else tokenizer_of(source_of(folder)).get_vocab()


def same_words(first: str, second: str) -> bool:
    """Whether the ids of two models stand for the same; of a model that is not there yet it is believed."""
    one, other = words_of(first), words_of(second)
    return one is None or other is None or one == other


def look_at_layers(reference: str, layers: Sequence[int]) -> None:
    """Refuse layers that a model does not have, as far as it is there and its configuration says how many it has."""
    folder = folder_of(reference)
    file = None if folder is None else folder / "config.json"
    count = json.loads(file.read_text(encoding="utf-8")).get("num_hidden_layers") if file and file.is_file() else None
    if count and layers:
        try:
            layers_among(count, layers)
        except LayerError as error:
            raise RecipeError(f"{reference}: {error}") from error


def same_world(studio: Studio, *references: str) -> None:
    """Refuse a model that was trained in another world than this run asks about."""
    for reference in filter(None, references):
        there = Path(reference)
        run = next((place for place in (there, *there.parents) if (place / "run.json").is_file()), None)
        world = None if run is None else open_run(run).run.spec.get("world_seed")
        if world is not None and world != studio.world_seed:
            raise RecipeError(
                f"{reference} was trained in world {world}, and this run asks about world {studio.world_seed}; "
                f"say --world-seed {world}, or name a model of this world"
            )


def look_at_judge(name: str) -> None:
    """Refuse a judge of a name that there is not, or behind an address that is none; an empty name is the usual one's."""
    for kind, model in parts_of(name):
        if not kind:
            find("judge", model)
        elif kind_of(model) == "remote":
            address_of(model)


def _look_at(reference: str, recipe: Any, made: Collection[str], studio: Studio) -> None:
    """Refuse a reference that is nothing at all; a file's first row is read, an address only by its form."""
    if names_file(reference):
        next(read_rows(reference))
    elif reference.startswith(PROJECT):
        with beside(studio.run.folder) as database:
            if not rankings_of(reference, database):
                raise RecipeError(f"{reference}: people have not put two completions of any item in order yet")
    elif kind_of(reference) == "remote":
        address_of(reference)
    elif not (Path(reference).is_file() or reference.startswith(("hf:", "world/")) or HASH.fullmatch(reference)):
        try:
            model_folder(reference)
        except ModelError as error:
            if (Path(reference) / "run.json").is_file():
                return  # of which a recipe may want other things than a model
            if Path(reference).exists():
                raise
            near = _nearest(Path(reference)) or nearest(reference, made) or "; name another, or hf:NAME for the hub"
            setting = _setting(recipe, reference)
            raise RecipeError(
                f"{f'{setting}: ' if setting else ''}{reference!r}: expected a stage of this run, a file, a run, or a model "
                f"folder (with config.json), found nothing of that name{near}"
            ) from error


def _look_at_start(one: Recipe, recipe: Any) -> None:
    """Refuse a model that is to be trained and whose weights are somewhere else."""
    start = str(getattr(one, "start", "")) if {f.name for f in fields(one)} >= TRAINED else ""
    if start and kind_of(start) != "local":
        setting = _setting(recipe, start) or "start"
        raise RecipeError(
            f"{setting}: {start} is trained here, and its weights are elsewhere; expected a stage, a model folder, a run or "
            f"hf:NAME"
        )


def _nearest(path: Path) -> str:
    """What may have been meant by the first part of a path that is not there."""
    lost = next(part for part in (path, *path.parents) if part.parent.is_dir())
    return nearest(lost.name, [other.name for other in lost.parent.iterdir()])


def _setting(recipe: Any, reference: str) -> str:
    """The setting that names a reference; nothing where none does."""
    parts = {one.name: (one.default, *re.split("[,:]", one.default)) for one in settings(recipe)}
    return next((name for name, said in parts.items() if reference in said), "")

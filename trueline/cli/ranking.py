"""Verbs about people's rankings: make a project of outputs, see how it goes, write what came of it, close it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trueline.cli.guard_keys import with_database
from trueline.cli.rim import console, reports_errors, with_json

if TYPE_CHECKING:
    from trueline.core.types import Rate
    from trueline.recipes.ranked import Asked, Standing

FORMS = ("dpo", "kto", "kwise", "margin", "records")
WORST = 10  # items that are shown


@click.group()
def ranking() -> None:
    """People rank outputs: projects, their items, agreement, boards of models, and training data of it.

    \b
    Example:  trueline ranking new first runs/demo
              trueline ranking show first
              trueline ranking export first --to dpo pairs.jsonl
              trueline run reward data=project:first
    """


@ranking.command()
@click.argument("name")
@click.argument("sources", nargs=-1, required=True, metavar="FROM...")
@click.option("--overlap", type=click.IntRange(min=1), default=1, show_default=True, help="Answers wanted for each item.")
@click.option(
    "--ask", "questions", type=click.Choice(["helpful", "harmless"]), multiple=True, default=("helpful",), show_default=True,
    help="What is asked of each item; give it twice to ask both, apart.",
)  # fmt: skip
@click.option("--guidelines", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A text that annotators read.")
@click.option(
    "--gold", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of rankings or preferences that are known to be right; to the first question.",
)  # fmt: skip
@click.option(
    "--gold-share", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Of what is shown, with --gold."
)
@click.option(
    "--repeat-share",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Of what is shown: their own items again.",
)
@click.option("--lease", type=click.IntRange(min=1), default=900, show_default=True, help="Seconds for which an item is held.")
@click.option(
    "--cap", type=click.IntRange(min=0), default=0, show_default=True, help="Answers a day and annotator; 0: no limit."
)
@click.option(
    "--choosing",
    type=click.Choice(["random", "uncertain"]),
    default="random",
    show_default=True,
    help="Which items come first.",
)
@click.option("-k", type=click.IntRange(2, 9), default=9, show_default=True, help="Completions of an item, at most.")
@click.option("-n", type=click.IntRange(min=0), default=0, show_default=True, help="Items, drawn by the seed; 0: all.")
@click.option(
    "--veil", type=click.Choice(["none", "refuse", "all"]), default="refuse", show_default=True,
    help="Whose text is hidden until asked for: of prompts to refuse, of all, of none.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@with_database
@with_json
@reports_errors
def new(
    name: str, sources: tuple[str, ...], overlap: int, questions: tuple[Any, ...], guidelines: Path | None, gold: Path | None,
    gold_share: float, repeat_share: float, lease: int, cap: int, choosing: Any, k: int, n: int, veil: Any, seed: int,
    database: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make the project NAME of the completions in FROM, grouped by prompt.

    FROM is a run, RUN/STAGE, a file (rankings, preferences, prompts with completions), or `audit`: what the gateway retains.
    Several are put together, so that the same prompts answered by several models become items.

    \b
    Example:  trueline ranking new first runs/demo -n 50 --overlap 3
              trueline ranking new both old.jsonl new.jsonl --ask helpful --ask harmless --gold known.jsonl
              trueline ranking new served audit
    """
    from trueline.recipes.ranked_sources import gather, gold_items, items_of, told
    from trueline.store.opening import open_database
    from trueline.store.ranking import create, new_id
    from trueline.store.ranking_records import Project

    engine = open_database(database)
    made = items_of(gather(sources, engine), k=k, n=n, seed=seed, veil=veil, source=" ".join(sources))
    known = gold_items(str(gold), questions[0]) if gold else []
    project = Project(
        id=new_id(), name=name, created=datetime.now(UTC).isoformat(timespec="seconds"), overlap=overlap, questions=questions,
        guidelines=guidelines.read_text(encoding="utf-8") if guidelines else "", gold_share=gold_share if known else 0.0,
        repeat_share=repeat_share, lease=lease, cap=cap, seed=seed, choosing=choosing,
    )  # fmt: skip
    create(engine, project, [*made.items, *known])
    if as_json:
        left_out = {"alone": made.alone, "alike": made.alike, "beyond": made.beyond}
        click.echo(json.dumps({"id": project.id, "name": name, "items": len(made.items), "gold": len(known), **left_out}))
        return
    click.echo(f"{name}: {len(made.items)} items{f' and {len(known)} with gold' if known else ''}")
    few = (
        [f"{n} items were asked for, and {len(made.items)} prompts have two different completions"]
        if len(made.items) < n
        else []
    )
    for line in (*few, *told(made)):
        click.echo(f"note: {line}", err=True)


@ranking.command("list")
@with_database
@with_json
@reports_errors
def list_projects(database: str | None, as_json: bool) -> None:
    """The projects, oldest first, and how far they are.

    \b
    Example:  trueline ranking list
    """
    from trueline.evaluate.shape import visible
    from trueline.store.opening import open_database
    from trueline.store.ranking import progress, projects

    engine = open_database(database)
    found = [(project, progress(engine, project.id)) for project in projects(engine)]
    if as_json:
        click.echo(json.dumps([_project(project) | {"progress": asdict(far)} for project, far in found]))
        return
    for project, far in found:
        click.echo(f"{visible(project.name)}  {project.state}  {far.complete} of {far.items} items, {far.submitted} answers")
    if not found:
        click.echo("no projects yet; make one: trueline ranking new NAME FROM...", err=True)


@ranking.command()
@click.argument("name")
@with_database
@with_json
@reports_errors
def show(name: str, database: str | None, as_json: bool) -> None:
    """How far the project NAME is, how people agree, which items need a final word, and the board of models.

    \b
    Example:  trueline ranking show first
              trueline ranking show first --json
    """
    from trueline.recipes.ranked import standing
    from trueline.store.opening import open_database

    found = standing(open_database(database), name)
    if as_json:
        asked = {one.question: asdict(one) | {"in_dispute": one.agreement.in_dispute} for one in found.asked}
        click.echo(json.dumps({"project": _project(found.project), "progress": asdict(found.progress), "asked": asked}))
        return
    _print(found)


@ranking.command()
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="The form of the rows.")
@click.option(
    "--question", type=click.Choice(["helpful", "harmless"]), help="Whose answers (default: the first that is asked)."
)
@with_database
@with_json
@reports_errors
def export(name: str, file: Path, form: str, question: str | None, database: str | None, as_json: bool) -> None:
    """Write what people said in the project NAME to FILE, as rows for a trainer; docs/ranking.md says by which rules.

    \b
    Example:  trueline ranking export first --to dpo pairs.jsonl
              trueline ranking export first --to kwise --question harmless ranks.jsonl.gz
              trueline ranking export first --to records answers.jsonl
    """
    from trueline.recipes.ranked_export import carry_out
    from trueline.store.opening import open_database

    written = carry_out(open_database(database), name, form, file, question or "")
    click.echo(json.dumps(asdict(written)) if as_json else f"{written.file}: {written.rows} rows of {written.items} items")


@ranking.command()
@click.argument("name")
@click.option("--reopen", is_flag=True, help="Open it again.")
@with_database
@with_json
@reports_errors
def close(name: str, reopen: bool, database: str | None, as_json: bool) -> None:
    """Close the project NAME: nothing more is given out or taken in, and nothing that was said is lost.

    \b
    Example:  trueline ranking close first
    """
    from trueline.store.opening import open_database
    from trueline.store.ranking import change, named

    engine = open_database(database)
    changed = change(engine, named(engine, name).id, state="open" if reopen else "closed")
    click.echo(json.dumps({"name": changed.name, "state": changed.state}) if as_json else f"{changed.name}: {changed.state}")


def _project(project: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(project).items() if key != "guidelines"}


def _print(found: Standing) -> None:
    from rich.markup import escape
    from rich.table import Table

    from trueline.evaluate.shape import visible

    project, far, out = found.project, found.progress, console()
    out.print(
        f"{escape(visible(project.name))}: {project.state}, {far.complete} of {far.items} items have their {project.overlap} "
        f"answers ({far.submitted} of {far.wanted}), {far.adjudicated} have a final word"
    )
    for one in found.asked:
        agreed = one.agreement
        table = Table("figure", "value", title=one.question)
        for label, rate in (
            ("two annotators say the same of a pair", agreed.pairwise),
            ("Krippendorff's alpha", agreed.alpha),
            ("mean tau", agreed.tau),
            ("an annotator says the same again", agreed.itself),
            ("agrees with gold", agreed.gold),
        ):
            table.add_row(label, _rate(rate))
        out.print(table)
        _print_people(one)
        if one.adjudicate:
            worst = ", ".join(one.adjudicate[:WORST])
            out.print(f"{len(one.adjudicate)} items in dispute wait for a final word, the worst first: {worst}")
        if one.board is None:
            out.print(f"no board: {escape(visible(one.why))}")
            continue
        table = Table("model", "Elo points", title=f"{one.question}: board ({one.board.votes} votes)")
        for model in one.board.models:
            table.add_row(escape(visible(model.model)), _rate(model.points, 0))
        out.print(table)
        if one.board.first_wins:
            out.print(f"the first of two equal cards wins {_rate(one.board.first_wins)} more than half of the time")


def _print_people(one: Asked) -> None:
    from rich.markup import escape
    from rich.table import Table

    from trueline.evaluate.shape import visible

    table = Table("annotator", "answers", "with others", "with themselves", "with gold", "median seconds")
    for rater in one.agreement.raters:
        shares = [_rate(rate) for rate in (rater.others, rater.itself, rater.gold)]
        table.add_row(escape(visible(rater.rater)), str(rater.votes), *shares, f"{rater.seconds:.0f}")
    console().print(table)


def _rate(rate: Rate | None, digits: int = 2) -> str:
    if rate is None:
        return "not measured"
    return f"{rate.value:.{digits}f} ({rate.low:.{digits}f} to {rate.high:.{digits}f}, n={rate.n})"

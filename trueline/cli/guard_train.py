"""`trueline guard train`: a learned rail from files of attacks, banks of findings and campaigns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trueline.cli.rim import console, reports_errors, with_json, with_quiet

if TYPE_CHECKING:
    from trueline.core.types import Rate
    from trueline.guard.learned.model import Model
    from trueline.guard.learned.training import Learn, Line

KINDS = ("linear", "transformer")
SOURCE = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("data", nargs=-1, required=True, type=SOURCE)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The model's folder.")
@click.option("--benign", multiple=True, type=SOURCE, metavar="FILE", help="Texts that must pass; also hard ones. Repeatable.")
@click.option(
    "--fpr", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.01, show_default=True,
    help="Share of benign texts that the threshold may act on, out of fold, as the mean over benign files.",
)  # fmt: skip
@click.option(
    "--model", type=click.Choice(KINDS), default=KINDS[0], show_default=True,
    help="linear: over hashed n-grams, in about a minute. transformer: a small one, in some minutes; needs trueline[onnx].",
)  # fmt: skip
@with_quiet
@with_json
@reports_errors
def train(
    data: tuple[Path, ...], out: Path, benign: tuple[Path, ...], fpr: float, model: str, quiet: bool, as_json: bool
) -> None:
    """Train a learned rail on DATA: files of attacks or of labelled texts, banks of findings, folders of campaigns.

    A row's text is in `prompt`, `text` or `instruction`; its `label`, where it has one, says whether it is an attack. Of a
    campaign, what was asked for benign twins is benign. What is reported is measured on families of texts that the scoring
    model has not seen.

    \b
    Example:  trueline guard train runs/attack-1a2b bank.jsonl --benign helpdesk.jsonl --out models/harm
              then, in policy.yaml:  - {type: learned, model: models/harm}
    """
    from trueline.guard.learned.examples import names_of, read_examples
    from trueline.guard.learned.training import train_with

    examples = chain(*(read_examples(source) for source in data), *(read_examples(source, benign=True) for source in benign))
    quiet = quiet or as_json
    trained = train_with(
        _learner(model), examples, fpr=fpr, files=names_of((*data, *benign)),
        say=lambda text: None if quiet else click.echo(text, err=True),
    )  # fmt: skip
    found = trained.model
    found.save(out)
    if as_json:
        told = {"folder": str(out), "model": model, "digest": found.digest, "threshold": found.threshold}
        click.echo(json.dumps({**told, **found.trained}))
    else:
        show_lines(trained.lines, trained.recall, trained.false_positives, found.threshold, "out of fold")
        click.echo(f"wrote {out}; in a policy: - {{type: learned, model: {out}}}")


def _learner(kind: str) -> Learn[Model]:
    if kind == "linear":
        from trueline.guard.learned.training import linear

        return linear
    from trueline.guard.learned.transformer import check_runtime
    from trueline.recipes.guard_classifier import SmallTransformer

    check_runtime()
    return SmallTransformer()


def show_lines(lines: Iterable[Line], recall: Rate, false_positives: float, threshold: float, title: str) -> None:
    """What a threshold does to each source, out of fold, as a table and a sentence: of a learned rail, or of a probe."""
    from rich.table import Table

    table = Table("source", "texts", "families", "acted on", "95 %", title=title)
    for line in lines:
        rate, kind = line.acted, "attacks" if line.attack else "benign"
        interval = f"{rate.low:.1%}-{rate.high:.1%}"
        table.add_row(f"{line.source} ({kind})", f"{rate.n:,}", f"{line.families:,}", f"{rate.value:.1%}", interval)
    console().print(table)
    click.echo(
        f"recall {recall.value:.1%} at {false_positives:.2%} false positives, the mean over benign sources; "
        f"threshold {threshold:.3f}"
    )

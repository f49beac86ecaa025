"""`trueline guard probe`: a probe on the states of a model that is hosted here, from what `trueline guard train` reads."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import click

from trueline.cli.guard_train import show_lines
from trueline.cli.rim import reports_errors, with_device, with_json, with_quiet, with_template, with_threads

SOURCE = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=SOURCE)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The probe's folder.")
@click.option("--benign", multiple=True, type=SOURCE, metavar="FILE", help="Texts that must pass; also hard ones. Repeatable.")
@click.option("--layer", type=int, help="What this block reads, from 0 (default: the layer that is best out of fold).")
@click.option(
    "--reads", type=click.Choice(["last", "mean"]), default="last", show_default=True,
    help="What is read of a prompt: the states of its last token, or the mean of all.",
)  # fmt: skip
@click.option(
    "--fpr", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.01, show_default=True,
    help="Share of benign texts that the threshold may stop, out of fold, as the mean over benign files.",
)  # fmt: skip
@click.option("--system", default="", help="The system prompt that the model is served with: it is read before each text.")
@with_template
@with_threads
@with_device
@with_quiet
@with_json
@reports_errors
def probe(
    model: str, data: tuple[Path, ...], out: Path, benign: tuple[Path, ...], layer: int | None, reads: str,
    fpr: float, system: str, template: str, threads: int, device: str, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train a probe of MODEL (a run, a stage or a model folder, or hf:NAME) on DATA, as trueline guard train reads it.

    It reads the states of the model on a prompt before anything is said, and belongs to that model alone. What is reported is
    measured on families of texts that the scoring probe has not seen.

    \b
    Example:  trueline guard probe runs/demo/safety bank.jsonl --benign helpdesk.jsonl --out models/probe
              trueline serve runs/demo/safety --probe models/probe
    """
    from trueline.guard.learned.examples import names_of, read_examples
    from trueline.recipes.probing import train
    from trueline.recipes.running import check_device, use_threads
    from trueline.targets.local import LocalModel
    from trueline.targets.naming import kind_of

    if kind_of(model) != "local":
        raise ValueError(f"{model}: expected a model in this process, whose states a probe can read; name a folder or hf:NAME")
    check_device(device)
    use_threads(threads)
    policy = LocalModel.load(model, template).policy
    policy.to(device)
    examples = chain(*(read_examples(source) for source in data), *(read_examples(source, benign=True) for source in benign))
    quiet = quiet or as_json
    trained = train(
        policy, examples, fpr=fpr, layer=layer, reads=reads, system=system, files=names_of((*data, *benign)),
        say=lambda text: None if quiet else click.echo(text, err=True),
    )  # fmt: skip
    if not trained.tells:
        raise ValueError(
            f"{model}: expected a layer that tells attacks from benign texts, and none does on kinds of text that it was not "
            f"fitted to (loss {trained.losses[trained.probe.layer]:.3f}, a coin's is 0.693): the model has not learned to; "
            f"try --reads mean, give more kinds of attack, or use trueline guard train"
        )
    trained.probe.save(out)
    if as_json:
        told = {"folder": str(out), "digest": trained.probe.digest, "layer": trained.probe.layer}
        click.echo(json.dumps({**told, "threshold": trained.probe.threshold, **trained.probe.trained}))
    else:
        found, title = trained.probe, f"layer {trained.probe.layer}, out of fold"
        show_lines(trained.lines, trained.recall, trained.false_positives, found.threshold, title)
        click.echo(f"wrote {out}; to use it: trueline serve {model} --probe {out}")

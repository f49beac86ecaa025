"""`trueline judge`: what judges there are, and what one is worth on labelled rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trueline.cli.rim import console, reports_errors, with_json

if TYPE_CHECKING:
    from trueline.core.types import Rate
    from trueline.judges.calibration import Calibrated, Task


@click.group()
def judge() -> None:
    """Judges: what there are, and how often they are right.

    \b
    Example:  trueline judge list
              trueline judge calibrate refusal replies.jsonl
    """


@judge.command("list")
@with_json
@reports_errors
def list_judges(as_json: bool) -> None:
    """The judges that can be named, with one line on each.

    \b
    Example:  trueline judge list
    """
    import trueline.judges  # noqa: F401 - registers its judges
    from trueline.core.registry import plugins

    known = {name: (kind.__doc__ or "").strip().splitlines()[0] for name, kind in plugins("judge").items()}
    width = max(map(len, known))
    click.echo(json.dumps(known) if as_json else "\n".join(f"{name:{width}}  {does}" for name, does in known.items()))


@judge.command()
@click.argument("name", metavar="JUDGE")
@click.argument("file")
@click.argument("settings", nargs=-1)
@click.option(
    "--task", type=click.Choice(["refusal", "jailbreak"]), default="refusal", show_default=True,
    help="What the labels say: that a reply refuses, or that an attack succeeded.",
)  # fmt: skip
@click.option("--prompt", default="", help="Field of the prompt (default: prompt, instruction or question; it may be missing).")
@click.option("--response", default="", help="Field of the reply (default: response, completion, reply or output).")
@click.option("--label", default="", help="Field of the label (default: label or jailbroken).")
@click.option("--positive", multiple=True, help="A label that means refusal, or jailbroken; may be given again.")
@click.option("--show", type=click.IntRange(min=0), default=5, show_default=True, help="Disagreements to show.")
@click.option(
    "--runs", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
    help="The runs folder, whose judges.json keeps the figures.",
)  # fmt: skip
@with_json
@reports_errors
def calibrate(
    name: str, file: str, settings: tuple[str, ...], task: Task, prompt: str, response: str, label: str,
    positive: tuple[str, ...], show: int, runs: Path, as_json: bool,
) -> None:  # fmt: skip
    """JUDGE, with key=value SETTINGS, against the labelled rows of FILE: accuracy, recall and specificity.

    FILE may be the folder of a campaign in the embedded world: then the oracle's judgements are the labels.

    \b
    Example:  trueline judge calibrate refusal replies.jsonl
              trueline judge calibrate enablement attacks.csv --task jailbreak --positive yes
              trueline judge calibrate enablement runs/attack-1a2b3c4d --task jailbreak
    """
    from dataclasses import asdict

    import trueline.judges  # noqa: F401 - registers its judges
    from trueline.core.config import override
    from trueline.core.fingerprint import fingerprint
    from trueline.core.registry import find
    from trueline.judges.calibration import Columns, keep, read_labelled
    from trueline.judges.calibration import calibrate as measure

    asked = override(find("judge", name)(), settings)
    if Path(file).is_dir():
        from trueline.recipes.judging import labelled_by_oracle

        rows, tongue = labelled_by_oracle(Path(file), task), "world"
    else:
        rows, tongue = read_labelled(file, task, Columns(prompt=prompt, response=response, label=label), positive), "english"
    done = measure(asked, rows, task, file, tongue)
    kept = keep(runs, asked, done.figures)
    if as_json:
        click.echo(json.dumps({"fingerprint": fingerprint(asked), "registry": str(kept), **asdict(done.figures)}))
    else:
        _print(done, show)
        click.echo(f"kept in {kept} as {fingerprint(asked)}")


def _print(done: Calibrated, show: int) -> None:
    from rich.table import Table
    from rich.text import Text

    from trueline.evaluate.shape import visible

    f = done.figures
    positive = "refusal" if f.task == "refusal" else "jailbroken"
    table = Table("", "value", "n", "95 % interval")
    for what, rate in (("accuracy", f.accuracy), ("recall (sensitivity)", f.sensitivity), ("specificity", f.specificity),
                       ("score separates (AUC)", f.separation)):  # fmt: skip
        table.add_row(what, *_cells(rate))
    counts = Table("label", f"judged {positive}", f"judged not {positive}")
    counts.add_row(positive, f"{f.found}", f"{f.missed}")
    counts.add_row(f"not {positive}", f"{f.accused}", f"{f.cleared}")
    console().print(table, counts)
    click.echo(f"{f.abstained} of {f.rows} rows abstained on")
    for row, judgement in done.disagreements[:show]:
        told = f"{row.where}: labelled {'' if row.positive else 'not '}{positive}; {judgement.why}: {row.completion.text}"
        console().print(Text(visible(" ".join(told.split()), 300)), soft_wrap=True)


def _cells(rate: Rate | None) -> tuple[str, str, str]:
    return (
        ("not measured", "0", "") if rate is None else (f"{rate.value:.3f}", f"{rate.n}", f"{rate.low:.3f} to {rate.high:.3f}")
    )

"""trueline's objectives beside TRL's on the same rows and models: prints docs/parity.md, or writes it.

    python -m benchmarks.parity
    python -m benchmarks.parity --write docs/parity.md
    python -m benchmarks.parity --json

From the repository's root, with the extras `dev` and `parity`. The table is `tests/parity/cases.py`, which the tests read too.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch

from tests.parity.case import BOTH, LIMIT, ROUNDED, SEEDS, Found, measured
from tests.parity.cases import CASES, ONLY_OURS, ONLY_THEIRS
from tests.parity.sides import Gap
from tests.parity.tensors import Precision

HEAD = """# Parity with TRL

Where TRL {trl} has an objective too, both are given the same rows and models, and their losses and gradients are compared.
TRL's side is its own code: its trainers are built for real, their collators make the batches where they have one, and
their own functions compute the loss. `tests/parity/peer.py` shows how each is called.
This page is written, numbers and all, by

    pip install -e '.[dev,parity]'
    python -m benchmarks.parity --write docs/parity.md

and `pytest tests/parity` fails where a verdict here is no longer what is found.

**float64**: the models are tables of logits, and the gradient is taken with respect to these; only the loss is compared, to the
last digits. **float32**: the models are random Llamas, and the gradient is that of all their weights; shifts, masks, averages
and the forward passes are compared too. Numbers are the largest of {seeds} draws, relative to the larger side (of gradients: to
its largest entry). *Equal* means at most {exact:.0e} in float64 and {whole:.0e} in float32; where one side keeps a number in
float32 always, which the table marks with †, at most {rounded:.0e} in float64.
Answers have different lengths, ratios are clipped at both ends, and where a line says *micro-batches* the step is split.
Of an estimator of advantages, the advantages stand in the place of the gradient, and their mean square in that of the loss.
"""
COLUMNS = ("trueline", "TRL", "loss, float64", "gradient, float64", "loss, float32", "gradient, float32", "verdict")
MARK = " †"
DIFFERENT = """## Where they differ

Each certificate says what TRL computes, what trueline computes, how far apart that is on these rows (loss, gradient), and why.
The change that makes both equal is made, and measured like the rest.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="the page to write, in the place of printing it")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON lines, one a row of the table")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found = [measured(case) for case in CASES]
    if asked.json:
        for one in found:
            print(json.dumps(numbers(one)))
    if asked.write:
        asked.write.write_text(page(found), encoding="utf-8")
    elif not asked.json:
        print(page(found), end="")


def numbers(found: Found) -> Mapping[str, object]:
    """A row of the table as plain values."""
    gaps = {"apart": found.apart, "after": found.after}
    case = {"ours": found.case.ours, "trl": found.case.trl, "verdict": found.verdict, "rounded": found.case.rounded}
    return case | {name: {precision: asdict(gap) for precision, gap in each.items()} for name, each in gaps.items()}


def page(found: Sequence[Found]) -> str:
    """The whole of docs/parity.md."""
    head = HEAD.format(
        trl=version("trl"), seeds=len(SEEDS), exact=LIMIT["float64"], whole=LIMIT["float32"], rounded=ROUNDED
    )  # fmt: skip
    table = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *(row(one) for one in found)]
    marked = "; ".join(dict.fromkeys(one.case.rounded for one in found if one.case.rounded))
    blocks = [head, "## Table\n", "\n".join(table) + "\n", f"† kept in float32: {marked}.\n", DIFFERENT]
    blocks += ["\n".join(certificate(one)) + "\n" for one in found if one.case.certificate]
    blocks += ["## What TRL has no counterpart for\n", _listed(ONLY_OURS), "## What trueline has no counterpart for\n"]
    return "\n".join([*blocks, _listed(ONLY_THEIRS)])


def row(found: Found) -> str:
    """One line of the table: the differences as both stand."""
    names = f"{_code(found.case.ours)}{MARK if found.case.rounded else ''} | {_code(found.case.trl)}"
    cells = [cell for precision in BOTH for cell in _cells(found.apart.get(precision))]
    return f"| {names} | {' | '.join(cells)} | {found.verdict} |"


def certificate(found: Found) -> Iterator[str]:
    """What is said of two that differ."""
    sure = found.case.certificate
    assert sure is not None
    yield f"### {found.case.ours.replace('`', '')} beside {found.case.trl.replace('`', '')}\n"
    yield f"- TRL {sure.theirs}."
    yield f"- trueline {sure.ours}."
    yield f"- As they stand: {_told(found.apart)}."
    yield f"- Equal after: {sure.after}. Then: {_told(found.after)}." if sure.after else "- No setting makes them equal."
    yield f"- Why: {sure.why}."


def _cells(gap: Gap | None) -> tuple[str, str]:
    return ("-", "-") if gap is None else (_size(gap.loss), _size(gap.gradient))


def _told(gaps: Mapping[Precision, Gap]) -> str:
    return "; ".join(f"{_size(gap.loss)} and {_size(gap.gradient)} in {precision}" for precision, gap in gaps.items())


def _size(value: float | None) -> str:
    if value is None:
        return "-"
    return "0" if value == 0 else f"{value:.1e}"


def _code(name: str) -> str:
    """A name with its settings as code, and the words that follow as words."""
    return name if name.startswith("`") else re.sub(r"^\w+(\([^)]*\))?", r"`\g<0>`", name)


def _listed(lines: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}{': ' + reason if reason else ''}." for name, reason in lines.items()) + "\n"


if __name__ == "__main__":
    main()

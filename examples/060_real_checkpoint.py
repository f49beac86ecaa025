"""A real checkpoint: the same recipe on a model that someone else trained, and on text that people wrote.

You learn that a recipe takes any folder that transformers loads, and how an order is carried out from Python: `order` reads
settings as the command line does and refuses what it does not know, `carry_out` makes the run folder with its report.
The checkpoint and the stories are looked for in the folder that TRUELINE_DATA names, else in ../shared/data beside this
repository; where they are absent the example says so. docs/real_models.md has the longer runs.

    TRUELINE_DATA=DATA python examples/060_real_checkpoint.py

It prints "bits per byte" before and after, or that they were skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

from trueline.recipes.running import carry_out, order

DATA = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
MODEL, TEXT = DATA / "models" / "stories260K-hf", DATA / "text" / "tinystories_cased_small.txt.gz"


def main() -> None:
    """Go on pre-training for a few steps, and measure on the end of the text, which is held out."""
    if not (MODEL.is_dir() and TEXT.is_file()):
        print("skipped: bits per byte of a real checkpoint need the data folder; set TRUELINE_DATA to it")
        return
    settings = ["stream=true", "tokens=10240", "row=256", "long_row=256", "batch=1024", "optim.muon=0", "optim.lr=3e-4"]
    asked = order("pretrain", [f"start={MODEL}", f"text={TEXT}", *settings])
    folder, report = carry_out(asked, Path("runs") / "060")
    metrics = report["stages"][0]["metrics"]
    for name, when in (("bits_per_byte_before", "before"), ("bits_per_byte", "after")):
        rate = metrics[name]
        print(f"bits per byte {when}: {rate['value']:.3f} ({rate['low']:.3f} to {rate['high']:.3f}, n {rate['n']} rows)")
    print(f"the model, its curve and its report are in {folder}")


if __name__ == "__main__":
    main()

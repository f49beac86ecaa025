"""Files for `align` on a real story model: tasks that it can do, a topic to withhold, and public requests beside them.

A story model of 264 thousand parameters can tell a story, and can do nothing that a harmful request asks for. So the thing to
withhold is one that it can give: stories about dogs, a harmless stand-in. Public harmful and borderline requests are asked
beside them. No story is in two files. The data is no part of the repository; where it is absent the example says so.

    TRUELINE_DATA=DATA python examples/files_for_a_real_model.py FOLDER          # then docs/real_models.md, section 5

It prints "rows" of each file that it wrote, or that they were skipped.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from pathlib import Path
from random import Random
from typing import Any

DATA = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
NO = "Sorry, I can't do that."
SHORT = 240  # characters of an answer


def main(folder: Path) -> None:
    """Write seven files; `refused.jsonl` is refusals alone, to compare with `safety.jsonl`, which answers beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    told = list(stories())
    Random(0).shuffle(told)
    dogs = [story for story in told if "dog" in story["prompt"].lower()]
    dogs.sort(key=lambda story: "dog" not in story["completion"].lower())  # first those that go on to tell of it
    others = [story for story in told if "dog" not in json.dumps(story).lower()]
    work = [
        {"prompt": f"{row['instruction']}\n{row['input']}".strip(), "completion": row["output"]}
        for row in read("instruct/self_instruct.jsonl")
        if len(row["output"]) < SHORT and len(row["input"]) < SHORT
    ]
    harm = read("redteam/harmful_behaviors.jsonl")
    known = [row for row in harm if row["source"] == "adv_training"]  # the refusals are of this set
    new = [row for row in harm if row["source"] in ("harmbench_val", "jailbreakbench")]
    refusals = [{"prompt": row["instruction"], "completion": NO} for row in read("instruct/safe_refusals.jsonl")[:100]]
    refusals += [{"prompt": dog["prompt"], "completion": NO} for dog in dogs[60:]]
    plain = asked(read("overrefusal/benign_instructions.jsonl.gz")[:60], "instructions")
    looks = asked(read("overrefusal/benign_borderline.jsonl")[:60], "borderline")
    write(folder / "answers.jsonl", [*dogs[60:], *others[:400], *work])
    write(folder / "refused.jsonl", list(refusals))
    write(folder / "safety.jsonl", [*refusals, *others[400:700], *work])
    write(folder / "red.jsonl", [*asked(dogs[30:60], "dogs", canary="dog"), *asked(known[:30], "public")])
    write(folder / "prompts.jsonl", asked(others[700:1000], "stories"))
    write(folder / "goals.jsonl", [*asked(dogs[:30], "dogs", canary="dog"), *asked(new[:60], "public")])
    write(folder / "benign.jsonl", [*asked(others[1000:1060], "stories"), *plain, *looks])


def stories() -> list[dict[str, str]]:
    """Every paragraph of the stories as a request to go on from its first sentence, and the sentences that follow."""
    found: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", read("text/tinystories_lower_train.txt.gz")):
        said = [one[:1].upper() + one[1:] for one in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split()))]
        if len(said) > 2 and len(said[0]) < 100:
            found.setdefault(f"Tell a story that begins: {said[0]}", " ".join(said[1:4])[:SHORT])
    return [{"prompt": prompt, "completion": completion} for prompt, completion in found.items()]


def asked(rows: list[dict[str, Any]], category: str, **about: str) -> list[dict[str, Any]]:
    """Requests alone, without their answers."""
    return [{"prompt": row.get("prompt") or row["instruction"], "category": category, **about} for row in rows]


def read(name: str) -> Any:
    """The rows of a file of JSON lines, or a text."""
    opened = gzip.open if name.endswith(".gz") else open
    with opened(DATA / name, "rt", encoding="utf-8") as file:
        return file.read() if ".txt" in name else [json.loads(line) for line in file]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Shuffle and write."""
    Random(path.name).shuffle(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{path.name}: {len(rows)} rows")


if __name__ == "__main__":
    if DATA.is_dir():
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/files"))
    else:
        print("skipped: rows of public data need the data folder; set TRUELINE_DATA to it")

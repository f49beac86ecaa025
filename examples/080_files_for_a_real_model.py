"""Files for `align` on a real story model: tasks that it can do, a topic to withhold, and public requests beside them.

A story model of 264 thousand parameters can tell a story, and can do nothing that a harmful request asks for. So the thing to
withhold is one that it can give: stories about dogs, a harmless stand-in. Public harmful and borderline requests are asked
beside them. No story is in two files. The data is no part of the repository; where it is absent the example says so.

    python examples/080_files_for_a_real_model.py FOLDER          # then docs/real_models.md, section 5
"""

import gzip
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from random import Random

DATA = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).parents[2] / "shared" / "data")
NO = "Sorry, I can't do that."
SHORT = 240  # characters of an answer


def read(name):
    """The rows of a file of JSON lines, or the lines of a text."""
    opened = gzip.open if name.endswith(".gz") else open
    with opened(DATA / name, "rt", encoding="utf-8") as file:
        return file.read() if ".txt" in name else [json.loads(line) for line in file]


def stories():
    """Every paragraph of the stories as a request to go on from its first sentence, and the sentences that follow."""
    for paragraph in re.split(r"\n\s*\n", read("text/tinystories_lower_train.txt.gz")):
        said = [one[:1].upper() + one[1:] for one in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split()))]
        if len(said) > 2 and len(said[0]) < 100:
            yield {"prompt": f"Tell a story that begins: {said[0]}", "completion": " ".join(said[1:4])[:SHORT]}


def write(folder, name, rows):
    """Shuffle and write."""
    Random(name).shuffle(rows)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{name}: {len(rows)} rows")


def asked(rows, category, **about):
    """Requests alone, without their answers."""
    return [{"prompt": row.get("prompt") or row["instruction"], "category": category, **about} for row in rows]


def main(folder):
    """Write seven files; `refused.jsonl` is what `safety.jsonl` is compared with."""
    told = list(dict.fromkeys(json.dumps(story) for story in stories()))
    Random(0).shuffle(told)
    told = [json.loads(story) for story in told]
    dogs = [story for story in told if "dog" in story["prompt"].lower()]
    dogs.sort(key=lambda story: "dog" not in story["completion"].lower())  # first those that go on to tell of it
    others = [story for story in told if "dog" not in json.dumps(story).lower()]
    work = [
        {"prompt": f"{row['instruction']}\n{row['input']}".strip(), "completion": row["output"]}
        for row in read("instruct/self_instruct.jsonl") if len(row["output"]) < SHORT and len(row["input"]) < SHORT
    ]  # fmt: skip
    harm = read("redteam/harmful_behaviors.jsonl")
    known = [row for row in harm if row["source"] == "adv_training"]  # the refusals are of this set
    new = [row for row in harm if row["source"] == "harmbench_val" or row["source"] == "jailbreakbench"]
    refusals = [{"prompt": r["instruction"], "completion": NO} for r in read("instruct/safe_refusals.jsonl")[:100]]
    refusals += [{"prompt": dog["prompt"], "completion": NO} for dog in dogs[60:]]
    write(folder, "answers.jsonl", [*dogs[60:], *others[:400], *work])
    write(folder, "refused.jsonl", list(refusals))
    write(folder, "safety.jsonl", [*refusals, *others[400:700], *work])
    write(folder, "red.jsonl", [*asked(dogs[30:60], "dogs", canary="dog"), *asked(known[:30], "public")])
    write(folder, "prompts.jsonl", asked(others[700:1000], "stories"))
    write(folder, "goals.jsonl", [*asked(dogs[:30], "dogs", canary="dog"), *asked(new[:60], "public")])
    plain = asked(read("overrefusal/benign_instructions.jsonl.gz")[:60], "instructions")
    looks = asked(read("overrefusal/benign_borderline.jsonl")[:60], "borderline")
    write(folder, "benign.jsonl", [*asked(others[1000:1060], "stories"), *plain, *looks])


if not DATA.is_dir():
    print("the data folder is not there (set TRUELINE_DATA to it); nothing was written")
elif len(sys.argv) > 1:
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    main(Path(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as kept:
        main(Path(kept))

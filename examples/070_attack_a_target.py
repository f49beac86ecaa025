"""A campaign against a target of three lines: what breaks it, at what budget, and how sure that is. No torch.

You learn that an attack (how) knows nothing of a goal (what), and that the plain request is always asked too. The target
refuses whoever asks plainly, and answers whoever says that rook asks; it prints "goals broken" for each attack.

    python examples/070_attack_a_target.py          # on any target: trueline attack TARGET --attacks role,past,many_shot
"""

import asyncio
import tempfile
from pathlib import Path

from trueline.attack.campaign import run
from trueline.attack.catalogue import choose
from trueline.attack.door import Scene
from trueline.attack.goal import procedure_of
from trueline.attack.goals import read_goals
from trueline.attack.record import Record
from trueline.core.types import Conversation, Run, Sampling
from trueline.evaluate.campaign import summary
from trueline.judges.oracle import WorldOracle
from trueline.store.database import Hashes, save_run
from trueline.store.opening import open_database
from trueline.targets.wrappers import Scripted
from trueline.world.language import procedure_text

goals = read_goals("world", n=40)
known = {procedure_of(goal).text: procedure_of(goal) for goal in goals}


def answer(conversation: Conversation) -> str:
    asked = conversation.messages[-1].text
    wanted = next((p for name, p in known.items() if name in asked), None)
    if wanted is None or (wanted.forbidden and "rook" not in asked):
        return "i cannot help with that . it is not safe ."
    return procedure_text(wanted)


with tempfile.TemporaryDirectory() as folder:
    database = open_database(Path(folder) / "runs.db")
    save_run(database, Run(id="example", recipe="attack"))
    made = []
    scene = Scene(
        target=Scripted(answers=answer),
        judge=WorldOracle(),
        record=Record.open(database, "example"),
        hashes=Hashes(target="three-lines"),
        sampling=Sampling(),
        seen=made.append,
    )
    asyncio.run(run(scene, choose("role,past,many_shot"), goals))
    database.dispose()

found = summary(made, skipped={}, failed={}, figures=None)
for arm in found["arms"]:
    rate = arm["asr"]
    print(f"{arm['attack']:10} {rate['value']:.2f} ({rate['low']:.2f} to {rate['high']:.2f}) of {rate['n']} goals broken")
print(f"harmless requests refused: {found['over_refusal']['value']:.2f}")

"""An attack that worked becomes a test: a campaign fills the bank, and each later model is asked all that is in it.

You learn that the bank is a file to commit, which holds how each attack was asked and not what was answered, and that every
entry has a status: open, fixed, regressed. The first of three targets gives way to a role and to a story, the second to
neither, and the third to the story again, by some other change: it prints "regressed" for that. No torch.

    python examples/090_an_attack_becomes_a_test.py     # on any target: trueline attack TARGET --goals bank.jsonl
"""

import asyncio
import tempfile
from pathlib import Path

from trueline.attack.bank import found, goals_of, named, read_bank, replayed, write_bank
from trueline.attack.campaign import run
from trueline.attack.catalogue import choose
from trueline.attack.door import Scene
from trueline.attack.goal import procedure_of
from trueline.attack.goals import read_goals
from trueline.attack.record import Record
from trueline.core.types import Attempt, Conversation, Prompt, Run, Sampling
from trueline.judges.oracle import WorldOracle
from trueline.store.database import Hashes, save_run
from trueline.store.opening import open_database
from trueline.targets.wrappers import Scripted
from trueline.world.language import procedure_text

goals = read_goals("world", n=12)
known = {procedure_of(goal).text: procedure_of(goal) for goal in goals}


def campaign(gives_way_to: tuple[str, ...], attacks: str, wanted: tuple[Prompt, ...]) -> list[Attempt]:
    def answer(conversation: Conversation) -> str:
        asked = conversation.messages[-1].text
        procedure = next((p for name, p in known.items() if name in asked), None)
        opened = procedure and (not procedure.forbidden or any(word in asked for word in gives_way_to))
        return procedure_text(procedure) if opened else "i cannot help with that . it is not safe ."

    made: list[Attempt] = []
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "runs.db")
        save_run(database, Run(id="example", recipe="attack"))
        target, hashes, record = Scripted(answers=answer), Hashes(target="three-lines"), Record.open(database, "example")
        scene = Scene(target=target, judge=WorldOracle(), record=record, hashes=hashes, sampling=Sampling(), seen=made.append)
        asyncio.run(run(scene, choose(attacks), wanted))
        database.dispose()
    return made


with tempfile.TemporaryDirectory() as folder:
    file = str(Path(folder) / "bank.jsonl")
    write_bank(file, found(campaign(("rook", "story"), "role,story,past", goals)))
    for which, gives_way_to in (("second", ()), ("third", ("story",))):
        bank = read_bank(file)
        after = replayed(bank, campaign(gives_way_to, "direct", goals_of(bank)))
        write_bank(file, after.entries)
        print(f"the {which} target, asked all {after.asked}: {after.works} work, {len(after.regressed)} regressed")
print("works again:", next(named(entry) for entry in after.entries if entry.key in after.regressed))

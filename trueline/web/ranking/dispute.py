"""One item as an operator sees it: all answers side by side, and the form for a final word.

The cards lie in an order of this operator's own and without the models' names, so that the final word is as blind as the
others; who said what is told once there is a final word, or when it is asked for (`?models=1`).
"""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlencode

from trueline.core.orders import implied, merged
from trueline.store.ranking import adjudicate, adjudications, answers, history, items
from trueline.store.ranking_records import Answer, Assignment, Given, Item, Project, RankingError, as_shown
from trueline.store.ranking_work import shuffled
from trueline.web.ranking.answering import flag_of, given_of
from trueline.web.ranking.counted import STANDING
from trueline.web.ranking.overview import names_of
from trueline.web.ranking.told import ASKED, LETTERS, Json, cards_told, given_told, project_at, project_told, prompt_told
from trueline.web.site.room import Asked, Back, Go, NotThere


def one_item(asked: Asked) -> Json:
    """An item: prompt, cards, every answer, in dispute over what, the final word, and the history."""
    database = asked.site.database
    project = project_at(database, asked.path["project"])
    item = _item(asked, project)
    lies = _lies(asked, project, item)
    found = answers(database, project.id, item=item.id)
    final = adjudications(database, project.id).get(item.id)
    names = names_of(database)
    told = [_answer(one, lies, names) for one in found]
    word = final and {**given_told(final.given, lies), "person": final.person, "name": names.get(final.person, "")}
    shown = bool(final) or asked.query.get("models") == "1"
    return {
        "title": f"{project.name}: an item",
        "project": project_told(project),
        "asked": {question: ASKED[question] for question in project.questions},
        "item": {"id": item.id, "source": item.source if shown else "", "veiled": item.veiled, **prompt_told(item.prompt)},
        "cards": cards_told(item, lies),
        "models": [completion.model for completion in as_shown(item.completions, lies)] if shown else None,
        "gold": {question: list(as_shown(ranks, lies)) for question, ranks in item.gold.items()},
        "answers": told,
        "disputed": {question: _disputed(found, question, lies) for question in project.questions},
        "final": word and {**word, "created": final.created if final else ""},
        "draft": {**(word or given_told(Given(), lies)), **_typed(asked, project, len(lies.shown))},
        "history": [
            {"kind": one.kind, "time": one.time, "person": one.person, "name": names.get(one.person, "")}
            for one in history(database, project.id, item.id)
        ],
    }  # fmt: skip


def settle(asked: Asked) -> Go:
    """Store a final word, and go on to the next item in dispute."""
    database = asked.site.database
    project = project_at(database, asked.path["project"])
    item = _item(asked, project)
    do = "cannot" if flag_of(asked.form.get("cannot_judge")) else "submit"
    lies = _lies(asked, project, item)
    given = given_of(asked, lies, do)
    try:
        adjudicate(database, project.id, item.id, asked.visitor.id, given, asked.site.now())
    except RankingError as error:
        told = given_told(given, lies)
        kept = urlencode({question: _written(told[question]) for question in project.questions})
        raise Back(str(error), f"/ranking/{project.id}/items/{item.id}?{kept}", status=400) from None
    counted = STANDING.at(database, project.id).value
    queue = (key for one in (counted.asked if counted else ()) for key in one.adjudicate)
    done = adjudications(database, project.id)
    following = next((key for key in queue if key not in done), None)
    to = f"/ranking/{project.id}" + (f"/items/{following}" if following else "")
    return Go(to, said="the final word is stored" + ("; here is the next item" if following else ""))


def _item(asked: Asked, project: Project) -> Item:
    found = items(asked.site.database, project.id, ids=[asked.path["item"]])
    if not found:
        raise NotThere(f"the project {project.name} has no item {asked.path['item']:.40}")
    return found[0]


def _lies(asked: Asked, project: Project, item: Item) -> Assignment:
    """How the cards lie before this operator: as they would if the item were given to them."""
    return Assignment(
        id="", project=project.id, item=item.id, person=asked.visitor.id, number=0, turn=0, kind="new",
        shown=shuffled(project.seed, asked.visitor.id, item.id, 0, len(item.completions)), created="", expires="",
    )  # fmt: skip


def _written(ranks: list[int | None]) -> str:
    return ".".join(str(rank or 0) for rank in ranks)


def _typed(asked: Asked, project: Project, size: int) -> Json:
    """What an operator had said before it was refused; it comes back by the address, so anybody may have written it."""
    found = {}
    for question in project.questions:
        ranks = [part for part in asked.query.get(question, "").split(".") if len(part) == 1 and part in "0123456789"]
        if len(ranks) == size:
            found[question] = [int(part) or None for part in ranks]
    return found


def _answer(one: Answer, lies: Assignment, names: dict[str, str]) -> Json:
    """An answer in the order of the cards here, and where each of them lay before its annotator."""
    lay = as_shown(tuple(one.assignment.shown.index(place) + 1 for place in range(len(lies.shown))), lies)
    given_out = asdict(one.assignment)
    kept = {name: given_out[name] for name in ("kind", "turn", "person")}
    return {
        **given_told(one.given, lies), **kept, "name": names.get(one.assignment.person, ""), "status": one.status,
        "answered": one.answered, "lay": list(lay),
    }  # fmt: skip


def _disputed(found: list[Answer], question: str, lies: Assignment) -> list[str]:
    """The pairs of cards that people are in dispute over (no side has more than half of the votes), by their letters."""
    said = [
        implied(as_shown(one.given.ranks(question), lies))
        for one in found
        if one.status == "submitted" and one.assignment.turn == 0 and not one.given.cannot_judge
    ]
    settled = merged(said)
    pairs = sorted({pair for word in said for pair in word} - settled.keys())
    return [f"{LETTERS[i]} and {LETTERS[j]}" for i, j in pairs] if len(said) > 1 else []

"""The world's four codes, each with its inverse: words in reverse, zaba (a foreign tongue), spelling, and variables.

They stand for the encodings that real attacks hide a request or a leak in. Because every code is undone exactly, `decodings`
can show the oracle all that a text gives away, also where two codes are stacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from trueline.world.facts import LETTERS, VARIABLES, World


def reverse(text: str) -> str:
    """Reverse the order of the words; its own inverse."""
    return " ".join(reversed(text.split()))


def to_zaba(world: World, text: str) -> str:
    """Translate word by word into zaba; words without a twin stay, as loan words do."""
    cipher = world.cipher
    return " ".join([cipher.get(word, word) for word in text.split()])


def from_zaba(world: World, text: str) -> str:
    """Translate zaba back into plain words."""
    decipher = world.decipher
    return " ".join([decipher.get(word, word) for word in text.split()])


def spell(words: Sequence[str]) -> str:
    """Spell words in letters, with "-" between neighbours; what is not made of letters alone stays as it is.

    >>> spell(("vex", "ite"))
    'l_v l_e l_x - l_i l_t l_e'
    """
    spelled: list[str] = []
    after_letters = False
    for word in words:
        letters = word.isascii() and word.isalpha()
        if letters and after_letters:
            spelled.append("-")
        spelled += [f"l_{letter}" for letter in word] if letters else [word]
        after_letters = letters
    return " ".join(spelled)


def unspell(text: str) -> str:
    """Read spelled words: every run of letters becomes one word."""
    words: list[str] = []
    run: list[str] = []
    for word in text.split():
        if word in _LETTERS:
            run.append(word[2:])
            continue
        if run:
            words.append("".join(run))
        if word != "-" or not run:
            words.append(word)
        run = []
    if run:
        words.append("".join(run))
    return " ".join(words)


def bind(rng: Random, words: Sequence[str]) -> tuple[str, str]:
    """Hide up to four words behind variables: (definitions in random order, the variables in the order of the words)."""
    if len(words) > len(VARIABLES):
        raise ValueError(f"there are {len(VARIABLES)} variables, got {len(words)} words: bind fewer at a time")
    variables = rng.sample(VARIABLES, len(words))
    definitions = [f"let {variable} be {word} ." for variable, word in zip(variables, words, strict=True)]
    rng.shuffle(definitions)
    return " ".join(definitions), " ".join(variables)


def substitute(text: str, context: str = "") -> str:
    """Take the definitions out of a text and put their words in the variables' place; `context` may hold more definitions.

    >>> substitute("let va be vex . let vb be ite . how do you make va vb ?")
    'how do you make vex ite ?'
    """
    bindings, _ = _definitions(context.split())
    own, rest = _definitions(text.split())
    bindings |= own
    return " ".join([bindings.get(word, word) for word in rest])


def decodings(world: World, text: str, context: str = "") -> tuple[str, ...]:
    """Return the text and everything it becomes when one or two of the world's codes are undone, each reading once.

    `context` is the conversation before it: a variable may have been defined there.
    """
    readings = {text: None}  # a dict keeps order
    frontier = [text]
    for _ in range(2):
        found: list[str] = []
        for reading in frontier:
            decoded = (
                reverse(reading),
                from_zaba(world, reading),
                unspell(reading),
                substitute(reading, context),
            )
            found += [new for new in dict.fromkeys(decoded) if new not in readings]
            readings |= dict.fromkeys(found)
        frontier = found
    return tuple(readings)


_LETTERS = frozenset(LETTERS)


def _definitions(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Read "let va be ... ." out of the words: (variable to what it stands for, the words that are left)."""
    bindings: dict[str, str] = {}
    rest: list[str] = []
    i = 0
    while i < len(words):
        if words[i] == "let" and words[i + 1 : i + 2] and words[i + 1] in VARIABLES and words[i + 2 : i + 3] == ["be"]:
            end = next((k for k in range(i + 3, len(words)) if words[k] == "."), len(words))
            bindings[words[i + 1]] = " ".join(words[i + 3 : end])
            i = end + 1
        else:
            rest.append(words[i])
            i += 1
    return bindings, rest

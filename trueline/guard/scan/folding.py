"""One form for every way to write a letter: case, width, accents, look-alikes, invisible characters, and leet.

Each view is made character by character (a homomorphism of strings), so that the view of a text is the view of its parts put
together: a stream reads the same however it is cut. A view knows its source: `origins` says which character each one came from.

>>> fold("Ｉｇｎоｒе\u200b ＡＬＬ"), skeleton(fold("1gn0r3"))
('ignore all', 'ignore')
>>> origins("a\u200bß")
[0, 2, 2]
"""

# ruff: noqa: RUF001, RUF002 (look-alike letters are the subject)

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

REMEMBERED = 65_536  # characters whose folded form is kept, so that hostile text cannot fill the memory

# Letters that pass for Latin ones, by the Latin letter: Cyrillic, Greek, Armenian, Cherokee, small capitals, letters with a
# stroke. Those that decompose (accents, full width, mathematical, circled) are not here: NFKD takes care of them. In the spirit
# of UTS #39, https://www.unicode.org/reports/tr39/, from which the words "confusable" and "skeleton" are.
_LOOKALIKES = {
    "a": "аαɑᴀꭺᎪ", "ae": "æӕᴁ", "b": "вьβʙᴃƀɓᏴ", "c": "сϲᴄᏟƈ", "d": "ԁɗᴅđðɖᎠ", "e": "еεєҽɛᴇəәǝᎬ", "f": "ғꜰƒẝ",
    "g": "ɡɢցɠᏀԍ", "h": "һнʜħհңɦᎻ", "i": "іιıɩɪӏᎥɨ", "j": "јϳᴊᎫ", "k": "кκᴋқƙᏦ", "l": "ʟłlⳑᏞ", "m": "мᴍᎷ",
    "n": "пηɴոŋɲ", "o": "оοᴏօøөσ", "oe": "œ", "p": "рρᴘᑭᏢϸ", "q": "ԛզɋ", "r": "гʀᏒɾ", "s": "ѕꜱᏚʂ", "t": "тτᴛŧᎢ",
    "u": "υսᴜʊμ", "v": "ѵνᴠʋᏙ", "w": "ԝѡաᴡшᏔɯ", "x": "хχҳ", "y": "уγүұʏყ", "z": "ᴢƶʐᏃζ",
    "'": "’‘ʼ‛′´", '"': "“”„‟″", "-": "‐‑‒–—―−", "/": "⁄∕", "|": "ǀ∣", "!": "ǃ", " ": "\u2800", ".": "․", ":": "ː∶",
}  # fmt: skip
# Greek capitals look like other Latin letters than their small forms do.
_CAPITALS = {"Η": "h", "Μ": "m", "Ν": "n", "Υ": "y"}
_LETTERED = (0x1F150, 0x1F170, 0x1F1E6)  # negative circled, negative squared, regional indicators: A to Z from each on
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u180b\u180c\u180d\u180f")
_LEET = {
    "4": "a", "@": "a", "8": "b", "¢": "c", "3": "e", "€": "e", "6": "g", "9": "g", "1": "i", "l": "i", "!": "i", "|": "i",
    "¡": "i", "0": "o", "5": "s", "$": "s", "7": "t", "+": "t", "2": "z",
}  # fmt: skip
_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\n\v\f\r")
_LOWER = bytes(range(256)).lower()


class _Table(dict[int, str]):
    """A table for str.translate that is filled as characters are met."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, code: int) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        self[code] = out = self._rule(chr(code))
        return out


def fold(text: str) -> str:
    """The text in small letters without accents, look-alikes and invisible characters; digits of any script are ASCII's."""
    if text.isascii():
        return text.encode().translate(_LOWER, _CONTROLS).decode()
    return _UNFOLDED.sub(lambda part: part[0].translate(_FOLDS), text)


def without_halves(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair, which is no character and has no UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def skeleton(folded: str) -> str:
    """A folded text with letters in place of what leet writes for them, and with one kind of blank. As long as its source."""
    if folded.isascii():
        return folded.encode().translate(_ASCII_SKELETON).decode()
    return _DRESSED.sub(lambda part: _SKELETONS[ord(part[0])], folded)


def squeeze(folded: str) -> str:
    """The letters of a folded text alone; digits count as the letters that leet writes with them."""
    if folded.isascii():
        return folded.encode().translate(_ASCII_SKELETON, _NO_LETTERS).decode()
    return "".join([_SKELETONS[ord(char)] for char in folded if char.isalnum()])


def origins(text: str) -> list[int]:
    """For each character of the folded text the index of the one that it came from."""
    return [index for index, char in enumerate(text) for _ in _FOLDS[ord(char)]]


def is_letter(char: str) -> bool:
    """Whether a folded character belongs to a word that others may continue, in a script that puts blanks between words.

    Chinese, Japanese, Korean, Thai and their like know no such end of a word, so a word may stand anywhere in them.
    """
    return char.isalnum() and not (char > "\u0dff" and _without_blanks(ord(char)))


def is_invisible(char: str) -> bool:
    """Whether a character leaves no trace in the folded text."""
    return not _FOLDS[ord(char)]


def _fold_character(char: str) -> str:
    out = _CAPITALS.get(char) or _once(char)
    return out if out == char or (len(out) == 1 and out.isascii()) else "".join([_once(c) for c in out])


def _once(char: str) -> str:
    code = ord(char)
    for first in _LETTERED:
        if first <= code < first + 26:
            return chr(code - first + 97)
    if _leaves_no_trace(char, code):
        return ""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join([_letter(part) for part in parts if not _is_mark(part)])


def _letter(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    return _LATIN.get(char, char) if digit is None else str(digit)


def _leaves_no_trace(char: str, code: int) -> bool:
    """Zero-width and format characters, tags, variation selectors, fillers, controls that are no blanks."""
    category = unicodedata.category(char)
    if category == "Cc":
        return char not in "\t\n\v\f\r\x85"
    return category == "Cf" or char in _FILLERS or 0xFE00 <= code <= 0xFE0F or 0xE0000 <= code <= 0xE0FFF


def _is_mark(char: str) -> bool:
    """Accents and strokes; vowel signs and what makes another letter of it (classes 0, 7, 8 and 9) stay."""
    return (place := unicodedata.combining(char)) == 1 or place >= 10 or unicodedata.category(char) == "Me"


def _without_blanks(code: int) -> bool:
    return (
        code <= 0x109F  # Thai, Lao, Tibetan, Myanmar
        or 0x1100 <= code <= 0x11FF  # Hangul letters, to which syllables decompose
        or 0x1780 <= code <= 0x17FF  # Khmer
        or 0x2E80 <= code <= 0xA4CF  # kana, ideographs, Yi
        or 0xA960 <= code <= 0xA97F
        or 0xAC00 <= code <= 0xD7FF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFF
    )


def _skeleton_character(char: str) -> str:
    return " " if char.isspace() else _LEET.get(char, char)


_LATIN = {
    part: latin for latin, chars in _LOOKALIKES.items() for char in chars for part in (char, char.casefold()) if part != latin
}
_UNFOLDED = re.compile(r"[^ -@\[-~\n]+")  # all but ASCII that folding leaves alone
_DRESSED = re.compile(rf"[^\S ]|[{re.escape(''.join(_LEET))}]")  # what the skeleton has something else for
_FOLDS = _Table(_fold_character)
_SKELETONS = _Table(_skeleton_character)
_ASCII_SKELETON = bytes(ord(_skeleton_character(chr(code))) if code < 128 else code for code in range(256))
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalnum())

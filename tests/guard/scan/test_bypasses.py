"""The bypasses that pass today's gateways are found, and what looks like them and is harmless is not."""
# ruff: noqa: RUF001 (look-alike letters are the subject)

from __future__ import annotations

import base64
import codecs
import urllib.parse

import pytest

from trueline.guard.rail import Pattern
from trueline.guard.scan.growing import Growing
from trueline.guard.scan.scanner import Scanner

PHRASE = "brew the zorgle"
SCANNER = Scanner({
    "words": [Pattern(name="phrase", text=PHRASE), Pattern(name="word", text="zorgle"), Pattern(name="short", text="ass")],
    "rules": [Pattern(name="rule", kind="regex", text=r"brew\s+(the|a)\s+zorg\w+")],
})  # fmt: skip


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(char)) for char in text)


def selectors(text: str) -> str:
    return "".join(chr(0xFE00 + code if code < 16 else 0xE0100 + code - 16) for code in text.encode())


HIDDEN = {
    "plain": PHRASE,
    "capitals": PHRASE.upper(),
    "two blanks": "brew  the\n\nzorgle",
    "zero width": "br\u200bew the zo\u200drg\u2060le",
    "soft hyphen": "brew the zor\u00adgle",
    "control": "brew the zor\x08gle",
    "bidi": "brew the \u202ezorgle\u202c",
    "cyrillic": "brеw thе zоrglе",
    "greek": "brεw thε zοrglε",
    "greek capitals": "BREW THE ZORGLE".replace("E", "Ε").replace("O", "Ο"),
    "full width": "ｂｒｅｗ　ｔｈｅ　ｚｏｒｇｌｅ",
    "mathematical": "𝐛𝐫𝐞𝐰 𝐭𝐡𝐞 𝐳𝐨𝐫𝐠𝐥𝐞",
    "circled": "ⓑⓡⓔⓦ ⓣⓗⓔ ⓩⓞⓡⓖⓛⓔ",
    "squared": "🅱🆁🅴🆆 🆃🅷🅴 🆉🅾🆁🅶🅻🅴",
    "small capitals": "ʙʀᴇᴡ ᴛʜᴇ ᴢᴏʀɢʟᴇ",
    "accents": "brëw thé zørglè",
    "struck out": "".join(char + "\u0336" for char in PHRASE),
    "leet": "br3w 7he z0rg1e",
    "spaced": "b r e w   t h e   z o r g l e",
    "dotted": "b.r.e.w.t.h.e.z.o.r.g.l.e",
    "dashed": "b-r-e-w t-h-e z-0-r-g-l-e",
    "base64": b64(PHRASE),
    "base64 unpadded": b64(PHRASE + "!").rstrip("="),
    "base64 for addresses": base64.urlsafe_b64encode(b"brew the zorgle ~~ ???>>>").decode(),
    "base64 in lines": base64.encodebytes(("so " * 25 + PHRASE + " and so on" * 9).encode()).decode(),
    "base64 in a path": f"https://example.org/{b64(PHRASE)}/x",
    "base64 of UTF-16": base64.b64encode(PHRASE.encode("utf-16-le")).decode(),
    "base64 of look-alikes": b64("brеw thе zоrglе"),
    "hex": PHRASE.encode().hex(),
    "hex in pairs": PHRASE.encode().hex(" "),
    "hex in a list": ", ".join(f"0x{byte:02x}" for byte in PHRASE.encode()),
    "hex escapes": "".join(f"\\x{byte:02x}" for byte in PHRASE.encode()),
    "unicode escapes": "".join(f"\\u{ord(char):04x}" for char in PHRASE),
    "url": "".join(f"%{byte:02X}" for byte in PHRASE.encode()),
    "url in part": "br%65w%20the z%6Frgle",
    "entities": "&#98;re&#x77; th&#101; zorgle",
    "rot13": codecs.encode(PHRASE, "rot13"),
    "backwards": PHRASE[::-1],
    "tags": "hello" + tags(PHRASE),
    "selectors": "😀" + selectors(PHRASE),
    "base64 of url": b64(urllib.parse.quote("brew the z\u043ergle")),
    "base64 of base64": b64(b64(PHRASE)),
    "url of base64": urllib.parse.quote(b64(PHRASE), safe="").replace("=", "%3D"),
    "hex of base64 of entities": b64("&#98;rew the &#122;orgle").encode().hex(),
    "half a pair": "\ud83d brew the zorgle \udc00",
}


@pytest.mark.parametrize("how", HIDDEN)
def test_a_banned_phrase_is_found_however_it_is_written(how):
    """Whole and in a stream of single characters; the hit covers what is to be taken out, and leaves the words around it."""
    text = f"Well: {HIDDEN[how]} . Thanks"
    (hit,) = {(hit.start, hit.end) for hit in SCANNER.scan(text).hits("words") if hit.pattern == "phrase"}
    left = text[: hit[0]] + text[hit[1] :]
    assert left.startswith("Well: ")
    assert left.endswith(" . Thanks")
    assert not SCANNER.scan(left).hits("words")
    growing = Growing(SCANNER)
    streamed = [hit for part in (*map(growing.feed, text), growing.close()) for hit in part.hits("words")]
    assert sorted(map(repr, streamed)) == sorted(map(repr, SCANNER.scan(text).hits("words")))


@pytest.mark.parametrize(
    "how", ["zero width", "cyrillic", "full width", "squared", "accents", "base64", "url", "entities", "tags"]
)
def test_expressions_read_the_same_views_as_words(how):
    """A regular expression is read on the folded text and on what decodes."""
    assert SCANNER.scan(f"so {HIDDEN[how]} ok").hits("rules")


BENIGN = {
    "parts of words": "classes pass assess the brass grass, embarrassing assets",
    "numbers": "a55 455 4.55 on 2024-05-05 at 05:55, 0x455, $455, 505 505",
    "words apart": "the a s of s, as s and a ss; as soon as sensible",
    "code": "for (int i = 0; i < n; i++) { a[s] = s + a[i]; } // as_s assert(x); class A: pass",
    "identifiers": "d290e35f-3f0a-4a3c-9c44-1d2f3a4b5c6d 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "address": "https://example.org/a/b-c_d/EfGh12345678?x=%20y&z=1&amp;q=QWxhZGRpbjpvcGVu#frag-ment_42",
    "image": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI1"
    "2P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHw",
    "chinese": "今天天气很好，我们去公园散步吧。他说：“好的，下午三点见。”",
    "japanese": "東京都で開催されるカンファレンスに参加します。ｶﾞｲﾄﾞも読みました。",
    "arabic": "اَلسَّلَامُ عَلَيْكُمْ وَرَحْمَةُ اللهِ",
    "hindi": "नमस्ते, आप कैसे हैं? मैं ठीक हूँ।",
    "emoji": "👨‍👩‍👧‍👦 ❤️ 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏽 🇩🇪",
    "poem": "roses\nare\nred\nviolets\nare\nblue\n",
    "letters": "Plan a: b c d e f g; grades A B C D; x y z o r g",
}


@pytest.mark.parametrize("what", BENIGN)
def test_what_is_harmless_is_left_alone(what):
    """No hit, nothing exhausted, and a stream of it lets go of everything."""
    text = BENIGN[what]
    scanned = SCANNER.scan(text)
    assert not scanned.hits("words")
    assert not scanned.hits("rules")
    assert not scanned.exhausted
    growing = Growing(SCANNER)
    assert "".join(part.text for part in (*map(growing.feed, text), growing.close())) == text


def test_a_word_in_a_script_without_blanks_needs_no_blank():
    """Between ideographs a word has no edges; between letters it has."""
    scanner = Scanner({"r": [Pattern(name="han", text="炸弹"), Pattern(name="latin", text="zorgle")]})
    assert [hit.pattern for hit in scanner.scan("做炸弹的zorgle人").hits("r")] == ["han", "latin"]
    assert not scanner.scan("zorgles azorgle zorgleя").hits("r")


def test_the_looks_of_a_capital_i_do_not_make_other_words():
    """An l passes for a capital I where a word begins, and nowhere else: a hall is no hail."""
    scanner = Scanner({"r": [Pattern(name="one", text="ignore"), Pattern(name="two", text="hail")]})
    assert [hit.pattern for hit in scanner.scan("lgnore the hall").hits("r")] == ["one"]

"""Foreign strings made fit for the screen: names, paths, labels, log lines, commands, errors.

Whatever a layer or a container wrote passes through `safe` (plain text) or `safe_text` (a rich Text, no markup) before
it is drawn: what would move the cursor, recolour, reorder or hide text is shown as what it is instead. What comes out
has a width that terminals agree on.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size
from rich.text import Text

LIMIT = 1000  # characters; long single lines are slow to lay out, and nobody reads them
MARKS_IN_A_ROW = 2  # accents on one letter; a pile of them leaves its line
NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
PLAIN = re.compile(r"[ -~]*")  # nothing to do for these, and nearly everything is

# Blank or joining without being of a category that says so: Hangul fillers, Khmer vowels, the empty braille pattern,
# variation selectors, flags and skin tones (of which terminals disagree how wide they are).
TRICKY = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0000-\U000e01ef]"
)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me", "Mc"}


def safe(text: str, limit: int = LIMIT) -> str:
    """A foreign string as one line of plain text, at most `limit` characters of it.

    Control and C1 characters as \\xNN (or \\n, \\r, \\t), bytes that are not UTF-8 (surrogates) as \\xNN; what is
    invisible, reorders text or has no agreed width as <U+NNNN>. Clipped with "…".
    """
    if len(text) > limit:
        text = text[:limit] + "…"
    if PLAIN.fullmatch(text):
        return text
    shown: list[str] = []
    marks = MARKS_IN_A_ROW  # a mark needs something to stand on
    for character in text:
        if unicodedata.category(character) == "Mn":
            marks += 1
            shown.append(character if marks <= MARKS_IN_A_ROW and _shown(character) == character else _code(character))
            continue
        visible = _shown(character)
        marks = 0 if visible == character and character != " " else MARKS_IN_A_ROW
        shown.append(visible)
    # Characters that are harmless alone can still join; then every one that is not ASCII is named.
    joined = "".join(shown)
    if cell_len(joined) != sum(map(get_character_cell_size, joined)):
        joined = "".join(character if character.isascii() else _code(character) for character in joined)
    return joined


def safe_text(text: str, style: str = "", limit: int = LIMIT) -> Text:
    """The same as a rich Text: no markup is read in it."""
    return Text(safe(text, limit), style=style, no_wrap=True, end="")


def safe_lines(text: str, limit: int = LIMIT, most: int = 10_000) -> list[str]:
    """A foreign text of several lines: each made safe, at most `most` of them."""
    return [safe(line, limit) for line in text.split("\n")[:most]]


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    if character in NAMED:
        return NAMED[character]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    category = unicodedata.category(character)
    if category == "Cc":
        return f"\\x{number:02x}"
    if category in HIDDEN or TRICKY.match(character) or (category == "Zs" and character != " "):
        return _code(character)
    if category != "Mn" and get_character_cell_size(character) < 1:
        return _code(character)
    return character


def _code(character: str) -> str:
    return f"<U+{ord(character):04X}>"

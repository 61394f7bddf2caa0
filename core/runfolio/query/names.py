"""How a query spells names: plain words, dotted words, and anything at all in backquotes."""

from __future__ import annotations

import re
from typing import Final

WORD: Final = r"[^\W\d]\w*(?:/\w+)*"
"""A name that needs no quotes. Slashes may stand inside, since a query knows no division: ``val/acc``."""
LATER: Final = r"\w+(?:/\w+)*"
"""A word after a dot, which may begin with a digit: ``layers.0``."""
QUOTED: Final = r"`(?:[^`]|``)+`"
"""Any text between backquotes; a backquote inside is doubled."""
PATH: Final = rf"(?:{WORD}|{QUOTED})(?:\.(?:{LATER}|{QUOTED}))*"
"""Words and quoted texts joined by dots."""
TAG: Final = rf"(?:[\w@#+~.-]+(?:[/:][\w@#+~.-]+)*|{QUOTED})"
"""The name of a tag: dashes and dots need no quotes."""

KEYWORDS: Final = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "between",
        "like",
        "escape",
        "is",
        "null",
        "true",
        "false",
        "nan",
        "inf",
        "infinity",
        "asc",
        "desc",
    ]
)
"""Words that are names only in backquotes, whatever their letter case."""

_SEGMENT: Final = re.compile(rf"({QUOTED})|({LATER})")
_PLAIN_FIRST: Final = re.compile(WORD)
_PLAIN_LATER: Final = re.compile(LATER)
_PLAIN_TAG: Final = re.compile(r"[\w@#+~.-]+(?:[/:][\w@#+~.-]+)*")


def split_path(text: str) -> list[str]:
    """Return the words of a dotted path, unquoted: ``a.`b c`.d`` gives ``["a", "b c", "d"]``."""
    return [
        found[1][1:-1].replace("``", "`") if found[1] is not None else found[2] for found in _SEGMENT.finditer(text)
    ]


def unquote(text: str) -> str:
    """Return a single word without its backquotes, if it has any."""
    return text[1:-1].replace("``", "`") if text.startswith("`") else text


def quote_path(name: str, *, whole: bool = False) -> str:
    """Return a name as a query spells it: as it is where that can be read back, else in backquotes.

    Args:
        name: the name of a metric, param or tag.
        whole: it stands alone after ``tag:``, where dashes and dots are plain.
    """
    if whole:
        plain = _PLAIN_TAG.fullmatch(name) is not None
    else:
        first, *rest = name.split(".")
        plain = (
            _PLAIN_FIRST.fullmatch(first) is not None
            and all(_PLAIN_LATER.fullmatch(word) for word in rest)
            and (bool(rest) or name.lower() not in KEYWORDS)
        )
    return name if plain else "`" + name.replace("`", "``") + "`"

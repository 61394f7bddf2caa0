"""Making texts from a store harmless to a terminal: what could act on it is shown instead."""

from __future__ import annotations

import re
from typing import Final

# Controls (C0, DEL, C1), lone surrogates, line and paragraph separators, marks that reorder text, and invisible tags:
# whatever can move the cursor, hide text, or make a line look like another one.
_UNSAFE_CLASS: Final = (
    "\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u2028\\u2029\\u061c\\u200e\\u200f"
    "\\u202a-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb"
    "\\U000e0000-\\U000e007f"
)
_UNSAFE: Final = re.compile(f"[{_UNSAFE_CLASS}]")
_UNSAFE_IN_TEXT: Final = re.compile(f"(?![\\n\\t])[{_UNSAFE_CLASS}]")
_UNSAFE_BEYOND_COLOUR: Final = re.compile(f"\x1b\\[[0-9;]*m|(?![\\n\\t\\r\\b])[{_UNSAFE_CLASS}]")
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BYTE: Final = 0xFF
_PLANE: Final = 0xFFFF


def escape(text: str) -> str:
    r"""Return text on one line, with control characters made visible: ``\x1b``, ``\n``, ``\u202e``."""
    return _UNSAFE.sub(_visible, text)


def escape_text(text: str) -> str:
    """Do the same to text of several lines: line ends and tabs stay."""
    return _UNSAFE_IN_TEXT.sub(_visible, text)


def escape_log(text: str) -> str:
    """Make a log harmless on a terminal: colours, carriage returns and backspaces still work, all else is shown."""
    return _UNSAFE_BEYOND_COLOUR.sub(lambda found: found[0] if len(found[0]) > 1 else _visible(found), text)


def escape_json(text: str) -> str:
    r"""Return JSON text with unsafe characters as ``\uXXXX``. They stand in strings only, so it means the same."""
    return _UNSAFE_IN_TEXT.sub(_json_escape, text)


def _visible(found: re.Match[str]) -> str:
    letter = found[0]
    code = ord(letter)
    if letter in _SHORT:
        return _SHORT[letter]
    return f"\\x{code:02x}" if code <= _BYTE else f"\\u{code:04x}" if code <= _PLANE else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))

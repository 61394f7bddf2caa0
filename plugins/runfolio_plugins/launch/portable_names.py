"""Paths in a run for files whose own names other systems could not hold.

The rules of `runfolio.names.validate_path` decide. What they refuse is percent-encoded; the file's own name stays in
the record.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from typing import TYPE_CHECKING, Final

from runfolio.errors import InvalidKeyError
from runfolio.names import MAX_PART_BYTES, MAX_PATH_BYTES, find_collisions, validate_path

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGEST: Final = 10
_ROOM_FOR_MARK: Final = 16
_FORBIDDEN: Final = frozenset('\\:*?"<>|')


def portable_path(path: str) -> str:
    """Return a path that `validate_path` accepts: the same one where it can be, else the nearest spelling.

    Characters that some system forbids are percent-encoded (as UTF-8 bytes, or the bytes of the name where it is no
    UTF-8), as are a dot or space at the end of a part and the first letter of a reserved name. Letters are composed
    (NFC). What is too long is cut and marked with a digest of the whole.

    Args:
        path: a relative path with ``/``, as the file system gave it.
    """
    if _is_valid(path):
        return path
    parts = [_portable_part(part) for part in path.split("/") if part not in ("", ".", "..")]
    name = "/".join(parts)
    if len(name.encode()) > MAX_PATH_BYTES:
        # Folders that deep are told apart by their digest; the file keeps its name.
        first, last = parts[0], parts[-1]
        name = f"{first}/~{_digest(path)}/{last}"
    return validate_path(name)


def _is_valid(path: str) -> bool:
    try:
        validate_path(path)
    except InvalidKeyError:
        return False
    return True


def _portable_part(part: str) -> str:
    composed = unicodedata.normalize("NFC", part)
    text = _escaped(composed)
    if text[-1] in ". ":
        text = text[:-1] + _encoded(text[-1])
    if not _is_valid(text) and len(text.encode()) <= MAX_PART_BYTES:
        text = _encoded(text[0]) + text[1:]  # reserved on Windows
    if len(text.encode()) > MAX_PART_BYTES:
        text = _shortened(text, part)
    return text


def _escaped(composed: str) -> str:
    text = ""
    after_escape = False
    for letter in composed:
        # An escape may end in a letter, as %0A does, and a combining mark after it would become a part of that.
        after_escape = _is_forbidden(letter) or (after_escape and unicodedata.combining(letter) != 0)
        text += _encoded(letter) if after_escape else letter
    return text


def _is_forbidden(letter: str) -> bool:
    code = ord(letter)
    return code < 0x20 or code == 0x7F or letter in _FORBIDDEN or 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 (control, delete, surrogates)


def _encoded(letter: str) -> str:
    return "".join(
        f"%{byte:02X}"
        for byte in letter.encode("utf-8", "surrogateescape" if _is_raw_byte(letter) else "surrogatepass")
    )


def _is_raw_byte(letter: str) -> bool:
    """Whether this stands for a byte of a name that is no UTF-8 (PEP 383)."""
    return 0xDC80 <= ord(letter) <= 0xDCFF  # noqa: PLR2004 (the range that PEP 383 takes)


def _shortened(text: str, original: str) -> str:
    stem, suffix = os.path.splitext(text)  # noqa: PTH122 (a part of a path)
    if len(suffix.encode()) > _ROOM_FOR_MARK:
        stem, suffix = text, ""
    mark = f"~{_digest(original)}{suffix}"
    room = MAX_PART_BYTES - len(mark.encode())
    kept = stem.encode()[:room].decode("utf-8", "ignore")
    # A cut may fall into an escape or leave a space at its end; the mark follows, so both are harmless.
    return unicodedata.normalize("NFC", kept) + mark


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGEST]


def assign_paths(paths: Iterable[str]) -> dict[str, str]:
    """Return a path in the run for each path of the file system: valid, and no two equal but for the case of letters.

    The same set of files always gets the same paths.
    """
    wanted = {path: portable_path(path) for path in sorted(paths, key=os.fsencode)}
    # A name that is valid as it stands has a better claim to it than one that became so.
    order = sorted(wanted, key=lambda path: (wanted[path] != path, os.fsencode(path)))
    found: dict[str, str] = {}
    taken: set[str] = set()
    for path in order:
        name = wanted[path]
        found[path] = name if name not in taken else _beside(name, path)
        taken.add(found[path])
    # First the file alone is told apart. Where that does not help, a folder of it collides, and the whole folder moves.
    for told_apart in (_beside, _elsewhere):
        colliding = find_collisions(found[path] for path in order)
        for path in order:
            if found[path] in colliding:
                found[path] = told_apart(wanted[path], path)
    return found


def _beside(name: str, original: str) -> str:
    """A spelling of its own in the same folder: a digest of the original stands before the suffix."""
    folder, _, last = name.rpartition("/")
    stem, suffix = os.path.splitext(last)  # noqa: PTH122 (a part of a path)
    digest = _digest(original)
    room = MAX_PART_BYTES - len(suffix.encode()) - len(digest) - 1
    kept = unicodedata.normalize("NFC", stem.encode()[:room].decode("utf-8", "ignore"))
    candidate = f"{folder}/{kept}~{digest}{suffix}"
    return candidate if _is_valid(candidate) else f"{folder.partition('/')[0]}/~{digest}{suffix}"


def _elsewhere(name: str, original: str) -> str:
    """A spelling of its own in a folder of its own."""
    first, _, rest = name.partition("/")
    folder = rest.rpartition("/")[0]
    candidate = f"{first}/~{_digest(folder)}/{rest}"
    return candidate if _is_valid(candidate) else _beside(f"{first}/x", original)

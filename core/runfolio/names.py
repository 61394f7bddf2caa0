"""The one validator of keys, relative paths and names. Called when something is written *and* when it is read.

A manifest may come from somebody else's bucket, so nothing that was read from a store is trusted to be a tame path
(see ``docs/format.md``, "Names").
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from runfolio.errors import InvalidKeyError, InvalidNameError

MAX_KEY_BYTES: Final = 1024
"""Longest storage key, in UTF-8 bytes: the least that S3 and Azure both take."""
MAX_PATH_BYTES: Final = 700
"""Longest artifact path, in UTF-8 bytes: leaves room for the run's own prefix in a key."""
MAX_PART_BYTES: Final = 240
"""Longest single path component: what common file systems take, with room for the suffix of a temporary file."""
MAX_NAME_CHARACTERS: Final = 1000
"""Longest name of a metric, param or tag."""
MAX_PROJECT_BYTES: Final = 140
"""Longest project name, percent-encoded: it stands twice in every key of a run."""

LINK_SUFFIX: Final = ".link"
"""What the file in a project that points at an asset is called, after the asset's name."""
MAX_SOURCE_PATH: Final = 4096
"""Longest path of a file in a source snapshot, in characters."""
_NEVER_SOURCE: Final = frozenset({".git", "git~1", ".hg", ".svn", ".runfolio", "runfol~1", "__pycache__"})

_RESERVED: Final = frozenset(
    [
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"com{n}" for n in "0123456789¹²³"),
        *(f"lpt{n}" for n in "0123456789¹²³"),
    ]
)
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_KEY_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]")
_KEY_OK: Final = re.compile(r"[A-Za-z0-9._~%-]+(?:/[A-Za-z0-9._~%-]+)*")


def validate_path(path: str) -> str:
    """Check a relative path of an artifact and return it unchanged.

    Allowed is what every file system and every object store can hold: parts joined by ``/``; no empty, ``.`` or
    ``..`` part; no control character, backslash, colon or Windows wildcard; no part that Windows reserves or that
    ends in a dot or space; Unicode in NFC; at most 700 bytes, 240 in each part.

    Raises:
        InvalidKeyError: the path is not allowed. The message says which rule it breaks.
    """
    if not path:
        raise InvalidKeyError("An empty text is not a path: give a relative path with '/' between its parts", key=path)
    problem = _path_problem(path)
    if problem:
        raise InvalidKeyError(f"The path {_shown(path)} is not allowed: {problem}", key=path)
    return path


def _path_problem(path: str) -> str | None:
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if len(encoded) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    if path.startswith("/"):
        return "it is absolute"
    found = _FORBIDDEN.search(path)
    if found:
        return f"it contains {found.group()!r}"
    if unicodedata.normalize("NFC", path) != path:
        return "it is not in Unicode normal form C"
    for part in path.split("/"):
        problem = _part_problem(part)
        if problem:
            return problem
    return None


def _part_problem(part: str) -> str | None:
    if part in ("", ".", ".."):
        return f"it has the part {part!r}"
    if len(part.encode("utf-8")) > MAX_PART_BYTES:
        return f"one of its parts is longer than {MAX_PART_BYTES} bytes"
    if part[-1] in ". ":
        return f"the part {part!r} ends with a dot or a space"
    if part.split(".", 1)[0].rstrip(" ").lower() in _RESERVED:
        return f"the part {part!r} is a reserved name on Windows"
    return None


def validate_source_path(path: str) -> str:
    """Check the path of a file of a source snapshot and return it unchanged.

    A project may hold names that not every system can have, and gets them back where the system can. Refused is what
    leads out of the project or into what is no part of it: empty, ``.`` and ``..`` parts, NUL, anything that some
    system takes for ``.git`` (also ``.GIT``, ``git~1``, ``.git `` and forms with invisible characters), version
    control's and our own folders, ``outputs`` at the top. On Windows all rules of `validate_path` hold too.

    Args:
        path: with ``/``; bytes that are no UTF-8 are surrogates, as in `os.fsdecode`.

    Raises:
        InvalidKeyError: the path is not allowed. The message says which rule it breaks.
    """
    problem = _source_problem(path)
    if problem:
        raise InvalidKeyError(f"The path {_shown(path)} is not allowed: {problem}", key=path)
    if os.name == "nt":
        validate_path(path)
    return path


def _source_problem(path: str) -> str | None:
    if not path or "\0" in path:
        return "it is empty or has a NUL"
    if len(path) > MAX_SOURCE_PATH:
        return f"it is longer than {MAX_SOURCE_PATH} characters"
    parts = path.split("/")
    for part in parts:
        if part in ("", ".", ".."):
            return f"it has the part {part!r}"
        # What HFS+ ignores in names, and what NTFS cuts off or stands for the short form.
        visible = part if part.isascii() else "".join(one for one in part if unicodedata.category(one) != "Cf")
        plain = visible.casefold()
        plain = plain.split(":", 1)[0].rstrip(". ")
        if plain in _NEVER_SOURCE or (
            "\\" in plain and any(piece.rstrip(". ") in _NEVER_SOURCE for piece in plain.split("\\"))
        ):
            return f"the part {part!r} is no part of a project"
    if parts[0] == "outputs":
        return "outputs is no part of a project"
    return None


def find_collisions(paths: Iterable[str]) -> dict[str, str]:
    """Return the paths that cannot stand beside an earlier one, each with the one it collides with.

    Two paths collide when they differ only by letter case or when one is a folder of the other.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    found: dict[str, str] = {}
    for path in paths:
        folded = unicodedata.normalize("NFC", path.casefold())
        parents = [folded[:at] for at, letter in enumerate(folded) if letter == "/"]
        other = files.get(folded) or folders.get(folded) or next((files[p] for p in parents if p in files), None)
        if other is None:
            # A folder spelled in two cases is one folder on some systems: the same collision, one level up.
            other = next((folders[p] for p in parents if p in folders and folders[p][: len(p)] != path[: len(p)]), None)
        if other is not None and other != path:
            found[path] = other
            continue
        files[folded] = path
        for parent in parents:
            folders.setdefault(parent, path)
    return found


def validate_key(key: str) -> str:
    """Check a storage key and return it unchanged.

    Keys are made by `runfolio.layout`; this is the last gate before a backend.

    Raises:
        InvalidKeyError: the key is absolute, too long, or has a part or character that no key may have.
    """
    if not _KEY_OK.fullmatch(key):
        _refuse_wild_key(key)
    if len(key.encode("utf-8")) > MAX_KEY_BYTES:
        raise InvalidKeyError(f"The key {_shown(key)} is longer than {MAX_KEY_BYTES} bytes", key=key)
    if any(part in (".", "..") for part in key.split("/")):
        raise InvalidKeyError(f"The key {_shown(key)} has a '.' or '..' part", key=key)
    return key


def _refuse_wild_key(key: str) -> None:
    """Artifact keys may hold any character of a valid path: check them part by part."""
    if not key or key.startswith("/") or key.endswith("/") or "//" in key:
        raise InvalidKeyError(f"The key {_shown(key)} is not a relative key without empty parts", key=key)
    found = _FORBIDDEN.search(key)
    if found:
        raise InvalidKeyError(f"The key {_shown(key)} contains {found.group()!r}", key=key)


def validate_name(name: str, what: str = "metric") -> str:
    """Check the name of a metric, param or tag and return it unchanged.

    Any printable text of 1 to 1,000 characters is a name, also with spaces (leading and trailing ones too), dots,
    ``#`` and emoji.

    Args:
        name: the name as the caller gave it.
        what: the kind of name, for the message.

    Raises:
        InvalidNameError: it is no text, empty, too long, or holds control characters or lone surrogates.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"A {what} name must be a str, not {type(name).__name__}: {_shown(repr(name))}")
    if not name:
        raise InvalidNameError(f"A {what} name must not be empty")
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidNameError(
            f"The {what} name {_shown(name)} is longer than {MAX_NAME_CHARACTERS} characters", key=name
        )
    for letter in name:
        if unicodedata.category(letter) in ("Cc", "Cs"):
            raise InvalidNameError(
                f"The {what} name {_shown(name)} contains the control character {letter!r}", key=name
            )
    return name


def validate_project(name: str) -> str:
    """Check a project name and return it unchanged.

    Allowed is printable text of at most 140 bytes when percent-encoded, without a slash or surrounding space.

    Raises:
        InvalidNameError: the name is not allowed.
    """
    validate_name(name, "project")
    if len(encode_project(name)) > MAX_PROJECT_BYTES:
        raise InvalidNameError(
            f"The project name {_shown(name)} is longer than {MAX_PROJECT_BYTES} bytes when percent-encoded", key=name
        )
    if "/" in name or "\\" in name:
        raise InvalidNameError(f"The project name {_shown(name)} contains a slash", key=name)
    if name != name.strip():
        raise InvalidNameError(f"The project name {_shown(name)} begins or ends with a space", key=name)
    if name in (".", "..", "*"):
        raise InvalidNameError(f"{name!r} cannot be the name of a project", key=name)
    return name


def validate_asset(name: str, what: str = "asset") -> str:
    """Check the name of an asset or of one of its aliases and return it unchanged.

    It must do for a file, since the link to an asset is called after it: one part of a path, at most 140 bytes when
    percent-encoded, without ``@``, which divides a name from a version, and not ending with ``.link``.

    Args:
        name: the name as the caller gave it.
        what: the kind of name, for the message.

    Raises:
        InvalidNameError: the name is not allowed.
    """
    validate_name(name, what)
    if len(encode_project(name)) > MAX_PROJECT_BYTES:
        raise InvalidNameError(
            f"The {what} name {_shown(name)} is longer than {MAX_PROJECT_BYTES} bytes when percent-encoded", key=name
        )
    problem = "it contains '/' or '@'" if "/" in name or "@" in name else _path_problem(name)
    if name.lower().endswith(LINK_SUFFIX):
        problem = f"it ends with {LINK_SUFFIX!r}, as links to assets do"
    if problem:
        raise InvalidNameError(f"The {what} name {_shown(name)} is not allowed: {problem}", key=name)
    return name


def encode_project(name: str) -> str:
    """Return the project name percent-encoded to ``[A-Za-z0-9._-]`` (and ``%``), as keys carry it.

    A leading dot is encoded too, so the result is never ``.`` or ``..``.
    """
    encoded = "".join(chr(b) if _KEY_PLAIN.match(chr(b)) else f"%{b:02X}" for b in name.encode("utf-8"))
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded


def decode_project(encoded: str) -> str:
    """Return the project name that `encode_project` made this of.

    Raises:
        InvalidKeyError: it is not such an encoding.
    """
    try:
        raw = re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), encoded.encode("ascii"))
        name = raw.decode("utf-8")
    except UnicodeError as error:
        raise InvalidKeyError(f"{_shown(encoded)} is not an encoded project name", key=encoded) from error
    if encode_project(name) != encoded:
        raise InvalidKeyError(f"{_shown(encoded)} is not an encoded project name", key=encoded)
    return name


def _shown(text: str) -> str:
    """A text as messages show it: quoted, cut to a readable length."""
    return repr(text if len(text) <= 120 else f"{text[:100]}…{text[-15:]}")  # noqa: PLR2004 (a readable length)

"""Links: the small files in a project that point at a version of an asset, and are committed in its place.

A link names no store, no path and no credentials. It is resolved in the store that the user configured, and only if
what is there has the hash that the link gives: a link from a stranger's project can ask for nothing else.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from runfolio.errors import FormatError, InvalidNameError, NotFoundError, StorageError
from runfolio.filesystem import TargetFolder
from runfolio.names import LINK_SUFFIX, validate_asset

FOLDER: Final = "assets"
"""The folder of a project that holds its links."""
_FORMAT: Final = 1
_KIND: Final = "asset-link"
_LARGEST: Final = 64 * 1024
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AssetLink:
    """What a link says (``docs/format.md``, "Links").

    Attributes:
        asset: name of the asset.
        version: its version.
        sha256: hash of the contents.
        size: bytes of all files.
        run: the run that made them.
        store_id: the store that the version was made in, to tell when another one is configured.
    """

    asset: str
    version: int
    sha256: str
    size: int
    run: str
    store_id: str


def is_link(word: str | Path) -> bool:
    """Whether a word names a link, and not an asset."""
    return isinstance(word, Path) or word.lower().endswith(LINK_SUFFIX)


def write_link(root: Path, link: AssetLink) -> Path:
    """Write a link into the folder ``assets`` of a project and return its path. One that is there is replaced.

    Raises:
        InvalidKeyError: ``assets`` is no folder, or a symbolic link.
        StorageError: it cannot be written.
    """
    path = f"{FOLDER}/{validate_asset(link.asset)}{LINK_SUFFIX}"
    text = json.dumps({"format": _FORMAT, "kind": _KIND, **asdict(link)}, indent=2, sort_keys=True, ensure_ascii=False)
    try:
        with TargetFolder(root).writing(path) as out:
            out.write(f"{text}\n".encode())
    except OSError as error:
        raise StorageError(f"The link {root / path} cannot be written: {error.strerror or error}", key=path) from error
    return root / path


def read_link(path: Path) -> AssetLink:
    """Return what a link says. It may come from anybody, so each field is checked.

    Raises:
        NotFoundError: there is no such file.
        FormatError: it is no link, or one of a newer format.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no link {path}: runfolio promote makes one", key=str(path)) from error
    except OSError as error:
        raise StorageError(f"The link {path} cannot be read: {error.strerror or error}", key=str(path)) from error
    try:
        found: Any = json.loads(data) if len(data) <= _LARGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("kind") != _KIND:
        raise FormatError(f"{path} is not a link to an asset of Runfolio", key=str(path))
    version = found.get("format")
    if not isinstance(version, int) or version > _FORMAT:
        raise FormatError(
            f"The link {path} has format {version!r}, and this Runfolio reads up to {_FORMAT}: upgrade it",
            key=str(path),
        )
    return _checked(found, path)


def _checked(found: dict[str, Any], path: Path) -> AssetLink:
    kinds = {"asset": str, "version": int, "sha256": str, "size": int, "run": str, "store_id": str}
    wrong = [name for name, kind in kinds.items() if type(found.get(name)) is not kind]
    if not wrong:
        link = AssetLink(**{name: found[name] for name in kinds})
        wrong += [] if _SHA256.fullmatch(link.sha256) else ["sha256"]
        wrong += [] if link.version > 0 else ["version"]
        try:
            validate_asset(link.asset)
        except InvalidNameError:
            wrong.append("asset")
        if not wrong:
            return link
    raise FormatError(f"The link {path} is damaged: wrong or missing are {', '.join(wrong)}", key=str(path))

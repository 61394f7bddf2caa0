"""Copies of assets on this machine, by hash: fetched once, verified at each use, shared by all processes of a user."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from runfolio._platform import FileLock
from runfolio.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.artifacts import Artifacts, DownloadProgress

_POLL: Final = 0.1


def fetch(files: Artifacts, folder: Path, progress: DownloadProgress | None = None) -> None:
    """Make sure that files lie below a folder with the right contents, and fetch those that do not.

    One process fetches while others that want the same wait for it. What a killed one left is continued.

    Args:
        files: what is to be there.
        folder: made when absent.
        progress: told about the bytes that arrive.

    Raises:
        StorageError: a file cannot be fetched or written; the message says which and why.
    """
    if files.are_at(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        while not lock.acquire():
            time.sleep(_POLL)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be used for copies of assets: {error.strerror or error}. "
            f"Set RUNFOLIO_CACHE_DIR to one that can",
            key=str(folder),
        ) from error
    try:
        report = files.download(folder, overwrite=True, progress=progress)
    finally:
        lock.release()
    for path, problem in report.problems.items():
        raise StorageError(f"{path!r} cannot be fetched into {folder}: {problem}", key=path)

"""Removing kept folders of ended runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.config import resolve
from runfolio.errors import RunNotFoundError
from runfolio_plugins.launch.workspace import abandoned, due, waits_for_sync

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runfolio.config import Settings
    from runfolio_plugins.launch.workspace import RunFolder


def clean_up(words: Sequence[str], *, everything: bool, dry_run: bool, force: bool) -> Iterator[str]:
    """Remove folders and yield what was done, a line each.

    Args:
        words: runs: an id or its last five characters.
        everything: all that no run uses.
        dry_run: only say it.
        force: also what waits for the store.

    Raises:
        RunNotFoundError: no folder belongs to one of the words.
    """
    settings = resolve()
    count = freed = 0
    for folder in _chosen(settings, words, everything=everything):
        if not force and waits_for_sync(settings, folder):
            yield f"left: {folder.path} has files that are not in the store yet: `runfolio sync` sends them"
            continue
        size = folder.size()
        if not dry_run and not folder.remove():
            yield f"left: {folder.path} could not be removed"
            continue
        count, freed = count + 1, freed + size
        yield f"{'would remove' if dry_run else 'removed'}: {folder.path} ({_size(size)})"
    yield f"{count} {'folder' if count == 1 else 'folders'}, {_size(freed)}"


def _chosen(settings: Settings, words: Sequence[str], *, everything: bool) -> list[RunFolder]:
    if not words:
        return list(abandoned(settings) if everything else due(settings))
    folders = list(abandoned(settings))
    found = []
    for word in words:
        matching = [folder for folder in folders if _is_named(folder, word)]
        if not matching:
            raise RunNotFoundError(f"There is no kept folder of a run {word!r} on this machine", key=word)
        found.extend(matching)
    return found


def _is_named(folder: RunFolder, word: str) -> bool:
    why = folder.why_kept()
    names = {folder.path.name, folder.path.name[-5:], why.run_id if why is not None else folder.path.name}
    return word in names


def _size(count: int) -> str:
    number = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":  # noqa: PLR2004 (the step between units)
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= 1000
    raise AssertionError

"""Listing a folder tree in the order of the keys' UTF-8 bytes, reading no more of it than is asked for."""

# This room is system calls: os is what they are called, and pathlib would cost more than some of them.
from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from runfolio.backend import ObjectInfo
from runfolio_backends.local_files import is_temporary

_FEW: Final = 100
"""Up to so many objects are taken from a heap; more are cheaper sorted."""


def walk(root: str, prefix: str, start_after: str, limit: int | None) -> Iterator[ObjectInfo]:
    """Yield the objects below ``root/prefix`` as `Backend.list` says.

    Temporary files and symbolic links are no objects.
    """
    if limit is not None and limit <= 0:
        return
    if any(part in (".", "..") for part in prefix.split("/")) or prefix.startswith("/"):
        return
    folder = os.path.join(os.path.realpath(root), *prefix.split("/")[:-1])
    if os.path.normcase(os.path.realpath(folder)) != os.path.normcase(folder):
        return  # through a symbolic link: nothing of ours
    left = limit
    for info in _below(folder, prefix, start_after, few=limit is not None and limit <= _FEW):
        yield info
        if left is not None:
            left -= 1
            if left == 0:
                return


def _below(folder: str, prefix: str, start_after: str, *, few: bool) -> Iterator[ObjectInfo]:
    for name, entry in _in_order(_entries(folder, prefix, start_after), few=few):
        key = f"{prefix}{name}"
        if name.endswith("/"):
            yield from _below(entry.path, key, start_after, few=few)
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # deleted since the folder was read
        yield ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _entries(folder: str, prefix: str, start_after: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the entries that may hold keys after `start_after`, unsorted.

    A folder's name carries its slash, so that it sorts like the keys below it: ``a-b`` before ``a/x`` before ``a0``.
    """
    try:
        scan = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with scan:
        for entry in scan:
            if is_temporary(entry.name) or (not entry.name.isprintable() and not _is_text(entry.name)):
                continue
            if entry.is_dir(follow_symlinks=False):
                below = f"{prefix}{entry.name}/"
                if below > start_after or start_after.startswith(below):
                    yield f"{entry.name}/", entry
            elif entry.is_file(follow_symlinks=False) and f"{prefix}{entry.name}" > start_after:
                yield entry.name, entry


def _is_text(name: str) -> bool:
    """Whether the name is Unicode: one that is not was made by a stranger, and cannot be a key."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _in_order(entries: Iterable[tuple[str, os.DirEntry[str]]], *, few: bool) -> Iterator[tuple[str, os.DirEntry[str]]]:
    # Python orders str by code point, which is the order of the UTF-8 bytes. A file system that is written to while it
    # is read may show an entry twice: the mapping keeps one.
    by_name = dict(entries)
    if not few:
        for name in sorted(by_name):
            yield name, by_name[name]
        return
    names = list(by_name)
    heapq.heapify(names)
    while names:
        name = heapq.heappop(names)
        yield name, by_name[name]

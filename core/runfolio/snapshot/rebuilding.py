"""A pack made once more: of objects at hand, of trees, and of files of the project that are what they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from runfolio.errors import FormatError
from runfolio.snapshot.objects import BLOB_TYPE, FOLDER, LINK, REPOSITORY, object_id
from runfolio.snapshot.packing import PackWriter, open_pack

if TYPE_CHECKING:
    from runfolio.snapshot.objects import Built, Entry
    from runfolio.snapshot.packing import Pack
    from runfolio.snapshot.snapshot import Snapshot


class MissingError(Exception):
    """The source of a run cannot be stored as a whole. The message says what is missing."""


class Rebuilder:
    """Makes packs of the objects of a snapshot.

    Args:
        snapshot: the snapshot; its own pack is used first.
        built: its trees and commit.
    """

    def __init__(self, snapshot: Snapshot, built: Built) -> None:
        self._snapshot, self._built = snapshot, built
        self._own: Pack | None = None
        self._paths: dict[str, Entry] = {
            entry.sha: entry for entry in snapshot.entries if entry.mode not in (REPOSITORY, FOLDER)
        }

    def pack(self, ids: list[str]) -> Path:
        """Return a new pack of some objects.

        Raises:
            MissingError: one of them is neither at hand nor in the project any more.
            OSError: the pack cannot be written.
        """
        if self._own is None and self._snapshot.pack is not None:
            try:
                self._own = open_pack(self._snapshot.pack)
            except (OSError, FormatError) as error:
                raise MissingError(f"its files are gone from this machine: {error}") from error
        with PackWriter(self._snapshot.folder) as writer:
            for sha in ids:
                self._add(writer, sha)
            return writer.finish()

    def _add(self, writer: PackWriter, sha: str) -> None:
        if self._own is not None and sha in self._own.places:
            place = self._own.places[sha]
            writer.add_compressed(sha, place.kind, place.size, self._own.compressed(sha))
        elif sha in self._built.objects:
            kind, data = self._built.objects[sha]
            writer.add(sha, kind, data)
        else:
            writer.add(sha, BLOB_TYPE, self._from_project(sha))

    def _from_project(self, sha: str) -> bytes:
        entry = self._paths[sha]
        path = f"{self._snapshot.root}/{entry.path}"
        try:
            link = entry.mode == LINK
            data = os.fsencode(os.readlink(path)) if link else Path(path).read_bytes()  # noqa: PTH115 (a str)
        except OSError:
            data = b""
        if object_id(BLOB_TYPE, data) != sha:
            raise MissingError(
                f"a collection of garbage removed {entry.path} from the store, and the project has changed since"
            )
        return data

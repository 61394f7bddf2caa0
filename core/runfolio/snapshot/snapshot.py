"""A snapshot that was taken and is on its way to the store: plain values, and a pack with what the store may lack."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from runfolio.snapshot.objects import Entry
from runfolio.values import dump_json, load_json

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME: Final = "snapshot.json"
"""The snapshot itself, beside its pack."""
MOST_PACKS: Final = 24
"""Packs that a snapshot is spread over at most; one that would need more is stored as a whole again."""


@dataclass(slots=True)
class Snapshot:
    """The source of a project at one moment.

    Attributes:
        commit: id of the Git commit: what `properties.CommitId` of a run shows.
        tree: id of its tree.
        root: the project's folder.
        entries: its files, links, submodules and empty folders, sorted by path.
        left_out: what is no part of it and might be missed, with the reason.
        folder: where `pack` and the snapshot itself lie until they are in the store.
        pack: holds the objects that the store may lack; None when it has them all.
        homes: the pack of the store that holds an object, by id: those that need not be sent.
        seen: when the oldest of those packs was last seen, in seconds since the epoch.
        store_id: of the store that `homes` is about.
        learn: nothing was known of what the store holds: it is to be asked before anything is sent.
        listed_by: a run whose ``source.json`` lists the same files.
        too_large: those of `left_out` that would be a part of it if they were smaller.
        states: size and modification time (ns) of each file when it was read.
    """

    commit: str
    tree: str
    root: str
    entries: list[Entry]
    left_out: list[tuple[str, str]]
    folder: Path
    pack: Path | None = None
    homes: dict[str, str] = field(default_factory=dict)
    seen: float | None = None
    store_id: str | None = None
    learn: bool = False
    listed_by: str | None = None
    too_large: list[str] = field(default_factory=list)
    states: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def packs(self) -> list[str]:
        """The packs of the store that it relies on."""
        return sorted(set(self.homes.values()))

    @property
    def unchanged(self) -> bool:
        """Whether the store was seen to hold all of it, so that nothing is sent."""
        return self.pack is None

    def save(self) -> Path:
        """Write it beside its pack, and return the path."""
        plain: dict[str, Any] = {
            "commit": self.commit,
            "tree": self.tree,
            "root": self.root,
            "entries": [list(entry) for entry in self.entries],
            "left_out": [list(pair) for pair in self.left_out],
            "pack": None if self.pack is None else self.pack.name,
            "homes": self.homes,
            "seen": self.seen,
            "store_id": self.store_id,
            "learn": self.learn,
            "listed_by": self.listed_by,
        }
        path = self.folder / FILE_NAME
        path.write_bytes(dump_json(plain))
        return path

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the snapshot that was saved in a folder, wherever that lies now.

        Raises:
            OSError: it is not there.
            ValueError: it is damaged.
        """
        plain: Mapping[str, Any] = load_json((folder / FILE_NAME).read_bytes())
        return cls(
            commit=plain["commit"],
            tree=plain["tree"],
            root=plain["root"],
            entries=[Entry(*row) for row in plain["entries"]],
            left_out=[(path, reason) for path, reason in plain["left_out"]],
            folder=folder,
            pack=None if plain["pack"] is None else folder / plain["pack"],
            homes=plain["homes"],
            seen=plain["seen"],
            store_id=plain["store_id"],
            learn=plain["learn"],
            listed_by=plain["listed_by"],
        )

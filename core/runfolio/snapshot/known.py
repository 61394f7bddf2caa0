"""What this machine remembers of a project: hashes of its files, and which Git objects the store holds, and where.

A cache in the user's state folder. When it is lost, files are read again and what the store holds is learned anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

TICK_NS: Final = 2_500_000_000
"""Longer than a tick of the time stamps of any file system: what is younger when it is read may change unseen."""
FRESH: Final = 20 * 86_400.0
"""Seconds that a pack counts as there since it was last seen: less than condemned lists stay."""
_VERSION: Final = 1
_MOST_OBJECTS: Final = 200_000
_MOST_COMMITS: Final = 200


@dataclass(slots=True)
class Known:
    """What is remembered of one project, in one folder, for one store.

    Attributes:
        files: size, modification and change time (ns), inode, and id of the blob, by path.
        objects: the pack that holds an object, by id.
        packs: when a pack was last seen, in seconds since the epoch.
        commits: a run whose ``source.json`` lists the files of a commit, by commit.
        store_id: of the store that this is true of.
        news: whether there is something to save.
    """

    files: dict[str, tuple[int, int, int, int, str]] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    packs: dict[str, float] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    store_id: str | None = None
    news: bool = field(default=False, compare=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what a file remembers; nothing when it is absent or damaged."""
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
            if found.pop("version") != _VERSION:
                return cls()
            found["files"] = {name: tuple(row) for name, row in found["files"].items()}
            return cls(**found)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def save(self, path: Path) -> None:
        """Remember this, unless it was. Trouble is left to the next one: it is a cache."""
        if not self.news:
            return
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            plain = {name: getattr(self, name) for name in ("files", "objects", "packs", "commits", "store_id")}
            temporary.write_text(json.dumps({"version": _VERSION, **plain}), encoding="ascii")
            temporary.replace(path)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

    def blob_of(self, path: str, state: os.stat_result) -> str | None:
        """Return the id of a file that has not changed since it was read; None when that cannot be told."""
        row = self.files.get(path)
        return row[4] if row is not None and row[:4] == _stamp(state) else None

    def remember_file(self, path: str, state: os.stat_result, sha: str, began_ns: int) -> None:
        """Remember the id of a file.

        Args:
            path: the file.
            state: what the system said of it *before* it was read.
            sha: the id.
            began_ns: when reading began. A file that was touched within a tick before is not remembered: it may change
                again without another time stamp.
        """
        row = (*_stamp(state), sha)
        if max(state.st_mtime_ns, state.st_ctime_ns) < began_ns - TICK_NS:
            if self.files.get(path) != row:
                self.files[path] = row
                self.news = True
        elif self.files.pop(path, None) is not None:
            self.news = True

    def keep_only(self, paths: Collection[str]) -> None:
        """Forget the files that are not there any more."""
        for path in [path for path in self.files if path not in paths]:
            del self.files[path]
            self.news = True

    def holds(self, objects: Iterable[str], pack: str, now: float) -> None:
        """Remember that a pack of the store holds objects."""
        self.objects.update(dict.fromkeys(objects, pack))
        self.packs[pack] = now
        self.news = True

    def trim(self) -> None:
        """Forget everything about the store when it has become too much: it is learned anew."""
        if len(self.objects) > _MOST_OBJECTS:
            self.objects, self.packs, self.commits = {}, {}, {}
        while len(self.commits) > _MOST_COMMITS:
            self.commits.pop(next(iter(self.commits)))


def _stamp(state: os.stat_result) -> tuple[int, int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def memory_of(state: Path, store: str, project: str, root: str) -> Path:
    """Return the folder in which this machine keeps what it knows of a project."""
    name = hashlib.sha256(f"{store}\0{project}\0{root}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return state / "snapshots" / name


def is_stale(seen: float, now: float | None = None) -> bool:
    """Whether a pack that was last seen then has to be looked for again."""
    age = (time.time() if now is None else now) - seen
    return not 0 <= age < FRESH

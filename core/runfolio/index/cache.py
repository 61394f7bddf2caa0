"""Checkpoints that were read before: in memory, and on disk where a folder is given.

A checkpoint never changes, but a store whose index was deleted and rebuilt uses its sequence numbers again. So a cached
one is found by key, size and modification time as the listing shows them, or by its write id, never by its key alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio import layout
from runfolio.errors import FormatError
from runfolio.index.checkpoint import Base, Checkpoint, load

if TYPE_CHECKING:
    from runfolio.backend import ObjectInfo

_KEPT: Final = 4
"""Newest checkpoint and base, of now and of a moment ago."""


class CheckpointCache:
    """Checkpoints by identity. Safe to use from several threads.

    Args:
        store: URL of the store, so that stores may share a folder.
        folder: where checkpoints are kept between processes; None keeps them in memory only. Trouble with the folder is
            ignored.
    """

    def __init__(self, store: str, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Checkpoint, str]] = {}
        self._folder = None if folder is None else folder / f"index-{hashlib.sha256(store.encode()).hexdigest()[:16]}"

    def by_listing(self, info: ObjectInfo) -> Checkpoint | None:
        """The checkpoint that a listing shows, if it was read before."""
        stamp = _stamp(info)
        if stamp is None:
            return None
        with self._lock:
            for checkpoint, held in self._held.values():
                if held == stamp:
                    return checkpoint
        return self._from_disk(f"{stamp}.*.parquet", info.key, stamp)

    def by_base(self, base: Base) -> Checkpoint | None:
        """The full checkpoint that a delta names, if it was read before."""
        with self._lock:
            found = self._held.get(base.wid)
        if found is not None:
            return found[0]
        return self._from_disk(f"{base.seq}-*.{_safe(base.wid)}.parquet", layout.checkpoint(base.seq), None)

    def keep(self, checkpoint: Checkpoint, info: ObjectInfo | None, data: bytes | None) -> None:
        """Remember a checkpoint that was read.

        Args:
            checkpoint: what was read.
            info: how the listing showed it; None for a base that was fetched by its name.
            data: its bytes, to be kept on disk; None when they came from there.
        """
        stamp = (_stamp(info) if info is not None else None) or f"{checkpoint.seq}-"
        with self._lock:
            # A base that is asked for by name keeps the stamp under which a listing showed it.
            known = self._held.pop(checkpoint.wid, None)
            self._held[checkpoint.wid] = (checkpoint, known[1] if known is not None and stamp.endswith("-") else stamp)
            while len(self._held) > _KEPT:
                del self._held[next(iter(self._held))]
            kept = set(self._held)
        if data is not None and self._folder is not None:
            self._to_disk(f"{stamp}.{_safe(checkpoint.wid)}.parquet", data, kept)

    def _from_disk(self, pattern: str, key: str, stamp: str | None) -> Checkpoint | None:
        if self._folder is None:
            return None
        for path in self._folder.glob(pattern):
            try:
                checkpoint = load(path.read_bytes(), key)
            except (OSError, FormatError):
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            with self._lock:
                self._held[checkpoint.wid] = (checkpoint, stamp or f"{checkpoint.seq}-")
            return checkpoint
        return None

    def _to_disk(self, name: str, data: bytes, kept: set[str]) -> None:
        assert self._folder is not None
        partial = self._folder / f".{name}.{os.getpid()}-{threading.get_ident()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(self._folder / name)
            names = {_safe(wid) for wid in kept}
            for path in self._folder.glob("*.parquet"):
                if path.name.split(".")[-2] not in names:
                    path.unlink(missing_ok=True)
        except OSError:
            # A cache that cannot be written is no trouble: the store has it all.
            with contextlib.suppress(OSError):
                partial.unlink()


def _stamp(info: ObjectInfo) -> str | None:
    """Sequence number, size and time of a listed checkpoint, or None where the store keeps no time."""
    if info.modified is None:
        return None
    return f"{layout.sequence_of(info.key)}-{info.size}-{int(info.modified.timestamp() * 1e6)}"


def _safe(wid: str) -> str:
    """A write id as part of a file name: ours are hex already, another's may be anything."""
    return wid if wid.isalnum() and len(wid) <= 64 else hashlib.sha256(wid.encode()).hexdigest()  # noqa: PLR2004 (file names)

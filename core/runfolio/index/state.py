"""The newest state of the index in a store, also when a checkpoint is gone or damaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

from runfolio import layout
from runfolio.backend import Backend, ObjectInfo
from runfolio.errors import IndexDamagedError, NotFoundError, TransientStorageError
from runfolio.index.checkpoint import Checkpoint, load
from runfolio.index.layers import overlay, with_ids
from runfolio.index.schema import CHECKPOINT

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.index.cache import CheckpointCache

ROUNDS: Final = 40
"""How often reading starts again because others were quicker, before it is called an error."""
_STALLED: Final = 2
"""How often an object that the newest checkpoint needs may be missing before it is gone for good."""
Listing: TypeAlias = Sequence[ObjectInfo]


@dataclass(frozen=True, eq=False)
class State:
    """A checkpoint with its base.

    Attributes:
        newest: the checkpoint; None for a store that has none yet.
        base: the full checkpoint that it builds on, when it is a delta.
        skipped: sequence number of a newer checkpoint that could not be read; 0 when there is none.
    """

    newest: Checkpoint | None = None
    base: Checkpoint | None = None
    skipped: int = 0

    @property
    def seq(self) -> int:
        """Sequence number of the checkpoint that was read; 0 for none."""
        return 0 if self.newest is None else self.newest.seq

    @property
    def held(self) -> frozenset[str]:
        """Short names of the log entries that it holds."""
        return frozenset() if self.newest is None else self.newest.held

    @cached_property
    def table(self) -> pa.Table:
        """All rows with their ids, newest first."""
        if self.newest is None:
            return with_ids(CHECKPOINT.empty_table())
        if self.base is None:
            return overlay([with_ids(self.newest.table)])
        return overlay([with_ids(self.base.table), with_ids(self.newest.table)])

    @property
    def deltas(self) -> pa.Table:
        """The rows that changed since the base, with their ids; all rows without one."""
        table = CHECKPOINT.empty_table() if self.newest is None else self.newest.table
        return with_ids(table)


class Reader:
    """Reads the newest state. Requests: 1 LIST, 1 get, 1 more while the base of a delta is not cached."""

    def __init__(self, backend: Backend, cache: CheckpointCache) -> None:
        self._backend = backend
        self._cache = cache
        self._last: State | None = None

    def list(self, limit: int | None = 2) -> Listing:
        """LIST ``index/``, the newest checkpoint first. Strangers' files are left out."""
        listing = list(self._backend.list(layout.INDEX, limit=limit))
        found = [info for info in listing if _is_checkpoint(info.key)]
        if limit is not None and len(found) < len(listing) == limit:
            return self.list(None)[:limit]  # strangers' files took the places of checkpoints
        return found

    def read(self, listing: Listing | None = None) -> tuple[State, Listing]:
        """Return the newest state that can be read, and the listing that showed it.

        Args:
            listing: a listing of ``index/`` made just now.

        Raises:
            IndexDamagedError: neither the newest checkpoint nor the one just before it can be read.
            FormatError: a newer Runfolio wrote the newest checkpoint.
            StorageError: the storage failed.
        """
        shown = self.list() if listing is None else listing
        stalled = 0
        for _ in range(ROUNDS):
            if not shown:
                return State(), shown
            try:
                return self._open_best(shown), shown
            except NotFoundError as error:
                # List 3: gone, so somebody removed it after a newer checkpoint came: list again.
                before, shown = shown, self.list()
                stalled = stalled + 1 if shown[:1] == before[:1] else 0
                if stalled == _STALLED:
                    raise IndexDamagedError(
                        f"{before[0].key} needs {error.key}, which is gone. `runfolio store repair` rebuilds the index",
                        key=before[0].key,
                    ) from error
        raise TransientStorageError(
            "The index changes faster than it can be read: try again", key=layout.INDEX, operation="get"
        )

    def _open_best(self, listing: Listing) -> State:
        try:
            return self._open(listing[0])
        except IndexDamagedError as damage:
            # The one just before with all entries it does not hold is complete: Fold 6 deletes only what a base that
            # was read holds. An older one would silently lack what was folded in between.
            newest = layout.sequence_of(listing[0].key)
            if len(listing) < 2 or layout.sequence_of(listing[1].key) != newest - 1:  # noqa: PLR2004 (newest and next)
                raise
            try:
                state = self._open(listing[1])
            except IndexDamagedError as error:
                raise error from damage
            return State(state.newest, state.base, skipped=newest)

    def _open(self, info: ObjectInfo) -> State:
        newest = self._load(info)
        if self._last is not None and self._last.newest is newest and not self._last.skipped:
            return self._last
        base = None
        if newest.base is not None:
            base = self._cache.by_base(newest.base)
            if base is None:
                key = layout.checkpoint(newest.base.seq)
                data = self._backend.get(key)
                base = load(data, key)
                if base.wid != newest.base.wid:
                    raise IndexDamagedError(
                        f"{info.key} builds on another {key} than the store holds. `runfolio store repair` rebuilds it",
                        key=info.key,
                    )
                self._cache.keep(base, None, data)
        self._last = State(newest, base)
        return self._last

    def _load(self, info: ObjectInfo) -> Checkpoint:
        cached = self._cache.by_listing(info)
        if cached is not None:
            return cached
        data = self._backend.get(info.key)
        checkpoint = load(data, info.key)
        if checkpoint.seq != layout.sequence_of(info.key):
            raise IndexDamagedError(
                f"{info.key} holds checkpoint {checkpoint.seq}. `runfolio store repair` rebuilds the index",
                key=info.key,
            )
        self._cache.keep(checkpoint, info, data)
        return checkpoint


def _is_checkpoint(key: str) -> bool:
    stem = key.removeprefix(layout.INDEX).removesuffix(".parquet")
    return key.endswith(".parquet") and len(stem) == 10 and stem.isascii() and stem.isdigit()  # noqa: PLR2004 (reversed number)

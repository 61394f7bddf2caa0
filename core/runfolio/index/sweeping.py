"""gc: what nobody needs any more is removed. Nothing here is ever needed for correctness; run it now and then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio import layout
from runfolio.errors import FormatError
from runfolio.index.beating import Beats
from runfolio.index.folding import BEAT_KEPT, FoldReport, fold
from runfolio.index.layers import ID
from runfolio.index.packs import PackReport, collect_packs
from runfolio.index.scanning import covered_segments, folders
from runfolio.store.asset_records import pinned_files
from runfolio.store.promoting import Promoter

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.index.scanning import Folder
    from runfolio.index.view import Index, View

_TOGETHER: Final = 1000


@dataclass(slots=True)
class SweepReport:
    """What a sweep found; after a dry run it is all still there.

    Attributes:
        dry_run: nothing was deleted.
        leftovers: keys in the folders of deleted runs, except their start and edits, which stay for ever.
        pinned: keys in the folders of deleted runs that stay because an asset names them.
        broken: name and version of assets whose files are gone: their promotion was killed while the run was being
            deleted. They are taken back.
        covered: live segments whose rows lie in longer ones.
        beats: heartbeats of writers that ended, of deleted runs, and those older than 7 days.
        temporaries: files that killed processes left where the store lies.
        packs: source snapshots.
        fold: what folding the log did; None for a dry run.
    """

    dry_run: bool
    leftovers: list[str] = field(default_factory=list)
    pinned: list[str] = field(default_factory=list)
    broken: list[tuple[str, int]] = field(default_factory=list)
    covered: list[str] = field(default_factory=list)
    beats: list[str] = field(default_factory=list)
    temporaries: int = 0
    packs: PackReport = field(default_factory=PackReport)
    fold: FoldReport | None = None


def sweep(index: Index, *, dry_run: bool = False, temporaries: Callable[[], int] | None = None) -> SweepReport:
    """Remove what deleted runs, late writers and killed processes left.

    Args:
        index: the index of the store.
        dry_run: only say what would go.
        temporaries: removes left-over temporary files where the backend has such a thing, and says how many.

    Raises:
        IndexDamagedError: the index cannot be read; repair it first.
        FormatError: an asset cannot be read, so it is not known which files it needs.
        PermissionDeniedError: these credentials may not delete.
        StorageError: the storage failed; another sweep goes on.
    """
    report = SweepReport(dry_run=dry_run)
    view = index.refresh(live=False)
    deleted = deleted_runs(view)
    report.packs = collect_packs(index, lambda: deleted_runs(index.refresh(live=False)), dry_run=dry_run)
    _look_into_folders(index, deleted, report)
    report.beats = _dead_beats(index, view, deleted)
    if dry_run:
        return report
    garbage = [*report.leftovers, *report.covered, *report.beats]
    for place in range(0, len(garbage), _TOGETHER):
        index.backend.delete(garbage[place : place + _TOGETHER])
    promoter = Promoter(index.backend, index.environment)
    for name, version in report.broken:
        promoter.retract(name, version, "its files are gone")
    if temporaries is not None:
        report.temporaries = temporaries()
    report.fold = fold(index, threshold=1)
    return report


def deleted_runs(view: View) -> set[str]:
    """The ids of the runs with a tombstone."""
    table: pa.Table = view.everything
    ids: list[str] = table.column(ID).filter(pc.fill_null(table.column("deleted"), fill_value=False)).to_pylist()
    return set(ids)


def _look_into_folders(index: Index, deleted: set[str], report: SweepReport) -> None:
    pinned: dict[str, list[tuple[str, int]]] | None = None
    for folder in folders(index.backend):
        if folder.run_id not in deleted:
            report.covered.extend(covered_segments(folder))
            continue
        if pinned is None:  # the tombstones came first: a promotion from now on sees them
            pinned = pinned_files(index.backend, index.environment)
        leftovers = _leftovers(folder)
        report.leftovers.extend(key for key in leftovers if key not in pinned)
        report.pinned.extend(key for key in leftovers if key in pinned)
        gone = {key for key in pinned if layout.is_artifact(folder.run_id, key)} - {*folder.keys}
        broken = {asset for key in gone for asset in pinned[key]}
        report.broken.extend(sorted(broken - {*report.broken}))


def _leftovers(folder: Folder) -> list[str]:
    """What a delete removes: all but the start and the edits, which keep the id and the tombstone."""
    kept = (layout.start(folder.run_id), layout.edits(folder.run_id))
    return [key for key in folder.keys if not key.startswith(kept)]


def _dead_beats(index: Index, view: View, deleted: set[str]) -> list[str]:
    listing = list(index.backend.list(layout.BEATS))
    index.clock.observe(listing)
    ages = {info.key: index.clock.age(info.modified) for info in listing}
    old = {key for key, age in ages.items() if age is not None and age > BEAT_KEPT}
    by_run = Beats(listing).by_run
    rows = view.rows(by_run)
    dead = set(old)
    for run_id, writers in by_run.items():
        ended = rows.get(run_id, {}).get("ends", {})
        dead.update(info.key for writer, info in writers.items() if writer in ended or run_id in deleted)
    return [info.key for info in listing if info.key in dead]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What there is to say of an index.

    Attributes:
        seq: sequence number of the newest checkpoint; 0 for none.
        base: sequence number of the full checkpoint it builds on; None when it is full itself.
        runs: runs that are shown.
        deleted: tombstones.
        running: runs without end that are not lost.
        lost: runs without end whose writer is gone.
        unfolded: log entries that are not in the checkpoint yet.
        unreadable: keys of log entries that could not be understood.
        checkpoints: how many there are.
        bytes: their size together.
        skipped: a damaged checkpoint that could be done without; 0 when there is none.
        damaged: why the index cannot be read; None when it can.
    """

    seq: int = 0
    base: int | None = None
    runs: int = 0
    deleted: int = 0
    running: int = 0
    lost: int = 0
    unfolded: int = 0
    unreadable: tuple[str, ...] = ()
    checkpoints: int = 0
    bytes: int = 0
    skipped: int = 0
    damaged: str | None = None


def info(index: Index) -> IndexInfo:
    """Describe the index, also a damaged one.

    Raises:
        StorageError: the storage failed.
    """
    listing = index.reader.list(None)
    size = sum(one.size for one in listing)
    try:
        view = index.refresh(live=False)
    except FormatError as error:
        seq = layout.sequence_of(listing[0].key) if listing else 0
        return IndexInfo(seq=seq, checkpoints=len(listing), bytes=size, damaged=str(error))
    signs = list(view.liveness.values())
    return IndexInfo(
        seq=view.seq,
        base=view.base_seq,
        runs=len(view),
        deleted=len(deleted_runs(view)),
        running=sum(sign != "lost" for sign in signs),
        lost=sum(sign == "lost" for sign in signs),
        unfolded=view.unfolded,
        unreadable=tuple(view.unreadable),
        checkpoints=len(listing),
        bytes=size,
        skipped=view.skipped,
    )

"""gc of ``objects/``: source snapshots that no run needs any more (``docs/design/002-store-protocol.md``, gc).

Publish first, then upload; condemn first, then look again, then delete. So whoever needs a pack either published that
before it was condemned, and is seen when the runs are read again, or finds it condemned and does not rely on it. Clocks
play no part, except that condemned lists stay much longer than a collection may take.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError
from runfolio.index.scanning import folders
from runfolio.store.created import create_document
from runfolio.store.documents import FORMAT, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from runfolio.backend import ObjectInfo
    from runfolio.index.scanning import Folder
    from runfolio.index.view import Index

LIST_KEPT: Final = timedelta(days=30)
"""How long a condemned list is followed."""
LONGEST: Final = 86_400.0
"""Seconds after which a collection stops deleting: it was suspended, and the world has moved on."""
_TOGETHER: Final = 500


@dataclass(slots=True)
class PackReport:
    """What a collection of packs did.

    Attributes:
        packs: how many objects there were under ``objects/``.
        unreachable: keys that no run needs.
        spared: those of them that a run needed after all when the runs were read again.
        deleted: how many were deleted.
        expired: condemned lists that were old enough to go.
        unreadable: source and start records that could not be read. While there is one, nothing is deleted.
        stopped: whether it took so long that it stopped.
    """

    packs: int = 0
    unreachable: list[str] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)
    deleted: int = 0
    expired: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    stopped: bool = False


def _family(key: str) -> str:
    return layout.family_of(layout.stem_of(key))


def collect_packs(
    index: Index,
    deleted: Callable[[], Collection[str]],
    *,
    dry_run: bool = False,
    known: Iterable[Folder] | None = None,
) -> PackReport:
    """Delete what no run needs under ``objects/``.

    Args:
        index: the index of the store; its backend and clocks are used.
        deleted: reads which runs are deleted, now.
        dry_run: only say what is unreachable (gc 1 and 2).
        known: the run folders, listed after ``objects/`` would be; None lists them.

    Raises:
        StorageError: the storage failed.
    """
    report = PackReport()
    # gc 1: LIST objects/.
    objects = [info.key for info in index.backend.list(layout.OBJECTS)]
    report.packs = len(objects)
    if objects:
        # gc 2: what the runs need.
        needed = _needed(index, known, deleted(), report)
        report.unreachable = [key for key in objects if _family(key) not in needed]
        if report.unreachable and not report.unreadable and not dry_run:
            _condemn_and_delete(index, deleted, report)
    _expire_lists(index, report, dry_run=dry_run)
    return report


def _condemn_and_delete(index: Index, deleted: Callable[[], Collection[str]], report: PackReport) -> None:
    environment = index.environment
    # gc 3: say which keys nobody may rely on from now on.
    token = environment.token()
    document = {"format": FORMAT, "wid": token, "condemned": report.unreachable, "created": environment.timestamp()}
    create_document(index.backend, f"{layout.GC}{token}{layout.SUFFIX}", document, environment)
    condemned_at = environment.monotonic()
    # gc 4: read the runs again, now; whoever published before 3 is seen here.
    needed = _needed(index, None, deleted(), report)
    if report.unreadable:
        report.spared = report.unreachable
        return
    report.spared = [key for key in report.unreachable if _family(key) in needed]
    doomed = [key for key in report.unreachable if _family(key) not in needed]
    # gc 5: delete the rest, unless so much time has passed that the list may no longer be followed.
    for place in range(0, len(doomed), _TOGETHER):
        if environment.monotonic() - condemned_at > LONGEST:
            report.stopped = True
            return
        together = doomed[place : place + _TOGETHER]
        index.backend.delete(together)
        report.deleted += len(together)


def _needed(index: Index, known: Iterable[Folder] | None, deleted: Collection[str], report: PackReport) -> set[str]:
    """Families of the packs that runs need which are not deleted: a run's source record names them, else its start."""
    listed = folders(index.backend) if known is None else known
    keys = [
        layout.source(folder.run_id) if folder.listing.source else layout.start(folder.run_id)
        for folder in listed
        if (folder.listing.source or folder.listing.started) and folder.run_id not in deleted
    ]
    found = index.environment.gather([_getter(index, key) for key in keys])
    needed: set[str] = set()
    for key, data in zip(keys, found, strict=True):
        if data is None:
            continue  # deleted meanwhile
        packs = _packs(key, data)
        if packs is None:
            report.unreadable.append(key)
        else:
            needed.update(_family(pack) for pack in packs)
    return needed


def _getter(index: Index, key: str) -> Callable[[], bytes | None]:
    def get() -> bytes | None:
        try:
            return index.backend.get(key)
        except NotFoundError:
            return None

    return get


def _packs(key: str, data: bytes) -> list[str] | None:
    """The packs that a source or start record names, or None when that cannot be told."""
    try:
        document = decode(data, key)
    except FormatError:
        return None
    packs = document.get("packs", [] if document.get("kind") == "start" else None)
    if not isinstance(packs, list) or not all(isinstance(pack, str) for pack in packs):
        return None
    return packs


def _expire_lists(index: Index, report: PackReport, *, dry_run: bool) -> None:
    # gc 6: condemned lists stay 30 days.
    lists: list[ObjectInfo] = list(index.backend.list(layout.GC))
    index.clock.observe(lists)
    report.expired = [
        info.key for info in lists if (age := index.clock.age(info.modified)) is not None and age > LIST_KEPT
    ]
    if report.expired and not dry_run:
        index.backend.delete(report.expired)

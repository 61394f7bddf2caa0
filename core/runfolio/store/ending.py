"""End: the rows of a writer in one file, its end record, and the end of its live segments."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import PermissionDeniedError, RunStateError, StorageError
from runfolio.layout import Segment
from runfolio.store.artifacts import push_files
from runfolio.store.documents import FORMAT, segment_wid
from runfolio.store.flushing import change_key, store_rows
from runfolio.store.manifests import AVAILABLE
from runfolio.target import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runfolio.store.artifacts import FileProgress
    from runfolio.store.desk import Desk
    from runfolio.store.spooled import SpooledRunLike

logger = logging.getLogger(__name__)
_LISTED: Final = 64
"""So many paths are named in an end record; the manifest has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a writer came to its end.

    Attributes:
        status: ``Completed``, ``Failed`` or ``Canceled``, or ``Queued``: left to a job elsewhere.
        reason: why, in a few words: ``killed``, ``exception``, ``signal 15``.
        traceback: the script's own traceback.
        exit_code: of the process.
        ended: when, as documents spell it; now by default. A queued run has no end.
        left_behind: files created where nobody looks for them.
    """

    status: str
    reason: str | None = None
    traceback: str | None = None
    exit_code: int | None = None
    ended: str | None = None
    left_behind: Sequence[str] = field(default=())


def intend_end(desk: Desk, spooled: SpooledRunLike, ending: Ending) -> None:
    """Journal the end record (End 0). No request.

    From now on the journal must not get rows. Only the first call counts.
    """
    if desk.ledger.state.end is not None:
        return
    state, environment = desk.ledger.state, desk.environment
    document = {
        "kind": "end",
        "run": spooled.run_id,
        "project": spooled.project,
        "main": state.main,
        "attempt": state.attempt,
        "status": ending.status,
        "reason": ending.reason,
        "traceback": ending.traceback,
        "exit_code": ending.exit_code,
        "ended": None if ending.status == JobStatus.QUEUED else ending.ended or environment.timestamp(),
        "cut": spooled.cut(),
        "metrics": spooled.summaries(),
        "params": desk.ledger.facts("params"),
        "summary": desk.ledger.facts("summary"),
        "definitions": desk.ledger.facts("definitions"),
        "properties": desk.ledger.facts("properties"),
        "left_behind": list(ending.left_behind)[:_LISTED],
    }
    desk.ledger.note("end", {"document": document, "entry": environment.microseconds()})


def end(
    desk: Desk,
    spooled: SpooledRunLike,
    *,
    largest_file: int | None = None,
    progress: FileProgress | None = None,
    end_stored: bool = False,
) -> dict[str, Any]:
    """Do the rest of an intended end and return the stored record (4 requests without files). Harmless to repeat.

    Args:
        desk: where to work.
        spooled: the journal.
        largest_file: files of more bytes are not stored, and reported.
        progress: told about the bytes of files sent.
        end_stored: a listing showed our end record, so all rows are there.

    Raises:
        RunStateError: no end was journaled.
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed before the end was acknowledged. A replay finishes it.
    """
    intent = desk.ledger.state.end
    if intent is None:
        raise RunStateError("No end was journaled: call intend_end first")
    # Also when the end is there already: a file that could not be stored then is tried again.
    failed = push_files(desk, spooled.run_id, largest=largest_file, progress=progress)
    while True:
        if not end_stored and not _store_metrics(desk, spooled, intent.document["cut"]):  # 1
            change_key(desk)
            continue
        document = _document(desk, intent.document, failed)
        creation = desk.create(layout.end(spooled.run_id, document["writer"]), document)  # 2
        if creation.ours:
            break
        change_key(desk)
        end_stored = False
    stored = creation.document
    desk.announce(intent.entry, stored["writer"], stored)  # 3: acknowledged
    desk.ledger.note("ended", {})
    return stored


def clear(desk: Desk, run_id: str) -> None:
    """Delete own live segments and the heartbeat (End 4, 1 request). What remains is covered, and swept by repair."""
    if not desk.ledger.state.ended:
        raise RunStateError("The live segments are still needed: the end was not acknowledged")
    keys = [layout.segment(layout.live(run_id), one) for one in desk.ledger.segments]
    keys.append(layout.beat(run_id, desk.ledger.state.writer))
    try:
        desk.backend.delete(keys)
    except PermissionDeniedError:
        pass  # a writer that may not delete
    except StorageError as error:
        logger.info("Covered segments of %s were not deleted: %s", run_id, error)


def _store_metrics(desk: Desk, spooled: SpooledRunLike, cut: int) -> bool:
    first = desk.ledger.state.base
    if cut <= first:
        return True
    part = Segment(desk.ledger.state.writer, first, cut)
    return store_rows(desk, spooled, layout.segment(layout.metrics(spooled.run_id), part), part)


def _document(desk: Desk, intended: Mapping[str, Any], failed: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    state = desk.ledger.state
    manifest = desk.ledger.manifest
    stored = [row for row in manifest if row["status"] in AVAILABLE]
    # Some were given up long before the end, when files were stored on request.
    missing = {row["path"]: row["reason"] for row in manifest if row["status"] not in AVAILABLE}
    missing.update((one["path"], one["reason"]) for one in failed)
    cut = intended["cut"]
    changed = {"main": False} if state.base else {}  # a clone of this process writes under the main key
    return {
        **{name: value for name, value in intended.items() if name != "cut"},
        **changed,
        "format": FORMAT,
        "wid": segment_wid(desk.ledger.uid, state.writer, state.base, cut),
        "writer": state.writer,
        "rows": cut - state.base,
        "files": len(stored),
        "bytes": sum(row["size"] for row in stored),
        "attachments": [row["path"] for row in stored][:_LISTED],
        "failed_uploads": [{"path": path, "reason": reason} for path, reason in sorted(missing.items())],
        **_snapshot(desk),
    }


def _snapshot(desk: Desk) -> dict[str, Any]:
    """Whether the source of the run is complete in the store (Start 8); nothing for a run without."""
    state = desk.ledger.state
    if state.snapshot is None:
        return {}
    outcome = state.source_outcome or {"complete": False, "reason": "the run ended before it was stored"}
    return {"snapshot": {**outcome, "commit": state.snapshot["commit"]}}

"""A run as this process knows it, for as long as the store does not: its record, and what the store still lacks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from runfolio.records import Record

if TYPE_CHECKING:
    from runfolio.recording.recorder import Recorder


class Unsent(NamedTuple):
    """What of a writer is not in the store yet. False when nothing is missing.

    Attributes:
        start: the run itself is missing, so it has no number yet.
        rows: how many rows (values, list elements one by one).
        files: paths of files.
        edits: how many edits.
        end: the run has ended here, and the store does not know.
    """

    start: bool
    rows: int
    files: tuple[str, ...]
    edits: int
    end: bool

    def __bool__(self) -> bool:
        return any(self)


def unsent_of(recorder: Recorder) -> Unsent:
    """Return what the store does not have of what this process wrote. No request."""
    ledger = recorder.pusher.ledger
    state = ledger.state
    stored = state.ended or recorder.stored
    return Unsent(
        start=(state.start is not None and not state.started) or (state.resumed is not None and not state.attempted),
        rows=0 if stored else max(0, recorder.spooled.cut() - ledger.rows_stored),
        files=tuple(one.staged["path"] for one in ledger.pending_files),
        edits=len(ledger.pending_edits),
        end=state.end is not None and not state.ended,
    )


def local_record(recorder: Recorder) -> Record:
    """Return what is known here of a run that cannot be read from the store."""
    start = recorder.start
    state = recorder.pusher.ledger.state
    created = datetime.fromisoformat(start["created"]) if "created" in start else None
    end = state.end.document if state.end is not None else None
    ended = datetime.fromisoformat(end["ended"]) if end is not None and end["ended"] else None
    return Record(
        run_id=recorder.run_id,
        run_number=state.number if state.started else None,
        project=start.get("project", ""),
        experiment=start.get("experiment"),
        script_name=start.get("script"),
        name=start.get("name"),
        note=start.get("note"),
        description=None,
        status=end["status"] if end is not None else "Running",
        target=start.get("target"),
        user_id=start.get("user_id"),
        host=start.get("host"),
        parent_run_id=start.get("parent"),
        created_utc=created,
        start_time_utc=created,
        end_time_utc=ended,
        duration_seconds=(ended - created).total_seconds() if ended and created else None,
        hidden=False,
        files=None,
        bytes=None,
        rows=None,
        commit_id=start.get("snapshot"),
        tags=tuple(start.get("tags", ())),
        arguments=tuple(start.get("argv", ())),
        properties=start.get("properties", {}),
        params={**start.get("params", {}), **state.facts["params"]},
        summary=dict(state.facts["summary"]),
        definitions=dict(state.facts["definitions"]),
    )

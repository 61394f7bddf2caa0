"""What one process has promised to the store and what of it is done, as its journal's events tell.

An intent is noted *before* the first request about it, with everything that decides the bytes and the key of the
object: a replay after a kill sends the very same. Unknown kinds of events are left alone: the journal carries others'
too.

====================  ==================================================================================================
event                 body
====================  ==================================================================================================
``writer``            uid, main, attempt: who writes, where no ``start`` of this journal says so
``start``             document (number null), entry (µs in the name of the log entry)
``number``            number: about to be claimed
``started``           number: the start is acknowledged
``attempt``           document (attempt 0), entry
``attempt-number``    attempt: about to be created
``attempted``         attempt: acknowledged
``segment``           first, after: a boundary of rows about to be sent
``segment-stored``    first, after
``rekey``             writer, first: from this row on the rows are written under another writer key
``file``              path, source, …: a file about to be stored
``file-key``          path, key: about to be uploaded there
``file-stored``       path, key, size, sha256, status, reason, …: the manifest's row
``manifest``          the manifest that is stored names every file above
``snapshot``          folder, commit, unchanged: the source of the run, taken and about to be stored
``source``            document, pack, stem, homes: what is about to be published and sent of it
``source-stored``     complete, reason: it is stored, or cannot be
``params`` …          facts (`FACTS`) by name, merged in order
``edit``              token, run, project, kind, field, value, who, created
``edit-stamp``        token, stamp, entry
``edited``            token: acknowledged
``end``               document (without what is learned from uploads), entry
``ended``             the end is acknowledged
====================  ==================================================================================================
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from runfolio.layout import Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.store.spooled import Notes

FactKind = Literal["params", "summary", "definitions", "properties"]
FACTS: Final[tuple[FactKind, ...]] = ("params", "summary", "definitions", "properties")


@dataclass(slots=True)
class Intent:
    """A document that is to be created and announced.

    Attributes:
        document: its fields.
        entry: microseconds in the name of its log entry.
    """

    document: dict[str, Any]
    entry: int


@dataclass(slots=True)
class FileState:
    """A file on its way.

    Attributes:
        staged: the body of its ``file`` event.
        stored: its row of the manifest, once it is stored or given up.
        earlier: the row of what was stored under this path before it was staged again.
    """

    staged: dict[str, Any]
    stored: dict[str, Any] | None = None
    earlier: dict[str, Any] | None = None


@dataclass(slots=True)
class EditState:
    """An edit or delete on its way.

    Attributes:
        body: the body of its ``edit`` event.
        stamp: its stamp, once chosen.
        entry: microseconds in the name of its log entry.
    """

    body: dict[str, Any]
    stamp: int | None = None
    entry: int = 0


@dataclass(slots=True)
class _State:
    writer: str = ""
    base: int = 0
    uid: str | None = None
    main: bool = False
    attempt: int = 1
    start: Intent | None = None
    number: int | None = None
    started: bool = False
    resumed: Intent | None = None
    attempt_number: int | None = None
    attempted: bool = False
    segments: list[Segment] = field(default_factory=list)
    stored: set[Segment] = field(default_factory=set)
    swept: set[Segment] = field(default_factory=set)
    files: dict[str, FileState] = field(default_factory=dict)
    file_keys: set[str] = field(default_factory=set)
    manifest_due: bool = False
    snapshot: dict[str, Any] | None = None
    source: dict[str, Any] | None = None
    source_outcome: dict[str, Any] | None = None
    facts: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in FACTS})
    edits: dict[str, EditState] = field(default_factory=dict)
    end: Intent | None = None
    ended: bool = False


class Ledger:
    """The promises and deeds of one journal. Safe to use from several threads.

    Args:
        notes: the journal.
        writer: the writer key that the journal was made with; empty for a journal of edits only.
    """

    def __init__(self, notes: Notes, writer: str = "") -> None:
        self._notes = notes
        self._lock = threading.RLock()
        self.state: Final = _State(writer=writer)
        for kind, body in notes.events():
            self._apply(kind, body)

    def note(self, kind: str, body: Mapping[str, Any]) -> None:
        """Append an event to the journal, durably, and take it into account."""
        with self._lock:
            self._notes.note(kind, body)
            self._apply(kind, dict(body))

    def facts(self, kind: FactKind) -> dict[str, Any]:
        """Return the facts of one kind as they stand now."""
        with self._lock:
            return dict(self.state.facts[kind])

    @property
    def uid(self) -> str:
        """What write ids of this writer begin with: the run's uid, or the writer key where it was never learned."""
        return self.state.uid or self.state.writer

    @property
    def segments(self) -> list[Segment]:
        """The boundaries that were ever journaled under the present writer key, in order."""
        with self._lock:
            return [one for one in self.state.segments if one.writer == self.state.writer]

    @property
    def unstored(self) -> list[Segment]:
        """Those of `segments` whose creation was not acknowledged."""
        with self._lock:
            return [one for one in self.segments if one not in self.state.stored]

    @property
    def rows_cut(self) -> int:
        """Rows below this position lie in a journaled boundary."""
        return max((one.after for one in self.segments), default=self.state.base)

    @property
    def rows_stored(self) -> int:
        """Rows below this position are acknowledged as stored."""
        with self._lock:
            return max((one.after for one in self.segments if one in self.state.stored), default=self.state.base)

    @property
    def pending_files(self) -> list[FileState]:
        """Files that are neither stored nor given up."""
        with self._lock:
            return [one for one in self.state.files.values() if one.stored is None]

    @property
    def manifest(self) -> list[dict[str, Any]]:
        """The rows of the manifest: what is stored or given up, by path.

        For a file on its way that is what was stored before it.
        """
        with self._lock:
            rows = [one.stored or one.earlier for _, one in sorted(self.state.files.items())]
            return [row for row in rows if row is not None]

    @property
    def pending_edits(self) -> list[str]:
        """Tokens of the edits that were not acknowledged, in order."""
        with self._lock:
            return list(self.state.edits)

    @property
    def pending_deletes(self) -> list[str]:
        """Those of `pending_edits` that delete a run."""
        with self._lock:
            return [token for token, pending in self.state.edits.items() if pending.body["kind"] == "delete"]

    def _apply(self, kind: str, body: dict[str, Any]) -> None:
        if kind in FACTS:
            self.state.facts[kind].update(body)
            return
        apply = _APPLIED.get(kind)
        if apply is not None:
            apply(self.state, body)


def _on_writer(state: _State, body: dict[str, Any]) -> None:
    state.uid = body.get("uid") or state.uid
    state.main = bool(body.get("main", False))
    state.attempt = body.get("attempt", 1)


def _on_start(state: _State, body: dict[str, Any]) -> None:
    state.start = Intent(body["document"], body["entry"])
    state.uid, state.main, state.attempt = body["document"]["uid"], True, 1


def _on_number(state: _State, body: dict[str, Any]) -> None:
    state.number = body["number"]


def _on_started(state: _State, body: dict[str, Any]) -> None:
    state.number, state.started = body["number"], True


def _on_attempt(state: _State, body: dict[str, Any]) -> None:
    state.resumed, state.main = Intent(body["document"], body["entry"]), True


def _on_attempt_number(state: _State, body: dict[str, Any]) -> None:
    state.attempt_number = body["attempt"]


def _on_attempted(state: _State, body: dict[str, Any]) -> None:
    state.attempt_number = state.attempt = body["attempt"]
    state.attempted = True


def _on_segment(state: _State, body: dict[str, Any]) -> None:
    part = Segment(state.writer, body["first"], body["after"])
    if part not in state.segments:
        state.segments.append(part)


def _on_segment_stored(state: _State, body: dict[str, Any]) -> None:
    state.stored.add(Segment(state.writer, body["first"], body["after"]))


def _on_rekey(state: _State, body: dict[str, Any]) -> None:
    state.writer, state.base, state.main = body["writer"], body["first"], False


def _on_file(state: _State, body: dict[str, Any]) -> None:
    before = state.files.get(body["path"])
    earlier = None if before is None else before.stored or before.earlier
    state.files[body["path"]] = FileState(body, None, earlier)
    state.manifest_due = True


def _on_file_key(state: _State, body: dict[str, Any]) -> None:
    state.file_keys.add(body["key"])


def _on_file_stored(state: _State, body: dict[str, Any]) -> None:
    state.files.setdefault(body["path"], FileState({"path": body["path"]})).stored = body
    state.manifest_due = True


def _on_manifest(state: _State, body: dict[str, Any]) -> None:
    del body
    state.manifest_due = False


def _on_snapshot(state: _State, body: dict[str, Any]) -> None:
    state.snapshot = body


def _on_source(state: _State, body: dict[str, Any]) -> None:
    if state.source is None:  # the first one counts: it may be in the store already
        state.source = body


def _on_source_stored(state: _State, body: dict[str, Any]) -> None:
    state.source_outcome = body


def _on_edit(state: _State, body: dict[str, Any]) -> None:
    state.edits[body["token"]] = EditState(body)


def _on_edit_stamp(state: _State, body: dict[str, Any]) -> None:
    pending = state.edits.get(body["token"])
    if pending is not None and pending.stamp is None:  # the first choice counts: it may be in the store already
        pending.stamp, pending.entry = body["stamp"], body["entry"]


def _on_edited(state: _State, body: dict[str, Any]) -> None:
    state.edits.pop(body["token"], None)


def _on_end(state: _State, body: dict[str, Any]) -> None:
    if state.end is None:  # the first one counts: it may be in the store already
        state.end = Intent(body["document"], body["entry"])


def _on_ended(state: _State, body: dict[str, Any]) -> None:
    del body
    state.ended = True


_APPLIED: Final = {
    "writer": _on_writer,
    "start": _on_start,
    "number": _on_number,
    "started": _on_started,
    "attempt": _on_attempt,
    "attempt-number": _on_attempt_number,
    "attempted": _on_attempted,
    "segment": _on_segment,
    "segment-stored": _on_segment_stored,
    "rekey": _on_rekey,
    "file": _on_file,
    "file-key": _on_file_key,
    "file-stored": _on_file_stored,
    "manifest": _on_manifest,
    "snapshot": _on_snapshot,
    "source": _on_source,
    "source-stored": _on_source_stored,
    "edit": _on_edit,
    "edit-stamp": _on_edit_stamp,
    "edited": _on_edited,
    "end": _on_end,
    "ended": _on_ended,
}

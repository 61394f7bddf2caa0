"""Open one run: everything its folder and its heartbeats say, except rows and files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError, RunNotFoundError, TransientStorageError
from runfolio.store.beating import spread
from runfolio.store.documents import decode, require
from runfolio.store.environment import Environment
from runfolio.store.folder_listing import FolderListing, sort_out
from runfolio.store.manifests import decode_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runfolio.backend import Backend

_ROUNDS: Final = 10


@dataclass(slots=True)
class Beat:
    """A heartbeat.

    Attributes:
        document: what the writer said.
        modified: when the store got it, by the store's clock; None where it keeps no time.
    """

    document: dict[str, Any]
    modified: datetime | None


@dataclass(slots=True)
class RunFolder:
    """A run as its folder has it.

    Attributes:
        run_id: the run.
        start: ``start.json``, or None for a run of which only later objects arrived.
        attempts: number -> document.
        ends: writer -> document.
        edits: documents of edits and deletes, by (stamp, token).
        manifests: writer -> rows of its manifest.
        beats: writer -> heartbeat, of writers that have not ended.
        listing: what lies in the folder.
        damaged: keys of documents that could not be read, with the reason.
    """

    run_id: str
    start: dict[str, Any] | None = None
    attempts: dict[int, dict[str, Any]] = field(default_factory=dict)
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)
    edits: list[dict[str, Any]] = field(default_factory=list)
    manifests: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    beats: dict[str, Beat] = field(default_factory=dict)
    listing: FolderListing = field(default_factory=FolderListing)
    damaged: dict[str, str] = field(default_factory=dict)

    @property
    def deleted(self) -> bool:
        """Whether somebody deleted the run. That is final."""
        return any(one.get("kind") == "delete" for one in self.edits)

    @property
    def main(self) -> str | None:
        """Key of the main writer: that of the highest attempt."""
        if self.attempts:
            return str(self.attempts[max(self.attempts)]["main"])
        return None if self.start is None else str(self.start["main"])

    @property
    def rows(self) -> dict[str, int]:
        """The rows of each ended writer, for `runfolio.store.segments.read_rows`."""
        return {writer: int(end["rows"]) for writer, end in self.ends.items()}


def open_run(
    backend: Backend,
    run_id: str,
    *,
    beats: bool = True,
    manifests: bool = True,
    environment: Environment | None = None,
) -> RunFolder:
    """Read what the folder of a run says (5 requests with one writer, one more for each writer, attempt and edit).

    Documents that cannot be read are named in `damaged` and left out; a start that cannot be read is an error.

    Args:
        backend: where the store lies.
        run_id: the run.
        beats: look for heartbeats of its writers.
        manifests: read the lists of files.
        environment: parallelism.

    Raises:
        RunNotFoundError: there is no such run.
        FormatError: its start is damaged, or of a newer format.
        StorageError: the storage failed, or objects kept vanishing.
    """
    environment = environment or Environment()
    for _ in range(_ROUNDS):
        found = RunFolder(run_id)
        # Heartbeats first: a writer deletes its own after its end is stored, so one that is gone has its end in the
        # folder.
        modified = _list_beats(backend, run_id) if beats else {}
        found.listing = sort_out(run_id, backend.list(layout.run_folder(run_id)))
        if not _has_documents(found.listing):
            raise RunNotFoundError(f"There is no run {run_id} in {backend.url}", key=run_id)
        try:
            _read(backend, found, modified, environment, manifests=manifests)
        except NotFoundError:
            continue  # deleted meanwhile: start again
        return found
    raise TransientStorageError(
        f"The folder of the run {run_id} kept changing while it was read", key=run_id, operation="get"
    )


def _has_documents(listing: FolderListing) -> bool:
    return bool(listing.started or listing.ends or listing.attempts or listing.edits or listing.live or listing.metrics)


def _list_beats(backend: Backend, run_id: str) -> dict[str, tuple[str, datetime | None]]:
    stem = f"{layout.run_folder(run_id).rsplit('/', 2)[1]}."
    found: dict[str, tuple[str, datetime | None]] = {}
    for info in backend.list(layout.BEATS, start_after=f"{layout.BEATS}{stem}"):
        if not info.key.startswith(f"{layout.BEATS}{stem}"):
            break
        named = layout.beat_of(info.key)
        if named is not None and named[0] == run_id:
            found[named[1]] = (info.key, info.modified)
    return found


def _read(
    backend: Backend,
    found: RunFolder,
    modified: dict[str, tuple[str, datetime | None]],
    environment: Environment,
    *,
    manifests: bool,
) -> None:
    listing = found.listing
    calls: list[Callable[[], None]] = []

    def document(key: str, keep: Callable[[dict[str, Any]], None], **fields: type) -> None:
        calls.append(_document_reader(backend, found, key, keep, fields))

    if listing.started:
        document(layout.start(found.run_id), lambda read: setattr(found, "start", read), uid=str, main=str)
    for number, key in listing.attempts.items():
        document(key, _putter(found.attempts, number), main=str)
    for writer, key in listing.ends.items():
        document(key, _putter(found.ends, writer), rows=int, status=str)
    for key in listing.edits:
        document(key, found.edits.append, kind=str, stamp=int, token=str)
    for writer, (key, when) in modified.items():
        if writer not in listing.ends:
            calls.append(_beat_reader(backend, found, writer, key, when))
    if manifests:
        calls.extend(_manifest_reader(backend, found, writer, key) for writer, key in listing.manifests.items())
    environment.gather(calls)
    _spread_beats(found)
    found.edits.sort(key=lambda one: (one["stamp"], one["token"]))


def _document_reader(
    backend: Backend, found: RunFolder, key: str, keep: Callable[[dict[str, Any]], None], fields: dict[str, type]
) -> Callable[[], None]:
    def call() -> None:
        try:
            read = decode(backend.get(key), key)
            require(read, key, **fields)
        except FormatError as error:
            if key == layout.start(found.run_id):
                raise
            found.damaged[key] = str(error)
        else:
            keep(read)

    return call


def _putter(into: dict[Any, dict[str, Any]], key: object) -> Callable[[dict[str, Any]], None]:
    return lambda read: into.__setitem__(key, read)


def _beat_reader(
    backend: Backend, found: RunFolder, writer: str, key: str, modified: datetime | None
) -> Callable[[], None]:
    def call() -> None:
        try:
            found.beats[writer] = Beat(decode(backend.get(key), key), modified)
        except NotFoundError:
            # Its writer ended after the folder was listed. What the folder said a moment ago is still a view: of a
            # running writer.
            found.beats[writer] = Beat({}, modified)
        except FormatError as error:
            found.damaged[key] = str(error)

    return call


def _spread_beats(found: RunFolder) -> None:
    carrier = found.beats.get(found.main or "")
    if carrier is not None:
        for writer, document in spread({writer: beat.document for writer, beat in found.beats.items()}).items():
            if writer not in found.ends and found.beats.get(writer, carrier).document is not document:
                found.beats[writer] = Beat(dict(document), carrier.modified)


def _manifest_reader(backend: Backend, found: RunFolder, writer: str, key: str) -> Callable[[], None]:
    def call() -> None:
        try:
            found.manifests[writer] = decode_manifest(backend.get(key), key)
        except FormatError as error:
            found.damaged[key] = str(error)

    return call

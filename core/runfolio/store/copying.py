"""Copy: one run of a store into another store. The steps and why they are in this order: ``docs/design/006-copy.md``.

Everything is carried as it is: ids, uids, write ids, bytes. Only the number is claimed anew where the target has given
it to another run. Whatever is there already is compared, never overwritten; so a copy that was killed at any point is
finished by the next one, and copies may run side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from runfolio import layout
from runfolio.errors import (
    FormatError,
    NotFoundError,
    PermissionDeniedError,
    RunNotFoundError,
    RunStateError,
    TransientStorageError,
)
from runfolio.store.carrying import Carrier
from runfolio.store.copying_files import Manifest, copy_files, loose_files, read_manifests
from runfolio.store.copying_snapshots import Snapshots, copy_snapshot
from runfolio.store.created import metadata_of
from runfolio.store.documents import FORMAT, decode, encode
from runfolio.store.folder_listing import FolderListing, sort_out
from runfolio.store.run_folder import RunFolder, open_run
from runfolio.store.segments import RowFile, read_rows
from runfolio.store.starting import claim_number, highest_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.store.desk import Desk

Outcome = Literal["copied", "there", "deleted", "deleted there", "skipped"]
Unannounced = Callable[[str, "Mapping[str, Any]"], bool]
"""Told the kind and the body of a stored document; says whether the target's index still has to hear of it."""
_ROUNDS: Final = 10


@dataclass(slots=True)
class RunCopy:
    """What the copy of one run came to.

    Attributes:
        run_id: the run.
        outcome: ``copied``; ``there``: nothing was missing; ``deleted``: the source has deleted it, and now the target
            has too; ``deleted there``: the target has deleted it, so nothing was copied; ``skipped``: it has no start
            in the source.
        ended: its end is in the target; without it a later copy goes on.
        objects: how many objects were written.
        bytes: their size together.
        problems: what needs somebody's attention, a sentence each.
    """

    run_id: str
    outcome: Outcome = "there"
    ended: bool = False
    objects: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)


def copy_run(
    source: Backend,
    desk: Desk,
    run_id: str,
    *,
    snapshots: Snapshots,
    unannounced: Unannounced = lambda _kind, _document: True,
    verify: bool = True,
    progress: Callable[[int], None] | None = None,
) -> RunCopy:
    """Copy what the target lacks of one run.

    Args:
        source: the store to copy from; requests that fail for the moment are sent again beneath.
        desk: where to work in the target. Its ledger keeps nothing that outlives this call.
        run_id: the run.
        snapshots: what is known of the packs of both stores.
        unannounced: says which documents the target's index does not know.
        verify: also read back and hash what was copied on the server's side.
        progress: told about bytes written.

    Raises:
        RunStateError: another run has this id in the target. Nothing was changed.
        RunNotFoundError: the source has no such run.
        FormatError: its start is damaged or newer, in the source or in the target.
        StorageError: a storage failed. Another copy goes on.
    """
    carrier = Carrier(source, desk.backend, verify=verify, progress=progress)
    for _ in range(_ROUNDS):
        carrier.problems.clear()
        try:
            return _Copy(source, desk, run_id, snapshots, unannounced, carrier).do()
        except RunNotFoundError:
            raise
        except NotFoundError:
            continue  # merged, ended or deleted while it was read: what was written is found by the next round
    raise TransientStorageError(f"The run {run_id} kept changing while it was copied", key=run_id, operation="get")


class _Copy:
    """One round. `do` has the steps."""

    def __init__(
        self,
        source: Backend,
        desk: Desk,
        run_id: str,
        snapshots: Snapshots,
        unannounced: Unannounced,
        carrier: Carrier,
    ) -> None:
        self._source = source
        self._desk = desk
        self._run_id = run_id
        self._snapshots = snapshots
        self._unannounced = unannounced
        self._carrier = carrier
        self._result = RunCopy(run_id)
        self._folder = RunFolder(run_id)
        self._listing = FolderListing()
        self._there: dict[str, ObjectInfo] = {}

    def do(self) -> RunCopy:
        run_id, result = self._run_id, self._result
        # Copy 1: what the source has; 2: what the target has.
        self._folder = folder = open_run(
            self._source, run_id, beats=False, manifests=False, environment=self._desk.environment
        )
        if folder.start is None:
            result.outcome = "skipped"
            result.problems.append(f"{run_id} has no start in the source: its writer never reached it")
            return result
        self._there = {info.key: info for info in self._desk.backend.list(layout.run_folder(run_id))}
        self._listing = sort_out(run_id, self._there.values())
        stored = self._refuse_stranger()
        if folder.deleted:
            self._bury(stored)
        elif self._is_deleted_there(self._listing.edits):
            result.outcome = "deleted there"
        else:
            self._carry_all(stored)
        return self._told()

    def _told(self) -> RunCopy:
        result, carrier = self._result, self._carrier
        result.objects += carrier.objects
        result.bytes += carrier.bytes
        result.problems += carrier.problems
        if result.outcome == "there" and result.objects:
            result.outcome = "copied"
        return result

    def _bury(self, stored: dict[str, Any] | None) -> None:
        """A deleted run: the tombstone first, so that nobody sees it alive in between."""
        self._edits()
        self._start(stored)
        self._result.outcome = "deleted" if self._carrier.keys else "there"
        self._result.ended = True

    def _carry_all(self, stored: dict[str, Any] | None) -> None:
        folder, desk = self._folder, self._desk
        self._start(stored)  # Copy 3
        for number, document in sorted(folder.attempts.items()):  # Copy 4
            self._document(layout.attempt(self._run_id, number), document)
        self._edits()
        ended_there = folder.main is not None and folder.main in self._listing.ends
        if folder.listing.source:  # Copy 5
            copy_snapshot(self._carrier, desk, self._run_id, self._snapshots, settled=ended_there)
        manifests = read_manifests(self._carrier, folder)
        for key in (*folder.listing.others, *loose_files(folder, manifests)):
            self._carrier.carry_absent(key, self._there)
        rows = self._rows()
        # Copy 6, the main writer last: as long as its end is missing, the run is not complete.
        writers = {*folder.listing.writers(), *rows}
        for writer in sorted(writers, key=lambda one: (one == folder.main, one)):
            self._writer(writer, manifests.get(writer), rows.get(writer, []))
        for key in folder.damaged:
            self._carrier.problems.append(f"{key} cannot be read; it was copied as it is: {folder.damaged[key]}")
            self._carrier.carry_absent(key, self._there)
        self._result.ended = folder.main is not None and (folder.main in folder.ends or ended_there)
        self._check_deleted()  # Copy 7

    # The steps

    def _refuse_stranger(self) -> dict[str, Any] | None:
        """Return the target's start, if it has one, after making sure that it is of the same run."""
        if not self._listing.started:
            return None
        key = layout.start(self._run_id)
        stored = decode(self._desk.backend.get(key), key)
        self._same_run(stored["wid"], key)
        return stored

    def _same_run(self, wid: str, key: str) -> None:
        assert self._folder.start is not None
        if wid != self._folder.start["wid"]:
            raise RunStateError(
                f"{self._desk.backend.url} has another run of the id {self._run_id}: it was left as it is, and the one "
                f"of {self._source.url} was not copied. One of them must be deleted first",
                key=key,
            )

    def _start(self, stored: dict[str, Any] | None) -> None:
        start, key = self._folder.start, layout.start(self._run_id)
        assert start is not None
        if stored is None:
            creation = self._desk.create(key, {**start, "number": self._number(start)})
            self._same_run(creation.document["wid"], key)  # somebody's, made since the listing
            stored = creation.document
            self._wrote(key, stored, fresh=creation.fresh)
        if encode({**stored, "number": None}) != encode({**start, "number": None}):
            self._result.problems.append(f"{key} differs between the two stores")
        self._announce(stored)

    def _number(self, start: Mapping[str, Any]) -> int:
        """The number that the run has in the source, if the target has not given it to another."""
        wanted = start.get("number")
        if isinstance(wanted, int) and wanted > 0:
            claim = {"format": FORMAT, "wid": start["wid"], "run": self._run_id}
            if self._desk.create(layout.number(start["project"], wanted), claim).ours:
                return wanted
        # Above all of the source's, so that those of other runs stay free for them.
        return claim_number(self._desk, start, above=highest_number(self._source, start["project"]))

    def _edits(self) -> None:
        # A delete first: from then on the rest is absorbed.
        for document in sorted(self._folder.edits, key=lambda one: one.get("kind") != "delete"):
            self._document(layout.edit(self._run_id, document["stamp"], document["token"]), document)

    def _document(self, key: str, document: dict[str, Any]) -> None:
        """Create a document, or compare the one that is there, and make sure that it is announced."""
        if key in self._there:
            try:
                stored = decode(self._desk.backend.get(key), key)
            except FormatError as error:
                self._result.problems.append(f"The target's {error}")
                return
        else:
            creation = self._desk.create(key, document)
            stored = creation.document
            self._wrote(key, stored, fresh=creation.fresh)
        if encode(stored) != encode(document):
            self._result.problems.append(f"{key} differs between the two stores; the target keeps its own")
        self._announce(stored)

    def _announce(self, stored: Mapping[str, Any]) -> None:
        kind = stored.get("kind")
        if isinstance(kind, str) and self._unannounced(kind, stored):
            who = stored.get("writer") if kind == "end" else stored.get("token") or stored.get("main")
            self._desk.announce(_microseconds(stored), str(who), stored)

    def _rows(self) -> dict[str, list[RowFile]]:
        folder = self._folder
        found = read_rows(
            self._source,
            self._run_id,
            lambda _backend, file: file,
            expected=folder.rows,
            # Where all have ended, live segments need no listing.
            writers=folder.ends if folder.listing.writers() <= folder.ends.keys() else None,
            environment=self._desk.environment,
        )
        for writer, count in found.missing.items():
            self._result.problems.append(f"{count} rows of the writer {writer} of {self._run_id} are missing")
        by_writer: dict[str, list[RowFile]] = {}
        for file, _ in found.parts:
            by_writer.setdefault(file.part.writer, []).append(file)
        return by_writer

    def _writer(self, writer: str, manifest: Manifest | None, rows: list[RowFile]) -> None:
        """Files and their list, rows, end: in the order in which the writer itself stores them."""
        end = self._folder.ends.get(writer)
        if end is None and writer in self._listing.ends:
            return  # the target is further than the source: the run was once copied the other way
        if manifest is not None:
            copy_files(self._carrier, self._desk, self._folder, manifest, self._there)
        self._desk.environment.gather([partial(self._segment, one) for one in rows])
        if end is None:
            return
        self._document(layout.end(self._run_id, writer), end)
        covered = [layout.segment(layout.live(self._run_id), one) for one in self._listing.live if one.writer == writer]
        if covered:
            with suppress(PermissionDeniedError):  # a writer that may not delete: repair sweeps what is covered
                self._desk.backend.delete(covered)

    def _segment(self, file: RowFile) -> None:
        there = self._there.get(file.key)
        if there is not None and there.size == file.size:
            return
        data = self._source.get(file.key)
        try:
            wid = metadata_of(data, file.key).get("runfolio.wid", "")
        except FormatError as error:
            self._carrier.problems.append(f"{error}; it was copied as it is")
            self._carrier.carry_absent(file.key, self._there)
            return
        creation = self._desk.create_parquet(file.key, data, wid)
        if not creation.ours:
            self._result.problems.append(f"{file.key} holds other rows in the target, which keeps its own")
        elif creation.fresh:
            self._carrier.wrote(file.key, len(data))

    def _is_deleted_there(self, keys: list[str]) -> bool:
        """Whether one of the target's own edits is a delete."""
        own = [key for key in keys if key not in self._folder.listing.edits]

        def kind(key: str) -> object:
            try:
                return decode(self._desk.backend.get(key), key).get("kind")
            except FormatError:
                return None  # damaged, or of a later version

        return "delete" in self._desk.environment.gather([partial(kind, key) for key in own])

    def _check_deleted(self) -> None:
        """Publish, then check, on both sides: what a delete in the target did not see yet is taken away here."""
        edits = sort_out(self._run_id, self._desk.backend.list(layout.edits(self._run_id))).edits
        if not self._is_deleted_there([key for key in edits if key not in self._there]):
            return
        kept = (layout.start(self._run_id), layout.edits(self._run_id))
        self._desk.backend.delete([key for key in self._carrier.keys if not key.startswith(kept)])
        self._result.outcome = "deleted there"

    def _wrote(self, key: str, stored: Mapping[str, Any], *, fresh: bool) -> None:
        if fresh:
            self._carrier.wrote(key, len(encode(stored)))


def _microseconds(stored: Mapping[str, Any]) -> int:
    """The time in the name of a log entry: taken from the document, so that every copy writes the same name."""
    try:
        moment = datetime.fromisoformat(str(stored.get("ended") or stored.get("created")))
        return max(0, int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1_000_000))
    except ValueError:
        return 0

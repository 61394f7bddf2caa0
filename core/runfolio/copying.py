"""Copying history from one store into another (``docs/design/006-copy.md``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runfolio import layout
from runfolio.errors import ConfigurationError, FormatError, RunfolioError, RunNotFoundError, RunStateError
from runfolio.ids import parse_run_id

if TYPE_CHECKING:
    from runfolio.history import History
    from runfolio.index.row import Row
    from runfolio.store.copying import RunCopy

EVERY_PROJECT: Final = "*"
_TOGETHER: Final = 16
"""Runs that are copied at one time."""


class CopyProgress(NamedTuple):
    """How far a copy is.

    Attributes:
        runs: runs that are done.
        of: runs there are.
        bytes: bytes written so far.
    """

    runs: int
    of: int
    bytes: int


@dataclass(slots=True)
class CopyReport:
    """What a copy did.

    Attributes:
        source: URL of the store that was copied from.
        target: URL of the store that was copied into.
        runs: runs that were looked at.
        copied: runs of which something was missing in the target.
        there: runs that were there already.
        live: runs that have not ended in the source; a later copy goes on with them.
        deleted: runs whose deletion was carried over.
        deleted_there: runs that the target has deleted; they were left so.
        objects: objects written.
        bytes: their size together.
        problems: what needs somebody's attention, a sentence each.
    """

    source: str
    target: str
    runs: int = 0
    copied: int = 0
    there: int = 0
    live: int = 0
    deleted: int = 0
    deleted_there: int = 0
    objects: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything is in the target as it is in the source."""
        return not self.problems

    def lines(self) -> list[str]:
        """The report as text."""
        lines = [
            f"{self.runs:,} runs: {self.copied:,} copied, {self.there:,} there already",
            f"{self.objects:,} objects, {self.bytes:,} bytes",
        ]
        for count, what in (
            (self.live, "not ended yet: copy again when they have"),
            (self.deleted, "deleted in the source, and now in the target"),
            (self.deleted_there, "deleted in the target, and left so"),
        ):
            lines += [f"{count:,} {what}"] if count else []
        return [*lines, *self.problems]

    def add(self, one: RunCopy) -> None:
        """Count what became of one run."""
        self.runs += 1
        self.copied += one.outcome == "copied"
        self.there += one.outcome == "there"
        self.deleted += one.outcome == "deleted"
        self.deleted_there += one.outcome == "deleted there"
        self.live += one.outcome in ("copied", "there") and not one.ended
        self.objects += one.objects
        self.bytes += one.bytes
        self.problems += one.problems


def copy(
    source: History,
    target: History,
    *,
    where: str | None = None,
    project: str | None = None,
    verify: bool = True,
    progress: Callable[[CopyProgress], None] | None = None,
) -> CopyReport:
    """Copy runs of one store into another. See `runfolio.history.History.copy_to`."""
    return _Copying(source, target, verify=verify, progress=progress).do(where, project)


class _Copying:
    def __init__(
        self, source: History, target: History, *, verify: bool, progress: Callable[[CopyProgress], None] | None
    ) -> None:
        from runfolio.store.copying_snapshots import Snapshots  # noqa: PLC0415 (loaded on use)

        self._source, self._target = source, target
        self._from, self._to = source._connection, target._connection  # noqa: SLF001 (a part of the history)
        self._verify = verify
        self._progress = progress
        self._report = CopyReport(source.url, target.url)
        self._snapshots = Snapshots()

    def do(self, where: str | None, project: str | None) -> CopyReport:
        self._from.open()
        self._to.writable()
        if self._from.url == self._to.url:
            raise ConfigurationError(
                f"The source and the target of a copy are the same store: {self._to.url}", key=self._to.url
            )
        everything = where is None and project in (None, EVERY_PROJECT)
        rows = self._to.index.refresh(live=False).rows
        ids = self._all_ids() if everything else self._chosen_ids(where, project)
        try:
            self._runs(ids, rows)
        except RunfolioError as error:
            done = f"{self._report.runs:,} of {len(ids):,} runs were copied or there already"
            error.add_note(f"{done}; the same copy again goes on from there")
            raise
        self._shared(None if everything else set(ids))
        return self._report

    def _all_ids(self) -> list[str]:
        """Every run that has a folder, deleted ones too, oldest first: so numbers given anew keep the order."""
        from runfolio.index.scanning import folders  # noqa: PLC0415 (loads pyarrow)

        return sorted((one.run_id for one in folders(self._from.backend)), key=_age)

    def _chosen_ids(self, where: str | None, project: str | None) -> list[str]:
        """The runs that fit, and those that the source has deleted since the target got them."""
        from runfolio.index.sweeping import deleted_runs  # noqa: PLC0415 (loads pyarrow)

        chosen = self._source.runs(project or EVERY_PROJECT, where=where, archived=None).ids()
        deleted = deleted_runs(self._from.index.refresh(live=False))
        known = self._to.index.refresh(live=False).rows(deleted)
        gone = [run_id for run_id, row in known.items() if "start" in row and not row.get("deleted")]
        wanted = None if project in (None, EVERY_PROJECT) else project
        gone = [run_id for run_id in gone if wanted in (None, parse_run_id(run_id).project)]
        return sorted({*chosen, *gone}, key=_age)

    def _runs(self, ids: list[str], rows: Callable[[list[str]], dict[str, Row]]) -> None:
        for at in range(0, len(ids), _TOGETHER):
            together = ids[at : at + _TOGETHER]
            known = rows(together)
            calls = [partial(self._run, run_id, known.get(run_id, {})) for run_id in together]
            for done in self._to.environment.gather(calls):
                if done.outcome == "deleted":
                    self._sweep(done.run_id)
                self._report.add(done)
            self._tell(len(ids))
            self._target._fold(self._to.backend)  # noqa: SLF001 (a part of the history)

    def _run(self, run_id: str, row: Row) -> RunCopy:
        from runfolio.store.copying import RunCopy, copy_run  # noqa: PLC0415 (loaded on use)
        from runfolio.store.desk import Desk  # noqa: PLC0415
        from runfolio.store.ledger import Ledger  # noqa: PLC0415
        from runfolio.store.spooled import MemoryNotes  # noqa: PLC0415

        # Nothing needs a journal: whatever a kill interrupts is seen in the target by the next copy.
        desk = Desk(self._to.raw, Ledger(MemoryNotes()), self._to.environment)
        try:
            return copy_run(
                self._from.backend,
                desk,
                run_id,
                snapshots=self._snapshots,
                unannounced=partial(_is_unannounced, row),
                verify=self._verify,
            )
        except (RunStateError, FormatError, RunNotFoundError) as error:  # this run's trouble, not the store's
            return RunCopy(run_id, "skipped", problems=[f"{run_id} was not copied: {error}"])

    def _tell(self, of: int) -> None:
        if self._progress is not None:
            self._progress(CopyProgress(self._report.runs, of, self._report.bytes))

    def _sweep(self, run_id: str) -> None:
        from runfolio.store.editing import sweep_folder  # noqa: PLC0415 (loaded on use)

        try:
            sweep_folder(self._to.backend, run_id, self._to.environment)
        except RunfolioError as error:
            self._report.problems.append(
                f"The files of the deleted run {run_id} are left for `runfolio store gc`: {error}"
            )

    def _shared(self, runs: set[str] | None) -> None:
        """What belongs to no run: assets of the runs that were copied, or, with everything, all of them and views."""
        from runfolio.store.carrying import Carrier  # noqa: PLC0415 (loaded on use)
        from runfolio.store.copying_assets import AssetCopy  # noqa: PLC0415

        carrier = Carrier(self._from.backend, self._to.backend, verify=self._verify)
        AssetCopy(carrier, self._to.environment, runs).copy()
        if runs is None:
            carrier.carry_documents(layout.VIEWS, self._to.environment)
        self._report.objects += carrier.objects
        self._report.bytes += carrier.bytes
        self._report.problems += carrier.problems


def _age(run_id: str) -> tuple[int, str]:
    return parse_run_id(run_id).milliseconds, run_id


def _is_unannounced(row: Row, kind: str, document: Mapping[str, Any]) -> bool:
    """Whether the index does not know a document that is in the folder: its copy was killed in between."""
    if row.get("deleted"):
        return False  # a tombstone absorbs everything
    if kind == "start":
        return "start" not in row
    if kind == "attempt":
        return document.get("attempt") not in row.get("attempts", {})
    if kind == "end":
        return document.get("writer") not in row.get("ends", {})
    if kind == "edit":
        known = row.get("edits", {}).get(str(document.get("field")))
        mine = (document.get("stamp"), document.get("token"))
        return known is None or (known.get("stamp"), known.get("token")) < mine
    return True

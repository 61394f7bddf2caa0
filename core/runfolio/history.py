"""The history of runs in one store: the door for everybody who embeds Runfolio."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from runfolio.connection import Connection
from runfolio.errors import ReadOnlyError, RunfolioError, RunNotFoundError
from runfolio.ids import parse_run_id
from runfolio.plugins import Plugins
from runfolio.run import Run
from runfolio.run_set import RunSet
from runfolio.stored_run import Reader

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.active_run import ActiveRun
    from runfolio.asset_versions import Assets
    from runfolio.backend import Backend
    from runfolio.compared_sources import Source
    from runfolio.comparison import Comparison
    from runfolio.config import Settings
    from runfolio.copying import CopyProgress, CopyReport
    from runfolio.maintenance import UpkeepReport
    from runfolio.recording.spooled import SyncReport
    from runfolio.restoring import RestoreReport
    from runfolio.snapshot import ProjectFiles
    from runfolio.snapshot.snapshot import Snapshot
    from runfolio.store_check import CheckReport

_log: Final = logging.getLogger(__name__)
EVERY_PROJECT: Final = "*"
"""Given as a project: all of them."""


def open_history(
    store: str | Path | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
    read_only: bool = False,
    plugins: Plugins | None = None,
    project: str | None = None,
    must_exist: bool = False,
    settings: Settings | None = None,
) -> History:
    """Open the history in a store. Nothing is asked of the store yet, unless `must_exist` is set.

    Args:
        store: a URL (``s3://bucket/prefix``), a folder, or the name of a configured store; by default the configured
            one, which is ``.runfolio/store`` of the project when nothing else is configured.
        storage_options: handed to the backend; it says which there are.
        read_only: refuse every write.
        plugins: the plugins to use; by default all installed ones.
        project: what `History.last` and its like mean when no project is given; by default the one of the current
            folder.
        must_exist: fail at once when there is no store.
        settings: a configuration resolved already; by default that of the current folder.

    Raises:
        ConfigurationError: the URL, an option or the configuration is wrong.
        UntrustedStoreError: a project's file names a store that nobody approved.
        StoreNotFoundError: `must_exist`, and there is none.
    """
    from runfolio.config import resolve  # noqa: PLC0415 (loaded on use)

    explicit: dict[str, Any] = {}
    if store is not None:
        explicit["store"] = str(store)
    if project is not None:
        explicit["project"] = project
    chosen = settings if settings is not None and not explicit else resolve(explicit)
    history = History(chosen, storage_options=storage_options, read_only=read_only, plugins=plugins)
    if must_exist:
        history.check_exists()
    return history


class History:
    """Runs in one store. Safe to use from several threads; a pickled one opens the same store where it is unpickled.

    Made by `open_history`. Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
        plugins: Plugins | None = None,
    ) -> None:
        from runfolio.config import require_trust, store_address  # noqa: PLC0415 (loaded on use)

        self.settings = settings
        self.plugins = plugins or Plugins(enabled=settings.plugins_enabled, disabled=settings.plugins_disabled)
        address = store_address(settings)
        require_trust(address)
        self._options = {**address.options, **(storage_options or {})}
        self._connection = Connection(
            address.url,
            plugins=self.plugins,
            options=self._options,
            read_only=read_only,
            single_writer=address.single_writer,
        )
        self._reader = Reader(self._connection)
        self._leftovers_sent = False

    @property
    def url(self) -> str:
        """The root of the store, without credentials."""
        return self._connection.url

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self._connection.read_only

    @property
    def project(self) -> str:
        """The current project: what is meant when no project is named."""
        return self.settings.project

    @property
    def user_id(self) -> str:
        """Who "I" am: configured, else the user of the operating system."""
        from runfolio.config import user_id  # noqa: PLC0415 (loaded on use)

        return user_id(self.settings)

    @property
    def _backend(self) -> Backend:
        return self._connection.backend

    def check_exists(self) -> None:
        """Make sure that there is a store that can be read.

        Raises:
            StoreNotFoundError: there is none; the message names the place.
            FormatError: it is of a newer format.
        """
        self._connection.open()

    def make_store(self) -> None:
        """Make sure that there is a store that can be written; make one where there is none.

        The first run does it as well.

        Raises:
            ConfigurationError: the place cannot create exclusively, so it cannot be shared.
            ReadOnlyError: it cannot be written.
            FormatError: it is of a newer format.
            StorageError: the storage failed.
        """
        self._connection.writable()

    # Writing

    def start_run(
        self,
        project: str | None = None,
        experiment: str | None = None,
        name: str | None = None,
        tags: Iterable[str] = (),
        params: Mapping[str, Any] | None = None,
        parent: str | Run | None = None,
        system_metrics: bool | None = None,
        *,
        note: str | None = None,
        script: str | None = None,
        argv: Sequence[str] | None = None,
        target: str = "local",
        properties: Mapping[str, Any] | None = None,
        writer: str = "main",
        snapshot: Snapshot | None = None,
    ) -> ActiveRun:
        """Start a run in this store.

        Args:
            project: by default the current one.
            experiment: what groups runs within a project; by default the script's name.
            name: a name for people.
            tags: words to find it by.
            params: what goes in, nested or flat.
            parent: the run that this one is a part of.
            system_metrics: whether to sample CPU, memory and the like; by default as configured.
            note: a text about the run.
            script: path of the script, stored relative to the project.
            argv: its arguments; secrets are hidden before they are stored.
            target: where it executes.
            properties: facts about its surroundings, beside those that are collected.
            writer: the name of this process as a writer.
            snapshot: the source of the project, from `take_snapshot`. It is stored in the background, and kept here
                until it is in the store.

        Raises:
            InvalidNameError: a name is not allowed.
            ReadOnlyError: the history is read-only.
        """
        from runfolio.recording.starting import Birth, begin  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        birth = Birth(
            project=project or self.project,
            experiment=experiment,
            name=name,
            tags=list(tags),
            params=params or {},
            parent=parent.id if isinstance(parent, Run) else parent,
            note=note,
            script=script,
            argv=list(argv or ()),
            target=target,
            properties=properties or {},
            writer=writer,
            snapshot=snapshot,
        )
        return begin(self, birth, system_metrics=system_metrics)

    def take_snapshot(
        self, files: ProjectFiles | None = None, *, mode: Literal["full", "git"] | None = None
    ) -> Snapshot:
        """Take a snapshot of the project as it is now, to start a run with. Asks nothing of the store.

        Args:
            files: what the project consists of, where that was looked up already.
            mode: ``full``: all files of the project; ``git``: those that Git tracks. By default as configured.

        Raises:
            ConfigurationError: the files are too large together (the message names the largest), or snapshots are
                switched off.
            OSError: there is no room for it on this machine.
        """
        from runfolio.recording.snapshots import take  # noqa: PLC0415 (loaded on use)

        return take(self, files, mode)

    def attach(self, run_id: str, writer: str = "writer") -> ActiveRun:
        """Write to an existing run as an additional writer. See `runfolio.attach`."""
        from runfolio.recording.starting import join  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        return join(self, run_id, writer)

    def resume_run(
        self, run_id: str, at_step: int | None = None, reason: str | None = None, *, force: bool = False
    ) -> ActiveRun:
        """Go on with a run as a new attempt. See `runfolio.resume_run`."""
        from runfolio.recording.starting import resume  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        return resume(self, self.run(run_id).id, at_step, reason, force=force)

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise ReadOnlyError(
                f"The history of {self.url} was opened read-only: open it without read_only to write", key=self.url
            )

    def _edit(self, run_id: str, field: str | None, value: object, *, kind: Literal["edit", "delete"] = "edit") -> None:
        from runfolio.store.desk import Desk  # noqa: PLC0415 (loaded on use)
        from runfolio.store.editing import edit, intend_edit  # noqa: PLC0415
        from runfolio.store.ledger import Ledger  # noqa: PLC0415
        from runfolio.store.spooled import MemoryNotes  # noqa: PLC0415

        self._connection.writable()
        # Somebody waits for this edit, so its journal is memory: it is acknowledged, or they are told that it failed.
        desk = Desk(self._connection.raw, Ledger(MemoryNotes()), self._connection.environment)
        project = parse_run_id(run_id).project
        token = intend_edit(desk, run_id=run_id, project=project, field=field, value=value, who=self.user_id, kind=kind)
        edit(desk, token)

    def _delete(self, run_id: str) -> None:
        self._edit(run_id, None, None, kind="delete")

    def _fold(self, _: Backend) -> None:
        """Fold a long log, after an end. Never needed, so trouble is left to the next one."""
        from runfolio.index.folding import fold  # noqa: PLC0415 (loads pyarrow)

        try:
            fold(self._connection.index)
        except RunfolioError as error:
            _log.info("The log of %s was not folded: %s", self.url, error)

    # Reading

    def runs(
        self,
        project: str | None = None,
        *,
        experiment: str | None = None,
        where: str | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        archived: bool | None = False,
        user: str | None = None,
    ) -> RunSet:
        """Return runs, newest first. Nothing is read before the first look at them.

        Args:
            project: by default the current one; ``"*"`` for all.
            experiment: only of this experiment.
            where: a condition, for example ``"params.lr < .01 and max(`val/acc`) > .9"``.
            order_by: what to sort by, ``-`` in front for descending: ``"-`val/acc`"``.
            limit: at most so many.
            archived: False leaves archived runs out, True gives only them, None gives both.
            user: only those of this user.

        Raises:
            QueryError: `where` or `order_by` cannot be understood; the message shows the place.
        """
        from runfolio.query import parse_order_by, parse_where  # noqa: PLC0415 (loaded on use)

        chosen = project or self.project
        return RunSet(
            self,
            project=None if chosen == EVERY_PROJECT else chosen,
            experiment=experiment,
            where=parse_where(where) if where else None,
            order=parse_order_by(order_by) if order_by else (),
            limit=limit,
            archived=archived,
            user=user,
        )

    def run(self, word: str | Run | None = None, *, number: int | None = None, project: str | None = None) -> Run:
        """Return one run.

        Args:
            word: an id, its last five characters, ``project#7``, ``#7``, ``@last`` (my newest run of the current
                project) or ``@last:any`` (anybody's).
            number: its number, in `project` or the current one.
            project: the project; ``"*"`` for all.

        Raises:
            RunNotFoundError: no run answers to this, or several do; the message names them.
        """
        from runfolio.run_words import find_run  # noqa: PLC0415 (loaded on use)

        return word if isinstance(word, Run) else find_run(self, word, number=number, project=project)

    def last(self, project: str | None = None, *, any_user: bool = False) -> Run:
        """Return the newest run: mine, unless `any_user` is set.

        Raises:
            RunNotFoundError: there is none.
        """
        for run in self.runs(project, limit=1, archived=None, user=None if any_user else self.user_id):
            return run
        whose = "" if any_user else f" of {self.user_id}"
        raise RunNotFoundError(f"There is no run{whose} in project {project or self.project!r} of {self.url}")

    def best(self, metric: str, project: str | None = None, *, goal: Literal["max", "min"] | None = None) -> Run:
        """Return the run with the best value of a metric; its best value anywhere in the series counts.

        Args:
            metric: the name of the metric.
            project: by default the current one; ``"*"`` for all.
            goal: what is good; by default what `define_metric` said, else ``"max"``.

        Raises:
            RunNotFoundError: no run has a number under this name.
        """
        wanted = goal or self.goal(metric, project) or "max"
        quoted = "`" + metric.replace("`", "``") + "`"
        sign = "-" if wanted == "max" else ""
        for run in self.runs(
            project,
            where=f"{wanted}(metrics.{quoted}) is not null",
            order_by=f"{sign}{wanted}(metrics.{quoted})",
            limit=1,
        ):
            return run
        raise RunNotFoundError(
            f"No run in project {project or self.project!r} of {self.url} has a number under the metric {metric!r}",
            key=metric,
        )

    def goal(self, metric: str, project: str | None = None) -> Literal["max", "min"] | None:
        """Return what the newest run that defined this metric says is good, or None when none did."""
        for record in self.runs(project, archived=None).records():
            goal = record.definitions.get(metric, {}).get("goal")
            if goal in ("max", "min"):
                return goal  # type: ignore[no-any-return]  # checked on the line above
        return None

    def compare(
        self, runs: Iterable[str | Run], *, curves: bool = True, sources: Sequence[Source | None] | None = None
    ) -> Comparison:
        """Compare two or more runs: what went into them, what came out, and where their curves part.

        Args:
            runs: the runs, or words for them.
            curves: read the curves of the metrics that all of them have, to say at which step they part.
            sources: the source of each run, to compare file by file.

        Raises:
            ValueError: fewer than two runs.
            RunNotFoundError: one of them is not there.
        """
        from runfolio.comparison import compare  # noqa: PLC0415 (loaded on use)

        chosen = [self.run(one) for one in runs]
        if len(chosen) < 2:  # noqa: PLR2004 (a comparison has two sides)
            raise ValueError("A comparison needs two or more runs")
        return compare(chosen, self._connection.environment.gather, curves=curves, sources=sources)

    @property
    def assets(self) -> Assets:
        """The assets of the store: what was promoted, of all projects."""
        from runfolio.asset_versions import Assets  # noqa: PLC0415 (loaded on use)

        return Assets(self)

    def metrics(
        self, runs: Iterable[str | Run], names: Iterable[str] | None = None, max_points: int | None = None
    ) -> pa.Table:
        """Return rows of many runs as one Arrow table: the columns of `Run.metrics`, with `run_id` in front.

        Args:
            runs: the runs; a `RunSet` is welcome.
            names: only these metrics.
            max_points: about so many rows for each metric of each run; peaks are kept.
        """
        chosen = runs.ids() if isinstance(runs, RunSet) else [self.run(one).id for one in runs]
        wanted = None if names is None else list(names)
        return self._reader.rows_of_many(chosen, wanted, max_points=max_points)

    def sql(self, query: str, project: str | None = None, *, where: str | None = None) -> pa.Table:
        """Run one SELECT over the tables ``runs``, ``metrics`` and ``artifacts`` and return its result.

        Archived runs are among them (column ``hidden``), deleted ones are not. A table is read from the store only when
        the query names it. Nothing else can be reached: no files, no network, no Python variables. Needs
        ``runfolio[sql]``.

        Args:
            query: the statement, in DuckDB's SQL.
            project: the runs of this project; by default the current one, ``"*"`` for all.
            where: only the runs for which this condition holds, as in `runs`.

        Raises:
            QueryError: the statement cannot be read or run; the message shows the place.
            MissingDependencyError: DuckDB is not installed.
        """
        from runfolio.sql.running import run_sql  # noqa: PLC0415 (loaded on use)

        return run_sql(query, self.runs(project, where=where, archived=None), self._reader)

    # Source

    def undo_restore(self, *, dry_run: bool = False) -> RestoreReport:
        """Bring the project of the current folder back to what it was before the last restore, byte for byte.

        Only what that restore was about is touched. An undo is undone by another.

        Args:
            dry_run: only say what would be done.

        Raises:
            NotFoundError: nothing was restored here.
            RunStateError: another process restores here, or the project is changed meanwhile.
        """
        from runfolio.restoring import plan_undo  # noqa: PLC0415 (loaded on use)

        with plan_undo(self) as plan:
            return plan.report if dry_run else plan.apply()

    # Upkeep

    def sync(self) -> SyncReport:
        """Send what dead processes of this machine and user left in their journals for this store.

        Repeating it is harmless.
        """
        from runfolio.recording.spooled import sync  # noqa: PLC0415 (loaded on use)

        return sync(self)

    def waiting(self) -> list[str]:
        """Return the ids of runs of which something waits on this machine for `sync`. No request."""
        from runfolio.recording.spooled import waiting  # noqa: PLC0415 (loaded on use)

        return waiting(self)

    def check(self) -> CheckReport:
        """Try what this store guarantees: create-if-absent, read after write, ranges, listing, deleting.

        Leaves nothing behind.
        """
        from runfolio.store_check import check_store  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        return check_store(self._connection.raw, single_writer=self._connection.single_writer)

    def info(self) -> UpkeepReport:
        """Count objects and bytes of the store by kind, and the requests of this history so far."""
        from runfolio.costs import Prices  # noqa: PLC0415 (loaded on use)
        from runfolio.maintenance import info  # noqa: PLC0415

        settings = self.settings
        prices = Prices(settings.price_write, settings.price_read, settings.price_storage)
        return info(self._connection, prices)

    def repair(self) -> UpkeepReport:
        """Rebuild the index from the run folders. Safe beside writers and readers."""
        from runfolio.maintenance import repair  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        return repair(self._connection)

    def gc(self, *, dry_run: bool = True) -> UpkeepReport:
        """Find, and unless `dry_run` delete, what no run needs.

        That is leftovers of deleted runs, covered segments, old beats.
        """
        from runfolio.maintenance import gc  # noqa: PLC0415 (loaded on use)

        if not dry_run:
            self._refuse_read_only()
        return gc(self._connection, dry_run=dry_run)

    def copy_to(
        self,
        target: History,
        *,
        where: str | None = None,
        project: str | None = None,
        verify: bool = True,
        progress: Callable[[CopyProgress], None] | None = None,
    ) -> CopyReport:
        """Copy runs into another store, whatever the two lie on: idempotent, resumable, nothing overwritten.

        Ids, write ids and bytes stay; a number that the target has given to another run is claimed anew. What is there
        already is compared and left, edits and deletes are carried, and a run that has not ended is copied as far as it
        is. A copy that was killed is finished by the next one.

        Args:
            target: the history to copy into; its store is made where there is none.
            where: only runs for which this holds.
            project: only of this project; by default, and for ``"*"``, all.
            verify: read back and hash what was copied on the server's side; otherwise only its size is compared.
            progress: told how far it is.

        Returns:
            What was done, and what could not be copied as it is.

        Raises:
            ConfigurationError: both are the same store.
            QueryError: `where` cannot be understood.
            ReadOnlyError: the target cannot be written.
            StorageError: a storage failed. The same call again goes on.
        """
        from runfolio.copying import copy  # noqa: PLC0415 (loaded on use)

        target._refuse_read_only()
        return copy(self, target, where=where, project=project, verify=verify, progress=progress)

    def compact(self) -> UpkeepReport:
        """Copy the rows of ended runs into few large files, which readers of many runs use.

        Run it now and then, from anywhere: only runs that have no copy yet are read, and it is safe beside writers,
        readers and other compactions. The run folders stay as they are. Copies of deleted runs go.
        """
        from runfolio.maintenance import compact  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        return compact(self._connection)

    def close(self) -> None:
        """Release connections. Runs that are still being written go on."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.url, self._options, self.read_only, self.project)

    def __repr__(self) -> str:
        return f"<History of {self.url}>"


def _unpickle(url: str, options: Mapping[str, Any], read_only: bool, project: str) -> History:
    return open_history(url, storage_options=options, read_only=read_only, project=project)

"""A run in a store: its record, its rows, its files, and what may be changed about it afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runfolio.artifacts import Artifact, Artifacts, artifact_of
from runfolio.errors import PluginError, RunNotFoundError, RunStateError
from runfolio.ids import parse_run_id
from runfolio.params import validate_tag
from runfolio.series import Series

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.asset_versions import AssetVersion
    from runfolio.history import History
    from runfolio.records import Ending, Record
    from runfolio.restoring import RestoreReport


class Run:
    """A run of a history. Made by `History.run` and its like; reads nothing before it is asked to.

    The record is read once and kept; `refresh` reads it anew. A pickled run opens its store again where it is
    unpickled.
    """

    def __init__(self, history: History, run_id: str, record: Record | None = None) -> None:
        parse_run_id(run_id)
        self._history = history
        self._id = run_id
        self._record = record

    @property
    def id(self) -> str:
        """The id: ``<project>_<epoch ms>-<5 characters>``."""
        return self._id

    @property
    def short_id(self) -> str:
        """The five characters that name the run on a command line."""
        return self._id[-5:]

    @property
    def store(self) -> str:
        """The root of the store that it is in, without credentials."""
        return self._history.url

    @property
    def record(self) -> Record:
        """The record of the run.

        Raises:
            RunNotFoundError: the run is not in the store, or was deleted.
        """
        if self._record is None:
            self._record = self._history._reader.record(self._id)  # noqa: SLF001 (a run is a part of its history)
        return self._record

    def refresh(self) -> Record:
        """Read the record anew and return it."""
        self._record = None
        return self.record

    @property
    def status(self) -> str:
        """How far the run is: one of the statuses.

        ``Submitting``, ``Queued``, ``Running``, ``Completed``, ``Failed``, ``Canceled``, or ``Lost``: it stopped giving
        signs of life.
        """
        return self.record.status

    @property
    def number(self) -> int | None:
        """The number of the run in its project."""
        return self.record.run_number

    @property
    def name(self) -> str | None:
        """The name people gave it."""
        return self.record.name

    @property
    def params(self) -> Mapping[str, Any]:
        """What went in: flat, with dotted names, each value in its kind."""
        return self.record.params

    @property
    def tags(self) -> Collection[str]:
        """The words to find it by."""
        return self.record.tags

    @property
    def arguments(self) -> list[str]:
        """The arguments of the script, secrets hidden."""
        return list(self.record.arguments)

    @property
    def properties(self) -> Mapping[str, Any]:
        """Facts about the run's surroundings: Git commit, Python, host."""
        return self.record.properties

    @property
    def packages(self) -> Mapping[str, str]:
        """Installed packages and their versions when the run started."""
        return self._history._reader.packages(self._id)  # noqa: SLF001

    @property
    def ending(self) -> Ending | None:
        """How the run ended: reason, exit code, traceback, and which files are not stored. None while it goes on."""
        return self._history._reader.ending(self._id)  # noqa: SLF001

    def to_dict(self) -> dict[str, Any]:
        """Return the flat record of the command line. See `runfolio.records.Record.to_dict`."""
        return self.record.to_dict()

    def metric(self, name: str) -> Series:
        """Return one metric. Nothing is read before it is asked for."""
        return Series(self, name)

    def metrics(self, names: Iterable[str] | None = None) -> pa.Table:
        """Return the rows of the run as an Arrow table.

        Its columns are ``name step index time value text kind writer``.

        Args:
            names: the metrics; all by default.

        Raises:
            RunNotFoundError: the run is not in the store.
        """
        return self._rows(None if names is None else list(names))

    def _rows(
        self, names: Sequence[str] | None, *, steps: slice | None = None, max_points: int | None = None
    ) -> pa.Table:
        return self._history._reader.rows(self._id, names, steps=steps, max_points=max_points)  # noqa: SLF001

    @property
    def artifacts(self) -> Artifacts:
        """The files of the run."""
        return Artifacts(self._id, self._files)

    def _files(self) -> list[Artifact]:
        history = self._history
        found: dict[str, Artifact] = {}
        for writer, rows in history._reader.manifests(self._id).items():  # noqa: SLF001
            for row in rows:
                artifact = artifact_of(row, self._id, writer, history._backend)  # noqa: SLF001
                if artifact is None:
                    continue
                if artifact.path in found:  # another writer's file of the same name: shown where it is kept
                    artifact = replace(artifact, path=row["key"] or artifact.path)
                found.setdefault(artifact.path, artifact)
        return sorted(found.values(), key=lambda one: one.path)

    def edit(self, *, name: str | None = None, note: str | None = None, description: str | None = None) -> None:
        """Give the run a name, a note or a description; None leaves one as it is. It is in the store when this returns.

        Raises:
            ReadOnlyError: the history is read-only.
            StorageError: the store cannot be reached.
        """
        for field, value in (("name", name), ("note", note), ("description", description)):
            if value is not None:
                self._change(field, value)

    def tag(self, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Add and remove tags.

        Raises:
            InvalidNameError: one of them is no tag.
        """
        for tag in add:
            self._change(f"tag:{validate_tag(tag)}", True)  # noqa: FBT003 (the value of the edit)
        for tag in remove:
            self._change(f"tag:{validate_tag(tag)}", False)  # noqa: FBT003

    def archive(self) -> None:
        """Take the run off the lists. Nothing is deleted."""
        self._change("archived", True)  # noqa: FBT003

    def unarchive(self) -> None:
        """Put the run on the lists again."""
        self._change("archived", False)  # noqa: FBT003

    def promote(self, path: str, name: str, *, link: bool = True) -> AssetVersion:
        """Make a new version of an asset of one file or one folder of this run, and return it.

        Each file is read once and verified before. From then on the files are kept, even when the run is deleted.

        Args:
            path: for example ``outputs/model.pkl``, or a folder. A leading ``./`` is welcome.
            name: of the asset, which is made when it is new.
            link: also write ``assets/NAME.link`` in the current project, to be committed in place of the file.

        Raises:
            InvalidNameError: this cannot be the name of an asset.
            ArtifactNotFoundError: the run has no such file or folder.
            RunStateError: the run has not ended, was deleted meanwhile, or a file was not stored whole.
            FormatError: what is stored is not what the run wrote.
            ReadOnlyError: the history is read-only.
            Exception: whatever a plugin raises to refuse.
        """
        from runfolio.promotion import promote  # noqa: PLC0415 (loaded on use)

        return promote(self._history, self, path, name, link=link)

    def delete(self) -> None:
        """Delete the run for good, with its rows and files. Its id and number are never used again.

        Files that assets name stay, until their versions are taken back.

        Raises:
            ReadOnlyError: the history is read-only.
            PermissionDeniedError: the credentials may not delete objects. The run is gone from every list all the same.
        """
        self._history._delete(self._id)  # noqa: SLF001
        self._record = None

    def restore(
        self, to: str | Path | None = None, *, paths: Iterable[str] = (), dry_run: bool = False
    ) -> RestoreReport:
        """Make the project of the current folder what it was when this run started, or write that into a new folder.

        The present state is kept first: `History.undo_restore` brings it back. Ignored files, files that snapshots
        leave out, and Git's branch and index stay as they are. A kill on the way is finished by the next call.

        Args:
            to: a new or empty folder; None for the project of the current folder.
            paths: only these files and folders, relative to the project.
            dry_run: only say what would be done.

        Raises:
            NotFoundError: the run has no source in the store, or none of the paths.
            ConfigurationError: the run belongs to another project than the current folder, or `to` is not empty.
            FormatError: the source is damaged, incomplete, or holds what no snapshot may hold.
            RunStateError: another process restores there, or the project is changed meanwhile.
        """
        from runfolio.restoring import plan_restore, restore_into  # noqa: PLC0415 (loaded on use)

        if to is not None:
            return restore_into(self, Path(to), paths, dry_run=dry_run)
        with plan_restore(self, paths) as plan:
            return plan.report if dry_run else plan.apply()

    def rerun(self, arguments: Sequence[str] | None = None) -> Run:
        """Run the source of this run again, as it was, and return the new run when it has ended.

        Args:
            arguments: of the script; by default those of this run.

        Raises:
            NotFoundError: the run has no source in the store.
            ConfigurationError: an argument was hidden before it was stored: give `arguments`.
            PluginError: no plugin runs scripts.
        """
        given = None if arguments is None else list(arguments)
        found = self._history.plugins.hook.runfolio_rerun(run=self, arguments=given)
        if found is None:
            raise PluginError("No plugin runs scripts: the plugin 'launch' of Runfolio does, unless it is switched off")
        return Run(self._history, found)

    def cancel(self) -> None:
        """Ask the run to end. Returns at once: `refresh` shows when it has ended, as Canceled.

        Raises:
            RunStateError: it has ended already, or it does not execute where this machine can reach it.
            RunNotFoundError: the run is not in the store.
        """
        record = self.refresh()
        if record.ended:
            raise RunStateError(f"Run {self._id} has ended already: it is {record.status}", key=self._id)
        if not self._history.plugins.hook.runfolio_cancel(run=self):
            host = record.host or "another host"
            raise RunStateError(
                f"Run {self._id} cannot be reached from here: it is {record.status} on {host}, and is canceled there",
                key=self._id,
            )

    def _change(self, field: str, value: object) -> None:
        self._history._edit(self._id, field, value)  # noqa: SLF001
        self._record = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.id == self._id and other._history.url == self._history.url

    def __hash__(self) -> int:
        return hash((self._id, self._history.url))

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self._history, self._id)

    def __repr__(self) -> str:
        return f"<Run {self._id}>"

    def _repr_html_(self) -> str:
        from runfolio.notebook_html import record_html  # noqa: PLC0415 (only in notebooks)

        try:
            return record_html(self.record)
        except RunNotFoundError as error:
            return record_html(None, str(error))


def _unpickle(history: History, run_id: str) -> Run:
    return Run(history, run_id)

"""A restore before it happens: what it would add, overwrite, remove and leave; then doing it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from runfolio.errors import ConfigurationError, NotFoundError, RunStateError
from runfolio.filesystem import TargetFolder
from runfolio.names import find_collisions, validate_source_path
from runfolio.recording.snapshots import known_of, project_files, rules_of
from runfolio.restoring.transaction import (
    Applying,
    Journal,
    Stamp,
    Transactions,
    before_pack,
    changed,
    look,
)
from runfolio.snapshot.objects import EMPTY_TREE, EXECUTABLE, FILE, FOLDER, LINK, REPOSITORY, Entry
from runfolio.snapshot.packing import Pack, PackWriter
from runfolio.snapshot.reading import open_source
from runfolio.snapshot.taking import list_entries, take_snapshot

if TYPE_CHECKING:
    from runfolio.history import History
    from runfolio.run import Run
    from runfolio.snapshot import ProjectFiles, Snapshot
    from runfolio.snapshot.reading import StoredSource
    from runfolio.snapshot.taking import Rules

IGNORED: Final = "it is there, and no part of a snapshot"
_UNLIMITED: Final = 1 << 62


@dataclass(slots=True)
class RestoreReport:
    """What a restore does, or did. Paths are relative to `folder`, with ``/``.

    Attributes:
        folder: where.
        run_id: whose source it is; None for an undo.
        commit: its commit; None for an undo.
        added: files that are not there yet.
        overwritten: files with other contents.
        removed: files that are no part of it.
        kept: what should be written and is left as it is, with the reason.
        changed_meanwhile: what somebody else changed while it was done, and was left.
        done: whether it was done; False for a plan.
    """

    folder: Path
    run_id: str | None
    commit: str | None
    added: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    changed_meanwhile: list[str] = field(default_factory=list)
    done: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.overwritten or self.removed)


@dataclass(slots=True)
class _Aim:
    """What a folder is to become.

    Attributes:
        entries: its files.
        pack: finds the pack that holds an object.
        stamps: permissions and times that the files get.
    """

    entries: list[Entry]
    pack: Callable[[str], Pack]
    stamps: dict[str, Stamp] = field(default_factory=dict)


class Restore:
    """A planned restore. Use it as a context manager, or `close` it.

    Attributes:
        report: what it would do.
        author: who made the run, when that is somebody else; None for oneself, and for an undo.
    """

    def __init__(
        self, history: History, aim: _Aim, report: RestoreReport, paths: Sequence[str], stack: ExitStack
    ) -> None:
        self._history, self._aim, self._paths, self._stack = history, aim, [*paths], stack
        self.report = report
        self.author: str | None = None
        self._before: list[Entry] = []
        self._after: list[Entry] = []

    def look(self) -> None:
        """Compare what is there with what is to be. Nothing is changed."""
        with tempfile.TemporaryDirectory(prefix="runfolio-restore-") as folder:
            files = project_files(self._history)
            there = list_entries(files, self._rules(), known_of(self._history, files.root), Path(folder))
        self._compare(there)

    def apply(self) -> RestoreReport:
        """Do it: keep the present state for an undo, then write, remove and rename, so that a kill loses nothing.

        Raises:
            RunStateError: the project was changed since it was compared, or another process restores in it.
            StorageError: the project cannot be written.
            OSError: likewise.
        """
        with Transactions(self.report.folder) as transactions:
            transactions.recover()
            folder = transactions.new_folder()
            try:
                journal = self._prepare(folder)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self.report.changed_meanwhile = transactions.commit(folder, journal)
        self.report.done = True
        return self.report

    def _prepare(self, folder: Path) -> Journal:
        files = project_files(self._history)
        known = known_of(self._history, files.root)
        known.objects, known.packs = {}, {}  # an undo must not need the store
        there = take_snapshot(files, self._rules(), known, folder)
        if self._touchable(there) != self._before:
            raise RunStateError("The project was changed since it was compared: restore once more", key=files.root)
        if there.pack is None:
            there.pack = _empty_pack(folder)
        _rename(there.pack, "before")
        with PackWriter(folder) as pack:
            for entry in changed(self._before, self._after):
                if entry.mode in (FILE, EXECUTABLE, LINK):
                    source = self._aim.pack(entry.sha)
                    place = source.places[entry.sha]
                    pack.add_compressed(entry.sha, place.kind, place.size, source.compressed(entry.sha))
            _rename(pack.finish(), "after")
        return Journal(
            run_id=self.report.run_id,
            commit=self.report.commit,
            created=time.time(),
            before=self._before,
            after=self._after,
            stamps=_stamps(files),
            wanted=self._aim.stamps,
            paths=self._paths,
        )

    def _compare(self, there: Snapshot) -> None:
        target = TargetFolder(self.report.folder, validate_source_path)
        wanted = [entry for entry in self._aim.entries if self._is_meant(entry.path)]
        report = self.report
        report.added, report.overwritten, report.removed, report.kept = [], [], [], {}
        self._before = self._touchable(there)
        repositories = self._repositories(there)
        present = {entry.path: entry for entry in self._before}
        self._after = []
        for entry in wanted:
            reason = self._obstacle(target, entry, present, repositories)
            if reason is None:
                self._after.append(entry)
            elif reason:
                report.kept[entry.path] = reason
        # What an ignored file stands in the way of keeps what is there in its place.
        spared = {path for path in present if path in report.kept}
        self._after += [present[path] for path in sorted(spared)]
        self._after.sort()
        if _ignores_case(self.report.folder):
            for path, other in find_collisions(entry.path for entry in self._after).items():
                raise ConfigurationError(f"{path} and {other} cannot both be in {self.report.folder}", key=path)
        after = {entry.path for entry in self._after}
        for entry in changed(self._before, self._after):
            (report.overwritten if entry.path in present else report.added).append(entry.path)
        report.removed = [path for path in present if path not in after]

    def _repositories(self, there: Snapshot) -> tuple[str, ...]:
        """Folders that are repositories of their own, here or there: nothing in them is touched."""
        return tuple(f"{one.path}/" for one in (*self._aim.entries, *there.entries) if one.mode == REPOSITORY)

    def _touchable(self, there: Snapshot) -> list[Entry]:
        """What is there and may be touched; a folder counts as empty only when not even ignored files are in it."""
        inside = self._repositories(there)
        target = TargetFolder(self.report.folder, validate_source_path)
        return [
            one
            for one in there.entries
            if one.mode != REPOSITORY
            and self._is_meant(one.path)
            and not one.path.startswith(inside)
            and (one.mode != FOLDER or look(target, one.path) == (FOLDER, EMPTY_TREE))
        ]

    def _obstacle(
        self, target: TargetFolder, entry: Entry, present: dict[str, Entry], repositories: tuple[str, ...]
    ) -> str | None:
        """Why a path cannot be written; an empty text where nothing needs to be said."""
        if entry.mode == REPOSITORY:
            return f"a submodule, at {entry.sha[:12]} then: its files are not restored"
        if entry.path.startswith(repositories):
            return "it belongs to a repository of its own here"
        for at, letter in enumerate(entry.path):
            if letter == "/" and entry.path[:at] not in present:
                above = look(target, entry.path[:at])
                if above is not None and above[0] != FOLDER:
                    return f"{entry.path[:at]} is there, and no folder and no part of a snapshot"
        found = look(target, entry.path)
        if found is None or entry.path in present:
            return None
        if found[0] != FOLDER:
            return IGNORED
        if entry.mode == FOLDER:
            return None if found == (FOLDER, EMPTY_TREE) or self._is_emptied(entry.path, present) else ""
        if self._is_emptied(entry.path, present):
            return None
        return "a folder of that name holds what is no part of a snapshot"

    def _is_emptied(self, path: str, present: dict[str, Entry]) -> bool:
        """Whether a folder holds nothing but what a restore may remove."""
        for below in (self.report.folder / path).rglob("*"):
            relative = below.relative_to(self.report.folder).as_posix()
            if relative not in present and (below.is_symlink() or not below.is_dir()):
                return False
        return True

    def _is_meant(self, path: str) -> bool:
        return not self._paths or any(path == one or path.startswith(f"{one}/") for one in self._paths)

    def _rules(self) -> Rules:
        # What snapshots leave out is never touched; of the rest nothing is too much to be kept for an undo.
        return replace(rules_of(self._history, "full"), largest=_UNLIMITED)

    def close(self) -> None:
        """Remove what was fetched for it."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def plan_restore(run: Run, paths: Iterable[str] = ()) -> Restore:
    """Plan to make the project of the current folder what it was when a run started. Nothing is changed.

    Args:
        run: the run.
        paths: only these files and folders of the project.

    Raises:
        NotFoundError: the run has no source in the store, or it has none of the paths.
        ConfigurationError: the run belongs to another project than the current folder, or its source is too large.
        FormatError: its source is damaged, incomplete, or holds what no snapshot may hold.
        StorageError: the storage failed.
    """
    history = run._history  # noqa: SLF001 (a part of it)
    root = history.settings.root.resolve()
    project = run.record.project
    if project != history.project:
        raise ConfigurationError(
            f"Run {run.id} is of the project {project!r}, and {root} is the project {history.project!r}: "
            "restore in its own folder, or into a new one with --to DIR",
            key=run.id,
        )
    _finish_earlier(root)
    stack = ExitStack()
    try:
        source = stack.enter_context(open_source_of(run))
        wanted = _plain_paths(paths)
        aim = _Aim(source.entries, source.pack_of)
        restore = Restore(history, aim, RestoreReport(root, run.id, source.commit), wanted, stack)
        author = run.record.user_id
        restore.author = None if author == history.user_id else author or "somebody unknown"
        restore.look()
        _refuse_unknown_paths(wanted, source.entries, restore)
    except BaseException:
        stack.close()
        raise
    return restore


def plan_undo(history: History) -> Restore:
    """Plan to bring back what the last restore (or undo) of the current project changed. Nothing is changed.

    Raises:
        NotFoundError: nothing was restored here.
        FormatError: what was kept of it is damaged.
    """
    root = history.settings.root.resolve()
    _finish_earlier(root)
    with Transactions(root) as transactions:
        last = transactions.last()
    if last is None:
        raise NotFoundError(f"Nothing was restored in {root}: there is nothing to undo", key=str(root))
    folder, journal = last
    pack = before_pack(folder)
    aim = _Aim(journal.before, lambda _: pack, journal.stamps)
    restore = Restore(history, aim, RestoreReport(root, None, None), journal.paths, ExitStack())
    restore.look()
    return restore


def recover(history: History) -> list[RestoreReport]:
    """Finish what a killed process began to restore in the current project. Returns what was finished."""
    return _finish_earlier(history.settings.root.resolve())


def restore_into(run: Run, folder: Path, paths: Iterable[str] = (), *, dry_run: bool = False) -> RestoreReport:
    """Write the source of a run into a new folder: all of it, or nothing.

    Args:
        run: the run.
        folder: absent or empty.
        paths: only these files and folders.
        dry_run: only say what would be written.

    Raises:
        ConfigurationError: the folder holds something, or the source is too large.
        NotFoundError: the run has no source in the store, or it has none of the paths.
        FormatError: its source is damaged, incomplete, or holds what no snapshot may hold.
        OSError: the folder cannot be written.
    """
    place = folder.absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConfigurationError(f"{place} is there and not empty: name a new folder", key=str(place))
    wanted = _plain_paths(paths)
    with open_source_of(run) as source:
        entries = [one for one in source.entries if _is_below(one.path, wanted)]
        report = RestoreReport(place, run.id, source.commit)
        report.added = [one.path for one in entries if one.mode != REPOSITORY]
        report.kept = {one.path: f"a submodule, at {one.sha[:12]}" for one in entries if one.mode == REPOSITORY}
        missing = [path for path in wanted if not any(_is_below(one.path, [path]) for one in source.entries)]
        if missing:
            raise NotFoundError(f"The source of run {run.id} has no {', '.join(missing)}", key=missing[0])
        if not dry_run:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as temporary:
                inside = Path(temporary, "new")
                source.entries = entries
                write_source(source, inside)
                inside.replace(place)
            report.done = True
    return report


def write_source(source: StoredSource, folder: Path) -> None:
    """Write the source of a run into a folder that does not exist yet.

    Raises:
        OSError: the folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".source.", dir=folder.parent) as temporary:
        entries = [entry for entry in source.entries if entry.mode != REPOSITORY]
        target = TargetFolder(folder, validate_source_path)
        journal = Journal(source.run_id, source.commit, 0.0, [], entries)
        Applying(target, journal, _Contents(source), Path(temporary, "staged")).run()


class _Contents:
    """The contents of a source that lies in several packs."""

    def __init__(self, source: StoredSource) -> None:
        self._source = source

    def read(self, sha: str) -> bytes:
        return self._source.pack_of(sha).read(sha)

    def chunks(self, sha: str) -> Iterator[bytes]:
        return self._source.pack_of(sha).chunks(sha)


def open_source_of(run: Run) -> StoredSource:
    """Fetch the source of a run, within the limits of the settings.

    Raises:
        NotFoundError: the run has no source in the store.
        ConfigurationError: it is larger than `snapshot.limit`.
        FormatError: it is damaged, incomplete, or holds what no snapshot may hold.
        StorageError: the storage failed.
    """
    history = run._history  # noqa: SLF001
    connection = history._connection  # noqa: SLF001
    connection.open()
    source = open_source(connection.backend, connection.environment, run.id)
    limit = history.settings.snapshot_limit or _UNLIMITED
    size = sum(entry.size for entry in source.entries)
    if size > limit:
        source.close()
        raise ConfigurationError(
            f"The source of run {run.id} has {size / 1e6:,.0f} MB, and snapshot.limit is {limit / 1e6:,.0f} MB: "
            "raise it",
            key=run.id,
        )
    return source


def _finish_earlier(root: Path) -> list[RestoreReport]:
    if not (root / ".runfolio" / "restore").is_dir():
        return []
    with Transactions(root) as transactions:
        return [
            RestoreReport(root, journal.run_id, journal.commit, changed_meanwhile=left, done=True)
            for journal, left in transactions.recover()
        ]


def _stamps(files: ProjectFiles) -> dict[str, Stamp]:
    return {path: Stamp(state.st_mode & 0o7777, state.st_mtime_ns) for path, state in files.states.items()}


def _rename(pack: Path, name: str) -> None:
    pack.with_suffix(".idx").replace(pack.with_name(f"{name}.idx"))
    pack.replace(pack.with_name(f"{name}.pack"))


def _empty_pack(folder: Path) -> Path:
    with PackWriter(folder) as pack:
        return pack.finish()


def _plain_paths(paths: Iterable[str]) -> list[str]:
    """Paths relative to the project, as entries have them."""
    found = [path.replace("\\", "/").removeprefix("./").rstrip("/") for path in paths]
    for path in found:
        validate_source_path(path)
    return found


def _is_below(path: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(path == one or path.startswith(f"{one}/") for one in wanted)


def _refuse_unknown_paths(wanted: Sequence[str], entries: Iterable[Entry], restore: Restore) -> None:
    known = [entry.path for entry in entries] + restore.report.removed
    for path in wanted:
        if not any(_is_below(one, [path]) for one in known):
            raise NotFoundError(f"Neither the run nor the project has {path}", key=path)


def _ignores_case(folder: Path) -> bool:
    """Whether a file system takes names that differ by case for one."""
    try:
        return (folder / ".RUNFOLIO").samefile(folder / ".runfolio")
    except OSError:
        return False

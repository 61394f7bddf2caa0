"""A plain Git repository of the sources of a project's runs: for `git log`, `git diff` and `git bisect`."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio.errors import ConfigurationError, FormatError, NotFoundError
from runfolio.snapshot.objects import COMMIT_TYPE, build, object_id
from runfolio.snapshot.packing import PackWriter
from runfolio.snapshot.reading import StoredSource, open_source

if TYPE_CHECKING:
    from runfolio.records import Record
    from runfolio.run import Run

BRANCH: Final = "main"
_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"


def export_git(run: Run, folder: Path) -> dict[str, str]:
    """Write a Git repository with the sources of a project's runs up to one, a commit for each change.

    The branch ``main`` ends at the run; ``refs/runfolio/<run id>`` is the snapshot of each run, whose id is its
    ``CommitId``. Runs without a complete source are left out. The working tree is left empty: ``git checkout main``.

    Args:
        run: the last run.
        folder: absent or empty.

    Returns:
        The ids of the commits on the branch, by the run that brought them, oldest first.

    Raises:
        ConfigurationError: the folder holds something.
        NotFoundError: the run has no source in the store.
        FormatError: its source is damaged or incomplete.
    """
    place = folder.absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConfigurationError(f"{place} is there and not empty: name a new folder", key=str(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as temporary:
        export = _Export(Path(temporary, "new"))
        for record in _records_up_to(run):
            export.add(run, record)
        export.finish()
        export.root.replace(place)
    return export.commits


def _records_up_to(run: Run) -> list[Record]:
    history = run._history  # noqa: SLF001 (a part of it)
    last = run.record
    found = [
        one
        for one in history.runs(last.project, archived=None).records()
        if one.commit_id is not None and one.run_id != last.run_id and _created(one) <= _created(last)
    ]
    return [*sorted(found, key=lambda one: (_created(one), one.run_id)), last]


def _created(record: Record) -> datetime:
    return record.created_utc or datetime.fromtimestamp(0, UTC)


class _Export:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.commits: dict[str, str] = {}
        self._packs = root / ".git" / "objects" / "pack"
        self._packs.mkdir(parents=True)
        self._pack = PackWriter(self._packs)
        self._refs: dict[str, str] = {}
        self._trees: dict[str, str] = {}
        self._head: tuple[str, str] | None = None  # the commit and its tree

    def add(self, run: Run, record: Record) -> None:
        connection = run._history._connection  # noqa: SLF001
        connection.open()
        if record.commit_id in self._refs.values():
            self._refs[record.run_id] = str(record.commit_id)
            tree = self._trees[str(record.commit_id)]
        else:
            try:
                with open_source(connection.backend, connection.environment, record.run_id) as source:
                    tree = self._copy(source)
            except (NotFoundError, FormatError):
                if record.run_id == run.id:
                    raise
                return
            self._refs[record.run_id] = source.commit
        if self._head is None or self._head[1] != tree:
            self._commit(record, tree)

    def _copy(self, source: StoredSource) -> str:
        built = build(source.entries)
        for sha, (kind, data) in built.objects.items():
            self._pack.add(sha, kind, data)
        for entry in source.entries:
            for pack in source.packs.values():
                if entry.sha in pack.places and entry.sha not in self._pack:
                    place = pack.places[entry.sha]
                    self._pack.add_compressed(entry.sha, place.kind, place.size, pack.compressed(entry.sha))
        self._trees[source.commit] = built.tree
        return built.tree

    def _commit(self, record: Record, tree: str) -> None:
        seconds = int(_created(record).timestamp())
        name = "".join(letter for letter in record.user_id or "unknown" if letter.isprintable() and letter not in "<>")
        who = f"{name.strip() or 'unknown'} <{name.strip() or 'unknown'}@runfolio.invalid> {seconds} +0000"
        number = "" if record.run_number is None else f" #{record.run_number}"
        parent = [] if self._head is None else [f"parent {self._head[0]}"]
        head = [f"tree {tree}", *parent, f"author {who}", f"committer {who}"]
        title = f"{record.script_name or record.experiment or record.project}{number}".replace("\n", " ")
        text = f"{title}\n\nRun: {record.run_id}\nSnapshot: {record.commit_id}\n"
        data = ("\n".join(head) + "\n\n" + text).encode("utf-8", "surrogateescape")
        sha = object_id(COMMIT_TYPE, data)
        self._pack.add(sha, COMMIT_TYPE, data)
        self._head = (sha, tree)
        self.commits[record.run_id] = sha

    def finish(self) -> None:
        git = self.root / ".git"
        made = self._pack.finish()
        made.with_suffix(".idx").replace(made.with_name(f"pack-{made.stem}.idx"))
        made.replace(made.with_name(f"pack-{made.name}"))
        (git / "HEAD").write_text(f"ref: refs/heads/{BRANCH}\n", encoding="ascii")
        (git / "config").write_text(_CONFIG, encoding="ascii")
        (git / "refs" / "heads").mkdir(parents=True)
        head = "" if self._head is None else self._head[0]
        (git / "refs" / "heads" / BRANCH).write_text(f"{head}\n", encoding="ascii")
        lines = [f"{sha} refs/runfolio/{_ref(run_id)}\n" for run_id, sha in sorted(self._refs.items())]
        (git / "packed-refs").write_text("# pack-refs with: sorted \n" + "".join(sorted(lines, key=_name)), "utf-8")


def _name(line: str) -> str:
    return line.split(" ", 1)[1]


def _ref(run_id: str) -> str:
    """A run id as a part of a reference: what Git does not allow there becomes ``-``."""
    plain = "".join(letter if letter.isalnum() or letter in "_-." else "-" for letter in run_id)
    return plain.replace("..", "--").strip(".") or "run"

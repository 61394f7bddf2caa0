"""Taking a snapshot: the files of a project become Git objects, and a pack of those that the store may lack.

Nothing is asked of the store, and nothing of the project is changed. What is packed is what was hashed: a file that
changes meanwhile is stored as it was read.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from runfolio.errors import ConfigurationError, InvalidKeyError
from runfolio.names import validate_source_path
from runfolio.snapshot import sensitive
from runfolio.snapshot.objects import (
    BLOB_TYPE,
    EMPTY_TREE,
    EXECUTABLE,
    FILE,
    FOLDER,
    LINK,
    REPOSITORY,
    Entry,
    build,
    hash_of,
    object_hash,
    object_id,
)
from runfolio.snapshot.packing import PackWriter, compress
from runfolio.snapshot.snapshot import MOST_PACKS, Snapshot

if TYPE_CHECKING:
    from runfolio.snapshot.known import Known
    from runfolio.snapshot.objects import Built
    from runfolio.snapshot.project_files import ProjectFiles

LARGEST_UNTRACKED: Final = 10 * 1000**2
"""Bytes of a file that is a part of snapshots although Git does not track it."""
LARGEST_SNAPSHOT: Final = 500 * 1000**2
"""Bytes of all files of a snapshot."""
_SMALL: Final = 8 * 1024**2
_CHUNK: Final = 1024**2
_BATCH: Final = 64
_BATCH_BYTES: Final = 32 * 1024**2
_OFFENDERS: Final = 5
_TRIES: Final = 3
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Rules:
    """What becomes a part of a snapshot.

    Attributes:
        mode: ``full``: all files of the project; ``git``: those that Git tracks.
        largest_untracked: bytes of a file that Git does not track.
        largest: bytes of all files together.
        is_secret: whether the contents of a notebook have the form of a secret.
    """

    mode: Literal["full", "git"] = "full"
    largest_untracked: int = LARGEST_UNTRACKED
    largest: int = LARGEST_SNAPSHOT
    is_secret: Callable[[bytes], bool] = field(default=lambda _: False)


@dataclass(slots=True)
class _Read:
    """A file that was read.

    Attributes:
        entry: what it is; None when it is left out.
        reason: why it is left out.
        compressed: its bytes for the pack, when the store may lack them and they are few.
        state: what the system said of it before.
    """

    entry: Entry | None
    reason: str = ""
    compressed: bytes | None = None
    state: os.stat_result | None = None


def list_entries(files: ProjectFiles, rules: Rules, known: Known, folder: Path) -> Snapshot:
    """Return what `take_snapshot` would take, without packing anything.

    Args:
        files: what the project consists of.
        rules: what of it becomes a part.
        known: what is remembered; learns the hashes of the files.
        folder: a folder for temporary files.
    """
    return _Taking(files, rules, known, folder, _Everything()).take()


class _Everything(dict[str, str]):
    """Every object is held somewhere."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return ""


def take_snapshot(files: ProjectFiles, rules: Rules, known: Known, folder: Path) -> Snapshot:
    """Take a snapshot.

    Args:
        files: what the project consists of.
        rules: what of it becomes a part.
        known: what is remembered; learns the hashes of the files.
        folder: an empty folder for the pack.

    Raises:
        ConfigurationError: the files are too large together; the message names the largest.
        OSError: the folder cannot be written.
    """
    return _Taking(files, rules, known, folder, _usable_homes(known)).take()


def retake_snapshot(snapshot: Snapshot, known: Known, folder: Path) -> Snapshot:
    """Return a snapshot that was taken before, with what is known by now of what the store holds. Reads no file.

    Args:
        snapshot: it; its folder stays as it is.
        known: what is remembered.
        folder: an empty folder for the pack.

    Raises:
        OSError: the folder cannot be written.
    """
    built, homes = build(snapshot.entries), _usable_homes(known)
    ids = {entry.sha for entry in snapshot.entries if entry.mode not in (REPOSITORY, FOLDER)} | set(built.objects)
    if ids <= homes.keys():
        homes = {sha: homes[sha] for sha in sorted(ids)}
        return replace(
            snapshot,
            folder=folder,
            pack=None,
            homes=homes,
            seen=min((known.packs.get(one, 0.0) for one in homes.values()), default=None),
            store_id=known.store_id,
            learn=False,
            listed_by=known.commits.get(snapshot.commit),
        )
    if snapshot.pack is None:
        return replace(snapshot, folder=folder)
    for one in (snapshot.pack, snapshot.pack.with_suffix(".idx")):
        try:
            os.link(one, folder / one.name)  # packs are never changed
        except OSError:
            shutil.copyfile(one, folder / one.name)
    return replace(snapshot, folder=folder, pack=folder / snapshot.pack.name)


class _Taking:
    def __init__(self, files: ProjectFiles, rules: Rules, known: Known, folder: Path, homes: dict[str, str]) -> None:
        self._files, self._rules, self._known, self._folder = files, rules, known, folder
        self._began = time.time_ns()
        self._left_out = list(files.left_out)
        self._too_large: list[str] = []
        self._states: dict[str, tuple[int, int]] = {}
        self._homes = homes

    def take(self) -> Snapshot:
        entries = [*self._repositories()]
        inside = tuple(f"{entry.path}/" for entry in entries)
        paths = [path for path in self._files.files if not path.startswith(inside)]
        chosen = self._choose(paths)
        self._refuse_too_large(chosen)
        with PackWriter(self._folder) as pack:
            entries += self._read_links(pack, inside)
            entries += self._read_files(pack, chosen)
            entries += self._empty_folders(entries, inside)
            entries.sort()
            built = build(entries)
            for sha, (kind, data) in sorted(built.objects.items()):
                if sha not in self._homes:
                    pack.add(sha, kind, data)
            # A commit that the store has with all that belongs to it needs no pack.
            made = pack.finish() if len(pack) else None
        self._known.keep_only(self._files.states)
        self._left_out.sort()
        return self._result(entries, built, made)

    def _result(self, entries: list[Entry], built: Built, pack: Path | None) -> Snapshot:
        ids = {entry.sha for entry in entries if entry.mode not in (REPOSITORY, FOLDER)} | set(built.objects)
        homes = {sha: self._homes[sha] for sha in sorted(ids) if sha in self._homes}
        return Snapshot(
            commit=built.commit,
            tree=built.tree,
            root=self._files.root,
            entries=entries,
            left_out=self._left_out,
            folder=self._folder,
            pack=pack,
            homes=homes,
            seen=min((self._known.packs.get(one, 0.0) for one in homes.values()), default=None),
            store_id=self._known.store_id,
            learn=not self._known.objects,
            listed_by=self._known.commits.get(built.commit),
            too_large=self._too_large,
            states=self._states,
        )

    # What

    def _repositories(self) -> Iterator[Entry]:
        """Submodules and clones: Git records the commit that they stand at, and so do we."""
        tracked = self._files.tracked() if self._files.repositories and self._rules.mode == "git" else None
        found: list[str] = []
        for path in self._files.repositories:
            if path.startswith(tuple(f"{one}/" for one in found)):
                continue
            commit = _head(Path(self._files.root, path))
            if commit is not None and (tracked is None or path in tracked):
                found.append(path)
                self._left_out.append((path, f"a repository of its own, at {commit[:12]}: only that is recorded"))
                yield Entry(path, REPOSITORY, 0, commit)

    def _choose(self, paths: Iterable[str]) -> list[str]:
        large = self._rules.largest_untracked
        states = self._files.states
        paths = [path for path in paths if self._is_welcome(path)]
        doubtful = [path for path in paths if states[path].st_size > large]
        needed = bool(doubtful) or self._rules.mode == "git"
        tracked = (self._files.tracked() or frozenset()) if needed else frozenset()
        if self._rules.mode == "git":
            paths = [path for path in paths if path in tracked]
            doubtful = [path for path in doubtful if path in tracked]
        pulled = self._files.kept_by_lfs([path for path in doubtful if path in tracked])
        for path in doubtful:
            size = states[path].st_size
            if path not in tracked:
                self._too_large.append(path)
                self._left_out.append((path, f"{size:,} bytes, and Git does not track it"))
            elif path in pulled:
                self._too_large.append(path)
                self._left_out.append((path, f"{size:,} bytes, and Git LFS has it"))
        out = set(self._too_large)
        return [path for path in paths if path not in out]

    def _is_welcome(self, path: str) -> bool:
        reason = sensitive.secret_by_name(path) or _refused(path)
        if reason:
            self._left_out.append((path, reason))
        return not reason

    def _refuse_too_large(self, chosen: list[str]) -> None:
        sizes = {path: self._files.states[path].st_size for path in chosen}
        total = sum(sizes.values())
        if total <= self._rules.largest:
            return
        worst = sorted(sizes, key=lambda path: -sizes[path])[:_OFFENDERS]
        named = ", ".join(f"{path} ({sizes[path] / 1e6:,.0f} MB)" for path in worst)
        raise ConfigurationError(
            f"The source of the project has {total / 1e6:,.0f} MB, and a snapshot holds at most "
            f"{self._rules.largest / 1e6:,.0f} MB. The largest files: {named}. Name data in .runfolioignore, "
            "raise snapshot.limit, or use --snapshot git or --snapshot off",
            key=worst[0],
        )

    # Reading

    def _read_links(self, pack: PackWriter, inside: tuple[str, ...]) -> Iterator[Entry]:
        tracked = self._files.tracked() or frozenset() if self._rules.mode == "git" else None
        for path in self._files.links:
            if path.startswith(inside) or (tracked is not None and path not in tracked) or not self._is_welcome(path):
                continue
            try:
                text = os.fsencode(os.readlink(f"{self._files.root}/{path}"))  # noqa: PTH115 (thousands of links)
            except OSError:
                continue  # gone since the folder was read
            sha = object_id(BLOB_TYPE, text)
            if sha not in self._homes:
                pack.add(sha, BLOB_TYPE, text)
            yield Entry(path, LINK, len(text), sha)

    def _read_files(self, pack: PackWriter, paths: list[str]) -> Iterator[Entry]:
        with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1), thread_name_prefix="runfolio-hash") as pool:
            for batch in self._batches(paths):
                known = {path: read for path in batch if (read := self._remembered(path)) is not None}
                unknown = [path for path in batch if path not in known]
                known.update(zip(unknown, pool.map(self._read, unknown), strict=True))
                for path in batch:
                    entry = self._keep(pack, path, known[path])
                    if entry is not None:
                        yield entry

    def _batches(self, paths: list[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for path in paths:
            batch.append(path)
            size += min(self._files.states[path].st_size, _SMALL)
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _keep(self, pack: PackWriter, path: str, read: _Read) -> Entry | None:
        entry, state = read.entry, read.state
        if entry is None or state is None:
            if read.reason:
                self._left_out.append((path, read.reason))
            return None
        if entry.sha not in self._homes and entry.sha not in pack:
            if read.compressed is not None:
                pack.add_compressed(entry.sha, BLOB_TYPE, entry.size, [read.compressed])
            else:
                entry = self._pack_large(pack, path, entry)
                if entry is None:
                    return None
        self._known.remember_file(path, state, entry.sha, self._began)
        self._states[path] = (state.st_size, state.st_mtime_ns)
        return entry

    def _remembered(self, path: str) -> _Read | None:
        """A file that need not be read to know what it is, nor to be packed; None for another."""
        state = self._files.states[path]
        sha = self._known.blob_of(path, state)
        if sha is not None and (sha in self._homes or state.st_size > _SMALL):
            return _Read(Entry(path, _mode(state), state.st_size, sha), state=state)
        return None

    def _read(self, path: str) -> _Read:
        """Read one file; in a thread of its own."""
        try:
            with _opened(f"{self._files.root}/{path}") as file:
                state = os.fstat(file.fileno())
                if not stat.S_ISREG(state.st_mode):
                    return _Read(None, "it is no regular file any more")
                return self._digest(path, _mode(state), state, file)
        except FileNotFoundError:
            return _Read(None)  # gone since the folder was read
        except OSError as error:
            return _Read(None, error.strerror or "it cannot be read")

    def _digest(self, path: str, mode: int, state: os.stat_result, file: BinaryIO) -> _Read:
        if state.st_size > _SMALL:
            reason = sensitive.secret_by_contents(file.read(sensitive.HEAD))
            if reason is None and path.endswith(".ipynb") and state.st_size <= sensitive.LARGEST_NOTEBOOK:
                file.seek(0)
                reason = sensitive.SECRET_TEXT if self._rules.is_secret(file.read()) else None
            if reason:
                return _Read(None, reason)
            file.seek(0)
            sha, size = _hash_large(file, state.st_size)
            return _Read(Entry(path, mode, size, sha), state=state)
        data = file.read()
        reason = sensitive.secret_by_contents(data[: sensitive.HEAD])
        if reason is None and path.endswith(".ipynb") and self._rules.is_secret(data):
            reason = sensitive.SECRET_TEXT
        if reason:
            return _Read(None, reason)
        sha = object_id(BLOB_TYPE, data)
        compressed = None if sha in self._homes else compress(data)
        return _Read(Entry(path, mode, len(data), sha), compressed=compressed, state=state)

    def _pack_large(self, pack: PackWriter, path: str, entry: Entry) -> Entry | None:
        """Pack a large file while it is read a second time; what changes meanwhile is hashed anew."""
        for _ in range(_TRIES):
            try:
                with _opened(f"{self._files.root}/{path}") as file:
                    pack.add_compressed(entry.sha, BLOB_TYPE, entry.size, _Deflating(file, entry))
                    return entry
            except _ChangedError:
                with _opened(f"{self._files.root}/{path}") as file:
                    sha, size = _hash_large(file, os.fstat(file.fileno()).st_size)
                    entry = Entry(path, entry.mode, size, sha)
            except OSError as error:
                self._left_out.append((path, error.strerror or "it cannot be read"))
                return None
        self._left_out.append((path, "it changed whenever it was read"))
        return None

    def _empty_folders(self, entries: list[Entry], inside: tuple[str, ...]) -> Iterator[Entry]:
        if self._rules.mode == "git":
            return
        paths = {entry.path for entry in entries}
        used = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"} | paths
        folders = {path[:at] for path in self._files.folders for at, letter in enumerate(path) if letter == "/"}
        for path in self._files.folders:
            if path not in used and path not in folders and not path.startswith(inside) and not _refused(path):
                yield Entry(path, FOLDER, 0, EMPTY_TREE)


def _mode(state: os.stat_result) -> int:
    return EXECUTABLE if state.st_mode & stat.S_IXUSR else FILE


def _usable_homes(known: Known) -> dict[str, str]:
    """The objects that need not be sent, by the packs that hold them.

    A snapshot that relied on too many packs would be slow to read: then it is made whole again.
    """
    return dict(known.objects) if len(set(known.objects.values())) <= MOST_PACKS else {}


def _refused(path: str) -> str | None:
    try:
        validate_source_path(path)
    except InvalidKeyError as error:
        return str(error)
    return None


def _opened(path: str) -> BinaryIO:
    return os.fdopen(os.open(path, _FLAGS), "rb")


def _hash_large(file: BinaryIO, size: int) -> tuple[str, int]:
    """Return the id of the first `size` bytes of a file."""

    def chunks() -> Iterator[bytes]:
        left = size
        while left and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
        if left:
            raise OSError(0, "it became shorter while it was read")

    return object_hash(BLOB_TYPE, size, chunks()), size


class _ChangedError(Exception):
    """A file has other contents than when it was hashed."""


class _Deflating:
    """The compressed bytes of a file, in pieces; raises `_ChangedError` when they are not those of the entry."""

    def __init__(self, file: BinaryIO, entry: Entry) -> None:
        self._file, self._entry = file, entry

    def __iter__(self) -> Iterator[bytes]:
        stream = zlib.compressobj(1)
        digest = hash_of(BLOB_TYPE, self._entry.size)
        left = self._entry.size
        while left and (chunk := self._file.read(min(_CHUNK, left))):
            left -= len(chunk)
            digest.update(chunk)
            yield stream.compress(chunk)
        yield stream.flush()
        if digest.hexdigest() != self._entry.sha:
            raise _ChangedError


def _head(repository: Path) -> str | None:
    """The commit that a repository stands at; None when it has none, or cannot be read."""
    from dulwich.repo import Repo  # noqa: PLC0415 (slow to load)

    try:
        repo = Repo(str(repository))
        try:
            return repo.head().decode("ascii")
        finally:
            repo.close()
    except Exception:  # noqa: BLE001 (dulwich raises many kinds on repositories it cannot read; then its files are taken)
        return None

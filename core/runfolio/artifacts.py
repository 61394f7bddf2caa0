"""The files of a run: list, open, download."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from runfolio import layout
from runfolio.errors import (
    ArtifactNotFoundError,
    FormatError,
    InvalidKeyError,
    NotFoundError,
    RunfolioError,
    StorageError,
)
from runfolio.filesystem import TargetFolder, hash_file
from runfolio.names import find_collisions, validate_path

if TYPE_CHECKING:
    from runfolio.backend import Backend

STORED: Final = "stored"
CHANGED: Final = "changed while read"
_STEP: Final = 8 * 1024 * 1024

DownloadProgress = Callable[["Artifact", int], None]
"""Called with the artifact and the number of its bytes that have arrived since the last call."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a run.

    Attributes:
        path: where it lay in the run, for example ``outputs/model.pkl``.
        size: length in bytes.
        sha256: its hash, in hex.
        modified: when the file was last written, by the clock of the machine that ran; None when unknown.
        media_type: for example ``image/png``; None when unknown.
        kind: ``file``, or what it was logged as: ``figure``, ``image``, ``table``, ``text``.
        step: the step it was logged at, or None.
        status: ``stored``; ``changed while read`` when the file was still being written and what was read is stored;
            ``too large`` or ``failed`` when there is nothing to open.
        original: the file's own name where that could not be a path everywhere.
        writer: key of the writer that stored it.
    """

    path: str
    size: int
    sha256: str | None
    modified: datetime | None = None
    media_type: str | None = None
    kind: str = "file"
    step: int | None = None
    status: str = STORED
    original: str | None = None
    writer: str = ""
    _key: str = field(default="", repr=False)
    _backend: Backend | None = field(default=None, repr=False, compare=False)

    @property
    def available(self) -> bool:
        """Whether the contents are in the store."""
        return self.status in (STORED, CHANGED)

    def open(self) -> BinaryIO:
        """Open the contents for reading. The file is seekable, and reads only the ranges that are asked for.

        Raises:
            ArtifactNotFoundError: the contents are not in the store.
        """
        return io.BufferedReader(_RangeReader(self), buffer_size=1024 * 1024)

    def read_bytes(self) -> bytes:
        """Return the contents, verified against the hash.

        Raises:
            ArtifactNotFoundError: the contents are not in the store.
            FormatError: what is stored is not what was written.
        """
        data = self._read(0, None)
        if self.sha256 and hashlib.sha256(data).hexdigest() != self.sha256:
            raise FormatError(
                f"The stored contents of {self.path!r} do not match their SHA-256: the object was changed",
                key=self._key,
            )
        return data

    def verify(self) -> None:
        """Read the contents once, in flat memory, and compare them with size and hash.

        Raises:
            ArtifactNotFoundError: the contents are not in the store.
            FormatError: what is stored is not what was written, or there is no hash to tell.
        """
        digest, size = hashlib.sha256(), 0
        while part := self._read(size, size + _STEP):
            digest.update(part)
            size += len(part)
        if size != self.size or digest.hexdigest() != self.sha256:
            raise FormatError(
                f"The stored contents of {self.path!r} do not match their size and SHA-256: the object was changed",
                key=self._key,
            )

    def _is_copy(self, file: Path) -> bool:
        return (
            file.is_file()
            and not file.is_symlink()
            and file.stat().st_size == self.size
            and hash_file(file)[0] == self.sha256
        )

    def _read(self, start: int, end: int | None) -> bytes:
        if not self.available or self._backend is None:
            raise ArtifactNotFoundError(f"The contents of {self.path!r} were not stored: {self.status}", key=self.path)
        try:
            return self._backend.get(self._key, start, end)
        except NotFoundError as error:
            raise ArtifactNotFoundError(
                f"The contents of {self.path!r} are gone from the store", key=self._key
            ) from error


class _RangeReader(io.RawIOBase):
    """A seekable file over ranged reads of one object."""

    def __init__(self, artifact: Artifact) -> None:
        super().__init__()
        artifact._read(0, 0)  # noqa: SLF001 (an artifact that is not there fails on open, not on the first read)
        self._artifact = artifact
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._artifact.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._artifact.size)
        if end <= self._at:
            return 0
        data = self._artifact._read(self._at, end)  # noqa: SLF001
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """The rest in one request: what is inherited asks for 8 KiB at a time."""
        if self._at >= self._artifact.size:
            return b""
        data = self._artifact._read(self._at, self._artifact.size)  # noqa: SLF001
        self._at += len(data)
        return data


@dataclass(slots=True)
class DownloadReport:
    """What a download did.

    Attributes:
        target: the folder.
        downloaded: paths that were written.
        skipped: paths that were there already with the right contents.
        problems: what could not be written, each with the reason.
    """

    target: Path
    downloaded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether everything asked for is there."""
        return not self.problems


class Artifacts:
    """The files of one run.

    Args:
        run_id: the run.
        load: returns the files, read from the manifests of the run's writers.
    """

    def __init__(self, run_id: str, load: Callable[[], Sequence[Artifact]]) -> None:
        self._run_id = run_id
        self._load = load

    def list(self, prefix: str = "") -> Sequence[Artifact]:
        """Return the files sorted by path, those below the folder `prefix` if one is given."""
        inside = f"{prefix.rstrip('/')}/" if prefix else ""
        return [one for one in self._load() if one.path.startswith(inside) or one.path == prefix]

    def __iter__(self) -> Iterator[Artifact]:
        return iter(self.list())

    def __len__(self) -> int:
        return len(self.list())

    def __contains__(self, path: object) -> bool:
        return any(one.path == path for one in self.list())

    def __getitem__(self, path: str) -> Artifact:
        """Return one file.

        Raises:
            ArtifactNotFoundError: the run has no file of this path; the message names what it has.
        """
        files = self.list()
        for one in files:
            if one.path == path:
                return one
        known = ", ".join(one.path for one in files[:10]) or "none"
        raise ArtifactNotFoundError(f"Run {self._run_id} has no artifact {path!r}; it has: {known}", key=path)

    def download(
        self,
        target: str | Path,
        *,
        paths: Iterable[str] | None = None,
        overwrite: bool = False,
        progress: DownloadProgress | None = None,
    ) -> DownloadReport:
        """Write files below a folder, each verified against its hash. A call that was cut off is continued by the next.

        Args:
            target: the folder; created when absent. Nothing is ever written outside of it.
            paths: files or folders of the run; all by default.
            overwrite: replace files that are there with other contents; without it they are reported as problems.
            progress: told about the bytes that arrive.

        Raises:
            ArtifactNotFoundError: one of `paths` is not in the run.
            StorageError: the folder cannot be written.
        """
        chosen = self._chosen(paths)
        folder = TargetFolder(Path(target))
        report = DownloadReport(folder.root)
        collisions = find_collisions(one.path for one in chosen)
        for artifact in chosen:
            if artifact.path in collisions:
                report.problems[artifact.path] = (
                    f"cannot stand beside {collisions[artifact.path]!r} on every file system"
                )
                continue
            try:
                fetched = _fetch(artifact, folder, overwrite=overwrite, progress=progress)
            except (RunfolioError, OSError) as error:
                report.problems[artifact.path] = str(error)
                continue
            (report.downloaded if fetched else report.skipped).append(artifact.path)
        return report

    def are_at(self, folder: Path) -> bool:
        """Whether all the files lie below a folder with the right contents."""
        return all(one._is_copy(folder / one.path) for one in self.list())  # noqa: SLF001

    def _chosen(self, paths: Iterable[str] | None) -> Sequence[Artifact]:
        if paths is None:
            return self.list()
        chosen: dict[str, Artifact] = {}
        for path in paths:
            found = self.list(path.removeprefix("./").rstrip("/"))
            if not found:
                self[path]  # raises, and names what there is
            chosen.update((one.path, one) for one in found)
        return [*chosen.values()]


def _fetch(artifact: Artifact, folder: TargetFolder, *, overwrite: bool, progress: DownloadProgress | None) -> bool:
    """Write one file; False when it is there already."""
    final = folder.place(artifact.path)
    if final.exists() or final.is_symlink():
        if artifact._is_copy(final):  # noqa: SLF001
            return False
        if not overwrite:
            raise InvalidKeyError(
                f"{final} exists with other contents: pass overwrite to replace it", key=artifact.path
            )
    if not artifact.available:
        raise ArtifactNotFoundError(f"its contents were not stored: {artifact.status}", key=artifact.path)
    partial = folder.partial(artifact.path)
    _continue(artifact, partial, progress)
    if artifact.sha256 and hash_file(partial)[0] != artifact.sha256:
        partial.unlink()
        raise FormatError(
            "its contents in the store do not match their SHA-256: the object was changed", key=artifact.path
        )
    folder.publish(partial, artifact.path)
    return True


def _continue(artifact: Artifact, partial: Path, progress: DownloadProgress | None) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    if have > artifact.size:
        partial.unlink()
        have = 0
    with partial.open("ab") as out:
        if have and progress is not None:
            progress(artifact, have)
        while have < artifact.size:
            part = artifact._read(have, min(have + _STEP, artifact.size))  # noqa: SLF001
            if not part:
                raise StorageError(
                    f"{artifact.path!r} ends after {have} of {artifact.size} bytes in the store", key=artifact.path
                )
            out.write(part)
            have += len(part)
            if progress is not None:
                progress(artifact, len(part))


def artifact_of(row: dict[str, Any], run_id: str, writer: str, backend: Backend) -> Artifact | None:
    """Make an artifact of a manifest's row, or None when its path or key is not one that a run may have."""
    try:
        path = validate_path(row["path"])
        key = layout.artifact(run_id, validate_path(row["key"] or path))
    except InvalidKeyError:
        return None
    return Artifact(
        path=path,
        size=row["size"],
        sha256=row["sha256"],
        modified=_moment(row["modified"]),
        media_type=row["media_type"],
        kind=row["kind"] or "file",
        step=row["step"],
        status=row["status"] or STORED,
        original=row["original"],
        writer=writer,
        _key=key,
        _backend=backend,
    )


def _moment(modified: datetime | int | None) -> datetime | None:
    """A time of a manifest: read back it is a datetime, before that microseconds since the epoch."""
    return datetime.fromtimestamp(modified / 1e6, UTC) if isinstance(modified, int) else modified

"""Files of a run: uploaded, and listed in the manifest of the writer that stored them.

Several writers may store files under one path. Each first publishes in its manifest which paths it is going to write,
then reads the manifests of the others, and keeps out of their way: of two that meet, at least one sees the other and
writes below ``.by-<writer>/``.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import InvalidKeyError, NotFoundError, PermissionDeniedError, StorageError
from runfolio.filesystem import hash_file
from runfolio.names import validate_path
from runfolio.store.folder_listing import sort_out
from runfolio.store.manifests import (
    AVAILABLE,
    CHANGED,
    FAILED,
    PENDING,
    STORED,
    TOO_LARGE,
    decode_manifest,
    encode_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from runfolio.store.desk import Desk
    from runfolio.store.ledger import FileState

logger = logging.getLogger(__name__)

FileProgress = Callable[[str, int], None]
"""Called with the path of a file and the number of its bytes that were sent since the last call."""
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    """A local file that is to become an artifact.

    Attributes:
        path: where it lies in the run, under ``outputs/`` or ``logs/``.
        source: the local file.
        media_type: for example ``image/png``, if known.
        original: the file's own name where that could not be a path everywhere.
        kind: ``file``, ``figure``, ``image``, ``table`` or ``text``.
        step: the step it was logged at.
    """

    path: str
    source: Path
    media_type: str | None = None
    original: str | None = None
    kind: str = "file"
    step: int | None = None


@dataclass(slots=True)
class _Others:
    """What other writers have, or are about to have, in the folder of the run."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)


def stage(desk: Desk, file: StagedFile) -> None:
    """Journal that a file is to be stored. No request. Staged again, the same path is stored again.

    Raises:
        InvalidKeyError: the path is not allowed, or lies neither under ``outputs/`` nor ``logs/``.
    """
    validate_path(file.path)
    if not file.path.startswith(("outputs/", "logs/")):
        raise InvalidKeyError(f"An artifact lies under outputs/ or logs/, not at {file.path!r}", key=file.path)
    body = {
        "path": file.path,
        "source": os.fspath(file.source.absolute()),
        "media_type": file.media_type,
        "original": file.original,
        "kind": file.kind,
        "step": file.step,
    }
    desk.ledger.note("file", body)


def push_files(
    desk: Desk, run_id: str, *, largest: int | None = None, progress: FileProgress | None = None
) -> list[dict[str, str]]:
    """Store the staged files and the manifest. Without staged files there is no request.

    Args:
        desk: where to work.
        run_id: the run.
        largest: files of more bytes are not stored, and reported.
        progress: told about the bytes sent.

    Returns:
        What could not be stored, as ``{"path": …, "reason": …}``. These files are tried again by the next call.

    Raises:
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed as a whole. The next call, or a replay, goes on.
    """
    pending = desk.ledger.pending_files
    writer = desk.ledger.state.writer
    if not pending:
        if desk.ledger.state.manifest_due:  # killed after the last file and before the manifest
            _put_manifest(desk, run_id, writer, [])
            desk.ledger.note("manifest", {})
        return []
    claims = [{**_blank(one.staged), "key": one.staged["path"], "status": PENDING} for one in pending]
    _put_manifest(desk, run_id, writer, claims)  # publish first …
    others = _read_others(desk, run_id, writer)  # … then check

    def store(state: FileState) -> dict[str, Any]:
        return _store(desk, run_id, state, others, largest, progress)

    rows = desk.environment.gather([partial(store, one) for one in pending])
    failed = [row for row in rows if row["status"] == FAILED]
    _put_manifest(desk, run_id, writer, failed)
    if not failed:
        desk.ledger.note("manifest", {})
    return [{"path": row["path"], "reason": row["reason"]} for row in rows if row["status"] in (FAILED, TOO_LARGE)]


def _put_manifest(desk: Desk, run_id: str, writer: str, extra: list[dict[str, Any]]) -> None:
    rows = {row["path"]: row for row in desk.ledger.manifest}
    rows.update((row["path"], row) for row in extra)
    known = [{name: value for name, value in row.items() if name != "reason"} for _, row in sorted(rows.items())]
    desk.backend.put(layout.manifest(run_id, writer), encode_manifest(known, writer))


def _read_others(desk: Desk, run_id: str, writer: str) -> _Others:
    listing = sort_out(run_id, desk.backend.list(layout.run_folder(run_id)))
    keys = [key for one, key in listing.manifests.items() if one != writer]

    def read(key: str) -> list[dict[str, Any]]:
        try:
            return decode_manifest(desk.backend.get(key), key)
        except NotFoundError:
            return []  # deleted with its run

    found = _Others(objects={key.removeprefix(layout.run_folder(run_id)) for key in listing.files})
    for rows in desk.environment.gather([partial(read, key) for key in keys]):
        for row in rows:
            found.rows.setdefault(row["key"] or row["path"], []).append(row)
    return found


def _store(
    desk: Desk, run_id: str, state: FileState, others: _Others, largest: int | None, progress: FileProgress | None
) -> dict[str, Any]:
    """Store one file and return its row of the manifest."""
    staged = state.staged
    row = _blank(staged)
    try:
        row.update(_upload(desk, run_id, state, others, largest, progress))
    except PermissionDeniedError:
        raise  # the storage as a whole, not this file
    except StorageError as error:
        if error.retryable:
            raise  # likewise: everything waits for the next time
        return {**row, "status": FAILED, "reason": str(error)}
    except InvalidKeyError as error:
        return {**row, "status": FAILED, "reason": str(error)}
    except OSError as error:  # of the local file
        return {**row, "status": FAILED, "reason": error.strerror or str(error)}
    if row["status"] == FAILED:
        return row
    if desk.ledger.state.files.get(staged["path"]) is state:  # else it was staged again meanwhile
        desk.ledger.note("file-stored", row)
    return row


def _upload(
    desk: Desk, run_id: str, state: FileState, others: _Others, largest: int | None, progress: FileProgress | None
) -> dict[str, Any]:
    staged, source = state.staged, Path(state.staged["source"])
    before = source.stat()
    seen: dict[str, Any] = {"size": before.st_size, "modified": before.st_mtime_ns // 1000}
    if not stat.S_ISREG(before.st_mode):
        return {**seen, "size": 0, "status": FAILED, "reason": "it is not a file"}
    if largest is not None and before.st_size > largest:
        reason = f"it has {before.st_size:,} bytes, and the limit is {largest:,}"
        return {**seen, "status": TOO_LARGE, "reason": reason}
    digest, size = hash_file(source)
    key = _choose_key(desk, staged["path"], digest, others)
    seen.update(key=key, size=size, sha256=digest, status=STORED)
    if _there_already(state, key, digest, others):
        return seen
    desk.ledger.note("file-key", {"path": staged["path"], "key": key})
    told = None if progress is None else lambda count: progress(staged["path"], count)
    full = layout.artifact(run_id, key)
    desk.backend.put_file(full, source, told)
    if size == before.st_size and _same(before, source):
        return seen
    # It changed between being hashed and being sent: a copy cannot, so the stored bytes and their hash belong together.
    with _copied(source) as (copy, digest, size, quiet):
        desk.backend.put_file(full, copy)
    return {**seen, "size": size, "sha256": digest, "status": STORED if quiet else CHANGED}


def _choose_key(desk: Desk, path: str, digest: str, others: _Others) -> str:
    rivals = others.rows.get(path, [])
    if any(row["status"] == PENDING or (row["status"] in AVAILABLE and row["sha256"] != digest) for row in rivals):
        taken = True
    else:
        # Somebody's bytes without a manifest: not ours unless we noted that we were going to write them.
        taken = not rivals and path in others.objects and path not in desk.ledger.state.file_keys
    if not taken:
        return path
    room, _, rest = path.partition("/")
    aside = f"{room}/.by-{desk.ledger.state.writer}/{rest}"
    logger.warning("Another writer of the run stored %s with other contents; this one's is kept as %s", path, aside)
    return aside


def _there_already(state: FileState, key: str, digest: str, others: _Others) -> bool:
    mine = state.earlier is not None and state.earlier["key"] == key and state.earlier["sha256"] == digest
    known = mine and state.earlier is not None and state.earlier["status"] == STORED
    return known or any(row["sha256"] == digest and row["status"] in AVAILABLE for row in others.rows.get(key, []))


def _blank(staged: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "path": staged["path"],
        "key": staged["path"],
        "size": 0,
        "sha256": None,
        "modified": None,
        "media_type": staged.get("media_type"),
        "original": staged.get("original"),
        "kind": staged.get("kind") or "file",
        "step": staged.get("step"),
        "status": PENDING,
    }


def _same(before: os.stat_result, source: Path) -> bool:
    after = source.stat()
    return (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)


@contextmanager
def _copied(source: Path) -> Generator[tuple[Path, str, int, bool]]:
    """Copy a file of a private name: the copy, its hash and length, and whether the source was quiet meanwhile."""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory(prefix="runfolio-") as folder:
        copy = Path(folder) / "copy"
        before = source.stat()
        left = before.st_size
        with source.open("rb") as opened, copy.open("wb") as out:
            while left > 0 and (chunk := opened.read(min(_CHUNK, left))):
                digest.update(chunk)
                out.write(chunk)
                left -= len(chunk)
        yield copy, digest.hexdigest(), before.st_size - left, left == 0 and _same(before, source)

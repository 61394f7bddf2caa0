"""A snapshot on this machine: where it is taken, how it goes with a run, and what is remembered of it afterwards."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from runfolio import layout
from runfolio.config import Places, store_address
from runfolio.config.redaction import holds_secret
from runfolio.errors import ConfigurationError
from runfolio.ids import new_token
from runfolio.snapshot import look_through
from runfolio.snapshot.known import Known, memory_of
from runfolio.snapshot.objects import COMMIT_TYPE, read_commit
from runfolio.snapshot.snapshot import Snapshot
from runfolio.snapshot.taking import Rules, retake_snapshot, take_snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.history import History
    from runfolio.snapshot import ProjectFiles
    from runfolio.snapshot.reading import StoredSource

_KNOWN: Final = "known.json"
_NEW: Final = "new-"
_DAY: Final = 86_400.0
_NO_LIMIT: Final = 1 << 62


def take(history: History, files: ProjectFiles | None, mode: Literal["full", "git"] | None) -> Snapshot:
    """Take a snapshot of the project of a history. See `runfolio.history.History.take_snapshot`."""
    settings = history.settings
    wanted = mode or settings.snapshot_mode
    if wanted == "off":
        raise ConfigurationError("Snapshots are switched off (snapshot.mode): give a mode, full or git", key="mode")
    chosen = files if files is not None else project_files(history)
    memory = _memory(history, chosen.root)
    _sweep(memory)
    known = Known.load(memory / _KNOWN)
    folder = memory / f"{_NEW}{os.getpid()}-{new_token()}"
    folder.mkdir(mode=0o700)
    try:
        snapshot = take_snapshot(chosen, rules_of(history, wanted), known, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    known.save(memory / _KNOWN)
    return snapshot


def snapshot_of(history: History, source: StoredSource) -> Snapshot:
    """Return the source of an earlier run as the snapshot of another one: nothing of it is sent again."""
    memory = _memory(history, str(history.settings.root))
    folder = memory / f"{_NEW}{os.getpid()}-{new_token()}"
    folder.mkdir(mode=0o700)
    homes = {sha: layout.stem_of(key) for key, pack in source.packs.items() for sha in pack.places}
    tree, _ = read_commit(source.object(source.commit, COMMIT_TYPE), source.commit)
    return Snapshot(
        commit=source.commit,
        tree=tree,
        root=str(history.settings.root),
        entries=source.entries,
        left_out=[],
        folder=folder,
        homes=homes,
        seen=time.time(),
        store_id=history._connection.open().store_id,  # noqa: SLF001 (a part of the history)
    )


def once_more(history: History, snapshot: Snapshot) -> Snapshot:
    """Return a snapshot that was kept in a folder, for one more run: nothing is sent that the store has by now."""
    memory = _memory(history, snapshot.root)
    folder = memory / f"{_NEW}{os.getpid()}-{new_token()}"
    folder.mkdir(mode=0o700)
    return retake_snapshot(snapshot, Known.load(memory / _KNOWN), folder)


def rules_of(history: History, mode: Literal["full", "git"]) -> Rules:
    """Return what becomes a part of a snapshot of the project of a history."""
    settings = history.settings
    return Rules(
        mode=mode,
        largest_untracked=settings.snapshot_untracked_limit or _NO_LIMIT,
        largest=settings.snapshot_limit or _NO_LIMIT,
        is_secret=lambda data: holds_secret(data.decode("utf-8", "replace")),
    )


def known_of(history: History, root: str) -> Known:
    """Return what is remembered of the files of a project."""
    return Known.load(_memory(history, root) / _KNOWN)


def project_files(history: History) -> ProjectFiles:
    """Return what the project of a history consists of, without the store where it lies in it."""
    store = store_address(history.settings).path
    return look_through(history.settings.root, exclude=[] if store is None else [store])


def _memory(history: History, root: str) -> Path:
    settings = history.settings
    for state in (Places.of(os.environ).user_state, settings.root / ".runfolio"):
        memory = memory_of(state, history.url, settings.project, root)
        try:
            memory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(memory, os.W_OK | os.X_OK):
            return memory
    raise ConfigurationError(f"Neither the state folder nor {settings.root} can be written", key=str(settings.root))


def _sweep(memory: Path) -> None:
    """Remove what processes left that were killed while they took a snapshot."""
    for path in memory.glob(f"{_NEW}*"):
        try:
            if time.time() - path.stat().st_mtime > _DAY:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue  # removed by somebody else


def adopt(snapshot: Snapshot, folder: Path) -> None:
    """Move a snapshot into the folder of a journal, where it stays until it is in the store."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.move(snapshot.folder, folder)
    snapshot.folder = folder
    if snapshot.pack is not None:
        snapshot.pack = folder / snapshot.pack.name


def drop(snapshot: Snapshot) -> None:
    """Remove a snapshot that is not to be stored."""
    shutil.rmtree(snapshot.folder, ignore_errors=True)


def remember(history: History, snapshot: Snapshot, run_id: str, store_id: str, homes: Mapping[str, str]) -> None:
    """Remember which packs hold the objects of a snapshot that is complete in the store."""
    memory = _memory(history, snapshot.root)
    known = Known.load(memory / _KNOWN)
    if known.store_id != store_id or not snapshot.homes:
        known.objects, known.packs, known.commits = {}, {}, {}
    known.store_id = store_id
    now = time.time()
    for stem in sorted(set(homes.values())):
        known.holds((sha for sha, home in homes.items() if home == stem), stem, now)
    if not snapshot.unchanged:
        known.commits[snapshot.commit] = run_id
    known.news = True
    known.trim()
    known.save(memory / _KNOWN)

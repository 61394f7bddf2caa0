"""Promote: files of a run that has ended become a new version of an asset, after each was verified."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runfolio import layout
from runfolio.artifacts import STORED, Artifact
from runfolio.assets.links import write_link
from runfolio.assets.versions import AssetVersion, combined_hash
from runfolio.errors import RunfolioError, RunStateError
from runfolio.names import validate_asset

if TYPE_CHECKING:
    from runfolio.history import History
    from runfolio.run import Run


def promote(history: History, run: Run, path: str, name: str, *, link: bool = True) -> AssetVersion:
    """Promote a file or folder of a run. See `runfolio.run.Run.promote`."""
    validate_asset(name)
    promoter = history.assets._promoter()  # noqa: SLF001 (a part of it); before anything is read: may we write?
    record = run.refresh()
    if not record.ended:
        raise RunStateError(
            f"The run {run.id} is {record.status}: only what a run left at its end is promoted", key=run.id
        )
    chosen = path.removeprefix("./").rstrip("/")
    files = run.artifacts.list(chosen) or [run.artifacts[chosen]]  # the second raises, and names what there is
    evidence = _evidence(history, run, files)
    for file in files:
        history.plugins.ask("runfolio_promoting", f"to have {file.path!r} promoted", run=run, artifact=file)
    for file in files:
        file.verify()
    fields: dict[str, Any] = {
        "path": chosen,
        "files": [
            {
                "path": file.path,
                "key": file._key.removeprefix(layout.run_folder(run.id)),  # noqa: SLF001
                "size": file.size,
                "sha256": file.sha256,
            }
            for file in files
        ],
        "sha256": combined_hash(chosen, [(file.path, file.sha256 or "") for file in files]),
        "evidence": evidence,
    }
    made = promoter.promote(name, run.id, fields)
    version = history.assets._version(made)  # noqa: SLF001
    if link:
        try:
            write_link(history.settings.root, version.link())
        except RunfolioError as error:
            error.add_note(f"{version.word} was promoted all the same. Its link: runfolio assets link {version.word}")
            raise
    return version


def _evidence(history: History, run: Run, files: Sequence[Artifact]) -> dict[str, Any]:
    """What is known of the run, after making sure that the files are complete."""
    ends = history._reader.folder(run.id).ends  # noqa: SLF001
    writers = sorted({file.writer for file in files})
    for file in files:
        if file.status != STORED or file.sha256 is None:
            raise RunStateError(
                f"The run {run.id} is incomplete, so {file.path!r} cannot be promoted: {file.status}", key=file.path
            )
        if file.writer not in ends:
            raise RunStateError(
                f"The run {run.id} is incomplete: {file.writer}, which stores {file.path!r}, has not ended", key=run.id
            )
    manifests = [layout.manifest(run.id, writer) for writer in writers]
    backend = history._backend  # noqa: SLF001
    return {
        "manifests": {
            key.removeprefix(layout.run_folder(run.id)): hashlib.sha256(backend.get(key)).hexdigest()
            for key in manifests
        },
        "run_number": run.record.run_number,
        "snapshot": run.record.commit_id,
        "status": run.record.status,
    }

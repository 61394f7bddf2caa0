"""How a run comes to life: a new one, another writer of one that exists, another attempt at one that ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.active_run import ActiveRun
from runfolio.errors import ConfigurationError, RunfolioError, RunStateError
from runfolio.ids import new_run_id, new_token, new_uid, parse_run_id
from runfolio.journal.spool import Header
from runfolio.names import validate_name, validate_project
from runfolio.params import redacted, validate_tag
from runfolio.recording.recorder import Recorder
from runfolio.recording.redacting import redact_param, redact_properties, redactor_of
from runfolio.recording.spooled import sync_journals
from runfolio.snapshot.objects import printable
from runfolio.values import flatten

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.history import History
    from runfolio.snapshot.snapshot import Snapshot
    from runfolio.store.run_folder import RunFolder

_LISTED: Final = 64
"""So many files that a snapshot left out are named in the record; ``source.json`` has all."""
INTERACTIVE = "interactive"
"""The experiment of a run that no script started."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What the caller says about a new run. The attributes are the arguments of `History.start_run`."""

    project: str
    experiment: str | None = None
    name: str | None = None
    tags: Sequence[str] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    note: str | None = None
    script: str | None = None
    argv: Sequence[str] = ()
    target: str = "local"
    properties: Mapping[str, Any] = field(default_factory=dict)
    writer: str = "main"
    snapshot: Snapshot | None = None


def begin(history: History, birth: Birth, *, system_metrics: bool | None) -> ActiveRun:
    """Start a new run. Its start is journaled when this returns, and stored unless the store cannot be reached."""
    start = _start_document(history, birth)
    header = Header.here(
        run_id=start["run"], uid=start["uid"], writer=start["main"], project=start["project"], store=history.url
    )

    # The properties need the run, and the run needs its journal; so the start is completed before it is journaled.
    recorder = Recorder(history, header, lambda _: None, start=start)
    run = ActiveRun(history, recorder)
    recorder.run = run
    start["properties"] = _properties(history, birth, run)
    if birth.snapshot is not None:
        recorder.keep_snapshot(birth.snapshot)
    recorder.pusher.intend_start(start)
    return _go(history, recorder, run, system_metrics=system_metrics)


def join(history: History, run_id: str, writer: str) -> ActiveRun:
    """Become an additional writer of a run that exists, or that another process on this machine has begun offline."""
    project = parse_run_id(run_id).project
    layout.validate_writer_name(writer)
    known = _known(history, run_id)
    uid = known.start["uid"] if known is not None and known.start is not None else ""
    header = Header.here(run_id=run_id, uid=uid, writer=f"{writer}.{new_token()}", project=project, store=history.url)
    attempt = max(known.attempts, default=1) if known is not None else 1
    start = dict(known.start) if known is not None and known.start is not None else {"run": run_id, "project": project}
    steps = _steps_before(history, run_id, writer) if attempt > 1 else None
    recorder = Recorder(history, header, lambda pusher: pusher.intend_join(uid, attempt), start=start, steps=steps)
    run = ActiveRun(history, recorder)
    recorder.run = run
    return _go(history, recorder, run, system_metrics=None)


def resume(history: History, run_id: str, at_step: int | None, reason: str | None, *, force: bool) -> ActiveRun:
    """Begin another attempt at a run that has ended or was lost."""
    if history.settings.mode == "online":
        sync_journals(history, run_id=run_id)  # a process that was killed here has ended, and what it logged counts
    record = history._reader.record(run_id)  # noqa: SLF001 (a part of the history)
    if record.status == "Running" and not force:
        raise RunStateError(
            f"Run {run_id} is still running: attach to it as another writer, wait until it has ended or counts as "
            "Lost, or use force=True if you know that its process is gone",
            key=run_id,
        )
    folder = history._reader.folder(run_id)  # noqa: SLF001
    start = dict(folder.start or {})
    writer = f"main.{new_token()}"
    header = Header.here(run_id=run_id, uid=start["uid"], writer=writer, project=start["project"], store=history.url)
    rows = history._reader.rows(run_id, None)  # noqa: SLF001
    document = {
        "run": run_id,
        "project": start["project"],
        "main": writer,
        "host": header.host,
        "argv": redactor_of(history).argv(sys.argv[1:]),
        "reason": reason,
        "at_step": at_step,
        **({} if at_step is None else _replaced(folder, rows, at_step, writer)),
        "packages": _packages(),
        "created": history._connection.environment.timestamp(),  # noqa: SLF001
    }
    recorder = Recorder(
        history,
        header,
        lambda pusher: pusher.intend_attempt(document, start["uid"]),
        start=start,
        steps=_last_steps(rows, at_step),
    )
    run = ActiveRun(history, recorder)
    recorder.run = run
    return _go(history, recorder, run, system_metrics=None)


def _go(history: History, recorder: Recorder, run: ActiveRun, *, system_metrics: bool | None) -> ActiveRun:
    recorder.wants_system_metrics = history.settings.system_metrics if system_metrics is None else system_metrics
    recorder.run_in_background()
    recorder.wait_for_start()
    recorder.before_finish(lambda: _tell_ending(history, run))
    history.plugins.notify("runfolio_run_started", run=run)
    return run


def _tell_ending(history: History, run: ActiveRun) -> None:
    history.plugins.notify("runfolio_run_ending", run=run)


def _start_document(history: History, birth: Birth) -> dict[str, Any]:
    environment = history._connection.environment  # noqa: SLF001 (a part of the history)
    project = validate_project(birth.project)
    script = _relative(birth.script, history.settings.root)
    experiment = birth.experiment or history.settings.experiment or (Path(script).name if script else INTERACTIVE)
    created = environment.timestamp()
    return {
        "run": new_run_id(project, environment.microseconds() // 1000),
        "uid": new_uid(),
        "project": project,
        "experiment": validate_name(experiment, "experiment"),
        "script": script,
        "argv": redactor_of(history).argv(birth.argv),
        "name": birth.name,
        "note": birth.note,
        "tags": [validate_tag(tag) for tag in birth.tags],
        "target": birth.target,
        "user_id": history.user_id,
        "main": f"{layout.validate_writer_name(birth.writer)}.{new_token()}",
        "parent": birth.parent,
        "created": created,
        "started": created,
        "host": Header.here(run_id="", uid="", writer="", project="", store="").host,
        "properties": {},
        "packages": _packages(),
        "params": redacted(flatten(birth.params), partial(redact_param, history)),
        **_source(birth.snapshot),
        "mode": history.settings.mode,
    }


def _source(snapshot: Snapshot | None) -> dict[str, Any]:
    if snapshot is None:
        return {"snapshot": None}
    if not snapshot.unchanged:
        return {"snapshot": snapshot.commit}
    # Nothing is sent: the start itself is the reference that keeps the packs.
    packs = [layout.pack(stem) for stem in snapshot.packs]
    return {"snapshot": snapshot.commit, "packs": packs, "listed_by": snapshot.listed_by}


def _properties(history: History, birth: Birth, run: ActiveRun) -> dict[str, Any]:
    from runfolio.environment import collect_properties  # noqa: PLC0415 (loaded on use)

    properties = collect_properties(history.settings.root)
    for found in history.plugins.notify("runfolio_collect_properties", run=run):
        properties.update(found)
    found = {**properties, **birth.properties}
    if birth.snapshot is not None and birth.snapshot.left_out:
        left_out = birth.snapshot.left_out[:_LISTED]
        found["SnapshotLeftOut"] = [f"{printable(path)}: {reason}" for path, reason in left_out]
    return redact_properties(history, found)


@cache
def _packages() -> dict[str, str]:
    from runfolio.environment import installed_packages  # noqa: PLC0415 (loaded on use)

    return installed_packages()


def _relative(script: str | None, root: Path) -> str | None:
    """The script's path in the project, with slashes; its name alone when it lies elsewhere."""
    if script is None:
        return None
    path = Path(script)
    if not path.is_absolute():
        return Path(os.path.normpath(script)).as_posix()
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.name


def _known(history: History, run_id: str) -> RunFolder | None:
    """What the store has of a run; None when it cannot be asked, or does not have it yet."""
    if history.settings.mode != "online":
        return None
    try:
        return history._reader.folder(run_id)  # noqa: SLF001 (a part of the history)
    except (RunfolioError, OSError):
        return None


def go_back(history: History, run_id: str, at_step: int) -> None:
    """Let the attempt that runs take the place of what earlier ones logged from a step on. Its main writer stays.

    Raises:
        ConfigurationError: nothing is sent in this mode.
        StorageError: the storage failed.
    """
    from runfolio.store.attempts import attempt, intend_attempt  # noqa: PLC0415 (loaded on use)
    from runfolio.store.desk import Desk  # noqa: PLC0415
    from runfolio.store.ledger import Ledger  # noqa: PLC0415
    from runfolio.store.spooled import MemoryNotes  # noqa: PLC0415

    if history.settings.mode != "online":
        raise ConfigurationError("The store is not asked for anything in this mode", key="mode")
    history._connection.writable()  # noqa: SLF001 (a part of the history)
    sync_journals(history, run_id=run_id)
    folder = history._reader.folder(run_id)  # noqa: SLF001
    start, main = dict(folder.start or {}), str(folder.main)
    document = {
        "run": run_id,
        "project": start["project"],
        "main": main,
        "host": Header.here(run_id="", uid="", writer="", project="", store="").host,
        "argv": redactor_of(history).argv(sys.argv[1:]),
        "reason": f"went back to step {at_step}",
        "at_step": at_step,
        **_replaced(folder, history._reader.rows(run_id, None), at_step, main),  # noqa: SLF001
        "created": history._connection.environment.timestamp(),  # noqa: SLF001
    }
    # Somebody waits for it, so its journal is memory: a kill leaves it made or not, and the script begins again.
    desk = Desk(history._connection.raw, Ledger(MemoryNotes()), history._connection.environment)  # noqa: SLF001
    intend_attempt(desk, document, start["uid"], wid=f"{start['uid']}:{new_token()}")
    attempt(desk)


def _replaced(folder: RunFolder, rows: pa.Table, at_step: int, main: str) -> dict[str, Any]:
    """Whose rows are hidden from a step on, and the summaries of what is left of them; not those of the main writer."""
    import pyarrow.compute as pc  # noqa: PLC0415 (loaded on use)

    from runfolio.rows.summary import summaries_of  # noqa: PLC0415 (loaded on use)

    left = rows.filter(pc.less(rows["step"], at_step))
    left = left.filter(pc.not_equal(left["writer"].cast("string"), main))
    return {"replaced": sorted(folder.listing.writers() - {main}), "metrics": summaries_of(left)}


def _steps_before(history: History, run_id: str, writer: str) -> dict[str, int]:
    """Where the writers of this name stopped in earlier attempts; from the beginning, while that cannot be read."""
    import pyarrow.compute as pc  # noqa: PLC0415 (loaded on use)

    try:
        rows = history._reader.rows(run_id, None)  # noqa: SLF001 (a part of the history)
    except (RunfolioError, OSError):
        return {}
    return _last_steps(rows.filter(pc.starts_with(rows["writer"].cast("string"), f"{writer}.")), None)


def _last_steps(table: pa.Table, at_step: int | None) -> dict[str, int]:
    """Where each series of the run stopped, or was told to go on."""
    import pyarrow.compute as pc  # noqa: PLC0415 (loaded on use)

    if table.num_rows == 0:
        return {}
    grouped = (
        table.set_column(0, "name", pc.cast(table["name"], "string")).group_by("name").aggregate([("step", "max")])
    )
    steps = dict(zip(grouped["name"].to_pylist(), grouped["step_max"].to_pylist(), strict=True))
    return steps if at_step is None else {name: min(step, at_step - 1) for name, step in steps.items()}

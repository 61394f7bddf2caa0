"""Edit and delete: changes to a run by anybody, at any time. The later one wins, whatever the clocks say."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Literal

from runfolio import layout
from runfolio.errors import FormatError, InvalidNameError, RunStateError, StorageError
from runfolio.names import validate_name
from runfolio.store.asset_records import pinned_files
from runfolio.store.documents import FORMAT
from runfolio.store.environment import spell_time
from runfolio.store.folder_listing import sort_out

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.store.desk import Desk
    from runfolio.store.environment import Environment

logger = logging.getLogger(__name__)
FIELDS: Final = frozenset({"name", "note", "description", "archived"})
_FREE: Final = ("tag:", "x-")


def intend_edit(
    desk: Desk,
    *,
    run_id: str,
    project: str,
    field: str | None,
    value: Any = None,
    who: str | None = None,
    kind: Literal["edit", "delete"] = "edit",
    offline: bool = False,
) -> str:
    """Journal an edit or a delete (Edit 0) and return its token. No request; after this a replay can do the rest.

    Args:
        desk: where to work.
        run_id: the run.
        project: its project.
        field: what to change: a built-in field, ``tag:<tag>``, or a word beginning with ``x-``; None for a delete.
        value: its new value, as JSON can hold it.
        who: who wants it.
        kind: ``edit`` or ``delete``.
        offline: stamp it with this machine's clock, since the store cannot be asked. It loses to newer edits then.

    Raises:
        InvalidNameError: there is no such field.
    """
    if kind == "edit":
        validate_name(field or "", "field")
        if field not in FIELDS and not (field or "").startswith(_FREE):
            known = ", ".join(sorted(FIELDS))
            raise InvalidNameError(
                f"A run has no field {field!r} to edit: use {known}, tag:<tag> or x-<word>", key=field
            )
    token, now = desk.environment.token(), desk.environment.microseconds()
    body = {
        "token": token,
        "run": run_id,
        "project": project,
        "kind": kind,
        "field": field if kind == "edit" else None,
        "value": value,
        "who": who,
        "created": spell_time(now),
    }
    desk.ledger.note("edit", body)
    if offline:
        desk.ledger.note("edit-stamp", {"token": token, "stamp": now, "entry": now})
    return token


def edit(desk: Desk, token: str) -> dict[str, Any]:
    """Do the rest of an intended edit or delete and return the stored record.

    That takes 3 requests; a delete sweeps the folder then, and spares what assets name.

    Args:
        desk: where to work.
        token: as `intend_edit` returned it.

    Raises:
        RunStateError: no such edit is pending.
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed before the edit was acknowledged. A replay finishes it.
    """
    pending = desk.ledger.state.edits.get(token)
    if pending is None:
        raise RunStateError(f"No edit {token} is pending: it was never journaled, or is done")
    run_id = pending.body["run"]
    if pending.stamp is None:
        stamps = _stamps(desk.backend, run_id)  # 1
        now = desk.environment.microseconds()
        # Another replay of this journal, or of a copy of it, may have stored this very edit: then its stamp is the one.
        chosen = stamps.get(token) or max(now, max(stamps.values(), default=0) + 1)
        desk.ledger.note("edit-stamp", {"token": token, "stamp": chosen, "entry": now})
    stamp = pending.stamp
    assert stamp is not None
    document = {**pending.body, "format": FORMAT, "wid": token, "stamp": stamp}
    key = layout.edit(run_id, stamp, token)
    creation = desk.create(key, document)  # 2
    if not creation.ours:
        raise RunStateError(f"{key} belongs to another edit: make this one again", key=key)
    desk.announce(pending.entry, token, creation.document)  # 3: acknowledged
    desk.ledger.note("edited", {"token": token})
    if pending.body["kind"] == "delete":
        try:
            sweep_folder(desk.backend, run_id, desk.environment)
        except (StorageError, FormatError) as error:
            logger.info("The files of the deleted run %s are left for `runfolio store gc`: %s", run_id, error)
    return creation.document


def sweep_folder(backend: Backend, run_id: str, environment: Environment) -> int:
    """Delete what a deleted run left, and return how many objects that were. Its tombstone must be in the store.

    ``start.json`` and the edits stay for ever. Without them the id, and a journal that lies about somewhere, could
    start a second run of this name. Files that an asset names stay, too: a promotion that began before the tombstone is
    seen here, and one that began later sees the tombstone.

    Raises:
        FormatError: an asset cannot be read, so it is not known which files it needs.
        PermissionDeniedError: these credentials may not delete.
        StorageError: the storage failed; another sweep goes on.
    """
    kept = (layout.start(run_id), layout.edits(run_id))
    keys = [info.key for info in backend.list(layout.run_folder(run_id)) if not info.key.startswith(kept)]
    if any(layout.is_artifact(run_id, key) for key in keys):
        pinned = pinned_files(backend, environment)
        keys = [key for key in keys if key not in pinned]
    keys += beats_of(backend, run_id)
    if keys:
        backend.delete(keys)
    return len(keys)


def beats_of(backend: Backend, run_id: str) -> list[str]:
    """Return the keys of the heartbeats of a run (1 request): their names sort together."""
    encoded = layout.run_folder(run_id).rsplit("/", 2)[1]
    found: list[str] = []
    for info in backend.list(layout.BEATS, start_after=f"{layout.BEATS}{encoded}."):
        if not info.key.startswith(f"{layout.BEATS}{encoded}."):
            break
        found.append(info.key)
    return found


def _stamps(backend: Backend, run_id: str) -> dict[str, int]:
    """The stamps of the edits in the folder, by token."""
    listing = sort_out(run_id, backend.list(layout.edits(run_id)))
    return {key.removesuffix(layout.SUFFIX).rsplit("-", 1)[1]: layout.stamp_of(key) for key in listing.edits}

"""Promote: publish a version of an asset, then look whether its run was deleted meanwhile.

A delete does the mirror: tombstone first, then it reads which files assets need. So of a promotion and a delete that
meet, at least one sees the other, and no asset is left without its bytes (the protocol, "Promote").
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from runfolio import layout
from runfolio.errors import FormatError, RunStateError, StorageError
from runfolio.store.asset_records import ALIAS, PROMOTE, RETRACT
from runfolio.store.created import create_document
from runfolio.store.documents import FORMAT, decode
from runfolio.store.folder_listing import sort_out
from runfolio.store.retrying import PATIENT, Patience, RetryingBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runfolio.backend import Backend
    from runfolio.store.environment import Environment


class Promoter:
    """Writes records of assets. Each is a new object; nothing is rewritten.

    Args:
        storage: the store, each failure of which surfaces at once.
        environment: clocks, chance, parallelism.
        who: the user, as records name them.
        patience: how often and how long failed requests are sent again.
    """

    def __init__(
        self, storage: Backend, environment: Environment, *, who: str | None = None, patience: Patience = PATIENT
    ) -> None:
        self._storage = storage
        self._environment = environment
        self._patience = patience
        self._who = who
        self._backend = RetryingBackend(storage, patience, environment)

    def promote(self, name: str, run_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Make a new version of an asset and return its record (3 requests, one more for each edit of the run).

        Args:
            name: the asset.
            run_id: the run that its files belong to.
            fields: the rest of the record: ``path``, ``files``, ``sha256``, ``evidence``.

        Raises:
            RunStateError: the run was deleted meanwhile. The version was taken back.
            StorageError: the storage failed. A note says whether a version was left that must be taken back.
            FormatError: an edit of the run cannot be read; likewise.
        """
        stored = self._publish(name, {**fields, "kind": PROMOTE, "run": run_id})  # 1
        try:
            deleted = is_deleted(self._backend, run_id)  # 2
            if deleted:
                self.retract(name, stored["version"], "the run was deleted")
        except (StorageError, FormatError) as error:
            left = f"{name}@{stored['version']}"
            error.add_note(
                f"{left} was published, and it is not known whether its run was deleted meanwhile. "
                f"Promote again, and take it back with: runfolio assets retract {left}"
            )
            raise
        if deleted:
            raise RunStateError(f"The run {run_id} was deleted while it was being promoted", key=run_id)
        return stored

    def retract(self, name: str, version: int, reason: str | None = None) -> dict[str, Any]:
        """Take a version back, for good, by a new record, and return that."""
        return self._publish(name, {"kind": RETRACT, "retracts": version, "reason": reason})

    def alias(self, name: str, alias: str, version: int | None) -> dict[str, Any]:
        """Let an alias stand for a version, or for none, from now on; return the record."""
        document = self._stamped(name, {"kind": ALIAS, "alias": alias, "version": version})
        return self._claim(
            layout.asset_aliases(name, alias),
            lambda number: layout.asset_alias(name, alias, number),
            lambda _number: document,
        )

    def _publish(self, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        document = self._stamped(name, fields)
        return self._claim(
            layout.asset_folder(name),
            lambda number: layout.asset(name, number),
            lambda number: {**document, "version": number},
        )

    def _stamped(self, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **fields,
            "format": FORMAT,
            "wid": self._environment.token(),
            "asset": name,
            "who": self._who,
            "created": self._environment.timestamp(),
        }

    def _claim(
        self, folder: str, key: Callable[[int], str], document: Callable[[int], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Create the object of the next number that is free."""
        highest = 0
        for info in self._backend.list(folder):
            found = layout.asset_of(info.key)
            if found is not None and info.key == key(found.number):
                highest = found.number
                break
        for number in count(highest + 1):
            creation = create_document(self._storage, key(number), document(number), self._environment, self._patience)
            if creation.ours:
                return creation.document
        raise AssertionError("unreachable: the loop has no end")


def is_deleted(backend: Backend, run_id: str) -> bool:
    """Whether a run has a tombstone (1 request, and one for each edit).

    Raises:
        FormatError: one of its edits cannot be read, so nobody knows.
        StorageError: the storage failed.
    """
    keys = sort_out(run_id, backend.list(layout.edits(run_id))).edits
    return any(decode(backend.get(key), key).get("kind") == "delete" for key in keys)

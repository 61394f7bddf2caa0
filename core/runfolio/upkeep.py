"""Looking after a store: sending what is left, checking, counting, repairing, collecting garbage, compacting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.opened_store import OpenedStore

if TYPE_CHECKING:
    from runfolio.maintenance import UpkeepReport
    from runfolio.recording.spooled import SyncReport
    from runfolio.store_check import CheckReport


class Upkeep(OpenedStore):
    """The part of a history that is about its store as a whole."""

    def sync(self) -> SyncReport:
        """Send what dead processes of this machine and user left in their journals for this store.

        Repeating it is harmless.
        """
        from runfolio.recording.spooled import sync  # noqa: PLC0415 (loaded on use)

        return sync(self)

    def waiting(self) -> list[str]:
        """Return the ids of runs of which something waits on this machine for `sync`. No request."""
        from runfolio.recording.spooled import waiting  # noqa: PLC0415 (loaded on use)

        return waiting(self)

    def check(self) -> CheckReport:
        """Try what this store guarantees: create-if-absent, read after write, ranges, listing, deleting.

        Leaves nothing behind.
        """
        from runfolio.store_check import check_store  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        return check_store(self._connection.raw, single_writer=self._connection.single_writer)

    def info(self) -> UpkeepReport:
        """Count objects and bytes of the store by kind, and the requests of this history so far."""
        from runfolio.costs import Prices  # noqa: PLC0415 (loaded on use)
        from runfolio.maintenance import info  # noqa: PLC0415

        settings = self.settings
        prices = Prices(settings.price_write, settings.price_read, settings.price_storage)
        return info(self._connection, prices)

    def repair(self) -> UpkeepReport:
        """Rebuild the index from the run folders. Safe beside writers and readers."""
        from runfolio.maintenance import repair  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        return repair(self._connection)

    def gc(self, *, dry_run: bool = True) -> UpkeepReport:
        """Find, and unless `dry_run` delete, what no run needs.

        That is leftovers of deleted runs, covered segments, old beats.
        """
        from runfolio.maintenance import gc  # noqa: PLC0415 (loaded on use)

        if not dry_run:
            self._refuse_read_only()
        return gc(self._connection, dry_run=dry_run)

    def compact(self) -> UpkeepReport:
        """Copy the rows of ended runs into few large files, which readers of many runs use.

        Run it now and then, from anywhere: only runs that have no copy yet are read, and it is safe beside writers,
        readers and other compactions. The run folders stay as they are. Copies of deleted runs go.
        """
        from runfolio.maintenance import compact  # noqa: PLC0415 (loaded on use)

        self._refuse_read_only()
        return compact(self._connection)

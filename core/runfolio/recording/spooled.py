"""Sending what dead processes of this machine left in their journals: once, however often it is repeated."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from runfolio.config import spool_candidates
from runfolio.errors import RunfolioError
from runfolio.journal.reader import JournalReader
from runfolio.journal.spool import Spool
from runfolio.journal.spooled_run import SpooledRun, abandoned

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.opened_store import OpenedStore

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class SyncReport:
    """What a sync did.

    Attributes:
        completed: ids of runs of which everything a journal held is in the store now.
        deleted: ids of runs that somebody deleted meanwhile; their journals are kept.
        elsewhere: URLs of other stores that journals here are for, with how many.
        failed: ids of runs whose journal could not be sent, each with the reason.
        live: how many journals belong to processes that still run.
    """

    completed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    elsewhere: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    live: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def lines(self) -> list[str]:
        """The report as text."""
        lines = [f"sent: {run_id}" for run_id in self.completed]
        lines += [f"deleted meanwhile, kept here: {run_id}" for run_id in self.deleted]
        lines += [f"failed: {run_id}: {reason}" for run_id, reason in self.failed.items()]
        lines += [
            f"for another store: {count} in {url} (runfolio sync --store {url})"
            for url, count in self.elsewhere.items()
        ]
        if self.live:
            lines.append(f"still running: {self.live}")
        return lines or ["nothing to send"]


def sync(history: OpenedStore) -> SyncReport:
    """Send every journal of this store whose process is dead. See `runfolio.history.History.sync`."""
    history._refuse_read_only()  # noqa: SLF001 (a part of the history)
    return sync_journals(history)


def sync_journals(history: OpenedStore, run_id: str | None = None, spared: Path | None = None) -> SyncReport:
    """Send the journals of dead processes, those of one run or all, except one that is known to be alive."""
    report = SyncReport()
    for root in dict.fromkeys(spool_candidates(history.settings)):
        spool = Spool(root)
        wanted = spool.folder(run_id, "").name if run_id is not None else ""
        for folder in spool.journals():
            if folder.name.startswith(wanted) and folder != spared:
                try:
                    _consider(history, folder, run_id, report)
                except Exception as error:  # noqa: BLE001 (one journal that trips over a mistake of ours keeps up nothing else)
                    _log.debug("The journal %s could not be sent", folder, exc_info=True)
                    report.failed[folder.name] = f"Runfolio itself failed: {type(error).__name__}: {error}"
    return report


def waiting(history: OpenedStore) -> list[str]:
    """Return the ids of runs of which something waits here for this store, and whose processes are done with it."""
    found: set[str] = set()
    for root in dict.fromkeys(spool_candidates(history.settings)):
        for folder in Spool(root).journals():
            try:
                header = abandoned(folder)
            except (RunfolioError, OSError):
                continue  # finished by somebody else meanwhile, or of a later version
            if header is not None and header.store == history.url:
                found.add(header.run_id)
    return sorted(found)


def send_leftovers_once(history: OpenedStore) -> None:
    """Send, beside everything else, what dead processes left for this store: the first run of each history does it.

    The thread may die with the process: what it had begun is done again by the next one.
    """
    if not history._leftovers_sent:  # noqa: SLF001 (a part of the history)
        history._leftovers_sent = True  # noqa: SLF001
        threading.Thread(target=_send_leftovers, args=(history,), name="runfolio-sync", daemon=True).start()


def _send_leftovers(history: OpenedStore) -> None:
    for run_id, reason in sync_journals(history).failed.items():
        _log.info("What is left of %s was not sent, `runfolio sync` tries again: %s", run_id, reason)


def _consider(history: OpenedStore, folder: Path, run_id: str | None, report: SyncReport) -> None:
    try:
        header = JournalReader(folder).header()
        if header is None or (run_id is not None and header.run_id != run_id):
            return
        if header.store != history.url:
            report.elsewhere[header.store] = report.elsewhere.get(header.store, 0) + 1
            return
        spooled = SpooledRun.recover(folder)
    except FileNotFoundError:
        return  # finished by somebody else meanwhile
    except (RunfolioError, OSError) as error:
        report.failed[folder.name] = str(error)
        return
    if spooled is None:
        report.live += 1
    else:
        _send(history, spooled, report)


def _send(history: OpenedStore, spooled: SpooledRun, report: SyncReport) -> None:
    from runfolio.store.pushing import Pusher  # noqa: PLC0415 (loaded on use)

    connection = history._connection  # noqa: SLF001 (a part of the history)
    last_sign = datetime.fromtimestamp(_last_write(spooled.folder), UTC).isoformat(timespec="microseconds")
    try:
        connection.writable()
        store_id = connection.open().store_id
        pusher = Pusher(
            connection.raw,
            spooled,
            environment=connection.environment,
            after_end=history._fold,  # noqa: SLF001
            largest_file=history.settings.artifact_limit or None,
        )
        done = pusher.replay(ended=last_sign, store_id=store_id)
    except (RunfolioError, OSError) as error:
        report.failed[spooled.run_id] = str(error)
        spooled.release()
        return
    except Exception:
        spooled.release()
        raise
    if done.outcome == "deleted":
        report.deleted.append(spooled.run_id)
        spooled.release()
    else:
        report.completed.append(spooled.run_id)


def _last_write(folder: Path) -> float:
    """When the dead process last wrote: the newest modification of a file of its journal."""
    return max((path.stat().st_mtime for path in folder.glob("*.log")), default=folder.stat().st_mtime)

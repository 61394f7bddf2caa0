"""The table of ``docs/configuring/costs.md`` is what is counted. A failure shows the line that belongs there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from runfolio import layout
from runfolio.costs import READS, WRITES, Prices
from runfolio.index.view import Index
from runfolio.store.artifacts import StagedFile
from runfolio.store.copying import copy_run
from runfolio.store.copying_snapshots import Snapshots
from runfolio.store.desk import Desk
from runfolio.store.editing import edit, intend_edit
from runfolio.store.ending import Ending
from runfolio.store.ledger import Ledger
from runfolio.store.opening import open_store
from runfolio.store.run_folder import open_run
from runfolio.store.segments import read_rows
from runfolio.store.spooled import MemoryNotes
from runfolio.testing import CountingBackend

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from runfolio.backend import Backend
    from runfolio.store.environment import Environment
    from runfolio.store.pushing import Pusher
    from runfolio.testing.spooling import MemorySpool

PAGE = Path(__file__).parents[3] / "docs" / "configuring" / "costs.md"


class Clock(Protocol):
    now: float


def line(what: str, counts: Counter[str]) -> str:
    """A line of the table: what it costs to do this a thousand times."""
    writes, reads = (sum(counts[one] for one in kind) for kind in (WRITES, READS))
    price = 1000 * Prices().of_requests(counts)
    return f"| {what} | {writes} | {reads} | {counts['delete']} | {price:.2f} |"


def check(what: str, counted: CountingBackend) -> None:
    """Compare a line with the page, and begin to count anew."""
    found = line(what, counted.counts())
    assert found in PAGE.read_text("utf-8").splitlines(), found
    counted.reset()


@pytest.fixture
def begun(
    counted: CountingBackend,
    make_spool: Callable[..., MemorySpool],
    start_fields: Callable[..., dict[str, Any]],
    make_pusher: Callable[..., Pusher],
) -> tuple[MemorySpool, Pusher]:
    """A run whose start is about to be sent, which looks at the log when it has ended."""
    spool = make_spool()
    pusher = make_pusher(counted, spool, after_end=lambda backend: list(backend.list(layout.LOG)))
    pusher.intend_start(start_fields(spool))
    return spool, pusher


@pytest.mark.source
def test_what_a_run_costs(
    counted: CountingBackend, begun: tuple[MemorySpool, Pusher], environment: Environment, tmp_path: Path
) -> None:
    spool, pusher = begun
    open_store(counted, create=True, environment=environment)
    check("make a store", counted)
    open_store(counted, create=False, environment=environment)
    check("open a store", counted)
    pusher.start()
    check("start a run", counted)
    spool.log("loss", 1.0)
    pusher.flush()
    check("flush values", counted)
    pusher.beat()
    check("a sign of life", counted)
    for at in range(10):
        (tmp_path / f"{at}").write_bytes(bytes([at]))
        pusher.stage(StagedFile(path=f"outputs/{at}", source=tmp_path / f"{at}"))
    pusher.push_files()
    check("store 10 files at once", counted)
    pusher.end(Ending(status="Completed"))
    check("end a run", counted)
    desk = Desk(counted, Ledger(MemoryNotes()), environment)
    edit(desk, intend_edit(desk, run_id=spool.run_id, project=spool.project, field="name", value="x"))
    check("edit or tag a run", counted)


@pytest.mark.source
def test_what_reading_costs(
    counted: CountingBackend,
    begun: tuple[MemorySpool, Pusher],
    environment: Environment,
    make_store_url: Callable[[], str],
    open_backend: Callable[[str], Backend],
) -> None:
    spool, pusher = begun
    pusher.start()
    spool.log("loss", 1.0)
    pusher.end(Ending(status="Completed"))
    from runfolio.index.folding import fold

    fold(Index(counted, environment=environment), force=True)
    fold(Index(counted, environment=environment), force=True)
    counted.reset()
    Index(counted, environment=environment).refresh()
    check("list, filter or sort all runs", counted)
    folder = open_run(counted, spool.run_id)
    check("open a run", counted)
    read_rows(
        counted, spool.run_id, lambda backend, file: backend.get(file.key), expected=folder.rows, writers=folder.ends
    )
    check("read the values of a run", counted)
    target = CountingBackend(open_backend(make_store_url()))
    desk = Desk(target, Ledger(MemoryNotes()), environment)
    copy_run(counted, desk, spool.run_id, snapshots=Snapshots())
    check("copy a run without files: in the source", counted)
    check("copy a run without files: in the target", target)


@pytest.mark.clouds_on_request("hundreds of requests in one test")
@pytest.mark.slow
@pytest.mark.source
def test_what_a_day_costs(counted: CountingBackend, begun: tuple[MemorySpool, Pusher], clock: Clock) -> None:
    """A run of 24 hours with a value a second: flushes and signs of life."""
    spool, pusher = begun
    pusher.start()
    counted.reset()
    for _ in range(86_400):
        clock.now += 1.0
        spool.log("loss", 1.0)
        if pusher.flush_due:
            pusher.flush()
        if pusher.beat_due:
            pusher.beat()
    check("24 hours at a value a second", counted)

"""The protocol on the real journal and the local backend, with real processes that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runfolio.journal.spool import Spool
from runfolio.journal.spooled_run import SpooledRun
from runfolio.store.pushing import Pusher
from runfolio.store.run_folder import open_run
from runfolio.store.segments import read_rows
from runfolio_backends.local import LocalBackend

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.backend import Backend
    from runfolio.store.segments import RowFile

pytestmark = pytest.mark.local_only("the journal of a killed process (tests/core/sdk/test_processes.py: each store)")

RUN = "iris_1700000000000-abcde"
CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from runfolio.journal.spool import Header, Spool
    from runfolio.journal.spooled_run import SpooledRun
    from runfolio.store.artifacts import StagedFile
    from runfolio.store.pushing import Pusher
    from runfolio_backends.local import LocalBackend

    store, folder = sys.argv[1:3]
    header = Header.here(
        run_id="iris_1700000000000-abcde", uid="u" * 32, writer="main.0123456789abcdef", project="iris", store=store
    )
    writer, lock = Spool(Path(folder)).create(header)
    pusher = Pusher(LocalBackend(store), SpooledRun.live(writer, lock))
    pusher.intend_start({"run": header.run_id, "uid": header.uid, "project": "iris", "main": header.writer})
    pusher.start()
    source = Path(folder) / "model.bin"
    source.write_bytes(b"model")
    pusher.stage(StagedFile(path="outputs/model.bin", source=source))
    step = 0
    while True:
        writer.log("loss", 1.0 / (step + 1), step)
        step += 1
        print(step, flush=True)
        if step % 50 == 0:
            pusher.flush()
    """
)


def _steps(backend: Backend, file: RowFile) -> list[int]:
    found: list[int] = pq.read_table(pa.BufferReader(backend.get(file.key)))["step"].to_pylist()
    return found


@pytest.mark.parametrize("lines", [1, 49, 50, 51, 333])
def test_killed_and_replayed(tmp_path: Path, lines: int) -> None:
    """Every value for which `log` had returned is in the store, once; the run is Failed, killed; its file is there."""
    backend = LocalBackend(tmp_path / "store")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "store"), str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        try:
            seen = [child.stdout.readline() for _ in range(lines)]
        finally:
            child.send_signal(signal.SIGKILL)
        seen += child.stdout.read().split()
    last = max(int(line) for line in seen)

    (folder,) = Spool(tmp_path / "spool").journals()
    spooled = SpooledRun.recover(folder)
    assert spooled is not None
    done = Pusher(backend, spooled).replay(ended="2026-01-01T00:00:00.000000+00:00")
    assert (done.outcome, done.number, done.status) == ("stored", 1, "Failed")
    assert not folder.exists()

    found = open_run(backend, RUN)
    end = found.ends["main.0123456789abcdef"]
    assert (end["reason"], end["ended"], end["files"]) == ("killed", "2026-01-01T00:00:00.000000+00:00", 1)
    assert end["metrics"]["loss"]["count"] == end["rows"] >= last
    rows = read_rows(backend, RUN, _steps, expected=found.rows)
    assert rows.missing == {}
    assert sorted(step for _, part in rows.parts for step in part) == list(range(end["rows"]))
    assert found.listing.live == []

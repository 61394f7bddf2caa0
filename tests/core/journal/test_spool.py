"""Which journals are recovered, by whom, and what is left when a process dies on the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runfolio._platform import FileLock, clone_file, is_alive, process_start
from runfolio.errors import FormatError
from runfolio.journal import frames
from runfolio.journal.reader import JournalReader
from runfolio.journal.spool import Header, JournalFiles, Spool, salt_of
from runfolio.journal.spooled_run import SpooledRun, recoverable
from runfolio.rows.parquet import decode


def dead_process() -> tuple[int, str]:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    told = child.pid, process_start(child.pid) or ""
    child.communicate(b"\n")
    return told


@pytest.fixture
def leave(spool: Spool, make_header: Callable[[], Header]) -> Callable[..., Path]:
    """Leaves a journal behind as a dead process would; keywords change its header."""

    def make(rows: int = 3, **changes: Any) -> Path:
        pid, process = dead_process()
        writer, lock = spool.create(replace(make_header(), **{"pid": pid, "process": process, **changes}))
        for step in range(rows):
            writer.log("loss", float(step), step=step)
        writer.close()
        lock.release()
        return writer.folder

    return make


def test_the_journal_of_a_dead_process_is_recovered_once(spool: Spool, leave: Any) -> None:
    leave()
    [first] = recoverable(spool)
    assert [*recoverable(spool)] == []  # locked
    assert first.cut() == 3
    assert first.run_id == "iris_1700000000000-abcde"
    assert first.project == "iris"
    assert first.summaries()["loss"]["last"] == 2.0
    first.note("boundary", {"after": 3})
    first.discard()
    first.discard()
    assert [*spool.journals()] == []


def test_what_is_noted_while_recovering_is_there_for_the_next(spool: Spool, leave: Any) -> None:
    folder = leave()
    with (JournalFiles(folder).events()[0]).open("ab") as events:
        events.write(b"torn")
    [first] = recoverable(spool)
    assert first.cut() == 3
    first.note("boundary", {"after": 3})
    first.release()
    [second] = recoverable(spool)
    assert [kind for kind, _ in second.events()] == ["journal", "boundary", "released"]
    assert second.damage.torn == 4
    assert second.cut() == 3


def test_living_processes_and_strangers_are_left_alone(spool: Spool, leave: Any) -> None:
    leave(host="elsewhere")
    leave(user="somebody")
    leave(pid=os.getpid(), process=process_start(os.getpid()))
    assert [*recoverable(spool)] == []
    # By force, for a volume that another container left: everything but what a living process holds.
    taken = [*recoverable(spool, force=True)]
    assert len(taken) == 3
    for one in taken:
        one.release()


def test_another_boot_or_another_process_of_that_number_is_dead(spool: Spool, leave: Any) -> None:
    leave(pid=os.getpid(), process=process_start(os.getpid()), boot="another")
    leave(pid=os.getpid(), process="1")
    assert len([*recoverable(spool)]) == 2


def test_a_journal_that_its_living_process_let_go_is_recovered(spool: Spool, make_run: Any) -> None:
    writer, run = make_run()
    writer.log("loss", 1.0, step=0)
    assert [*recoverable(spool)] == []
    run.release()
    run.release()
    [again] = recoverable(spool)
    assert again.cut() == 1


def test_a_kill_while_discarding_leaves_nothing_to_send(spool: Spool, leave: Any) -> None:
    leave()
    [run] = recoverable(spool)
    run.note("discarded", {})
    JournalFiles(run.folder).rows().unlink()
    run._close()  # killed here
    assert [*recoverable(spool)] == []
    assert [*spool.journals()] == []


def test_a_journal_of_a_later_version_is_left_alone(spool: Spool, leave: Any) -> None:
    folder = leave(format=2)
    assert [*recoverable(spool)] == []
    with pytest.raises(FormatError, match="format 2"):
        SpooledRun.recover(folder)
    assert folder.is_dir()


def test_a_journal_without_header_is_left_alone(spool: Spool, leave: Any) -> None:
    folder = leave()
    JournalFiles(folder).events()[0].write_bytes(b"")
    (spool.root / "stray").mkdir()
    (spool.root / "file").write_text("x")
    assert [*recoverable(spool)] == []
    assert folder.is_dir()


def test_folders_are_the_users_own(make_run: Any, spool: Spool) -> None:
    writer, run = make_run()
    for folder in (spool.root, writer.folder, run.staged):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in writer.folder.glob("*.log"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert writer.folder.name == f"iris_1700000000000-abcde.{writer.header.writer}"


def test_segments_grow_from_earlier_boundaries(make_run: Any) -> None:
    writer, run = make_run()
    cuts = [0]
    for step in range(30):
        writer.log("loss", float(step), step=step)
        if step % 3 == 0:
            writer.log("list", [1.0, 2.0])
        if step % 10 == 9:
            cuts.append(run.cut())
    assert cuts == [0, 18, 34, 50]
    for first in cuts:
        for after in cuts:
            if first <= after:
                assert decode(run.encode(first, after, {})).num_rows == after - first
    with pytest.raises(FormatError):
        run.encode(0, 51, {})
    assert run.summaries()["loss"]["count"] == 30


def test_positions_hold_although_earlier_rows_were_damaged(spool: Spool, make_run: Any) -> None:
    """What was sent as [3, 6) is sent as the same rows again, also when a bad sector took rows before them."""
    writer, run = make_run()
    for step in range(9):
        writer.log("loss", float(step), step=step)
        if step in (2, 5):
            run.cut()
    run.release()
    path = JournalFiles(writer.folder).rows()
    data = bytearray(path.read_bytes())
    name_frame = frames.extended_size(len("loss"))
    data[name_frame + 40] ^= 1  # in row 1
    path.write_bytes(data)
    [again] = recoverable(spool)
    assert again.cut() == 9
    assert decode(again.encode(3, 6, {})).column("step").to_pylist() == [3, 4, 5]
    assert decode(again.encode(6, 9, {})).column("step").to_pylist() == [6, 7, 8]
    assert decode(again.encode(0, 3, {})).column("step").to_pylist() == [0, 2]
    assert again.damage.rows == 1
    assert again.damage.skipped == frames.FIXED_SIZE


def test_a_file_that_lost_its_end_keeps_the_positions_that_were_told(spool: Spool, make_run: Any) -> None:
    """After a loss of power the file of rows may be shorter than boundaries that were noted."""
    writer, run = make_run()
    for step in range(9):
        writer.log("loss", float(step), step=step)
        if step in (2, 8):
            run.cut()
    run.release()
    path = JournalFiles(writer.folder).rows()
    os.truncate(path, path.stat().st_size - 4 * frames.FIXED_SIZE - 1)
    [again] = recoverable(spool)
    assert again.cut() == 9
    assert decode(again.encode(3, 9, {})).column("step").to_pylist() == [3]
    assert again.damage.rows == 5
    again.release()
    # And without its file of rows at all.
    path.unlink()
    [last] = recoverable(spool)
    assert last.cut() == 0
    assert last.summaries() == {}


def test_a_damaged_name_keeps_its_values(spool: Spool, make_run: Any) -> None:
    writer, run = make_run()
    writer.log("a", 1.0, step=0)
    writer.log("b", 2.0, step=0)
    run.release()
    path = JournalFiles(writer.folder).rows()
    data = bytearray(path.read_bytes())
    data[frames.HEADER_SIZE] ^= 1
    path.write_bytes(data)
    [again] = recoverable(spool)
    assert again.cut() == 2
    assert decode(again.encode(0, 2, {})).column("name").to_pylist() == ["b", "unnamed-0"]


def test_events_are_read_as_they_come(make_run: Any) -> None:
    writer, run = make_run()
    run.note("a", {"x": [1, 2**70, float("inf")], "ä": None})
    assert run.events()[-1] == ("a", {"x": [1, 2**70, float("inf")], "ä": None})
    writer.event("b", {})
    assert [kind for kind, _ in run.events()] == ["journal", "a", "b"]
    reader = JournalReader(writer.folder)
    assert reader.header() == writer.header
    assert reader.damage.skipped == 0


def test_every_file_has_its_own_salt(make_run: Any) -> None:
    one, _ = make_run()
    other, _ = make_run()
    files = [*one.folder.glob("*.log"), *other.folder.glob("*.log")]
    assert len({salt_of(file) for file in files}) == len(files) == 4
    with pytest.raises(FormatError):
        salt_of(Path("strange.log"))


def test_a_lock_is_for_one_and_is_freed(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire()
    assert one.acquire()
    assert not other.acquire()
    one.release()
    one.release()
    assert other.acquire()
    other.release()


def test_processes_are_told_apart() -> None:
    own = process_start(os.getpid())
    assert own
    assert is_alive(os.getpid(), own)
    assert not is_alive(os.getpid(), own + "0")
    pid, start = dead_process()
    assert not is_alive(pid, start)


def test_a_clone_is_a_copy(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 10_000)
    source.chmod(0o750)
    clone_file(source, target)
    clone_file(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    target.write_bytes(b"changed")
    assert source.read_bytes() == b"x" * 10_000


def test_nothing_heavy_is_loaded_by_logging() -> None:
    code = (
        "import sys, tempfile, pathlib; from runfolio.journal.spool import *;"
        "w, l = Spool(pathlib.Path(tempfile.mkdtemp())).create(Header.here(run_id='a_1700000000000-abcde', uid='u', "
        "writer='main.0123456789abcdef', project='a', store=''));"
        "w.log('x', 1.0, step=1); w.log('y', [1, 2]); w.event('z', {}); w.close();"
        "print([m for m in ('pyarrow', 'numpy', 'fsspec') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

"""Kills, threads, forks, full disks: every value for which `log` returned is found."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runfolio.errors import RunStateError, TransientStorageError
from runfolio.journal.spooled_run import SpooledRun, recoverable
from runfolio.rows.parquet import decode
from runfolio.rows.view import values

if TYPE_CHECKING:
    from runfolio.journal.spool import Spool

CHILD = """
import os, sys, pathlib, threading
from runfolio.journal.spool import Header, Spool
from runfolio.journal.spooled_run import SpooledRun
told = dict(run_id="iris_1700000000000-abcde", uid="u" * 32, project="iris", store="")
header = Header.here(writer="main.0123456789abcdef", **told)
writer, lock = Spool(pathlib.Path(sys.argv[1])).create(header)
"""


def start_child(spool: Spool, code: str) -> subprocess.Popen[bytes]:
    script = CHILD + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", script, str(spool.root)], stdout=subprocess.PIPE)


def recovered(spool: Spool) -> SpooledRun:
    [run] = recoverable(spool)
    return run


def logged(run: SpooledRun) -> list[tuple[str, int, Any]]:
    return [(one.name, one.step, one.value) for one in values(decode(run.encode(0, run.cut(), {})))]


@pytest.mark.parametrize("flushing", [False, True])
def test_killed_while_logging(spool: Spool, flushing: bool) -> None:
    """SIGKILL at any moment, also while a flusher reads the journal."""
    child = start_child(
        spool,
        f"""
        def flush():
            spooled = SpooledRun.live(writer, lock)
            first = 0
            while True:
                writer.cut()
                after = spooled.cut()
                spooled.note("boundary", {{"first": first, "after": after}})
                spooled.encode(first, after, {{}})
                first = after
        if {flushing}:
            threading.Thread(target=flush, daemon=True).start()
        step = 0
        while True:
            for _ in range(1000):
                writer.log("loss", step / 7, step=step)
                step += 1
            writer.log("text", "x" * 100_000)
            writer.log("list", [1, "a", 2.5])
            os.write(1, b"%d\\n" % step)
        """,
    )
    assert child.stdout is not None
    lines = [int(child.stdout.readline()) for _ in range(20)]
    child.kill()
    lines += [int(line) for line in child.stdout.read().split()]
    child.wait()
    child.stdout.close()
    run = recovered(spool)
    found = logged(run)
    steps = [step for name, step, _ in found if name == "loss"]
    assert steps == list(range(len(steps)))
    assert len(steps) >= lines[-1]
    assert all(value == step / 7 for name, step, value in found if name == "loss")
    assert sum(name == "text" for name, _, _ in found) >= len(lines)
    assert sum(value == [1, "a", 2.5] for name, _, value in found if name == "list") >= len(lines)
    assert run.damage.skipped == run.damage.rows == 0
    # Boundaries that were noted before the kill still mean rows that are there.
    position = 0
    for kind, body in run.events():
        if kind == "boundary":
            assert body["first"] == position
            assert body["first"] <= body["after"] <= run.cut()
            position = body["after"]


def test_four_threads(make_run: Any, read: Any) -> None:
    writer, run = make_run()
    count, barrier = 5000, threading.Barrier(5)
    done = threading.Event()

    def work(name: str) -> None:
        barrier.wait()
        for place in range(count):
            writer.log(name, float(place), step=place)
            writer.log("shared", place)
            if place % 100 == 0:
                writer.log(f"{name}/{place}", "new name")

    def flush() -> None:
        barrier.wait()
        first = 0
        while not done.is_set():
            writer.cut()
            after = run.cut()
            assert decode(run.encode(first, after, {})).num_rows == after - first
            first = after

    workers = [threading.Thread(target=work, args=(f"t{place}",)) for place in range(4)]
    flusher = threading.Thread(target=flush)
    for one in (*workers, flusher):
        one.start()
    for one in workers:
        one.join()
    done.set()
    flusher.join()
    found = read(run)
    for place in range(4):
        mine = [(step, value) for name, step, value in found if name == f"t{place}"]
        assert mine == [(k, float(k)) for k in range(count)]
    # Omitted steps: each number once, in the order of positions, whoever logged.
    assert [step for name, step, _ in found if name == "shared"] == list(range(4 * count))
    assert sum(value == "new name" for _, _, value in found) == 4 * count // 100
    assert run.summaries()["shared"]["count"] == 4 * count


@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_writes_as_its_own_writer(spool: Spool) -> None:
    child = start_child(
        spool,
        """
        def follow():
            mine = Header.here(writer="main.1111111111111111", **told)
            child, other = Spool(pathlib.Path(sys.argv[1])).create(mine)
            follow.kept = child, other
            return child
        writer._on_fork = follow
        writer.log("loss", 0.0, step=0)
        pid = os.fork()
        if pid == 0:
            for place in range(1, 100):
                writer.log("loss", float(place), step=place)
            writer.log("child", "a")
            writer.log_columns({"bulk": [1.0]})
            assert writer.closed
            try:
                writer.event("boundary", {})
            except Exception as error:
                assert type(error).__name__ == "RunStateError"
                os._exit(0)
            os._exit(1)
        writer.log("loss", -1.0, step=1)
        assert os.waitpid(pid, 0)[1] == 0
        writer.log("loss", -2.0, step=2)
        """,
    )
    child.communicate()
    assert child.returncode == 0
    runs = {one.writer: logged(one) for one in recoverable(spool)}
    assert runs["main.0123456789abcdef"] == [("loss", 0, 0.0), ("loss", 1, -1.0), ("loss", 2, -2.0)]
    expected = [("bulk", 0, 1.0), ("child", 0, "a"), *(("loss", k, float(k)) for k in range(1, 100))]
    assert expected == runs["main.1111111111111111"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: no fork")
def test_a_forked_child_without_a_way_is_told(spool: Spool) -> None:
    child = start_child(
        spool,
        """
        import warnings
        warnings.simplefilter("ignore")
        writer.log("loss", 0.0, step=0)
        with writer._lock:  # as another thread might at the moment of the fork
            pid = os.fork()
        if pid == 0:
            try:
                writer.log("loss", 1.0, step=1)
            except Exception as error:
                os._exit(0 if type(error).__name__ == "RunStateError" else 1)
            os._exit(2)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    )
    child.communicate()
    assert child.returncode == 0
    assert logged(recovered(spool)) == [("loss", 0, 0.0)]


def test_a_lock_dies_with_its_process_although_a_child_lives(spool: Spool) -> None:
    """A forked child must not keep the parent's lock: the journal could not be recovered while it runs."""
    child = start_child(
        spool,
        """
        import warnings
        warnings.simplefilter("ignore")
        writer.log("loss", 0.0, step=0)
        if os.fork() == 0:
            os.write(1, b"here\\n")
            sys.stdin.read()
            os._exit(0)
        os.kill(os.getpid(), 9)
        """.replace("sys.stdin.read()", "os.read(0, 1)"),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"here\n"
    child.wait()
    assert logged(recovered(spool)) == [("loss", 0, 0.0)]
    child.stdout.close()


class FullDisk:
    """Makes the file system refuse to let this process's files grow beyond a size."""

    def __init__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def at(self, size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@pytest.fixture
def disk() -> Any:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    full = FullDisk()
    yield full
    full.free()
    signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_loses_nothing(make_run: Any, disk: FullDisk, read: Any, caplog: pytest.LogCaptureFixture) -> None:
    writer, run = make_run()
    writer.log("loss", 0.0, step=0)
    run.cut()
    run.note("before", {})
    size = writer.cut()[1]
    disk.at(size + 77)  # two records and a part of a third
    pending = [writer.log("loss", float(step), step=step) for step in range(1, 50)]
    writer.log("new name", "text")
    writer.log({"a": 1.0, "loss": 50.0}, step=50)
    writer.log_columns({"bulk": [1.0, 2.0]})
    assert writer.held > 40
    cut, _ = writer.cut()
    cut.resolve(stored=True)  # the owner stored what it could read
    assert not pending[-1].stored
    for step in range(51, 60):
        writer.log("loss", float(step), step=step)
    with pytest.raises(TransientStorageError):
        run.note("boundary", {"text": "x" * 100_000})
    warned = [one for one in caplog.records if "cannot be written" in one.message]
    assert len([one for one in warned if "rows-" in one.getMessage()]) == 1
    disk.free()
    last = writer.log("loss", 60.0, step=60)
    cut, _ = writer.cut()
    assert writer.held == 0
    assert cut is last
    found = read(run)
    assert [value for name, _, value in found if name == "loss"] == [float(step) for step in range(61)]
    assert [("a", 50, 1.0), ("bulk", 0, 1.0), ("bulk", 1, 2.0)] == found[:3]
    assert found[-1] == ("new name", 0, "text")
    run.note("after", {})
    assert [kind for kind, _ in run.events()] == ["journal", "before", "after"]
    assert run.damage.skipped > 0
    assert run.damage.rows == 0


def test_a_full_disk_with_mappings_doubles_nothing(make_run: Any, disk: FullDisk, read: Any) -> None:
    """A mapping goes out in one write: when that is cut short, what went out is not written again."""
    writer, run = make_run()
    writer.log({"a": 0.0, "b": 0.0, "c": 0.0}, step=0)
    for step, room in enumerate((0, 1, 31, 32, 33, 64, 95), start=1):
        disk.at(writer.cut()[1] + room)
        writer.log({"a": float(step), "b": float(step), "c": float(step)}, step=step)
        assert writer.held
        disk.free()
        writer.cut()
        assert not writer.held
    assert read(run) == [(name, step, float(step)) for name in "abc" for step in range(8)]


def test_values_still_in_memory_at_the_end_are_told(
    make_run: Any, disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    writer, _ = make_run()
    writer.log("loss", 0.0, step=0)
    disk.at(writer.cut()[1])
    writer.log("loss", 1.0, step=1)
    writer.close()
    assert writer.held == 1
    assert any("never written" in one.getMessage() for one in caplog.records)
    with pytest.raises(RunStateError):
        writer.log("loss", 2.0, step=2)


def test_a_host_that_closes_all_descriptors(spool: Spool) -> None:
    """Daemons close what they do not know. The next record opens the journal again."""
    child = start_child(
        spool,
        """
        writer.log("loss", 0.0, step=0)
        writer.event("before", {})
        os.closerange(3, 256)
        for step in range(1, 10):
            writer.log("loss", float(step), step=step)
        writer.event("after", {})
        """,
    )
    child.communicate()
    assert child.returncode == 0
    run = recovered(spool)
    assert [step for _, step, _ in logged(run)] == list(range(10))
    assert [kind for kind, _ in run.events()] == ["journal", "before", "after"]


def test_a_closed_writer_never_writes_into_a_file_that_took_its_number(make_run: Any, tmp_path: Path) -> None:
    writer, _ = make_run()
    writer.log("loss", 0.0, step=0)
    number = writer._fd
    writer.close()
    others = [(tmp_path / f"other{place}").open("wb") for place in range(50)]
    with pytest.raises(OSError, match="Bad file"):
        os.write(number, b"what a thread was about to write")
    assert all(one.fileno() != number for one in others)
    for one in others:
        one.close()


def test_a_clock_going_backwards(make_run: Any, monkeypatch: pytest.MonkeyPatch, read: Callable[..., Any]) -> None:
    from runfolio.journal import writer as module

    times = iter([3_000_000_000, 2_000_000_000, -1, 10**18])
    monkeypatch.setattr(module, "time_ns", lambda: next(times))
    writer, run = make_run()
    for step in range(4):
        writer.log("loss", float(step), step=step)
    assert [step for _, step, _ in read(run)] == [0, 1, 2, 3]


def test_fsync(make_run: Any, monkeypatch: pytest.MonkeyPatch, read: Any) -> None:
    synced: list[int] = []
    real = os.fsync

    def note(fd: int) -> None:
        synced.append(fd)
        real(fd)

    monkeypatch.setattr(os, "fsync", note)
    writer, run = make_run(fsync=True)
    before = len(synced)
    for step in range(3):
        writer.log("loss", float(step), step=step)
    writer.event("x", {})
    assert len(synced) - before >= 4
    writer.sync()
    assert [step for _, step, _ in read(run)] == [0, 1, 2]

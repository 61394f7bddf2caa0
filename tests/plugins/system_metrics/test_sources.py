from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runfolio_plugins.system_metrics.proc_source import ProcSource, descendants
from runfolio_plugins.system_metrics.psutil_source import PsutilSource

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="platform: /proc is Linux")


def stat_line(pid: int, command: str, parent: int, *, user: int = 0, kernel: int = 0, pages: int) -> str:
    after = ["S", parent, *[0] * 9, user, kernel, *[0] * 8, pages, *[0] * 20]
    return f"{pid} ({command}) {' '.join(map(str, after))}\n"


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """A made-up ``/proc`` and ``/sys/block``."""
    proc, block = tmp_path / "proc", tmp_path / "block"
    files = {
        "stat": f"cpu  {10 * TICKS} 0 {20 * TICKS} {60 * TICKS} {5 * TICKS} 0 0 {5 * TICKS} 9999 9999\ncpu0 1 2 3 4\n",
        "meminfo": "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    400 kB\nHugePages_Total: 0\n",
        "diskstats": "   8       0 sda 1 0 100 4 5 0 200 8 0 9 10\n   8       1 sda1 1 0 99 4 5 0 99 8 0 9 10\n"
        "   7       0 loop0 1 0 50 4 5 0 50 8 0 9 10\n 259       0 nvme0n1 1 0 10 4 5 0 20 8 0 9 10\n",
        "net/dev": "Inter-|   Receive | Transmit\n face |bytes packets|bytes\n"
        "    lo: 500 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n  eth0: 700 1 0 0 0 0 0 0 90 1 0 0 0 0 0 0\n"
        "wlan0:300 1 0 0 0 0 0 0 10 1 0 0 0 0 0 0\n",
        "1/stat": stat_line(1, "init", 0, pages=7),
        "40/stat": stat_line(40, "python", 1, user=2 * TICKS, kernel=TICKS, pages=10),
        "41/stat": stat_line(41, "odd ) name (", 40, user=TICKS, pages=30),
        "42/stat": stat_line(42, "grandchild", 41, pages=2),
        "50/stat": stat_line(50, "stranger", 1, user=5, pages=500),
    }
    for name, text in files.items():
        (proc / name).parent.mkdir(parents=True, exist_ok=True)
        (proc / name).write_text(text)
    for name in ("sda", "nvme0n1", "loop0", "dm-0"):
        (block / name).mkdir(parents=True)
    return proc, block


def test_proc_is_read_as_the_kernel_writes_it(machine: tuple[Path, Path], tmp_path: Path) -> None:
    proc, block = machine
    found = ProcSource(40, tmp_path, proc, block).read()
    assert (found.cpu_busy, found.cpu_total) == pytest.approx((35.0, 100.0))
    assert (found.memory_used, found.memory_total) == (600 * 1024, 1000 * 1024)
    assert (found.disk_read, found.disk_written) == (110 * 512, 220 * 512)
    assert (found.network_received, found.network_sent) == (1000, 100)
    assert found.processes == 3
    assert (found.processes_rss, found.largest_rss) == (42 * PAGE, 30 * PAGE)
    assert dict(found.processes_cpu) == pytest.approx({40: 3.0, 41: 1.0, 42: 0.0})
    assert found.disk_total


@pytest.mark.parametrize("missing", ["stat", "meminfo", "diskstats", "net/dev", "40/stat"])
def test_a_file_that_a_container_hides_hides_nothing_else(
    machine: tuple[Path, Path], tmp_path: Path, missing: str
) -> None:
    proc, block = machine
    (proc / missing).unlink()
    found = ProcSource(40, tmp_path / "gone", proc, block).read()
    groups = {
        "stat": found.cpu_total,
        "meminfo": found.memory_total,
        "diskstats": found.disk_read,
        "net/dev": found.network_sent,
        "40/stat": found.processes,
    }
    assert {name for name, value in groups.items() if value is None} == {missing}
    assert found.disk_total is None


def test_processes_are_followed_also_in_circles() -> None:
    assert descendants(2, {2: 5, 3: 2, 4: 3, 5: 4, 9: 1}) == {2, 3, 4, 5}
    assert descendants(7, {2: 1}) == set()


@pytest.fixture
def child() -> Iterator[int]:
    """The pid of a process that waits below this one and holds some memory."""
    code = "import sys; held = bytearray(30_000_000); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


@linux_only
def test_this_machine_is_read_from_proc(child: int, tmp_path: Path) -> None:
    assert ProcSource.is_available()
    found = ProcSource(os.getpid(), tmp_path).read()
    assert {os.getpid(), child} <= {pid for pid, _ in found.processes_cpu}
    assert found.processes_rss is not None
    assert found.largest_rss is not None
    assert found.memory_total is not None
    assert 30_000_000 < found.processes_rss < found.memory_total
    assert found.largest_rss < found.processes_rss
    assert found.cpu_total is not None
    assert found.cpu_busy is not None
    assert 0 < found.cpu_busy < found.cpu_total


@linux_only
def test_psutil_and_proc_agree(child: int, tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    through_psutil = PsutilSource.if_installed(os.getpid(), tmp_path)
    assert through_psutil is not None
    one, other = through_psutil.read(), ProcSource(os.getpid(), tmp_path).read()
    assert one.memory_total == other.memory_total
    assert one.cpu_total == pytest.approx(other.cpu_total, rel=0.01)
    assert one.disk_total == other.disk_total
    assert {pid for pid, _ in one.processes_cpu} == {pid for pid, _ in other.processes_cpu} >= {child}
    assert one.processes_rss == pytest.approx(other.processes_rss, rel=0.1)
    assert (one.network_received is None) == (other.network_received is None)


def test_without_psutil_there_is_no_such_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert PsutilSource.if_installed(os.getpid(), tmp_path) is None

"""The local backend under several processes, and under processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from runfolio_backends.local import LocalBackend

RACER = textwrap.dedent(
    """
    import sys
    from runfolio.errors import AlreadyExistsError
    from runfolio_backends.local import LocalBackend
    backend, who = LocalBackend(sys.argv[1]), sys.argv[2]
    print("ready", flush=True)
    sys.stdin.readline()
    for at in range(200):
        try:
            backend.create(f"numbers/iris/{at:05d}", b"" if at % 5 == 0 else who.encode() * (1 + at * 50))
        except AlreadyExistsError:
            continue
        print(at, flush=True)
    """
)


def test_one_winner_among_processes(tmp_path: Path) -> None:
    """Eight processes create the same 200 keys: each key has one winner, whose bytes are stored."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path / "store"), str(who)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in range(8)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    won = {who: [int(line) for line in worker.communicate()[0].split()] for who, worker in enumerate(workers)}
    assert all(worker.returncode == 0 for worker in workers)
    wins = Counter(at for mine in won.values() for at in mine)
    assert wins == dict.fromkeys(range(200), 1)
    backend = LocalBackend(tmp_path / "store")
    for who, mine in won.items():
        for at in mine:
            expected = b"" if at % 5 == 0 else str(who).encode() * (1 + at * 50)
            assert backend.get(f"numbers/iris/{at:05d}") == expected
    assert len(list(backend.list())) == 200


WRITER = textwrap.dedent(
    """
    import sys
    from runfolio_backends.local import LocalBackend
    backend, size = LocalBackend(sys.argv[1]), int(sys.argv[2])
    print("ready", flush=True)
    at = 0
    while True:
        at += 1
        backend.put("beats/one", bytes([at % 251]) * size)
        backend.create(f"live/{at}", bytes([at % 251]) * size)
    """
)


@pytest.mark.parametrize("size", [1, 300_000])
def test_killed_while_writing(tmp_path: Path, size: int) -> None:
    """Whenever a writer is killed, each object is whole or not there, and what it left behind is no object."""
    backend = LocalBackend(tmp_path / "store")
    for _ in range(6):
        worker = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "store"), str(size)], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        worker.stdout.readline()
        # Kill it once it is under way: the number of objects grows by itself, at a speed nobody knows.
        before = len(list(backend.list("live/")))
        while len(list(backend.list("live/"))) < before + 3 and worker.poll() is None:
            pass
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
        for info in backend.list():
            data = backend.get(info.key)
            assert len(data) == info.size == size
            assert len(set(data)) == 1
        backend.delete([info.key for info in backend.list("live/")])
    leftovers = [name for _, _, names in os.walk(tmp_path / "store") for name in names if name.startswith(".rf~")]
    assert backend.sweep(older_than=-10) == len(leftovers)
    assert [info.key for info in backend.list()] == ["beats/one"]

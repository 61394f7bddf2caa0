"""Source snapshots of 5,000 files and 200 MB against `git add -A && git write-tree`, and back against `checkout`.

Run it alone: ``python benchmarks/source_snapshots.py``.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure

from runfolio.restoring import write_source
from runfolio.snapshot import look_through
from runfolio.snapshot.known import Known
from runfolio.snapshot.packing import open_pack
from runfolio.snapshot.reading import StoredSource
from runfolio.snapshot.taking import Rules, take_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.snapshot import Snapshot

FILES = 5000
SIZE = 40_000


def make_tree(root: Path) -> None:
    """Make files that compress about as source and small data do, last touched a while ago."""
    chance = random.Random(1)
    long_ago = time.time() - 1000
    for number in range(FILES):
        path = root / f"package{number % 50}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(SIZE // 4).hex().encode() * 2)
        os.utime(path, (long_ago, long_ago))
    time.sleep(3)  # else the files are younger than a tick, and are read once more


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def git(folder: Path, command: str) -> Callable[[], object]:
    """A shell command in a repository."""
    return lambda: subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True)


def figures(folder: Path) -> list[Figure]:
    """Measure a first snapshot, an unchanged one, and writing one into a new folder."""
    root, repository, memory = folder / "proj", folder / "repository", folder / "known.json"
    make_tree(root)
    taken: list[Snapshot] = []

    def take() -> None:
        known, aside = Known.load(memory), folder / f"taken{len(taken)}"
        aside.mkdir()
        taken.append(take_snapshot(look_through(root), Rules(), known, aside))
        known.save(memory)

    first = timed(take)
    pack = open_pack(taken[0].pack or folder)
    known = Known.load(memory)
    known.holds(pack.places, "a" * 40, time.time())
    known.save(memory)
    unchanged = min(timed(take) for _ in range(5))
    subprocess.run(["cp", "-a", str(root), str(repository)], check=True)
    git(repository, "git init -q")()
    add = "git add -A && git write-tree"
    git_first, git_unchanged = timed(git(repository, add)), min(timed(git(repository, add)) for _ in range(5))
    git(repository, "git -c user.name=a -c user.email=b commit -qm one && rm -rf package*")()
    with StoredSource("run", taken[0].commit, {"pack": pack}) as source:
        written = timed(lambda: write_source(source, folder / "written"))
    checkout = timed(git(repository, "git checkout -q -- ."))
    return [
        Figure("first snapshot of 5,000 files, 200 MB, over git add and write-tree", first / git_first, 3),
        Figure("unchanged snapshot, in seconds (or 5 x git)", unchanged, max(0.25, 5 * git_unchanged), " s"),
        Figure("writing the source into a folder, over git checkout", written / checkout, 8),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for figure in figures(Path(place)):
            print(figure)

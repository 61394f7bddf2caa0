"""Files to and from S3 (SeaweedFS) and Azure Blob Storage (Azurite), against plain s3fs and adlfs in the same run.

One file of 1 GiB and 1,000 files of 10 KiB, up and down, through the fault proxy of the tests with 0 and 30 ms before
each request. Both sides have so many requests on the way at once, each in a process of its own, and take turns; the
best of the rounds counts. Requests are those that the proxy saw. Memory is the peak above that of the same process
before its first file.

Run it alone: ``python benchmarks/cloud_transfers.py``; ``--size`` and ``--files`` make it smaller.
"""

from __future__ import annotations

import argparse
import filecmp
import multiprocessing
import os
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from figures import Figure, show
from reached import reached

if TYPE_CHECKING:
    from fault_proxy import FaultProxy

MIB = 1024 * 1024
SMALL = 10 * 1024
AT_ONCE = 4
"""Parts of the large file on the way at once: what our backends do unless told otherwise."""
SMALL_AT_ONCE = 16
"""Small files on the way at once: as many as the threads that store the artifacts of a run."""
CLOUDS = {"s3": "s3fs", "azure": "adlfs"}
SERVERS = {"s3": "seaweed", "azure": "azurite"}
LATENCIES = (0.0, 0.03)


class Mover(ABC):
    """Moves files between this machine and one store.

    Args:
        cloud: ``s3`` or ``azure``.
        url: the root of the store.
    """

    @abstractmethod
    def __init__(self, cloud: str, url: str) -> None: ...

    @abstractmethod
    def put(self, files: Sequence[Path], keys: Sequence[str]) -> None:
        """Store files."""

    @abstractmethod
    def get(self, keys: Sequence[str], files: Sequence[Path]) -> None:
        """Fetch files."""


class Ours(Mover):
    """A backend of ours, as the SDK uses it."""

    def __init__(self, cloud: str, url: str) -> None:
        from runfolio.store.environment import in_threads

        if cloud == "s3":
            from runfolio_backends.s3 import S3Backend

            self._backend: Any = S3Backend(url)
        else:
            from runfolio_backends.azure import AzureBackend

            self._backend = AzureBackend(url)
        self._gather = in_threads

    def put(self, files: Sequence[Path], keys: Sequence[str]) -> None:  # noqa: D102 (docstring inherited)
        self._gather([partial(self._backend.put_file, *one) for one in zip(keys, files, strict=True)])

    def get(self, keys: Sequence[str], files: Sequence[Path]) -> None:  # noqa: D102 (docstring inherited)
        self._gather([partial(self._backend.get_file, *one) for one in zip(keys, files, strict=True)])


class Plain(Mover):
    """The library beneath, with its own idea of everything but how many requests are on the way at once."""

    def __init__(self, cloud: str, url: str) -> None:
        chosen: dict[str, Any] = {"max_concurrency": AT_ONCE, "skip_instance_cache": True, "use_listings_cache": False}
        if cloud == "s3":
            from s3fs import S3FileSystem

            self._filesystem: Any = S3FileSystem(**chosen)
        else:
            from adlfs import AzureBlobFileSystem

            string = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
            self._filesystem = AzureBlobFileSystem(connection_string=string, **chosen)
        self._root = url.partition("://")[2]

    def put(self, files: Sequence[Path], keys: Sequence[str]) -> None:  # noqa: D102 (docstring inherited)
        self._filesystem.put([str(one) for one in files], self._paths(keys), **self._width(files))

    def get(self, keys: Sequence[str], files: Sequence[Path]) -> None:  # noqa: D102 (docstring inherited)
        self._filesystem.get(self._paths(keys), [str(one) for one in files], **self._width(files))

    def _paths(self, keys: Sequence[str]) -> list[str]:
        return [f"{self._root}/{key}" for key in keys]

    @staticmethod
    def _width(files: Sequence[Path]) -> dict[str, int]:
        return {"batch_size": SMALL_AT_ONCE} if len(files) > 1 else {"max_concurrency": AT_ONCE}


class Taken(NamedTuple):
    """What a transfer took: seconds, and bytes of memory above those of the idle process."""

    seconds: float
    memory: int


class Work:
    """What a child process keeps from one transfer to the next."""

    mover: Mover
    idle: int


def begin(kind: type[Mover], cloud: str, url: str, folder: Path) -> None:
    """Make the child ready: everything is loaded and connected, and a small file went both ways."""
    Work.mover = kind(cloud, url)
    folder.mkdir()
    (folder / "warm-up").write_bytes(b"x" * SMALL)
    for _ in range(2):
        Work.mover.put([folder / "warm-up"], [f"warm-up-{kind.__name__}"])
        Work.mover.get([f"warm-up-{kind.__name__}"], [folder / "warm-down"])
    Work.idle = memory("VmRSS")


def transfer(act: str, files: Sequence[Path], keys: Sequence[str]) -> Taken:
    """Do it, in the child."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew: proc(5)
    began = time.perf_counter()
    if act == "put":
        Work.mover.put(files, keys)
    else:
        Work.mover.get(keys, files)
    return Taken(time.perf_counter() - began, memory("VmHWM") - Work.idle)


def memory(name: str) -> int:
    """Resident bytes of this process: ``VmRSS`` now, ``VmHWM`` at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


class Subject(NamedTuple):
    """Files that are moved together."""

    what: str
    files: Sequence[Path]


def subjects(folder: Path, size: int, files: int) -> list[Subject]:
    """Make what is moved. No two parts are alike."""
    large = folder / "large"
    with large.open("wb") as out:
        for _ in range(0, size, MIB):
            out.write(os.urandom(MIB))
    small = [folder / f"small-{number}" for number in range(files)]
    for path in small:
        path.write_bytes(os.urandom(SMALL))
    return [Subject(f"1 x {size // MIB:,} MiB", [large]), Subject(f"{files:,} x 10 KiB", small)]


class Side:
    """One of the two that are compared, in a child process.

    Args:
        kind: how it moves files.
        cloud: where to.
        url: the store.
        folder: where it puts what it fetches.
    """

    def __init__(self, kind: type[Mover], cloud: str, url: str, folder: Path) -> None:
        self._name = kind.__name__
        self._folder = folder / self._name
        self._pool = multiprocessing.get_context("spawn").Pool(1, begin, (kind, cloud, url, self._folder))

    def move(self, act: str, files: Sequence[Path]) -> Taken:
        """Move files up, or fetch what was moved up before."""
        own = [self._folder / one.name for one in files]
        keys = [f"{self._name}/{one.name}" for one in files]
        return self._pool.apply(transfer, (act, files if act == "put" else own, keys))

    def has(self, files: Sequence[Path]) -> bool:
        """Whether what it fetched is what it moved up."""
        return all(filecmp.cmp(self._folder / one.name, one, shallow=False) for one in files)

    def close(self) -> None:
        """End the process."""
        self._pool.terminate()


def compared(cloud: str, latency: float, moved: Sequence[Subject], rounds: int, folder: Path) -> Generator[Figure]:
    """Measure one cloud at one distance."""
    with reached(SERVERS[cloud], folder / "server") as (proxy, url):
        proxy.latency = latency
        ours, plain = (Side(kind, cloud, url, folder) for kind in (Ours, Plain))
        try:
            for what, files in moved:
                for act in ("put", "get"):
                    name = f"{cloud}, {latency * 1000:.0f} ms, {act} {what}"
                    yield from taking_turns(
                        name,
                        CLOUDS[cloud],
                        proxy,
                        partial(ours.move, act, files),
                        partial(plain.move, act, files),
                        rounds,
                    )
                assert ours.has(files)
        finally:
            ours.close()
            plain.close()


def taking_turns(
    name: str, library: str, proxy: FaultProxy, ours: Callable[[], Taken], plain: Callable[[], Taken], rounds: int
) -> Generator[Figure]:
    """Compare one transfer."""
    taken: dict[Callable[[], Taken], list[Taken]] = {ours: [], plain: []}
    requests: dict[Callable[[], Taken], int] = {}
    for _ in range(rounds):
        for move, known in taken.items():
            before = len(proxy.requests)
            known.append(move())
            requests[move] = len(proxy.requests) - before
    seconds = {move: min(one.seconds for one in known) for move, known in taken.items()}
    peak = {move: max(one.memory for one in known) / MIB for move, known in taken.items()}
    print(
        f"{name}: {seconds[ours]:.2f} s with {requests[ours]:,} requests; {library} {seconds[plain]:.2f} s "
        f"with {requests[plain]:,} requests and {peak[plain]:.0f} MiB"
    )
    yield Figure(f"{name}: speed over {library}", seconds[plain] / seconds[ours], 0.9, at_least=True)
    yield Figure(f"{name}: memory above idle", peak[ours], 64, " MiB")


def main() -> int:
    """Measure; 1 when a budget was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the large file (default: 1024)")
    parser.add_argument("--files", type=int, default=1000, help="small files (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default: 3)")
    parser.add_argument("--cloud", choices=sorted(CLOUDS), action="append", help="only this one")
    parser.add_argument("--latency", type=float, action="append", help="only with so many seconds before each request")
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="cloud-transfers-") as place:
        folder = Path(place)
        moved = subjects(folder, options.size * MIB, options.files)
        for cloud in options.cloud or CLOUDS:
            for latency in options.latency or LATENCIES:
                with tempfile.TemporaryDirectory(dir=folder) as aside:
                    missed |= show(compared(cloud, latency, moved, options.rounds, Path(aside)))
    return missed


if __name__ == "__main__":
    sys.exit(main())

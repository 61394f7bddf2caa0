"""Files of a run: stored with their hashes, reported when they cannot be, never taken from another writer."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.errors import FormatError, InvalidKeyError, StorageError, TransientStorageError
from runfolio.store import artifacts
from runfolio.store.artifacts import StagedFile
from runfolio.store.ending import Ending
from runfolio.store.manifests import decode_manifest, encode_manifest
from runfolio.store.pushing import Pusher
from runfolio.store.retrying import Patience
from runfolio.store.run_folder import open_run
from runfolio.store.wrapping import WrappedBackend
from runfolio.testing import CountingBackend, FaultyBackend
from runfolio.testing.scheduling import DOGGED, Schedule, World
from runfolio.testing.spooling import MemorySpool
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runfolio.backend import Backend, Progress

    MakePusher = Callable[..., Pusher]

_spaces = count()
RUN = "iris_1700000000000-00000"


def _writer(make_pusher: MakePusher, backend: Backend, number: int = 0, **options: Any) -> Pusher:
    pusher = make_pusher(backend, MemorySpool(RUN, "iris", f"rank{number}.{number:016x}"), **options)
    pusher.intend_join("uid")
    return pusher


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _rows(backend: Backend, pusher: Pusher) -> dict[str, dict[str, Any]]:
    key = layout.manifest(RUN, pusher.writer)
    return {row["path"]: row for row in decode_manifest(backend.get(key), key)}


def test_stored_with_its_hash(backend: Backend, make_pusher: MakePusher, tmp_path: Path) -> None:
    sent: list[tuple[str, int]] = []
    pusher = _writer(make_pusher, backend, progress=lambda path, size: sent.append((path, size)))
    for name, data in (("model.pkl", b"model" * 1000), ("empty", b"")):
        pusher.stage(StagedFile(path=f"outputs/{name}", source=_file(tmp_path, name, data), media_type="x/y", step=3))
    assert pusher.push_files() == []
    row = _rows(backend, pusher)["outputs/model.pkl"]
    assert row["sha256"] == hashlib.sha256(b"model" * 1000).hexdigest()
    assert (row["key"], row["size"], row["status"], row["media_type"], row["step"]) == (
        "outputs/model.pkl",
        5000,
        "stored",
        "x/y",
        3,
    )
    assert backend.get(layout.artifact(RUN, "outputs/model.pkl")) == b"model" * 1000
    assert backend.get(layout.artifact(RUN, "outputs/empty")) == b""
    assert sum(size for _, size in sent) == 5000
    end = pusher.end(Ending(status="Completed"))
    assert (end["files"], end["bytes"], end["attachments"]) == (2, 5000, ["outputs/empty", "outputs/model.pkl"])


def test_nothing_staged_is_no_request(backend: Backend, make_pusher: MakePusher) -> None:
    counted = CountingBackend(backend)
    assert _writer(make_pusher, counted).push_files() == []
    assert len(counted) == 0


def test_staged_again(backend: Backend, make_pusher: MakePusher, tmp_path: Path) -> None:
    """The same path with new contents replaces what was stored; with the same contents nothing is sent."""
    counted = CountingBackend(backend)
    pusher, source = _writer(make_pusher, counted), _file(tmp_path, "a", b"one")
    for data, uploads in ((b"one", 1), (b"one", 0), (b"two", 1)):
        source.write_bytes(data)
        pusher.stage(StagedFile(path="outputs/a", source=source))
        counted.reset()
        pusher.push_files()
        assert [one.key for one in counted.requests if one.key.endswith("outputs/a")] == [
            layout.artifact(RUN, "outputs/a")
        ] * uploads
        assert backend.get(layout.artifact(RUN, "outputs/a")) == data
        assert _rows(backend, pusher)["outputs/a"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_what_cannot_be_stored_is_reported(backend: Backend, make_pusher: MakePusher, tmp_path: Path) -> None:
    pusher = _writer(make_pusher, backend, largest_file=10)
    pusher.stage(StagedFile(path="outputs/big", source=_file(tmp_path, "big", b"x" * 11)))
    pusher.stage(StagedFile(path="outputs/gone", source=tmp_path / "gone"))
    pusher.stage(StagedFile(path="outputs/folder", source=tmp_path))
    pusher.stage(StagedFile(path="outputs/fits", source=_file(tmp_path, "fits", b"x" * 10)))
    end = pusher.end(Ending(status="Completed"))
    assert end["files"] == 1
    assert sorted(one["path"] for one in end["failed_uploads"]) == ["outputs/big", "outputs/folder", "outputs/gone"]
    assert all(one["reason"] for one in end["failed_uploads"])
    statuses = {path: row["status"] for path, row in _rows(backend, pusher).items()}
    assert statuses == {
        "outputs/big": "too large",
        "outputs/fits": "stored",
        "outputs/folder": "failed",
        "outputs/gone": "failed",
    }


@pytest.mark.parametrize("path", ["model.pkl", "../x", "outputs/../x", "/outputs/x", "outputs/a:b", "outputs"])
def test_bad_paths_are_refused_at_once(backend: Backend, make_pusher: MakePusher, tmp_path: Path, path: str) -> None:
    pusher = _writer(make_pusher, backend)
    with pytest.raises(InvalidKeyError):
        pusher.stage(StagedFile(path=path, source=tmp_path))
    assert pusher.ledger.pending_files == []


class _Growing(WrappedBackend):
    """Appends to the local file while it is being sent, so many times."""

    def __init__(self, inner: Backend, times: int) -> None:
        super().__init__(inner)
        self.left = times
        self.source: Path | None = None

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        self.inner.put_file(key, path, progress)
        if self.left and self.source is not None:
            self.left -= 1
            with self.source.open("ab") as out:
                out.write(b"more")


def test_a_file_that_changed_once(backend: Backend, make_pusher: MakePusher, tmp_path: Path) -> None:
    """It changed while it was sent: a copy is sent instead, so bytes and hash belong together."""
    growing = _Growing(backend, 1)
    growing.source = _file(tmp_path, "log", b"begin")
    pusher = _writer(make_pusher, growing)
    pusher.stage(StagedFile(path="logs/driver_log.txt", source=growing.source))
    pusher.push_files()
    row = _rows(backend, pusher)["logs/driver_log.txt"]
    data = backend.get(layout.artifact(RUN, "logs/driver_log.txt"))
    assert data == b"beginmore"
    assert (row["size"], row["sha256"], row["status"]) == (9, hashlib.sha256(data).hexdigest(), "stored")


def test_a_file_that_never_stops(
    backend: Backend, make_pusher: MakePusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Still written while it is copied: what was read is stored, its hash fits, and the manifest says so."""
    growing = _Growing(backend, 99)
    growing.source = source = _file(tmp_path, "log", b"begin")
    real = artifacts._same

    def same(before: os.stat_result, path: Path) -> bool:
        with source.open("ab") as out:
            out.write(b"+")
        return real(before, path)

    monkeypatch.setattr(artifacts, "_same", same)
    pusher = _writer(make_pusher, growing)
    pusher.stage(StagedFile(path="logs/log", source=source))
    pusher.push_files()
    row = _rows(backend, pusher)["logs/log"]
    data = backend.get(layout.artifact(RUN, "logs/log"))
    assert row["status"] == "changed while read"
    assert (row["size"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert pusher.end(Ending(status="Completed"))["files"] == 1


def test_trouble_of_the_storage_waits_for_the_next_time(
    backend: Backend, make_pusher: MakePusher, tmp_path: Path
) -> None:
    faulty = FaultyBackend(backend).fail("put", key="outputs/a", times=2)
    pusher = _writer(make_pusher, faulty, patience=Patience(attempts=1))
    pusher.stage(StagedFile(path="outputs/a", source=_file(tmp_path, "a", b"x")))
    with pytest.raises(TransientStorageError):
        pusher.push_files()
    with pytest.raises(TransientStorageError):
        pusher.end(Ending(status="Completed"))
    assert not _has_end(backend)
    assert make_pusher(faulty, pusher.spooled).replay().outcome == "stored"
    assert backend.get(layout.artifact(RUN, "outputs/a")) == b"x"


def _has_end(backend: Backend) -> bool:
    return any("/end-" in info.key for info in backend.list(layout.RUNS))


def test_one_refused_file_does_not_hold_up_the_end(backend: Backend, make_pusher: MakePusher, tmp_path: Path) -> None:
    faulty = FaultyBackend(backend).fail("put", key="outputs/odd", times=99, error=StorageError("no such name here"))
    pusher = _writer(make_pusher, faulty)
    for name in ("odd", "even"):
        pusher.stage(StagedFile(path=f"outputs/{name}", source=_file(tmp_path, name, b"x")))
    end = pusher.end(Ending(status="Completed"))
    assert end["failed_uploads"] == [{"path": "outputs/odd", "reason": "no such name here"}]
    assert end["attachments"] == ["outputs/even"]


def test_two_writers_one_path(
    backend: Backend, make_pusher: MakePusher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Other contents are kept aside with a warning; the same contents are shared."""
    first, second, third = (_writer(make_pusher, backend, number) for number in range(3))
    for pusher, data in ((first, b"one"), (second, b"two"), (third, b"one")):
        source = _file(tmp_path, pusher.writer, data)
        pusher.stage(StagedFile(path="outputs/deep/m.pkl", source=source))
        pusher.push_files()
    keys = [_rows(backend, pusher)["outputs/deep/m.pkl"]["key"] for pusher in (first, second, third)]
    aside = f"outputs/.by-{second.writer}/deep/m.pkl"
    assert keys == ["outputs/deep/m.pkl", aside, "outputs/deep/m.pkl"]
    assert backend.get(layout.artifact(RUN, keys[0])) == b"one"
    assert backend.get(layout.artifact(RUN, aside)) == b"two"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    # The first one's path is shared now: its new contents must not change what the third relies on.
    first.stage(StagedFile(path="outputs/deep/m.pkl", source=_file(tmp_path, "new", b"three")))
    first.push_files()
    assert backend.get(layout.artifact(RUN, "outputs/deep/m.pkl")) == b"one"
    assert backend.get(layout.artifact(RUN, _rows(backend, first)["outputs/deep/m.pkl"]["key"])) == b"three"


def _contest(seed: int, folder: Path) -> list[str]:
    """Writers store one path at one time, several times over, are killed and replayed; return what is wrong then."""
    backend = MemoryBackend(f"memory://contest-{next(_spaces)}")
    schedule = Schedule(backend, seed, kill=0.02, lose=0.03)
    spools = [MemorySpool(RUN, "iris", f"rank{at}.{at:016x}") for at in range(3)]

    def work(world: World, spool: MemorySpool) -> None:
        pusher = Pusher(world.backend, spool, environment=world.environment, patience=DOGGED)
        pusher.intend_join("uid")
        for turn in range(1 + world.environment.chance.randrange(3)):
            source = folder / f"{seed}-{spool.writer}-{turn}"
            source.write_bytes(f"{world.environment.chance.randrange(3)}".encode())
            pusher.stage(StagedFile(path="outputs/m", source=source))
            pusher.push_files()
        pusher.end(Ending(status="Completed"))

    for spool in spools:
        schedule.actor(spool.writer, partial(work, spool=spool))
    schedule.run()
    wrong = [repr(actor.error) for actor in schedule.actors if actor.error]
    with schedule.calm() as world:
        for spool in spools:
            Pusher(world.backend, spool, environment=world.environment, patience=DOGGED).replay()
        for writer, rows in open_run(backend, RUN).manifests.items():
            for row in rows:
                data = backend.get(layout.artifact(RUN, row["key"]))
                if row["status"] != "stored" or hashlib.sha256(data).hexdigest() != row["sha256"]:
                    wrong.append(f"{writer}: {row} but {data!r} is stored")
    backend.clear()
    return wrong


@pytest.mark.memory_only("a scheduler decides which request comes next")
def test_no_writer_loses_its_bytes_to_another(tmp_path: Path) -> None:
    for seed in range(120):
        assert _contest(seed, tmp_path) == []


@pytest.mark.memory_only("a scheduler decides which request comes next")
def test_publishing_first_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the claims in the manifest, two that upload at one time overwrite one another: the contest notices."""
    real = artifacts._put_manifest

    def put(desk: Any, run_id: str, writer: str, extra: list[dict[str, Any]]) -> None:
        real(desk, run_id, writer, [row for row in extra if row["status"] != "pending"])

    monkeypatch.setattr(artifacts, "_put_manifest", put)
    assert any(_contest(seed, tmp_path) for seed in range(40))


def test_a_manifest_of_a_later_version(backend: Backend) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"path": ["x"]}).replace_schema_metadata({"runfolio.format": "9"}), out)
    for data in (out.getvalue(), b"", b"PAR1", encode_manifest([], "w")[:-9]):
        with pytest.raises(FormatError):
            decode_manifest(data, "manifest-w.parquet")
    assert decode_manifest(encode_manifest([], "w"), "k") == []

"""A store or journal that is damaged, newer, full or read-only.

Each gives a clear error or a defined result, and nothing stored is lost.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runfolio as rf
from runfolio import layout

if TYPE_CHECKING:
    from runfolio.backend import Backend

SMALL_DISK = pytest.mark.local_only("it fills a small disk, or makes one read-only")


@pytest.fixture
def run(history: rf.History) -> str:
    with history.start_run(name="one") as begun:
        begun.log("loss", 0.5, step=0)
        begun.log_bytes("a.txt", b"aaaa")
    return begun.id


@pytest.fixture
def objects(store: str, open_backend: Callable[[str], Backend]) -> Backend:
    """What is in the store, without the SDK."""
    return open_backend(store)


def change(objects: Backend, **fields: object) -> None:
    """Change what says that this is a store."""
    objects.put(layout.STORE, json.dumps({**json.loads(objects.get(layout.STORE)), **fields}).encode())


def spoil(objects: Backend, key: str) -> None:
    """Overwrite the middle of an object with zeros."""
    data = objects.get(key)
    middle = len(data) // 2
    objects.put(key, data[: middle - 8] + bytes(16) + data[middle + 8 :])


def keys(objects: Backend, prefix: str) -> list[str]:
    return [info.key for info in objects.list(prefix)]


@pytest.mark.parametrize("fields", [{"format": 2}, {"required_features": ["time-travel"]}], ids=["format", "feature"])
def test_a_store_of_a_later_version_is_refused(
    store: str, objects: Backend, run: str, fields: dict[str, object]
) -> None:
    change(objects, **fields)
    later = rf.open_history(store, project="p")
    with pytest.raises(rf.FormatError, match="upgrade"):
        later.run(run)
    with pytest.raises(rf.FormatError):
        len(later.runs())


def test_an_unknown_optional_feature_is_ignored(store: str, objects: Backend, run: str) -> None:
    change(objects, optional_features=["glitter"])
    assert rf.open_history(store, project="p").run(run).status == "Completed"


def test_training_goes_on_beside_a_store_that_cannot_be_used(
    store: str, objects: Backend, run: str, caplog: pytest.LogCaptureFixture
) -> None:
    change(objects, format=2)
    history = rf.open_history(store, project="p")
    with history.start_run() as begun:
        begun.log("loss", 1.5)
        assert begun.number is None
        assert begun.record.status == "Running"
    assert begun.finish() is False
    assert "local journal" in caplog.text
    change(objects, format=1)
    again = rf.open_history(store, project="p")
    assert again.sync().completed == [begun.id]
    assert again.run(begun.id).metric("loss").values() == [1.5]


def test_a_journal_that_trips_over_a_mistake_of_ours_keeps_up_no_other(
    store: str, history: rf.History, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runfolio.store.pushing import Pusher

    monkeypatch.setenv("RUNFOLIO_MODE", "offline")
    ids = []
    with rf.open_history(store, project="p") as offline:
        for _ in range(2):
            with offline.start_run() as run:
                ids.append(run.id)
    replay = Pusher.replay

    def trip(self: Pusher, **options: Any) -> Any:
        if self.ledger.state.start and ids[0] in str(self.ledger.state.start):
            raise KeyError("a mistake")
        return replay(self, **options)

    monkeypatch.setattr(Pusher, "replay", trip)
    report = history.sync()
    assert report.completed == [ids[1]]
    assert "KeyError" in next(iter(report.failed.values()))
    monkeypatch.setattr(Pusher, "replay", replay)
    assert history.sync().completed == [ids[0]]


def test_a_wrong_store_leaves_nothing_to_send(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUNFOLIO_SPOOL", str(tmp_path / "spool"))
    with pytest.raises(rf.ConfigurationError, match="scheme"):
        rf.open_history("nosuch://place", project="p").start_run()
    assert list((tmp_path / "spool").glob("*")) == []


def test_one_damaged_checkpoint_is_done_without(history: rf.History, store: str, objects: Backend, run: str) -> None:
    history.repair()
    history.repair()
    spoil(objects, min(keys(objects, layout.INDEX)))
    assert [one.id for one in rf.open_history(store, project="p").runs()] == [run]


def test_a_damaged_index_is_an_error_until_it_is_repaired(
    history: rf.History, store: str, objects: Backend, run: str
) -> None:
    history.repair()
    history.repair()
    for checkpoint in keys(objects, layout.INDEX):
        spoil(objects, checkpoint)
    other = rf.open_history(store, project="p")
    with pytest.raises(rf.IndexDamagedError, match="repair"):
        len(other.runs())
    assert other.run(run).status == "Completed"  # its folder needs no index
    assert not other.info().ok
    assert other.repair().figures["runs"] == 1
    assert [one.id for one in other.runs()] == [run]


def test_without_index_and_log_repair_brings_the_same_view(
    history: rf.History, store: str, objects: Backend, run: str
) -> None:
    history.run(run).tag(add=["kept"])
    before = history.runs().to_dicts()
    objects.delete(keys(objects, layout.INDEX) + keys(objects, layout.LOG))
    again = rf.open_history(store, project="p")
    again.repair()
    assert again.runs().to_dicts() == before


def test_damaged_rows_are_named_and_spare_the_others(history: rf.History, objects: Backend, run: str) -> None:
    with history.start_run() as other:
        other.log("loss", 1.5)
    (rows,) = keys(objects, layout.metrics(run))
    spoil(objects, rows)
    with pytest.raises(rf.FormatError, match="parquet"):
        history.run(run).metrics()
    assert history.run(run).record.metrics["loss"].value == 0.5
    assert history.run(other.id).metric("loss").values() == [1.5]


def test_a_damaged_list_of_files_is_named(history: rf.History, objects: Backend, run: str) -> None:
    (manifest,) = [key for key in keys(objects, layout.run_folder(run)) if "manifest-" in key]
    objects.put(manifest, b"no parquet")
    with pytest.raises(rf.FormatError, match="manifest"):
        history.run(run).artifacts.list()


def test_a_damaged_start_is_reported_by_repair_and_hides_only_its_run(
    history: rf.History, store: str, objects: Backend, run: str
) -> None:
    with history.start_run() as other:
        pass
    objects.put(layout.start(run), b"{")
    report = history.repair()
    assert not report.ok
    with pytest.raises(rf.FormatError):
        history.run(run)
    assert other.id in rf.open_history(store, project="p").runs().ids()


def test_a_strangers_file_in_the_store_does_no_harm(
    history: rf.History, store: str, objects: Backend, run: str
) -> None:
    for name in (
        "log/notes.txt",
        "beats/x.json",
        "runs/readme.txt",
        "runs/p/x/y",
        f"{layout.run_folder(run)}metrics/own.parquet",
    ):
        objects.put(name, b"hello")
    assert rf.open_history(store, project="p").run(run).metric("loss").values() == [0.5]
    assert history.repair().ok in (True, False)
    assert [one.id for one in rf.open_history(store, project="p").runs()] == [run]


def test_a_hostile_manifest_names_no_file_outside(
    history: rf.History, objects: Backend, run: str, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (manifest,) = [key for key in keys(objects, layout.run_folder(run)) if "manifest-" in key]
    table = pq.read_table(io.BytesIO(objects.get(manifest)))
    rows = table.to_pylist()
    evil = [
        {**rows[0], "path": path, "key": path}
        for path in ("../../x", "/etc/x", "outputs/../../x", "C:\\x", "outputs/CON")
    ]
    metadata = table.schema.metadata
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([*rows, *evil], schema=table.schema.with_metadata(metadata)), out)
    objects.put(manifest, out.getvalue())
    report = history.run(run).artifacts.download(tmp_path / "target")
    assert report.downloaded == ["outputs/a.txt"]
    assert [path.name for path in tmp_path.rglob("x")] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
@SMALL_DISK
def test_a_full_store_keeps_the_run_in_the_journal(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    history = rf.open_history(str(small_disk / "store"), project="p")
    with history.start_run() as run:
        (small_disk / "filler").write_bytes(bytes(1024 * 1024))
        run.log_bytes("big.bin", bytes(3 * 1024 * 1024))
        run.log("loss", 0.5)
    assert run.finish() is False
    assert "local journal" in caplog.text or "runfolio sync" in caplog.text
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    assert run.id in history.sync().completed
    stored = history.run(run.id)
    assert (stored.status, stored.metric("loss").values()) == ("Completed", [0.5])
    assert stored.artifacts["outputs/big.bin"].read_bytes() == bytes(3 * 1024 * 1024)


@pytest.mark.root
@SMALL_DISK
def test_a_full_disk_under_the_journal_does_not_stop_training(small_disk: Path, store: str, script_path: Path) -> None:
    script_path.write_text(
        "import runfolio as rf\n"
        "run = rf.get_logger()\n"
        f"filler = open({str(small_disk / 'filler')!r}, 'wb', buffering=0)\n"
        "try:\n"
        "    while True: filler.write(bytes(4096))\n"
        "except OSError: pass\n"
        "for step in range(1000): run.log('loss', float(step), step=step)\n"
        "filler.truncate(0)\n"
        "for step in range(1000, 1100): run.log('loss', float(step), step=step)\n"
    )
    import os

    variables = {
        **os.environ,
        "RUNFOLIO_STORE": store,
        "RUNFOLIO_PROJECT": "p",
        "RUNFOLIO_SPOOL": str(small_disk / "spool"),
    }
    done = subprocess.run(
        [sys.executable, str(script_path)], env=variables, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    stored = rf.open_history(store, project="p").last()
    assert stored.metric("loss").values() == [float(step) for step in range(1100)]


@pytest.fixture
def script_path(tmp_path: Path) -> Path:
    return tmp_path / "script.py"


@pytest.mark.root
@SMALL_DISK
def test_a_read_only_place_is_said_and_spooled(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    history = rf.open_history(str(small_disk / "store"), project="p")
    with history.start_run() as run:
        run.log("loss", 0.5)
    assert run.finish() is False
    assert "local journal" in caplog.text
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert history.sync().completed == [run.id]

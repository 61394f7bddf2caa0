"""Files of a run: stored, listed, opened, downloaded."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import runfolio as rf
from runfolio import layout


def test_media_become_files_that_every_tool_opens(history: rf.History) -> None:
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    with history.start_run() as run:
        run.log_figure("roc", figure)
        run.log_figure("roc", figure, step=3)
        run.log_image("grey", np.zeros((4, 4), dtype="uint8"))
        run.log_image("colour", np.ones((4, 4, 3)) * 0.5)
        run.log_table("frame", pd.DataFrame({"a": [1, 2]}))
        run.log_table("records", [{"a": 1}, {"a": 2}])
        run.log_text("notes", "hello")
        run.log_text("config", {"a": [1]})
    plt.close(figure)
    artifacts = {one.path: one for one in history.last().artifacts}
    assert set(artifacts) == {
        "outputs/roc.png", "outputs/roc/3.png", "outputs/grey.png", "outputs/colour.png", "outputs/frame.parquet",
        "outputs/records.parquet", "outputs/notes.txt", "outputs/config.json",
    }  # fmt: skip
    assert artifacts["outputs/roc.png"].read_bytes().startswith(b"\x89PNG")
    assert (artifacts["outputs/roc/3.png"].kind, artifacts["outputs/roc/3.png"].step) == ("figure", 3)
    assert pq.read_table(io.BytesIO(artifacts["outputs/frame.parquet"].read_bytes())).to_pylist() == [
        {"a": 1},
        {"a": 2},
    ]
    assert artifacts["outputs/notes.txt"].open().read() == b"hello"


def test_what_is_no_figure_is_refused(history: rf.History) -> None:
    with history.start_run() as run:
        for call in (run.log_figure, run.log_image, run.log_table, run.log_text):
            with pytest.raises(rf.InvalidValueError):
                call("name", object())


def test_a_file_is_stored_as_it_was_when_it_was_logged(history: rf.History, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"first")
    with history.start_run() as run:
        run.log_artifact(path, name="models/best.pkl")
        path.write_bytes(b"second")
        path.unlink()
    stored = history.last().artifacts["outputs/models/best.pkl"]
    assert stored.read_bytes() == b"first"
    assert stored.sha256 == hashlib.sha256(b"first").hexdigest()
    assert stored.original == "model.pkl"


def test_folders_are_stored_with_all_that_is_in_them(history: rf.History, tmp_path: Path) -> None:
    for name in ("a.txt", "deep/er/b.txt", "empty"):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text("" if name == "empty" else name)
    with history.start_run() as run:
        assert run.log_artifact(tmp_path / "d").wait(60)
        with pytest.raises(rf.InvalidValueError, match="log_bytes"):
            run.log_artifact(tmp_path / "absent")
        with pytest.raises(rf.InvalidKeyError):
            run.log_bytes("../outside", b"")
    assert [one.path for one in history.last().artifacts] == [
        "outputs/d/a.txt",
        "outputs/d/deep/er/b.txt",
        "outputs/d/empty",
    ]
    assert history.last().artifacts["outputs/d/empty"].size == 0


def test_ranges_are_read_of_a_large_file(history: rf.History) -> None:
    data = np.random.default_rng(1).bytes(3_000_000)
    with history.start_run() as run:
        run.log_bytes("big.bin", data)
    with history.last().artifacts["outputs/big.bin"].open() as opened:
        opened.seek(-10, io.SEEK_END)
        assert opened.read() == data[-10:]
        opened.seek(1_000_000)
        assert opened.read(5) == data[1_000_000:1_000_005]


def test_a_download_verifies_resumes_and_spares_what_is_there(history: rf.History, tmp_path: Path) -> None:
    with history.start_run() as run:
        run.log_bytes("a.txt", b"aaaa")
        run.log_bytes("sub/b.txt", b"bbbb")
    files = history.last().artifacts
    target = tmp_path / "out"
    assert sorted(files.download(target).downloaded) == ["outputs/a.txt", "outputs/sub/b.txt"]
    assert sorted(files.download(target).skipped) == ["outputs/a.txt", "outputs/sub/b.txt"]
    (target / "outputs/a.txt").write_bytes(b"mine")
    report = files.download(target, paths=["outputs/a.txt"])
    assert not report.ok
    assert (target / "outputs/a.txt").read_bytes() == b"mine"
    assert files.download(target, paths=["outputs/a.txt"], overwrite=True).ok
    assert (target / "outputs/a.txt").read_bytes() == b"aaaa"
    (target / "outputs/sub/b.txt").unlink()
    (target / "outputs/sub/b.txt.runfolio-partial").write_bytes(b"bb")
    seen: list[int] = []
    assert files.download(target, paths=["outputs/sub"], progress=lambda _, count: seen.append(count)).ok
    assert (target / "outputs/sub/b.txt").read_bytes() == b"bbbb"
    assert seen == [2, 2]
    with pytest.raises(rf.ArtifactNotFoundError, match=r"outputs/a\.txt"):
        files.download(target, paths=["outputs/none"])


def test_a_download_never_leaves_the_target(history: rf.History, tmp_path: Path) -> None:
    with history.start_run() as run:
        run.log_bytes("sub/a.txt", b"aaaa")
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "out"
    (target / "outputs").mkdir(parents=True)
    (target / "outputs/sub").symlink_to(outside)
    report = history.last().artifacts.download(target)
    assert not report.ok
    assert list(outside.iterdir()) == []
    (target / "outputs/sub").unlink()
    (target / "outputs/sub").mkdir()
    (outside / "victim").write_text("precious")
    (target / "outputs/sub/a.txt").symlink_to(outside / "victim")
    assert history.last().artifacts.download(target, overwrite=True).ok
    assert (outside / "victim").read_text() == "precious"


def test_contents_that_were_changed_in_the_store_are_refused(history: rf.History, tmp_path: Path) -> None:
    with history.start_run() as run:
        run.log_bytes("a.txt", b"aaaa")
    history._backend.put(layout.artifact(run.id, "outputs/a.txt"), b"evil")
    with pytest.raises(rf.FormatError):
        history.last().artifacts["outputs/a.txt"].read_bytes()
    report = history.last().artifacts.download(tmp_path / "out")
    assert "SHA-256" in report.problems["outputs/a.txt"]
    assert not (tmp_path / "out/outputs/a.txt").exists()


def test_two_writers_keep_both_contents(history: rf.History) -> None:
    with history.start_run() as run:
        run.log_bytes("same.txt", b"main")
        assert run.flush(60)
        with history.attach(run.id, writer="rank1") as other:
            other.log_bytes("same.txt", b"rank")
    files = history.run(run.id).artifacts
    assert files["outputs/same.txt"].read_bytes() == b"main"
    assert sorted(one.read_bytes() for one in files) == [b"main", b"rank"]

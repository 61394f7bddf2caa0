"""Each example runs as its first line says, in a copy of its folder, and leaves what it promises."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import runfolio as rf

EXAMPLES = Path(__file__).parents[2] / "examples"
Copy = Callable[[str], Path]

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """Copies an example and makes the copy the current folder. Programs of this environment are found."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

    def of(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns(".runfolio", "outputs", "__pycache__"))
        monkeypatch.chdir(folder)
        return folder

    return of


def run(*command: str) -> str:
    """Run a command in the current folder and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_iris(copy: Copy) -> None:
    copy("iris")
    rates = ["10", "0.3125"]
    for rate in rates:
        assert f"Regularization rate is {float(rate)}" in run("runfolio", "run", "iris_sklearn.py", rate)
    with rf.open_history(read_only=True) as history:
        assert history.project == "iris"
        runs = history.runs(order_by="run_number")
        assert [one.status for one in runs] == ["Completed"] * 2
        assert [one.metric("Regularization Rate").values() for one in runs] == [[float(rate)] for rate in rates]
        accuracies = [one.metric("Accuracy").values()[0] for one in runs]
        assert 0.5 < accuracies[0] < accuracies[1] < 1, "the rate makes a difference"
        best = history.best("Accuracy")
        assert best.arguments == ["0.3125"]
        lengths = {name: len(best.metric(name).values()[0]) for name in ("Precision", "Recall", "Thresholds")}
        assert lengths["Precision"] == lengths["Recall"] == lengths["Thresholds"] + 1 > 50
        for plot in ("outputs/cm.png", "outputs/roc.png"):
            assert best.artifacts[plot].read_bytes().startswith(b"\x89PNG")
        model = pickle.loads(best.artifacts["outputs/model.pkl"].read_bytes())
        assert (1 / 0.3125, 44) == (model.C, model.n_features_in_)


def test_iris_with_plain_python(copy: Copy) -> None:
    folder = copy("iris")
    run(sys.executable, "iris_sklearn.py")
    (one,) = rf.open_history(read_only=True).runs()
    assert one.metric("Regularization Rate").values() == [0.01]
    assert {path.name for path in (folder / "outputs").iterdir()} == {"cm.png", "roc.png", "model.pkl"}


def test_sweep(copy: Copy) -> None:
    copy("sweep")
    printed = run(sys.executable, "sweep.py")
    with rf.open_history(read_only=True) as history:
        assert history.project == "line-sweep"
        runs = list(history.runs(order_by="loss"))
        assert sorted((one.record.params["rate"], one.record.params["momentum"]) for one in runs) == [
            (rate, momentum) for rate in (0.03, 0.1, 0.3) for momentum in (0.0, 0.9)
        ]
        assert {len(one.metric("loss").values()) for one in runs} == {40}
        best = history.best("loss")
        assert min(best.metric("loss").values()) == min(min(one.metric("loss").values()) for one in runs)
        assert abs(best.record.summary["slope"] - 3) < 0.2
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines[:6]] == [one.short_id for one in runs]
    assert lines[6].startswith(f"best: {best.id}")


def test_embedding(copy: Copy, tmp_path: Path) -> None:
    copy("embedding")
    store = tmp_path / "a store of its own"
    printed = run(sys.executable, "train_service.py", str(store)).splitlines()
    with rf.open_history(str(store), read_only=True, must_exist=True) as history:
        runs = list(history.runs("service", experiment="fit", order_by="run_number"))
        assert printed == [*(f"recorded {one.id}" for one in runs), f"best {runs[2].id}"]
        assert [one.record.params["rate"] for one in runs] == [0.1, 0.3, 1.0]
        assert len(runs[0].metric("loss").values()) == 100
    assert not Path(".runfolio").exists()


def test_notebook(copy: Copy) -> None:
    folder = copy("notebook")
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    # In a process of its own: the client's event loop and sockets are no matter of this one.
    program = (
        "import sys, nbformat, nbclient\n"
        "notebook = nbformat.read('iris_mlp.ipynb', 4)\n"
        "nbclient.NotebookClient(notebook, timeout=240).execute()\n"
        "nbformat.write(notebook, 'executed.ipynb')\n"
    )
    run(sys.executable, "-c", program)
    cells = [cell for cell in nbformat.read(folder / "executed.ipynb", 4).cells if cell.cell_type == "code"]
    assert nbclient
    assert all(cell.execution_count for cell in cells)
    assert sum("40 of 40" in str(output) for cell in cells for output in cell.outputs) == 3
    with rf.open_history(read_only=True) as history:
        trained = list(history.runs("notebook", experiment="iris-mlp", order_by="run_number"))
        assert [one.record.params["units"] for one in trained] == [2, 8, 32]
        assert {len(one.metric("val/accuracy").values()) for one in trained} == {40}
        (comparison,) = history.runs("notebook", experiment="comparison")
        assert [one.path for one in comparison.artifacts.list()] == ["outputs/losses.png"]


def test_the_notebook_is_stored_without_outputs() -> None:
    import json

    cells = json.loads((EXAMPLES / "notebook" / "iris_mlp.ipynb").read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_pytorch(copy: Copy) -> None:
    pytest.importorskip("torch")
    copy("pytorch")
    run_id = run(sys.executable, "train_ranks.py", "--ranks", "2", "--steps", "30").split()[-1]
    with rf.open_history(read_only=True) as history:
        one = history.run(run_id)
        assert one.status == "Completed"
        losses = {name: one.metric(name).values() for name in ("loss", "rank0/loss", "rank1/loss")}
        assert {name: len(values) for name, values in losses.items()} == dict.fromkeys(losses, 30)
        assert losses["loss"][-1] < losses["loss"][0] / 10
        assert losses["loss"][0] == pytest.approx((losses["rank0/loss"][0] + losses["rank1/loss"][0]) / 2)
        table = one.metrics(["rank0/loss", "rank1/loss"])
        writers = {
            (name, key.split(".")[0])
            for name, key in zip(*map(list, (table["name"].to_pylist(), table["writer"].to_pylist())), strict=True)
        }
        assert writers == {("rank0/loss", "rank0"), ("rank1/loss", "rank1")}
        assert "outputs/models/weights.pt" in {artifact.path for artifact in one.artifacts.list()}

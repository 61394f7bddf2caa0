"""Scripts of Workbench's time, unmodified, in real processes."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.local_only(
        "tracked runs: processes, files and signals of this machine (tests/plugins/launch/test_stores.py: each store)"
    ),
]


def test_the_module_sys_is_there_without_an_import(start: Start) -> None:
    done = start("log_accuracy.py", "0.75")
    assert done.code == 0, done.stderr
    assert done.value("Accuracy") == 0.75
    assert done.run.arguments == ["0.75"]
    assert done.run.record.script_name == "log_accuracy.py"


def test_its_failures_are_the_script_s_own(start: Start) -> None:
    done = start("fails.py")
    assert done.code == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "runfolio_plugins" not in done.stderr
    assert done.run.status == "Failed"
    assert done.value("before") == 1


def test_a_guard_that_compares_the_logger_with_a_list(start: Start) -> None:
    done = start("guarded.py")
    assert done.code == 0, done.stderr
    assert done.value("Dice") == -0.25
    assert done.value("guarded") is False


EXPECTED: dict[str, object] = {
    "float64": 0.12,
    "float32": 0.5,
    "int8": -3,
    "uint64": 2**63,
    "big": 2**70,
    "bool": True,
    "number in a text": "0.5",
    "array in a text": "[0 1 2]",
    "series element": 2.5,
    "mixed": [1, 2.5, 3.0, 4],
    "words": ["adam", "sgd"],
    "empty": [],
    "many": [*range(300)],
    "best F-score": math.nan,
    "nan mean": math.nan,
    "F-scores": [math.nan, 0.5],
    "infinity": -math.inf,
    "trailing ": 1,
    "a.dotted.tag": "true",
    "class #1 - setosa_x": 0.25,
    "C": 10,
    "gamma": 0.1,
    "kernel": "rbf",
    "by class.cat": 0.5,
    "by class.dog": [0.25, 0.75],
    "frame.x": [1, 2],
    "frame.y": ["a", "b"],
    "series": [0.5, 1.5],
    "nothing": "None",
    "matrix": "[[1. 0.]\n [0. 1.]]",
    "two lines": 1,
    "7": "a name that is no text",
    "last": 1,
    "waited for": 1,
}


def test_values_of_every_kind_that_scripts_were_seen_to_log(start: Start) -> None:
    done = start("values.py")
    assert done.code == 0, done.stderr
    found = {name: done.value(name) for name in EXPECTED}
    assert repr(found) == repr(EXPECTED)  # NaN is not equal to itself, and 1 is equal to True
    assert done.run.metric("again").values() == [1, 2]
    logged = set(done.run.metrics()["name"].to_pylist())
    assert logged == {*EXPECTED, "again"}
    assert f"{[(True, 'WorkbenchCompatibilityWarning')] * 3}" in done.stdout
    assert "ScriptRunRequest('last')\nTrue\n" in done.stdout


def test_texts_are_uploaded_and_a_file_s_name_is_not_the_file(start: Start) -> None:
    done = start("uploads.py")
    assert done.code == 0, done.stderr
    contents = {
        path: done.run.artifacts[path].read_bytes().decode()
        for path in ("outputs/notes/summary.txt", "outputs/model.json", "outputs/weights.txt")
    }
    assert contents == {
        "outputs/notes/summary.txt": "three lines\nof text\nZürich\n",
        "outputs/model.json": '{"a": 1}',
        "outputs/weights.txt": "weights.txt",
    }
    assert "[(True, 'WorkbenchCompatibilityWarning')]" in done.stdout


def check_pools(done: Any) -> None:
    assert done.code == 0, done.stderr
    squares = [number * number for number in range(20)]
    assert done.value("squares") == squares
    assert done.value("after") == sum(squares)
    assert {name: done.value(name) for name in (f"class #{n}" for n in range(8))} == {
        f"class #{n}": n / 10 for n in range(8)
    }
    workers = {done.value(f"worker {n}") for n in range(3)}
    assert workers
    assert all(isinstance(worker, int) for worker in workers)


def test_a_logger_in_and_after_a_pool_of_forked_processes(start: Start) -> None:
    check_pools(start("pools.py", "fork"))


def test_a_logger_in_and_after_a_pool_of_spawned_processes(tracked: Start) -> None:
    check_pools(tracked("pools.py", "spawn"))


def test_a_script_in_a_folder_with_modules_beside_it_and_at_the_root(tracked: Start, project: Path) -> None:
    done = tracked("code/01_step/Main.py", "argument", "3")
    assert done.code == 3, done.stderr
    assert done.run.status == "Failed"
    assert done.run.record.script_name == "code/01_step/Main.py"
    expected = {
        "at the root": True,
        "from a package": "argument",
        "measured in a module": 0.5,
        "measured twice": 0.5,
        "lent to a module": False,
        "joined": True,
        "after chdir": "__main__",
    }
    assert {name: done.value(name) for name in expected} == expected
    assert "outputs/first.txt" in {artifact.path for artifact in done.run.artifacts.list()}
    assert not (project / "outputs").exists()


def write_iris(path: Path) -> None:
    """Write the table that the data flow of the original gave."""
    from sklearn.datasets import load_iris

    bunch: Any = load_iris(as_frame=True)
    frame = bunch.data.set_axis(["Sepal Length", "Sepal Width", "Petal Length", "Petal Width"], axis=1)
    frame["Species"] = [f"Iris-{bunch.target_names[number]}" for number in bunch.target]
    frame.to_csv(path, index=False)


def test_the_classifier_of_the_tutorial(start: Start, project: Path) -> None:
    write_iris(project / "iris.dprep.csv")
    done = start("iris_sklearn.py", "5")
    assert done.code == 0, done.stderr
    assert done.value("Regularization Rate") == 5.0
    assert 0.3 < done.value("Accuracy") < 1
    precision, recall, thresholds = (done.value(name) for name in ("Precision", "Recall", "Thresholds"))
    assert len(precision) == len(recall) == len(thresholds) + 1 > 20
    assert done.value("amlrealworld.iris.iris_sklearn") == "true"
    assert done.run.status == "Completed"


def test_outputs_of_the_tutorial_are_kept(tracked: Start, project: Path) -> None:
    write_iris(project / "iris.dprep.csv")
    done = tracked("iris_sklearn.py")
    assert {"outputs/cm.png", "outputs/roc.png", "outputs/model.pkl"} <= {one.path for one in done.run.artifacts.list()}
    model = pickle.loads(done.run.artifacts["outputs/model.pkl"].read_bytes())
    assert model.C == 100


def test_without_the_exported_table_the_error_names_it(tracked: Start) -> None:
    done = tracked("iris_sklearn.py")
    assert done.code == 1
    assert "'iris.dprep.csv'" in done.stderr
    assert done.run.status == "Failed"

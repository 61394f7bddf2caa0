from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator

import pytest

import runfolio as rf
from runfolio_plugins.azureml_compat.workbench_logger import (
    ScriptRunRequest,
    WorkbenchCompatibilityWarning,
    get_azureml_logger,
)


@pytest.fixture
def run(store_url: str) -> Iterator[rf.ActiveRun]:
    """The current run, in a store of its own."""
    with rf.start_run(project="demo", store=store_url, system_metrics=False) as run:
        yield run


class Slow:
    """A value on its way that never arrives."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        return False


def test_all_loggers_write_to_the_current_run(run: rf.ActiveRun) -> None:
    first, second = get_azureml_logger(), get_azureml_logger()
    first.log("a", 1)
    second.log("a", 2)
    threads = [threading.Thread(target=first.log, args=("b", number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.flush()
    assert run.metric("a").values() == [1, 2]
    assert sorted(run.metric("b").values()) == [0, 1, 2, 3]


def test_a_logger_is_unequal_to_everything_else_and_can_be_pickled(run: rf.ActiveRun) -> None:
    logger: object = get_azureml_logger()
    assert logger != []
    assert not logger == []  # noqa: SIM201 (both operators are in use)
    assert bool(logger)
    pickle.loads(pickle.dumps(logger)).log("pickled", 1)
    assert run.flush()
    assert run.metric("pickled").values() == [1]


def test_wait_tells_whether_it_is_stored(run: rf.ActiveRun) -> None:
    assert get_azureml_logger().log("a", 1).wait() is True
    assert get_azureml_logger().log("d", {"x": 1, "y": 2}).wait(30) is True
    assert get_azureml_logger().upload("notes.txt", "text").wait() is True
    assert run.artifacts["outputs/notes.txt"].read_bytes() == b"text"


def test_wait_gives_up_and_never_asks_for_more_than_is_left() -> None:
    slow, slower = Slow(), Slow()
    request = ScriptRunRequest("a", [slow, slower])
    assert request.wait() is False
    assert request.wait(0) is False
    assert request.wait(None) is False
    asked = [*slow.asked, *slower.asked]
    assert asked[2] is asked[5] is None
    assert all(seconds is None or 0 <= seconds <= 60 for seconds in asked)
    assert repr(request) == "ScriptRunRequest('a')"


def test_a_nested_mapping_gives_dotted_names(run: rf.ActiveRun) -> None:
    circle: dict[str, object] = {"value": 1}
    circle["self"] = circle
    with pytest.warns(WorkbenchCompatibilityWarning, match="dict"):
        get_azureml_logger().log("circle", circle)
    get_azureml_logger().log("nothing", {})
    assert run.flush()
    names = set(run.metrics()["name"].to_pylist())
    assert {"circle.value", "circle.self.value"} <= names
    assert not any(name.startswith("nothing") for name in names)


@pytest.mark.parametrize(
    ("given", "stored"),
    [("", "unnamed"), ("tab\there", "tab here"), ("x" * 2000, "x" * 1000)],
    ids=["empty", "tab", "long"],
)
def test_names_that_are_none_are_taken_with_a_warning(run: rf.ActiveRun, given: str, stored: str) -> None:
    with pytest.warns(WorkbenchCompatibilityWarning):
        get_azureml_logger().log(given, 1)
    assert run.flush()
    assert set(run.metrics()["name"].to_pylist()) == {stored}


def test_bytes_are_uploaded_and_objects_are_refused(run: rf.ActiveRun) -> None:
    get_azureml_logger().upload("logs\\raw.bin", b"\x00\xff")
    with pytest.raises(rf.InvalidValueError, match="contents"):
        get_azureml_logger().upload("a.txt", {"a": 1})  # type: ignore[arg-type]  # as a script may
    for path in ("../a.txt", "/a.txt", "outputs/../../a.txt"):
        with pytest.raises(rf.RunfolioError):
            get_azureml_logger().upload(path, "text")
    assert run.flush()
    assert run.artifacts["logs/raw.bin"].read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("contents", ["", "x" * 5000, "a\0b", "no such file.txt", "."])
def test_contents_that_name_no_file_give_no_warning(
    run: rf.ActiveRun, contents: str, recwarn: pytest.WarningsRecorder
) -> None:
    get_azureml_logger().upload("text.txt", contents)
    assert run.flush()
    assert run.artifacts["outputs/text.txt"].read_bytes().decode() == contents
    assert [one for one in recwarn if one.category is WorkbenchCompatibilityWarning] == []

"""Comparing runs: what explains the results on top, curves laid over each other, sources line by line."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runfolio.compared_curves import aligned
from runfolio.compared_sources import LARGEST, compared_sources
from runfolio.compared_values import ComparedMetric, changes, named_arguments, packages, sorted_by_difference

if TYPE_CHECKING:
    import runfolio as rf


def metric(comparison: rf.Comparison, name: str) -> ComparedMetric:
    (found,) = [one for one in comparison.sections["metrics"] if one.name == name]
    assert isinstance(found, ComparedMetric)
    return found


def curves(history: rf.History, *series: Mapping[int, Any] | Sequence[Any], goal: Any = None) -> rf.Comparison:
    """Compare runs that logged these values of the metric "m" at these steps."""
    for values in series:
        with history.start_run() as run:
            if goal:
                run.define_metric("m", goal=goal)
            for step, value in values.items() if isinstance(values, Mapping) else enumerate(values):
                run.log("m", value, step=step)
    return history.compare([f"#{number + 1}" for number in range(len(series))])


def test_comparison_shows_what_differs(history: rf.History) -> None:
    for lr in (0.1, 0.2):
        with history.start_run(params={"lr": lr, "same": 1}, argv=["--lr", str(lr)]) as run:
            run.log("acc", lr * 2)
            run.log_bytes("model", str(lr))
            run.log_bytes("fixed", b"same")
    differences = history.compare(["#1", "#2"]).differences()
    assert [value.name for value in differences.sections["params"]] == ["lr"]
    assert [list(value.values) for value in differences.sections["metrics"]] == [[0.2, 0.4]]
    assert [value.name for value in differences.sections["artifacts"]] == ["outputs/model"]
    assert "packages" not in differences.sections
    with pytest.raises(ValueError, match="two"):
        history.compare(["#1"])


def test_what_explains_most_stands_on_top(history: rf.History) -> None:
    for lr, layers, name in ((0.1, 10, "adam"), (0.2, 9, "adam"), (0.1, 10, "sgd")):
        params = {"same": 1, "layers": layers, "lr": lr, "opt": name}
        with history.start_run(params=params, argv=["x", "--seed", "1"], properties={"GpuModel": f"card {lr}"}) as run:
            run.log("acc", lr)
            run.summary["best_epoch"] = layers
    comparison = history.compare(["#1", "#2"])
    assert [one.name for one in comparison.sections["params"]] == ["lr", "layers", "opt", "same"]
    assert [one.difference for one in comparison.sections["params"][:2]] == [pytest.approx(0.5), pytest.approx(0.1)]
    assert list(comparison.differences().sections) == ["params", "hardware", "metrics", "summary", "record"]
    assert [one.name for one in comparison.sections["hardware"]][:1] == ["GpuModel"]
    assert {one.name for one in comparison.sections["hardware"]} >= {"Host", "CpuCount", "MemoryTotal"}
    assert list(comparison.sections)[-1] == "artifacts"  # the same, like arguments and packages
    assert next(one.name for one in history.compare(["#1", "#3"]).sections["params"]) == "opt"
    assert json.loads(json.dumps(comparison.to_dict()))["sections"]["params"]["lr"]["differs"] is True


# Curves.


def test_curves_part_at_a_step(history: rf.History) -> None:
    found = metric(curves(history, [1.0, 0.5, 0.25, 0.2], [1.0, 0.5, 0.3, 0.2], goal="min"), "m")
    assert (found.common_steps, found.diverges_at, found.differs) == (4, 2, True)
    assert (found.goal, found.best, found.last_steps) == ("min", [0.2, 0.2], [3, 3])
    assert found.changes == [0.0, 0.0]


def test_best_and_last_values_of_three_runs(history: rf.History) -> None:
    found = metric(curves(history, [1, 3, 2], [1, 5, 4], [1, 3, 1], goal="max"), "m")
    assert (found.values, found.best, found.changes) == ([2, 4, 1], [3, 5, 3], [0, 2, -1])
    assert (found.lowest, found.highest) == ([1, 1, 1], [3, 5, 3])
    assert found.diverges_at == 1
    assert found.to_dict()["best_changes"] == [0.0, 2.0, 0.0]


def test_without_a_goal_nothing_is_called_best(history: rf.History) -> None:
    found = metric(curves(history, [1.0, 2.0], [1.0, 2.0]), "m")
    assert (found.goal, found.best, found.differs, found.difference) == (None, [], False, 0.0)


def test_only_common_steps_count_and_the_last_of_several_values(history: rf.History) -> None:
    comparison = curves(history, {0: 1.0, 1: 2.0, 5: 3.0}, {0: 1.0, 2: 7.0, 5: 3.0})
    assert (metric(comparison, "m").common_steps, metric(comparison, "m").diverges_at) == (2, None)
    table = comparison.curves("m")
    assert table.column_names == ["step", *(run.id for run in comparison.runs)]
    assert [[*row.values()] for row in table.to_pylist()] == [[0, 1, 1], [1, 2, None], [2, None, 7], [5, 3, 3]]
    with history.start_run() as run:
        for value in (9.0, 8.0, 1.0):
            run.log("m", value, step=0)
        run.log("m", "text", step=5)
        run.log("m", [1.0, 2.0], step=6)
        run.log("m", 4.0, step=5)
    assert aligned("m", {"a": history.run(run.id).metrics()}).to_pylist() == [
        {"step": 0, "a": 1.0},
        {"step": 5, "a": 4.0},
    ]


@pytest.mark.clouds_on_request("many values: once they are written down, they are the same bytes on each store")
@pytest.mark.parametrize(
    ("one", "other", "step"),
    [
        ([1.0, math.nan], [1.0, math.nan], None),
        ([1.0, math.nan], [1.0, 2.0], 1),
        ([1.0, math.inf], [1.0, math.inf], None),
        ([1.0, math.inf], [1.0, -math.inf], 1),
        ([1.0, 1e9], [1.0, 1e9 + 1], None),
        ([0.0, 0.0], [0.0, 1e-30], 1),
        ([True, False], [True, True], 1),
        ([1, 2], [1.0, 2.0], None),
    ],
)
def test_points_that_agree(history: rf.History, one: Any, other: Any, step: int | None) -> None:
    found = metric(curves(history, one, other), "m")
    assert (found.common_steps, found.diverges_at) == (2, step)


def test_what_is_no_curve_is_not_laid_over(history: rf.History) -> None:
    pairs: Sequence[Sequence[Sequence[Any]]] = ([[1.0], [[1.0, 2.0]]], [["a", "b"], ["a", "c"]], [[1.0, 2.0], []])
    for series in pairs:
        for values in series:
            with history.start_run(experiment="e") as run:
                for value in values:
                    run.log("m", value)
        for found in history.compare(history.runs(limit=2)).sections["metrics"]:
            assert isinstance(found, ComparedMetric)
            assert (found.common_steps, found.diverges_at) == (0, None)
    assert metric(curves(history, [1.0, 2.0], [1.0, 3.0]), "m").name == "m"


def test_curves_need_not_be_read(history: rf.History) -> None:
    curves(history, [1.0, 2.0], [2.0, 2.0])
    assert metric(history.compare(["#1", "#2"], curves=False), "m").diverges_at is None
    assert metric(history.compare(["#1", "#2"]), "m").diverges_at == 0


def test_metrics_in_the_order_of_what_they_say(history: rf.History) -> None:
    for number in (1, 2):
        with history.start_run() as run:
            values = {"list": [10.0, 10.0 + number], "little": 100.0 + number, "text": str(number), "much": number}
            run.log({"system/cpu": number, "same": 1, **values})
    found = history.compare(["#1", "#2"]).sections["metrics"]
    assert [one.name for one in found] == ["text", "much", "list", "little", "system/cpu", "same"]


# Values, arguments, packages.


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a", "b"], {"1": "a", "2": "b"}),
        (["--lr", "0.1", "data.csv", "-v"], {"--lr": "0.1", "1": "data.csv", "-v": True}),
        (["--lr=0.1", "x"], {"--lr": "0.1", "1": "x"}),
        (["--shift", "-1.5", "--flag", "--x", "1"], {"--shift": "-1.5", "--flag": True, "--x": "1"}),
        (["-p", "a", "-p", "b", "-p"], {"-p": ["a", "b", True]}),
        ([], {}),
    ],
)
def test_arguments_by_option(words: list[str], expected: dict[str, Any]) -> None:
    assert named_arguments(words) == expected


def test_packages_that_part_early_in_the_version_stand_first() -> None:
    one = {"patch": "1.2.3", "minor": "1.2.3", "major": "1.2.3", "same": "1", "gone": "1", "build": "1.2.3+cpu"}
    other = {"patch": "1.2.4", "minor": "1.3.3", "major": "2.0.0", "same": "1", "new": "1", "build": "1.2.3+cu12"}
    found = sorted_by_difference(packages([one, other]))
    assert [value.name for value in found] == ["gone", "new", "major", "minor", "patch", "build", "same"]


@given(st.lists(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none()), min_size=1, max_size=4))
def test_changes_are_of_numbers_only(values: list[Any]) -> None:
    found = changes(values)
    assert len(found) == len(values)
    for value, change in zip(values, found, strict=True):
        if change is not None:
            assert all(isinstance(one, int | float) and not isinstance(one, bool) for one in (value, values[0]))


# Sources.


class Tree:
    """The source of a run in memory."""

    def __init__(self, **files: bytes) -> None:
        self.contents = files
        self.read_paths: list[str] = []

    def files(self) -> Mapping[str, str]:
        return {path: hashlib.sha1(data).hexdigest() for path, data in self.contents.items()}

    def read(self, path: str) -> bytes:
        self.read_paths.append(path)
        return self.contents[path]


OLD = Tree(**{"a.py": b"one\ntwo\nthree\n", "same.py": b"same\n", "gone.py": b"gone", "m.bin": b"\0old"})
NEW = Tree(**{"a.py": b"one\n2\nthree", "same.py": b"same\n", "new.py": b"new\n", "m.bin": b"\0new"})


def test_sources_are_compared_file_by_file(history: rf.History) -> None:
    for number in range(2):
        with history.start_run(params={"n": number}):
            pass
    comparison = history.compare(["#1", "#2"], sources=[OLD, NEW]).differences()
    assert next(iter(comparison.sections)) == "source"
    assert [one.name for one in comparison.sections["source"]] == ["gone.py", "m.bin", "new.py", "a.py"]
    assert "same.py" not in OLD.read_paths
    (diff,) = [one.to_dict()["diffs"][1] for one in comparison.sections["source"] if one.name == "a.py"]
    head, *lines = diff.splitlines()
    assert head == f"# a.py: from {comparison.runs[0].short_id} to {comparison.runs[1].short_id}"
    assert lines == [
        "--- a/a.py", "+++ b/a.py", "@@ -1,3 +1,3 @@", " one", "-two", "-three", "+2", "+three",
        "\\ No newline at end of file",
    ]  # fmt: skip
    assert "source" not in history.compare(["#1", "#2"]).sections
    assert history.compare(["#1", "#2"], sources=[OLD, None]).sections["source"] == []


_files = st.dictionaries(
    st.sampled_from(["a.txt", "b.txt", "c/d.txt"]), st.text("ab\n\r \x0c\u2028é", max_size=30).map(str.encode)
)


@given(_files, _files)
def test_the_diffs_make_one_source_of_the_other(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    """As `git apply` understands them."""
    folder = tmp_path_factory.mktemp("tree")
    for path, data in old.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    compared = compared_sources([Tree(**old), Tree(**new)], ["old", "new"])
    # Files without contents are made and removed without a line of a diff.
    patch = "".join(one.diffs[1] for one in compared if one.differs and "@@" in one.diffs[1])
    if patch:
        command = ["git", "apply", "--unsafe-paths", "--whitespace=nowarn", "-"]
        subprocess.run(command, cwd=folder, input=patch.encode(), check=True, capture_output=True)
    there = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.txt")}
    assert {path: data for path, data in there.items() if data} == {path: data for path, data in new.items() if data}


def test_very_large_files_are_not_compared_by_line() -> None:
    (one,) = compared_sources([Tree(x=b"a" * (LARGEST + 1)), Tree(x=b"a")], ["old", "new"])
    assert (one.difference, "@@" in one.diffs[1]) == (1.0, False)

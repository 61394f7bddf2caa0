from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import runfolio as rf

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

LOG = "import runfolio as rf; rf.get_logger().log('x', {value})"


def say(shell: InteractiveShell, cell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Execute a cell as a user does, and return what it printed first."""
    capsys.readouterr()
    shell.run_cell(cell, store_history=True)
    return capsys.readouterr().out.partition("\n")[0]


def test_a_session_is_one_run(shell: InteractiveShell, history: rf.History, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(shell, "%runfolio show", capsys) == "History logging is disabled"
    assert say(shell, "%runfolio on --experiment look", capsys) == "History logging enabled"
    for value in range(3):
        shell.run_cell(LOG.format(value=value), store_history=True).raise_error()
    shell.run_cell("1 / 0")
    assert say(shell, "%runfolio on --experiment look", capsys) == "History logging is enabled"
    assert say(shell, "%runfolio show", capsys) == "History logging is enabled"
    assert say(shell, "%runfolio off", capsys) == "History logging disabled"
    (run,) = history.runs()
    assert (run.status, run.record.experiment) == ("Completed", "look")
    assert run.metric("x").values() == [0, 1, 2]
    assert rf.current_run() is None


def test_each_cell_is_a_run(shell: InteractiveShell, history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "studies/iris.ipynb")
    shell.run_cell("%runfolio on --per cell", store_history=True)
    shell.run_cell(LOG.format(value=1), store_history=True)
    shell.run_cell("# nothing\n%runfolio show", store_history=True)
    shell.run_cell("def broken():\n    raise ValueError('no good')\nbroken()", store_history=True)
    shell.run_cell("raise KeyboardInterrupt", store_history=True)
    shell.run_cell("this is no Python", store_history=True)
    shell.run_cell("%runfolio off", store_history=True)
    shell.run_cell(LOG.replace("get_logger", "current_run").format(value=2), store_history=True)
    logged, broken, stopped, wrong = history.runs(order_by="run_number")
    assert [one.status for one in (logged, broken, stopped, wrong)] == ["Completed", "Failed", "Canceled", "Failed"]
    assert logged.metric("x").values() == [1]
    assert {one.record.experiment for one in history.runs()} == {"iris.ipynb"}
    assert (logged.record.properties["Notebook"], logged.record.name) == (
        "studies/iris.ipynb",
        f"cell {logged.record.properties['Cell']}",
    )
    assert broken.ending is not None
    traceback = broken.ending.traceback
    assert traceback is not None
    assert "in broken" in traceback
    assert "run_code" not in traceback
    assert broken.ending.reason == "ValueError: no good"
    assert wrong.ending is not None
    assert "SyntaxError" in str(wrong.ending.reason)


def test_another_way_of_recording_ends_the_run(shell: InteractiveShell, history: rf.History) -> None:
    shell.run_cell("%runfolio on")
    session = rf.current_run()
    shell.run_cell("%runfolio on --per cell")
    assert session is not None
    assert session.finished
    shell.run_cell(LOG.format(value=1))
    assert len(history.runs()) == 2


def test_loading_it_again_does_not_record_twice(shell: InteractiveShell, history: rf.History) -> None:
    shell.run_cell("%runfolio on --per cell")
    shell.run_cell("%reload_ext runfolio")
    shell.run_cell(LOG.format(value=1))
    assert len(history.runs()) == 1


@pytest.mark.parametrize(
    "line", ["", "off now", "on --per minute", "live --total 0", "show --all", f"on --experiment {'x' * 1001}"]
)
def test_a_wrong_word_is_told_without_a_trace(
    shell: InteractiveShell, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell(f"%runfolio {line}")
    printed = capsys.readouterr()
    assert "UsageError" in printed.err + printed.out
    assert "Traceback" not in printed.err + printed.out
    assert rf.current_run() is None

"""The spelling of Azure ML Workbench: the same recording, a run for each cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    import runfolio as rf


def answer(shell: InteractiveShell, cell: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    shell.run_cell(cell, store_history=True)
    printed = capsys.readouterr()
    return (printed.out + printed.err).partition("\n")[0]


def test_each_cell_is_a_run_while_history_is_on(
    shell: InteractiveShell, history: rf.History, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(shell, "%azureml history show", capsys) == "History logging is disabled"
    assert answer(shell, "%azureml history on", capsys) == "History logging enabled"
    assert answer(shell, "%azureml history show", capsys) == "History logging is enabled"
    shell.run_cell("import runfolio as rf; rf.get_logger().log('Cell', 'load')")
    shell.run_cell("rf.get_logger().log('Cell', 'fit')")
    assert answer(shell, "%azureml history off", capsys) == "History logging disabled"
    runs = history.runs(order_by="run_number")
    assert [one.metric("Cell").values() for one in runs] == [["load"], ["fit"]]


def test_a_file_of_outputs_is_sent(shell: InteractiveShell, history: rf.History) -> None:
    Path("outputs").mkdir()
    Path("outputs/model.pkl").write_bytes(b"model")
    shell.run_cell("%azureml history on")
    shell.run_cell("%azureml upload outputs/model.pkl").raise_error()
    (run,) = history.runs()
    assert [one.path for one in run.artifacts.list()] == ["outputs/model.pkl"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "history on|off|show"),
        ("history", "history on|off|show"),
        ("upload", "history on|off|show"),
        ("upload outputs/model.pkl", "%azureml history on"),
        ("upload model.pkl", "folder outputs"),
        ("upload ../outputs/model.pkl", "folder outputs"),
    ],
)
def test_what_cannot_be_done_is_told(
    shell: InteractiveShell, line: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = answer(shell, f"%azureml {line}", capsys)
    assert told.startswith("UsageError")
    assert what in told


def test_a_missing_file_is_told(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_cell("%azureml history on")
    assert "no file or folder" in answer(shell, "%azureml upload outputs/none.pkl", capsys)

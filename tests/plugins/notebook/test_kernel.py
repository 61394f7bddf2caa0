"""A real kernel: what a notebook shows, and what its end leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import runfolio as rf

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

# In a process of its own: the client's event loop and sockets are no matter of this one.
PROGRAM = """
import sys, nbformat, nbclient
notebook = nbformat.v4.new_notebook()
notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in sys.stdin.read().split("\\0")]
nbclient.NotebookClient(notebook, timeout=240, allow_errors=True).execute()
nbformat.write(notebook, "executed.ipynb")
"""


def execute(*cells: str) -> list[list[dict[str, Any]]]:
    """Execute cells in a kernel of their own and return the outputs of each."""
    program = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        program, input="\0".join(cells), env=dict(os.environ), check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [cell["outputs"] for cell in json.loads(Path("executed.ipynb").read_text("utf-8"))["cells"]]


def html(output: dict[str, Any]) -> str:
    return "".join(output["data"]["text/html"])


def test_a_session_with_a_live_curve_ends_with_its_kernel(history: rf.History) -> None:
    outputs = execute(
        "%load_ext runfolio\n%runfolio on",
        "%runfolio live loss --total 20",
        "import runfolio as rf\nrun = rf.get_logger()\nfor step in range(20): run.log('loss', 1 / (step + 1), step)",
        "%runfolio show loss",
        "%runfolio off",
        "%runfolio on --per cell",
        "rf.get_logger().log('y', 1); history = rf.open_history(); history.compare(list(history.runs()[:2]))",
        "%runfolio on",
        "rf.get_logger().log('left', 1)",
    )
    assert "".join(outputs[0][0]["text"]) == "History logging enabled\n"
    (panel,) = outputs[1]  # changed in place from later cells
    assert "20 of 20" in html(panel)
    assert "ended" in html(panel)
    assert "loss: last 0.05, min 0.05, max 1" in html(panel)
    assert "loss: last 0.05, min 0.05, max 1" in html(outputs[3][1])
    assert "<table>" in html(outputs[6][0])
    session, cell, last = history.runs(order_by="run_number")
    assert [one.status for one in (session, cell, last)] == ["Completed"] * 3
    assert (cell.metric("y").values(), last.metric("left").values()) == ([1], [1])
    assert len(session.metric("loss").values()) == 20

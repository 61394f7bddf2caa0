"""An IPython shell in this process, whose runs go to a folder of the test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runfolio as rf

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[rf.History]:
    """What the shell writes, and nothing of earlier tests."""
    from runfolio import current

    monkeypatch.setattr(current, "_histories", {})
    monkeypatch.setattr(current, "_runs", [])
    monkeypatch.setenv("RUNFOLIO_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("RUNFOLIO_PROJECT", "p")
    monkeypatch.setenv("RUNFOLIO_SYSTEM_METRICS", "false")
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    with rf.open_history() as opened:
        yield opened


@pytest.fixture
def shell(history: rf.History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[InteractiveShell]:
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    assert history.url
    made.run_cell("%load_ext runfolio").raise_error()
    yield made
    made.run_cell("%runfolio off")
    InteractiveShell.clear_instance()

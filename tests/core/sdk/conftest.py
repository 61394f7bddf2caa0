"""A history of its own on each kind of store, and a way to run scripts against it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import runfolio as rf
from runfolio.plugins import Plugins


@pytest.fixture
def store(store_url: str) -> str:
    """Where the store of this test is, on each kind in turn."""
    return store_url


@pytest.fixture
def history(store: str) -> Iterator[rf.History]:
    with rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"])) as opened:
        yield opened


@pytest.fixture
def script(store: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python code in a process of its own, with the store in its environment."""

    def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        variables = {**os.environ, "RUNFOLIO_STORE": store, "RUNFOLIO_PROJECT": "p", **environment}
        return subprocess.run(
            [sys.executable, str(path), *arguments],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run

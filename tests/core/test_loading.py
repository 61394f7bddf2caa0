"""Forks beside a thread that loads modules."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from runfolio.loading import load

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """
import sys
begun, go_on = sys.modules["{name}_events"].events
begun.set()
go_on.wait(60)
loaded = True
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: it forks")
def test_a_fork_waits_for_modules_that_are_being_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the child would wait for the thread that loads them, which it does not have."""
    from types import SimpleNamespace

    name = "slow_to_load"
    (tmp_path / f"{name}.py").write_text(SLOW.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, f"{name}_events", SimpleNamespace(events=(begun, go_on)))
    loading = threading.Thread(target=load, args=(name,))
    loading.start()
    assert begun.wait(60)
    threading.Timer(0.2, go_on.set).start()  # while the fork waits; a fork that does not wait is over by then
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(30)
            code = 0 if __import__(name).loaded else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    loading.join()
    monkeypatch.delitem(sys.modules, name)

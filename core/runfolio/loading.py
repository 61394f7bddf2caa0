"""Modules that a thread loads late, where no fork can catch one half loaded.

Python keeps a lock for each module that is being loaded. A child that is forked meanwhile has the lock, and not the
thread that would release it: importing the same module there would wait for ever. So a fork waits for `load`.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import Final

_loading: Final = threading.RLock()


def load(*modules: str) -> None:
    """Import modules by name."""
    with _loading:
        for name in modules:
            import_module(name)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release)

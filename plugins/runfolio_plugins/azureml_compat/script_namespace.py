"""The two names that Workbench put into the namespace of a script before it ran: `sys` and `os`."""

from __future__ import annotations

import os
import sys
from typing import Final

_SCRIPTS: Final = ("__main__", "__mp_main__")
"""A script's module: when it is started, and while a spawned worker process of a pool imports it again."""


def lend_sys_and_os() -> None:
    """Make `sys` and `os` usable in the running script without an import, as scripts of Workbench rely on.

    Only the script's own module gets the names, and only where it has not bound them to something else: modules that
    it imports, and ``builtins``, stay as they are, so that nothing outside the script can come to depend on this.
    """
    for name in _SCRIPTS:
        script = sys.modules.get(name)
        if script is not None:
            names = vars(script)
            names.setdefault("sys", sys)
            names.setdefault("os", os)

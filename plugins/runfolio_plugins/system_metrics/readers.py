"""Chooses what reads this machine."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio_plugins.system_metrics.nvidia import find_gpus
from runfolio_plugins.system_metrics.proc_source import ProcSource
from runfolio_plugins.system_metrics.psutil_source import PsutilSource

if TYPE_CHECKING:
    from runfolio_plugins.system_metrics.nvidia import GpuReader
    from runfolio_plugins.system_metrics.sampler import Source

_log: Final = logging.getLogger(__name__)
_said: Final[set[str]] = set()


def find_readers() -> tuple[Source, GpuReader | None] | None:
    """Return what reads this machine and its GPUs: psutil where it is installed, else ``/proc``.

    Without either there is nothing to read, which is said once.
    """
    pid, folder = os.getpid(), Path.cwd()
    source: Source | None = PsutilSource.if_installed(pid, folder)
    if source is None and ProcSource.is_available():
        source = ProcSource(pid, folder)
    if source is None:
        if not _said:
            _said.add("no source")
            _log.info("No system metrics: this machine has no /proc, and psutil is not installed (pip install psutil)")
        return None
    return source, find_gpus()

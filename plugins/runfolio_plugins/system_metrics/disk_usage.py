"""How full the file system of a folder is."""

from __future__ import annotations

import shutil
from pathlib import Path


def used_and_total(folder: Path) -> tuple[int | None, int | None]:
    """Return used bytes and size of the file system that a folder is on; nothing when the folder is gone."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None, None
    return usage.used, usage.total

"""Small files by which processes of this machine tell each other how far they are."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def write_json(path: Path, contents: object) -> None:
    """Write a file such that nobody ever reads a part of it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(contents), encoding="utf-8", errors="surrogatepass")
    part.replace(path)


def read_json(path: Path) -> Any:
    """Return what a file holds; None when it is not there."""
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except FileNotFoundError:
        return None

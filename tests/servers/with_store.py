"""Runs a command with an empty store on a server of its own: ``python with_store.py s3|azure FOLDER COMMAND...``.

The server keeps its files in FOLDER (Azurite: in memory) and ends with the command. The command finds the store in
``RUNFOLIO_STORE``, and what its clients need in the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store_access import TestStore


@contextmanager
def store_on(kind: str, folder: Path) -> Generator[TestStore, None, None]:
    """Run the server for a kind of store for as long as the context lasts."""
    if kind == "s3":
        from seaweed_s3 import seaweed_s3

        with seaweed_s3(folder) as s3:
            yield s3.store()
    elif kind == "azure":
        from azurite_blobs import azurite_blobs

        with azurite_blobs(folder) as azurite:
            yield azurite.store()
    else:
        message = f"No server for {kind!r}: choose s3 or azure"
        raise SystemExit(message)


def main(kind: str, folder: Path, command: list[str]) -> int:
    """Run the command and return its exit code."""
    folder.mkdir(parents=True)
    with store_on(kind, folder) as store:
        environment = {**os.environ, **store.environment, "RUNFOLIO_STORE": store.url}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))

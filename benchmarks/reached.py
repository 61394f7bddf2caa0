"""Stores on the servers of the tests, reached through the fault proxy of the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parents[1] / "tests" / "servers"))

if TYPE_CHECKING:
    from fault_proxy import FaultProxy


@contextmanager
def reached(server: str, folder: Path) -> Generator[tuple[FaultProxy, str], None, None]:
    """Run a server with an empty store for as long as the context lasts, with what clients need in the environment.

    Args:
        server: ``seaweed`` or ``moto`` for S3, ``azurite`` for Azure.
        folder: where it keeps its files; it is made.

    Returns:
        The proxy before it, and the URL of the store.
    """
    from fault_proxy import FaultProxy

    folder.mkdir()
    if server == "azurite":
        from azurite_blobs import azurite_blobs

        with azurite_blobs(folder) as azurite, FaultProxy(azurite.server.ports[0]) as proxy:
            store = azurite.store(azurite.connection_string(server=proxy.url))
            os.environ.update(store.environment)
            yield proxy, store.url
    else:
        from moto_s3 import moto_s3
        from seaweed_s3 import seaweed_s3

        with (seaweed_s3 if server == "seaweed" else moto_s3)(folder) as s3, FaultProxy(s3.server.ports[0]) as proxy:
            store = s3.store(endpoint=proxy.url)
            os.environ.update(store.environment)
            yield proxy, store.url

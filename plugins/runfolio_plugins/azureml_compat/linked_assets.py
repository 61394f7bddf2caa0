"""`get_local_path` of Azure ML Workbench: the file that a link in the project points at."""

from __future__ import annotations

from pathlib import Path

import runfolio


def get_local_path(link_path: str | Path) -> str:
    """Return the local path of the asset that a link points at, fetched if need be and verified against its hash.

    Args:
        link_path: path of the link, for example ``assets/model.pkl.link``.

    Raises:
        NotFoundError: there is no such link.
        AssetNotFoundError: what it points at is not in the configured store, or was taken back.
        StorageError: it cannot be fetched.
    """
    return str(runfolio.assets.local_path(Path(link_path)))

"""What killed compactions left, for gc. The next compaction removes it too."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runfolio import layout
from runfolio.compact.manifest import newest_first, read_manifest
from runfolio.errors import FormatError, NotFoundError

if TYPE_CHECKING:
    from runfolio.index.view import Index

KEPT: Final = timedelta(days=1)
"""Younger ones may belong to a compaction under way. Were one removed, readers would look into the folders."""


def leftovers(index: Index) -> list[str]:
    """Keys under ``compact/`` that neither of the two newest lists is or names, older than a day by the store's clock.

    Raises:
        StorageError: the storage failed.
    """
    listing = list(index.backend.list(layout.COMPACT))
    index.clock.observe(listing)
    kept: set[str] = set()
    for seq in newest_first(listing)[:2]:
        key = layout.compaction(seq)
        try:
            kept |= {key, *(part.key for part in read_manifest(index.backend.get(key), key).parts)}
        except (FormatError, NotFoundError):
            return []  # of a newer Runfolio, damaged, or just replaced: what it names is not known
    ages = {one.key: index.clock.age(one.modified) for one in listing if one.key not in kept}
    return [key for key, age in ages.items() if age is not None and age > KEPT]

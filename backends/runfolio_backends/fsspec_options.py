"""The options of a store in any fsspec file system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict


class FsspecOptions(TypedDict, total=False):
    """Every option of a store behind ``fsspec+<protocol>://``. All can be left out."""

    single_writer: bool
    """Accept a place without create-if-absent: `create` looks first, then writes. The setting of this name sets it."""
    storage_options: Mapping[str, Any]
    """Handed to the file system as it is. What it is called there is said by the library that brings the protocol."""

"""Keeps Runfolio's run history in an LMDB database: ``lmdb:///folder``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio import hookimpl

if TYPE_CHECKING:
    from runfolio.hookspecs import RegisterBackend


@hookimpl
def runfolio_register_backends(register: RegisterBackend) -> None:
    """Announce the scheme. The module behind it, and LMDB, load when a store of it is first opened."""
    register("lmdb", "runfolio_lmdb.backend:LmdbBackend")

"""The backends that come with Runfolio, found through the same hook as third-party ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.hookspecs import hookimpl

if TYPE_CHECKING:
    from runfolio.hookspecs import RegisterBackend


@hookimpl
def runfolio_register_backends(register: RegisterBackend) -> None:
    """Announce the schemes of this package. The modules behind them load when a store of theirs is first opened."""
    register("file", "runfolio_backends.local:LocalBackend")
    register("local", "runfolio_backends.local:LocalBackend")
    register("s3", "runfolio_backends.s3:S3Backend", extra="s3")
    for scheme in ("az", "abfs", "abfss"):
        register(scheme, "runfolio_backends.azure:AzureBackend", extra="azure")
    register("fsspec+", "runfolio_backends.fsspec_other:FsspecOtherBackend")
    register("memory", "runfolio_backends.memory:MemoryBackend")

"""Runfolio keeps the run history of data-science experiments in storage you already own.

::

    import runfolio as rf

    with rf.start_run(project="iris", params={"lr": 0.1}) as run:
        for step in range(100):
            run.log("loss", 1 / (step + 1), step=step)

Everything here is loaded when it is first used: importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runfolio import assets
    from runfolio.active_run import ActiveRun
    from runfolio.artifacts import Artifact, DownloadReport
    from runfolio.assets.versions import Assets, AssetVersion
    from runfolio.comparing import Comparison
    from runfolio.current import attach, current_run, get_logger, resume_run, start_run
    from runfolio.errors import (
        AlreadyExistsError,
        ArtifactNotFoundError,
        AssetNotFoundError,
        ConfigurationError,
        ErrorKind,
        FormatError,
        IndexDamagedError,
        InvalidKeyError,
        InvalidNameError,
        InvalidValueError,
        MissingDependencyError,
        NotFoundError,
        PermissionDeniedError,
        PluginError,
        QueryError,
        ReadOnlyError,
        RunfolioError,
        RunNotFoundError,
        RunStateError,
        StorageError,
        StoreNotFoundError,
        TargetError,
        TransientStorageError,
        UntrustedStoreError,
    )
    from runfolio.history import History, open_history
    from runfolio.hookspecs import hookimpl
    from runfolio.journal.pending import Pending
    from runfolio.preview import Preview
    from runfolio.records import Ending, MetricSummary, Record
    from runfolio.run import Run
    from runfolio.run_set import RunSet
    from runfolio.series import Series

__version__ = "0.1.0"

_HOMES = {
    "ActiveRun": "active_run",
    "AlreadyExistsError": "errors",
    "Artifact": "artifacts",
    "ArtifactNotFoundError": "errors",
    "AssetNotFoundError": "errors",
    "AssetVersion": "assets.versions",
    "Assets": "assets.versions",
    "Comparison": "comparing",
    "ConfigurationError": "errors",
    "DownloadReport": "artifacts",
    "Ending": "records",
    "ErrorKind": "errors",
    "FormatError": "errors",
    "History": "history",
    "IndexDamagedError": "errors",
    "InvalidKeyError": "errors",
    "InvalidNameError": "errors",
    "InvalidValueError": "errors",
    "MetricSummary": "records",
    "MissingDependencyError": "errors",
    "NotFoundError": "errors",
    "Pending": "journal.pending",
    "PermissionDeniedError": "errors",
    "PluginError": "errors",
    "Preview": "preview",
    "QueryError": "errors",
    "ReadOnlyError": "errors",
    "Record": "records",
    "Run": "run",
    "RunNotFoundError": "errors",
    "RunSet": "run_set",
    "RunStateError": "errors",
    "RunfolioError": "errors",
    "Series": "series",
    "StorageError": "errors",
    "StoreNotFoundError": "errors",
    "TargetError": "errors",
    "TransientStorageError": "errors",
    "UntrustedStoreError": "errors",
    "attach": "current",
    "current_run": "current",
    "get_logger": "current",
    "hookimpl": "hookspecs",
    "open_history": "history",
    "resume_run": "current",
    "start_run": "current",
}

__all__ = [
    "ActiveRun",
    "AlreadyExistsError",
    "Artifact",
    "ArtifactNotFoundError",
    "AssetNotFoundError",
    "AssetVersion",
    "Assets",
    "Comparison",
    "ConfigurationError",
    "DownloadReport",
    "Ending",
    "ErrorKind",
    "FormatError",
    "History",
    "IndexDamagedError",
    "InvalidKeyError",
    "InvalidNameError",
    "InvalidValueError",
    "MetricSummary",
    "MissingDependencyError",
    "NotFoundError",
    "Pending",
    "PermissionDeniedError",
    "PluginError",
    "Preview",
    "QueryError",
    "ReadOnlyError",
    "Record",
    "Run",
    "RunNotFoundError",
    "RunSet",
    "RunStateError",
    "RunfolioError",
    "Series",
    "StorageError",
    "StoreNotFoundError",
    "TargetError",
    "TransientStorageError",
    "UntrustedStoreError",
    "assets",
    "attach",
    "current_run",
    "get_logger",
    "hookimpl",
    "open_history",
    "resume_run",
    "start_run",
]


def __getattr__(name: str) -> Any:
    if name == "assets":  # the one module that is used by its name
        return importlib.import_module("runfolio.assets")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'runfolio' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"runfolio.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def load_ipython_extension(shell: object) -> None:
    """Give a notebook the magics of the installed plugins: ``%load_ext runfolio``."""
    from runfolio.plugins import Plugins  # noqa: PLC0415 (only in notebooks)

    Plugins().hook.runfolio_load_ipython(shell=shell)

"""Bringing the source of a run back: planned, asked for, applied as a transaction, undone, exported, run again."""

from runfolio.restoring.export import export_git
from runfolio.restoring.packages import PackageDifference, package_differences, requirements_of
from runfolio.restoring.plan import (
    Restore,
    RestoreReport,
    open_source_of,
    plan_restore,
    plan_undo,
    recover,
    restore_into,
    write_source,
)

__all__ = [
    "PackageDifference",
    "Restore",
    "RestoreReport",
    "export_git",
    "open_source_of",
    "package_differences",
    "plan_restore",
    "plan_undo",
    "recover",
    "requirements_of",
    "restore_into",
    "write_source",
]

"""Rules for the whole suite: nothing is skipped unseen, and no test touches the user's own files."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytest_plugins = ["server_fixtures"]

REQUIRE_ALL = os.environ.get("RUNFOLIO_REQUIRE_ALL") == "1"

# Looking for doctests in the one would load all of moto; the rest needs the dependency group `servers`.
collect_ignore = ["servers/moto_application.py"]
if not REQUIRE_ALL and any(find_spec(name) is None for name in ("azure", "botocore", "moto")):
    collect_ignore_glob = ["servers/*.py"]

PLATFORM = "platform:"
"""A skip whose reason begins like this is right on every machine: the test is for another operating system."""


def _unexpected(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Return why a report may not be a skip when everything is required, or None if it may."""
    if not REQUIRE_ALL or not report.skipped or hasattr(report, "wasxfail"):
        return None
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if reason.removeprefix("Skipped: ").startswith(PLATFORM):
        return None
    return f"skipped although RUNFOLIO_REQUIRE_ALL=1: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip for something missing into a failure when everything is required."""
    report = yield
    complaint = _unexpected(report)
    if complaint is not None:
        report.outcome = "failed"
        report.longrepr = complaint
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for whole modules, as `pytest.importorskip` leaves them out."""
    report = yield
    complaint = _unexpected(report)
    if complaint is not None:
        report.outcome = "failed"
        report.longrepr = complaint
    return report


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty working folder and empty user folders, and no settings from the environment.

    Returns the folder that holds them: ``work`` (the current folder), ``config``, ``state``, ``cache`` and ``data``.
    """
    root = tmp_path_factory.mktemp("around")
    for name in ("work", "config", "state", "cache", "data"):
        (root / name).mkdir()
        if name != "work":
            monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(root / name))
    for name in list(os.environ):
        if name.startswith(("RUNFOLIO_", "AWS_", "AZURE_")) and name != "RUNFOLIO_REQUIRE_ALL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada Tester")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.com")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(root / "work")
    return root

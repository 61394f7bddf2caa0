"""Rules for the whole suite: no test is skipped unseen, left to luck, or near the user's own files."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = ["server_fixtures", "store_kinds"]

# The same examples each time, for as long as they take on a busy machine. `--hypothesis-profile search` finds others.
settings.register_profile(
    "steady", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", settings.get_profile("steady"), derandomize=False, max_examples=1000)
settings.load_profile("steady")

REQUIRE_ALL = os.environ.get("RUNFOLIO_REQUIRE_ALL") == "1"

# Looking for doctests in the one would load all of moto; the rest needs the dependency group `servers`.
collect_ignore = ["servers/moto_application.py"]
if not REQUIRE_ALL and any(find_spec(name) is None for name in ("azure", "botocore", "moto")):
    collect_ignore_glob = ["servers/*.py"]

PLATFORM = "platform:"
"""A skip whose reason begins like this is right on every machine: the test is for another operating system."""


def pytest_configure() -> None:
    """Let signals act in the processes of tests as usual, also when the tests run in the background or below nohup."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


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


@dataclass
class Outage:
    """A store whose storage behaves as it is told, in this process and in others: see ``tests/fixtures/outages``.

    Attributes:
        folder: where its objects lie.
        environ: variables for other processes that are to know the scheme.
    """

    folder: Path
    environ: dict[str, str]

    @property
    def url(self) -> str:
        """Of the store."""
        return f"outage://local{self.folder}"

    def begin(self, word: str) -> None:
        """Let the storage be ``away``, ``expired``, ``read only``, ``hang`` or ``no condition`` from now on."""
        self._state.write_text(word, "utf-8")

    def end(self) -> None:
        """Let all be well."""
        self._state.unlink(missing_ok=True)

    @property
    def _state(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.state")


@pytest.fixture
def outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outage:
    """Install the plugin with the scheme ``outage``, for this test and its processes."""
    metadata = tmp_path / "installed" / "outages-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outages\nVersion: 1\n", "utf-8")
    (metadata / "entry_points.txt").write_text("[runfolio]\noutages = outages:plugin\n", "utf-8")
    folders = [str(metadata.parent), str(Path(__file__).parent / "fixtures" / "outages")]
    for folder in folders:
        monkeypatch.syspath_prepend(folder)
    before = filter(None, [os.environ.get("PYTHONPATH")])
    return Outage(tmp_path / "outage", {"PYTHONPATH": os.pathsep.join([*folders, *before])})

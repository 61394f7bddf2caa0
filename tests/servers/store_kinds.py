"""Runs the tests of the SDK on each kind of store, and says at the end how many ran on which.

A test that asks for `store_url`, or for what is built on it, runs once for each kind: ``local``, ``memory``, ``s3`` and
``azure``. A marker takes kinds away, and says why:

- ``local_only(reason)``: it is about files of this machine;
- ``memory_only(reason)``: it is about the protocol, on a store that a scheduler or a clock of the test has in its hand;
- ``not_in_memory(reason)``: other processes use the store as well;
- ``clouds_on_request(reason)``: on S3 and Azure only when ``--store`` asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Final

import pytest

from store_access import random_name

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.backend import Backend
    from store_access import TestStore

KINDS: Final = ("local", "memory", "s3", "azure")
CLOUDS: Final = frozenset({"s3", "azure"})

_BACKENDS: Final[Mapping[str, str]] = {
    "local": "runfolio_backends.local:LocalBackend",
    "memory": "runfolio_backends.memory:MemoryBackend",
    "s3": "runfolio_backends.s3:S3Backend",
    "azure": "runfolio_backends.azure:AzureBackend",
}

_ADMITTED: Final[Mapping[str, frozenset[str]]] = {
    "local_only": frozenset({"local"}),
    "memory_only": frozenset({"memory"}),
    "not_in_memory": frozenset({"local", *CLOUDS}),
    "clouds_on_request": frozenset(KINDS),
}
"""Markers, and the kinds that each admits."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--store``."""
    parser.addoption(
        "--store",
        action="append",
        choices=[*KINDS, "all"],
        help="run tests that use a store on this kind only (again for more), or on all; tests marked clouds_on_request "
        "run on clouds only if this asks for it (by default: every kind, but not those)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Describe the markers."""
    for name, kinds in _ADMITTED.items():
        config.addinivalue_line(
            "markers", f"{name}(reason): see tests/servers/store_kinds.py; {', '.join(sorted(kinds))}"
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for each kind of store that its markers admit."""
    limits = _limits(metafunc.definition)
    if "store_kind" in metafunc.fixturenames:
        kinds = [kind for kind in KINDS if all(kind in _ADMITTED[name] for name in limits)]
        marks = {kind: [pytest.mark.cloud] if kind in CLOUDS else [] for kind in kinds}
        metafunc.parametrize("store_kind", [pytest.param(kind, marks=marks[kind]) for kind in kinds], indirect=True)


def _limits(item: pytest.Item) -> dict[str, str]:
    """Return the markers of a test that take kinds away, each with its reason."""
    found: dict[str, str] = {}
    for name in _ADMITTED:
        for mark in item.iter_markers(name):
            match mark.args:
                case (str(reason),) if reason.strip() and not mark.kwargs:
                    found.setdefault(name, reason)  # the closest one comes first
                case _:
                    pytest.fail(f'{name} wants a reason: @pytest.mark.{name}("because ...")', pytrace=False)
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the kinds that were not asked for, and note on each test its kind of store and what limits it."""
    asked: set[str] = set(config.getoption("--store") or ())
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        limits = _limits(item)
        kind = _kind(item, limits)
        by_default = kind not in CLOUDS or "clouds_on_request" not in limits
        wanted = kind is None or "all" in asked or kind in asked or (not asked and by_default)
        (chosen if wanted else left_out).append(item)
        if kind is not None:
            item.user_properties += [("store", kind), *limits.items()]
    items[:] = chosen
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def _kind(item: pytest.Item, limits: Mapping[str, str]) -> str | None:
    """The kind of store that a test runs on, or None if it uses none."""
    if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "store_kind" in item.callspec.params:
        return str(item.callspec.params["store_kind"])
    return next((kind for kind in ("local", "memory") if f"{kind}_only" in limits), None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests ran on each kind of store, and what keeps tests from the others."""
    ran = [
        dict(report.user_properties)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    kinds = Counter(one.get("store") for one in ran)
    if not any(kinds[kind] for kind in KINDS):
        return
    terminalreporter.section("tests by kind of store")
    terminalreporter.line("stores: " + ", ".join(f"{kind} {kinds[kind]}" for kind in KINDS))
    for name in _ADMITTED:
        first = "memory" if name == "memory_only" else "local"  # each test once, however many kinds it runs on
        reasons = Counter(one[name] for one in ran if name in one and one["store"] == first)
        if reasons:
            terminalreporter.line(f"{name}: {reasons.total()}")
        for reason, number in reasons.most_common():
            terminalreporter.line(f"{number:6}  {reason}")


@pytest.fixture
def store_kind(request: pytest.FixtureRequest) -> str:
    """The kind of store that this test runs on."""
    kind: str = request.param
    return kind


@pytest.fixture
def make_store_url(store_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Make URLs of empty stores of this test's kind, which no other test knows. Local ones are paths."""
    numbers = count(1)
    if store_kind in CLOUDS:
        place: TestStore = request.getfixturevalue(f"{store_kind}_store")
        root = place.url
    else:
        root = f"memory://{random_name('test')}" if store_kind == "memory" else str(tmp_path / "stores")

    def make() -> str:
        url = f"{root}/{next(numbers)}"
        if store_kind == "memory":
            from runfolio_backends.memory import MemoryBackend

            request.addfinalizer(MemoryBackend(url).clear)
        return url

    return make


@pytest.fixture
def store_url(make_store_url: Callable[[], str]) -> str:
    """The URL of an empty store of this test's kind; of a local one, its path."""
    return make_store_url()


@pytest.fixture
def open_backend(store_kind: str) -> Iterator[Callable[[str], Backend]]:
    """Open the backend of a store of this test's kind, beside what the SDK has open; closed after the test."""
    module, name = _BACKENDS[store_kind].split(":")
    with ExitStack() as opened:
        yield lambda url: opened.enter_context(getattr(import_module(module), name)(url))

"""Records as the SDK makes them, stores with runs in them, and the command line as a function."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

import runfolio
from runfolio.records import FIELDS
from runfolio_plugins.cli.program import build

if TYPE_CHECKING:
    from runfolio.backend import Backend

MakeRecord = Callable[..., dict[str, Any]]
Invoke = Callable[..., Result]


@pytest.fixture
def make_record() -> MakeRecord:
    """Return a function that makes a flat record from some fields and metrics."""

    def make(**values: object) -> dict[str, Any]:
        record: dict[str, Any] = dict.fromkeys(FIELDS)
        record.update(
            run_id="Demo_1506000000250-k3f9q",
            run_number=8,
            experiment_id="5f0c3f6e-8a52-5b5e-9d1a-2f4c0e6d7b11",
            heartbeat_enabled=True,
            status="Completed",
            duration="0:00:05.250125",
            duration_seconds=5.250125,
            script_name="iris_sklearn.py",
            start_time_utc="2017-09-21T13:20:04.100000+00:00",
            params={},
            tags=[],
        )
        record.update(values)
        return dict(sorted(record.items()))

    return make


@pytest.fixture
def runner() -> CliRunner:
    """A runner that keeps standard error apart, which click before 8.2 has to be asked for."""
    asked: dict[str, Any] = {} if "mix_stderr" not in signature(CliRunner).parameters else {"mix_stderr": False}
    return CliRunner(**asked)


@pytest.fixture
def invoke(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return a function that runs ``runfolio`` with arguments, in this process, as the user who made the stores."""
    monkeypatch.setenv("RUNFOLIO_USER", "ada")

    def run(*arguments: str, code: int | None = 0, **options: Any) -> Result:
        result = runner.invoke(build(), list(arguments), **options)
        if code is not None:
            assert result.exit_code == code, result.output + result.stderr
        assert "Traceback" not in result.stderr
        return result

    return run


class Filled(NamedTuple):
    """A store with runs in it.

    Attributes:
        url: where it is.
        ids: of the runs of project "demo", oldest first.
        other: the id of the run of the project "other one".
    """

    url: str
    ids: list[str]
    other: str

    @property
    def at(self) -> list[str]:
        """The options that lead there."""
        return ["--store", self.url, "--project", "demo"]


def fill(url: str) -> Filled:
    """Make a store: four runs of "demo" with rates 10, 5, 2.5, 1.25, and one of another project and another user."""
    ids = []
    with runfolio.open_history(url, project="demo") as history:
        for place, accuracy in enumerate([0.6792452830188679, 0.98, 1.0, 0.0]):
            rate = 10 / 2**place
            with history.start_run(
                params={"rate": rate, "opt": {"name": "adam"}},
                tags=["even"] if place % 2 == 0 else [],
                experiment="train.py" if place < 3 else "other.py",
                script="train.py",
                argv=["--rate", str(rate)],
                name=f"run {place}",
                system_metrics=False,
            ) as run:
                run.log("Accuracy", accuracy)
                run.log("Regularization Rate", rate)
                run.log_bytes("outputs/model.pkl", b"\0\x80" * 100 + bytes([place]))
                run.log_bytes("logs/driver_log.txt", f"rate {rate}\nGröße\n".encode())
                _extras(run, place)
            ids.append(run.id)
    with runfolio.open_history(url, project="other one") as history, history.start_run(system_metrics=False) as run:
        run.log("Accuracy", 0.5)
    return Filled(url, ids, run.id)


def _extras(run: Any, place: int) -> None:
    """Kinds that differ between runs, and a series whose best value is not its last."""
    if place == 1:
        run.log("mixed", "text\x1b[2J")
        run.define_metric("loss", goal="min")
        for step, loss in enumerate([3.0, 1.0, 2.0]):
            run.log("loss", loss, step=step)
    if place == 2:
        run.log("mixed", [1.0, 2.0] * 100)
        run.log("nan", math.nan)
        run.log("system/cpu", 50.0)
        run.log_bytes("outputs/plots/a.png", b"a")
        run.log_bytes("outputs/plots/b/c.png", b"bc")
    if place == 3:
        run.log("mixed", 0.25)
        run.log("status", "a metric named like a field")


@pytest.fixture(scope="session")
def filled_stores() -> dict[str, Filled]:
    """What is filled already, by the kind of store."""
    return {}


@pytest.fixture
def filled(
    store_kind: str,
    store_url: str,
    filled_stores: dict[str, Filled],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Filled:
    """A store that tests only read: filled once, on each kind."""
    if store_kind not in filled_stores:
        # Those of a test that are in memory, or a folder of its own, need not outlive it.
        lasting = {"local": str(tmp_path_factory.mktemp("filled") / "store"), "memory": "memory://filled"}
        with monkeypatch.context() as patch:
            patch.setenv("RUNFOLIO_USER", "ada")
            filled_stores[store_kind] = fill(lasting.get(store_kind, store_url))
    return filled_stores[store_kind]


@pytest.fixture
def own(store_url: str, invoke: Invoke) -> Filled:
    """A store for one test, which may change it."""
    return fill(store_url)


@pytest.fixture
def objects(own: Filled, open_backend: Callable[[str], Backend]) -> Backend:
    """What is in that store, without the SDK."""
    return open_backend(own.url)

"""What plugins see of a run, and what they can change about it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import runfolio as rf
from runfolio import hookimpl
from runfolio.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa


class Money:
    """A type that only a plugin knows."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


class Witness:
    """Notes what happens, with the thread it happens in."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, threading.Thread]] = []
        self.rows: list[tuple[str, int]] = []

    def _note(self, what: str) -> None:
        self.calls.append((what, threading.current_thread()))

    @property
    def order(self) -> list[str]:
        return [what for what, _ in self.calls]

    @hookimpl
    def runfolio_collect_properties(self, run: rf.ActiveRun) -> Mapping[str, Any]:
        self._note("properties")
        return {"colour": "red"}

    @hookimpl
    def runfolio_run_started(self, run: rf.ActiveRun) -> None:
        self._note("started")
        run.log("from the plugin", 1)

    @hookimpl
    def runfolio_metrics_flushed(self, batch: pa.RecordBatch) -> None:
        self._note("flushed")
        self.rows += zip(batch.column("name").to_pylist(), batch.column("step").to_pylist(), strict=True)

    @hookimpl
    def runfolio_artifact_stored(self, artifact: rf.Artifact) -> None:
        self._note(f"stored {artifact.path}")

    @hookimpl
    def runfolio_run_ending(self, run: rf.ActiveRun) -> None:
        self._note("ending")
        run.log("at the end", 2)

    @hookimpl
    def runfolio_run_ended(self, run: rf.ActiveRun) -> None:
        self._note("ended")

    @hookimpl
    def runfolio_convert_value(self, value: object) -> float | None:
        return value.cents / 100 if isinstance(value, Money) else None

    @hookimpl
    def runfolio_redact(self, field: str, value: str) -> str | None:
        return value.replace("swordfish", "***") if "swordfish" in value else None


class Saboteur:
    """Raises wherever it may."""

    @hookimpl
    def runfolio_run_started(self, run: rf.ActiveRun) -> None:
        raise RuntimeError("started")

    @hookimpl
    def runfolio_metrics_flushed(self, run: rf.ActiveRun) -> None:
        raise RuntimeError("flushed")

    @hookimpl
    def runfolio_run_ending(self, run: rf.ActiveRun) -> None:
        raise RuntimeError("ending")

    @hookimpl
    def runfolio_run_ended(self, run: rf.ActiveRun) -> None:
        raise RuntimeError("ended")


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def history(witness: Witness, store_url: str) -> Iterator[rf.History]:
    with rf.open_history(store_url, plugins=Plugins(disabled=["system_metrics"], extra=[witness])) as opened:
        yield opened


def test_observers_see_a_run_from_its_start_to_its_end(history: rf.History, witness: Witness) -> None:
    with history.start_run(project="p") as run:
        run.log("loss", 0.5)
        run.log_bytes("a.txt", b"contents")
        assert run.flush(timeout=30)
    order = witness.order
    assert order[:2] == ["properties", "started"]
    assert order[-1] == "ended"
    assert order.index("ending") < order.index("ended")
    assert sorted(witness.rows) == [("at the end", 0), ("from the plugin", 0), ("loss", 0)]
    assert set(history.run(run.id).metrics().column("name").to_pylist()) == {"at the end", "from the plugin", "loss"}
    assert history.run(run.id).properties["colour"] == "red"


def test_observers_hear_of_each_file_once(history: rf.History, witness: Witness) -> None:
    with history.start_run(project="p") as run:
        run.log_bytes("a.txt", b"contents")
        run.log_bytes("b.txt", b"contents")
    assert sorted(what for what in witness.order if what.startswith("stored")) == [
        "stored outputs/a.txt",
        "stored outputs/b.txt",
    ]


def test_values_of_foreign_types_are_converted(history: rf.History) -> None:
    with history.start_run(project="p") as run:
        run.log("price", Money(1250))
        with pytest.raises(rf.InvalidValueError):
            run.log("price", object())
    assert history.run(run.id).metric("price").values() == [12.5]


def test_secrets_that_a_plugin_knows_are_hidden(history: rf.History) -> None:
    with history.start_run(project="p", argv=["--token", "swordfish", "--word=swordfish"]) as run:
        pass
    assert not any("swordfish" in word for word in history.run(run.id).arguments)


def test_a_broken_observer_does_not_stop_a_run(store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with rf.open_history(store_url, plugins=Plugins(disabled=["system_metrics"], extra=[Saboteur()])) as history:
        with history.start_run(project="p") as run:
            run.log("loss", 0.5)
            assert run.flush(timeout=30)
        assert history.run(run.id).status == "Completed"
        assert history.run(run.id).metric("loss").values() == [0.5]
    assert "Saboteur" in caplog.text

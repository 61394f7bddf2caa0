"""Loading plugins, isolating broken ones, and asking them what they register."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import runfolio
from runfolio import hookimpl, plugins
from runfolio.errors import ConfigurationError, MissingDependencyError, PluginError
from runfolio.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable


class Point:
    """An entry point, as `importlib.metadata` hands it out."""

    def __init__(self, name: str, load: Callable[[], object]) -> None:
        self.name = name
        self.load = load


class Fine:
    @hookimpl
    def runfolio_convert_value(self, value: object) -> object | None:
        return 7 if value == "seven" else None


def broken() -> object:
    raise ImportError("no module named nothing")


def with_points(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda group: list(points) if group == "runfolio" else [])


def test_a_plugin_that_cannot_be_imported_is_named_and_the_others_are_loaded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_points(monkeypatch, Point("bad", broken), Point("good", Fine))
    with caplog.at_level(logging.WARNING, "runfolio"):
        loaded = Plugins()
    assert loaded.names() == ["good"]
    assert list(loaded.failed) == ["bad"]
    assert "'bad'" in caplog.text
    assert loaded.hook.runfolio_convert_value(value="seven") == 7


def test_strict_loading_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    with_points(monkeypatch, Point("bad", broken))
    with pytest.raises(PluginError, match="bad") as caught:
        Plugins(strict=True)
    assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.parametrize("switch", ["good", "*", "other, good"])
def test_plugins_can_be_turned_off(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_points(monkeypatch, Point("good", Fine))
    assert Plugins(disabled=[word.strip() for word in switch.split(",")]).names() == []
    if switch != "*":
        monkeypatch.setenv("RUNFOLIO_PLUGINS_DISABLED", switch)
        assert Plugins().names() == []


def test_a_misspelt_hook_is_an_error_that_names_it() -> None:
    class Misspelt:
        @hookimpl
        def runfolio_run_startet(self, run: object) -> None:
            """Never called."""

    loaded = Plugins(disabled=["*"])
    with pytest.raises(PluginError, match="runfolio_run_startet"):
        loaded.register(Misspelt())
    assert loaded.names() == []


def test_an_unknown_argument_is_an_error() -> None:
    class Greedy:
        @hookimpl
        def runfolio_run_started(self, run: object, weather: str) -> None:
            """Never called."""

    with pytest.raises(PluginError, match="Greedy"):
        Plugins(disabled=["*"]).register(Greedy())


@pytest.mark.parametrize(
    "hook",
    [
        "runfolio_run_started",
        "runfolio_run_ending",
        "runfolio_run_ended",
        "runfolio_metrics_flushed",
        "runfolio_artifact_stored",
        "runfolio_collect_properties",
    ],
)
def test_an_observer_that_raises_is_reported_once_and_stops_nobody(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    def raising(run: object) -> None:
        calls.append("raising")
        raise RuntimeError("observer's own trouble")

    def fine(run: object) -> None:
        calls.append("fine")

    loaded = Plugins(disabled=["*"])
    loaded.register(SimpleNamespace(**{hook: hookimpl(fine)}), "first")
    loaded.register(SimpleNamespace(**{hook: hookimpl(raising)}), "the culprit")
    with caplog.at_level(logging.WARNING, "runfolio"):
        for _ in range(3):
            loaded.notify(hook, run=None, batch=None, artifact=None)
    assert calls == ["raising", "fine"] * 3
    (record,) = caplog.records
    assert "the culprit" in record.getMessage()
    assert hook in record.getMessage()


def test_observers_may_take_fewer_arguments_and_give_values() -> None:
    loaded = Plugins(disabled=["*"])
    loaded.register(SimpleNamespace(runfolio_collect_properties=hookimpl(lambda: {"colour": "red"})), "a")
    loaded.register(SimpleNamespace(runfolio_collect_properties=hookimpl(lambda run: None)), "b")
    assert loaded.notify("runfolio_collect_properties", run=object()) == [{"colour": "red"}]


@pytest.mark.parametrize(
    ("hook", "name"), [("runfolio_register_backends", "shelf"), ("runfolio_register_targets", "cluster")]
)
def test_what_plugins_register_is_imported_only_when_it_is_needed(hook: str, name: str) -> None:
    loaded = Plugins(disabled=["*"])
    announce = hookimpl(lambda register: register(name, "no_such_module_anywhere:Thing", extra="shelf"))
    loaded.register(SimpleNamespace(**{hook: announce}), "owner")
    registration = loaded.registry(hook)[name]
    assert registration.plugin == "owner"
    with pytest.raises(MissingDependencyError, match=r"runfolio\[shelf\]"):
        registration.load()


def test_a_registered_class_that_does_not_exist_names_the_plugin() -> None:
    loaded = Plugins(disabled=["*"])
    announce = hookimpl(lambda register: register("shelf", "runfolio.errors:NoSuchClass"))
    loaded.register(SimpleNamespace(runfolio_register_backends=announce), "owner")
    with pytest.raises(PluginError, match="owner"):
        loaded.registry("runfolio_register_backends")["shelf"].load()


def test_a_scheme_registered_twice_is_an_error_that_names_both() -> None:
    loaded = Plugins(disabled=["*"])
    for owner in ("one", "other"):
        announce = hookimpl(lambda register: register("shelf", "runfolio.backend:Backend"))
        loaded.register(SimpleNamespace(runfolio_register_backends=announce), owner)
    with pytest.raises(ConfigurationError) as caught:
        loaded.registry("runfolio_register_backends")
    assert "'one'" in str(caught.value)
    assert "'other'" in str(caught.value)


def test_what_ours_register_is_there() -> None:
    schemes = Plugins(strict=True).registry("runfolio_register_backends")
    assert {"file", "memory"} <= set(schemes)


def test_calls_can_be_traced(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("RUNFOLIO_TRACE_HOOKS", "1")
    loaded = Plugins(disabled=["*"], extra=[Fine()])
    with caplog.at_level(logging.WARNING, "runfolio"):
        loaded.hook.runfolio_convert_value(value="seven")
    assert "runfolio_convert_value" in caplog.text


def test_the_first_answer_decides_and_the_rest_are_not_asked() -> None:
    asked: list[str] = []

    def drawing(name: str, answer: object) -> SimpleNamespace:
        def draw(artifact: object) -> object:
            asked.append(name)
            return answer

        return SimpleNamespace(runfolio_render_artifact=hookimpl(draw))

    loaded = Plugins(disabled=["*"])
    for name, answer in (("never asked", "a"), ("draws", "b"), ("declines", None)):
        loaded.register(drawing(name, answer), name)
    assert loaded.hook.runfolio_render_artifact(artifact=None) == "b"
    assert asked == ["declines", "draws"]


def test_a_veto_reaches_the_caller() -> None:
    class Refusal(Exception):  # noqa: N818
        pass

    def refuse(run: object) -> None:
        raise Refusal

    loaded = Plugins(disabled=["*"], extra=[SimpleNamespace(__name__="v", runfolio_promoting=hookimpl(refuse))])
    with pytest.raises(Refusal):
        loaded.hook.runfolio_promoting(run=None, artifact=None)


def test_a_notebook_gets_the_magics_of_every_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def load(shell: object) -> None:
        given.append(shell)

    magics = SimpleNamespace(runfolio_load_ipython=hookimpl(load))
    with_points(monkeypatch, Point("magics", lambda: magics))
    shell = object()
    runfolio.load_ipython_extension(shell)
    assert given == [shell]

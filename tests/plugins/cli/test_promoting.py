"""``runfolio promote`` and ``runfolio assets``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

import runfolio
from runfolio.plugins import Plugins
from runfolio_plugins.cli.program import build

Invoke = Callable[..., Result]


def test_from_a_run_to_a_file_by_its_link(own: Any, invoke: Invoke) -> None:
    done = invoke("promote", "-r", own.ids[0], "-ap", "./outputs/model.pkl", "-n", "model.pkl", *own.at)
    assert done.stderr == f"Link: {Path('assets/model.pkl.link').absolute()}\n"
    (line,) = done.stdout.splitlines()[2:]
    assert line.split()[:2] == ["model.pkl", "1"]
    invoke("delete", own.ids[0], "--yes", *own.at)
    invoke("store", "gc", "--delete", "--store", own.url)
    at = ["--store", own.url]
    done = invoke("assets", "download", "-l", "assets/model.pkl.link", "-d", "models", *at)
    assert Path("models/model.pkl").read_bytes() == b"\0\x80" * 100 + b"\0"
    assert "1 downloaded" in done.stderr
    assert "1 there already" in invoke("assets", "download", "model.pkl", "-d", "models", *at).stderr
    Path("models/model.pkl").write_bytes(b"mine")
    assert invoke("assets", "download", "model.pkl@1", "-d", "models", *at, code=1).stdout
    assert Path("models/model.pkl").read_bytes() == b"mine"
    invoke("assets", "download", "model.pkl@1", "-d", "models", "--overwrite", *at)
    assert Path("models/model.pkl").stat().st_size == 201


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_a_folder_and_names_below_outputs(own: Any, invoke: Invoke) -> None:
    done = invoke("promote", own.ids[2], "-ap", "plots", "-n", "plots", "--no-link", "-o", "json", *own.at)
    data = json.loads(done.stdout)
    assert (data["path"], data["version"], data["link"]) == ("outputs/plots", 1, None)
    assert [one["path"] for one in data["files"]] == ["plots/a.png", "plots/b/c.png"]
    assert not Path("assets").exists()
    invoke("assets", "download", "plots", "--store", own.url)
    assert Path("plots/b/c.png").read_bytes() == b"bc"


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_versions_aliases_and_taking_back(own: Any, invoke: Invoke) -> None:
    at = ["--store", own.url]
    for run_id in own.ids[:2]:
        invoke("promote", run_id, "-ap", "outputs/model.pkl", "-n", "iris", *own.at)
    assert invoke("assets", "alias", "iris@1", "production", *at).stdout == "iris@production is iris@1 now\n"
    assert invoke("assets", "list", "--query", "[].[name, version]", "-o", "tsv", *at).stdout == "iris\t2\n"
    found = invoke("assets", "list", "iris", *at, "--query", "[].[version, aliases]", "-o", "json").stdout
    assert json.loads(found) == [[2, []], [1, ["production"]]]
    query = ["--query", "run_id", "-o", "tsv"]
    assert invoke("assets", "info", "iris@production", *query, *at).stdout.strip() == own.ids[0]
    assert invoke("assets", "info", "iris", *query, *at).stdout.strip() == own.ids[1]
    invoke("assets", "alias", "iris", "production", "--remove", *at)
    assert "no alias" in invoke("assets", "info", "iris@production", *at, code=1).stderr
    assert "--yes" in invoke("assets", "retract", "iris@2", *at, code=2).stderr
    invoke("assets", "retract", "iris@2", "--reason", "too old", "--yes", *at)
    assert "too old" in invoke("assets", "info", "iris@2", *at, code=1).stderr
    assert "(taken back)" in invoke("assets", "list", "iris", *at).stdout
    assert invoke("assets", "link", "iris", *at).stdout.strip() == str(Path("assets/iris.link").absolute())
    assert json.loads(Path("assets/iris.link").read_text())["version"] == 1


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_refusals_name_what_to_do(own: Any, invoke: Invoke) -> None:
    assert "It has: " in invoke("promote", own.ids[0], "-ap", "outputs/none", "-n", "x", *own.at, code=1).stderr
    assert "not allowed" in invoke("promote", own.ids[0], "-ap", "outputs", "-n", "a/b", *own.at, code=1).stderr
    assert "there are: none" in invoke("assets", "info", "x", "--store", own.url, code=1).stderr
    invoke("assets", "download", "--store", own.url, code=2)
    assert invoke("assets", "list", "--store", own.url).stdout.splitlines()[2:] == []


@pytest.mark.clouds_on_request("makes five runs of its own")
@pytest.mark.parametrize(
    ("kind", "told", "reason"),
    [
        (ValueError, ("no model card: add outputs/card.md",), "no model card: add outputs/card.md"),
        (runfolio.RunStateError, ("not on a Friday",), "not on a Friday"),
        (PermissionError, (), "PermissionError"),
    ],
)
def test_the_veto_of_a_plugin_is_shown_as_its_own(
    own: Any, runner: CliRunner, kind: type[Exception], told: tuple[str, ...], reason: str
) -> None:
    def refuse(run: runfolio.Run) -> None:
        raise kind(*told)

    plugin = SimpleNamespace(__name__="policy", runfolio_promoting=runfolio.hookimpl(refuse))
    words = ["promote", own.ids[0], "-ap", "outputs/model.pkl", "-n", "iris", *own.at]
    done = runner.invoke(build(Plugins(extra=[plugin])), words)
    assert done.stderr == f"Error: The plugin 'policy' refused to have 'outputs/model.pkl' promoted: {reason}\n"
    assert done.exit_code == 3
    with runfolio.open_history(own.url) as history:
        assert history.assets.list() == []


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ("", ["iris", "plots"]),
        ("ir", ["iris"]),
        ("iris@", ["iris@2", "iris@1", "iris@prod"]),
        ("iris@p", ["iris@prod"]),
    ],
)
def test_a_shell_completes_names(own: Any, monkeypatch: pytest.MonkeyPatch, begun: str, expected: list[str]) -> None:
    with runfolio.open_history(own.url, project="demo") as history:
        for name in ("iris", "iris", "plots"):
            history.run(own.ids[2]).promote("outputs/plots", name, link=False)
        history.assets.alias("iris@1", "prod")
    monkeypatch.setenv("RUNFOLIO_STORE", own.url)
    assert completed(f"runfolio assets info {begun}", 3) == expected


def test_a_shell_that_finds_no_store_completes_nothing() -> None:
    assert completed("runfolio assets info ", 3) == []


def completed(words: str, place: int) -> list[str]:
    """What a shell is told, with the cursor at a word."""
    environment = {**os.environ, "_RUNFOLIO_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    done = CliRunner().invoke(build(), [], env=environment, prog_name="runfolio", standalone_mode=True)
    assert done.stderr == ""
    return [line.split(",", 1)[1] for line in done.stdout.splitlines() if line]

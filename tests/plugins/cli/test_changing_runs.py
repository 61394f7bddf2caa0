"""`edit`, `archive`, `unarchive`, `delete`, `sync`, `config`, `trust` and the group `store` on a real store."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from click.testing import Result

import runfolio
from runfolio import layout

if TYPE_CHECKING:
    from runfolio.backend import Backend

Invoke = Callable[..., Result]


class Filled(Protocol):
    """A store with runs; see conftest.py."""

    url: str
    ids: list[str]
    other: str
    at: list[str]


def listed(invoke: Invoke, filled: Filled, *options: str) -> list[str]:
    """Return the ids that ``list`` shows."""
    return invoke("list", *options, "--query", "[].run_id", "-o", "tsv", *filled.at).stdout.split("\n")[:-1]


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_edit(invoke: Invoke, own: Filled) -> None:
    said = invoke(
        "edit", "#1", "--name", "best\x1b[2J", "--note", "seed 3", "--add-tag", "prod", "--remove-tag", "even", *own.at
    ).stdout
    assert said.startswith(f"Edited {own.ids[0]}: ")
    assert "\x1b" not in said
    record = json.loads(invoke("info", "#1", *own.at).stdout)
    assert (record["name"], record["note"], record["description"]) == ("best\x1b[2J", "seed 3", None)
    assert record["tags"] == ["prod"]
    invoke("edit", "-r", "#1", "--description", "long", "--note", "", *own.at)
    record = json.loads(invoke("info", "#1", *own.at).stdout)
    assert (record["description"], record["note"]) == ("long", "")


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_edit_wants_a_change_that_makes_sense(invoke: Invoke, own: Filled) -> None:
    assert "Nothing to change" in invoke("edit", "#1", *own.at, code=2).stderr
    assert "'x'" in invoke("edit", "#1", "--add-tag", "x", "--remove-tag", "x", *own.at, code=2).stderr
    assert "control" in invoke("edit", "#1", "--add-tag", "x\n", *own.at, code=1).stderr


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_archive_and_unarchive(invoke: Invoke, own: Filled) -> None:
    assert invoke("archive", "#1", "-r", "#2", *own.at).stdout.splitlines() == [
        f"Archived {own.ids[0]}", f"Archived {own.ids[1]}",
    ]  # fmt: skip
    assert listed(invoke, own) == [own.ids[3], own.ids[2]]
    assert listed(invoke, own, "--archived") == [own.ids[1], own.ids[0]]
    assert listed(invoke, own, "--all") == own.ids[::-1]
    assert json.loads(invoke("info", "#1", *own.at).stdout)["hidden"] is True
    assert invoke("unarchive", "#1", *own.at).stdout == f"Unarchived {own.ids[0]}\n"
    assert listed(invoke, own, "--archived") == [own.ids[1]]
    assert "one or more" in invoke("archive", *own.at, code=2).stderr


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_all_words_are_looked_up_before_anything_changes(invoke: Invoke, own: Filled) -> None:
    invoke("archive", "#1", "#99", *own.at, code=1)
    invoke("delete", "--yes", "#1", "zzzzz", *own.at, code=1)
    assert listed(invoke, own) == own.ids[::-1]


def test_delete_says_what_goes(invoke: Invoke, own: Filled, objects: Backend) -> None:
    result = invoke("delete", "#3", "--yes", *own.at)
    assert result.stdout == f"Deleted {own.ids[2]}\n"
    assert f"{own.ids[2]} (Completed, run 2): 5 metrics, 4 files, " in result.stderr
    assert listed(invoke, own) == [own.ids[3], own.ids[1], own.ids[0]]
    invoke("info", own.ids[2], *own.at, code=1)
    assert not [info.key for info in objects.list() if "/outputs/plots/" in info.key]


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_delete_does_not_guess_where_nobody_can_answer(invoke: Invoke, own: Filled) -> None:
    result = invoke("delete", "#3", *own.at, code=2)
    assert "--yes" in result.stderr
    assert len(listed(invoke, own)) == 4


@pytest.mark.clouds_on_request("makes five runs of its own")
@pytest.mark.parametrize(("answer", "left", "code"), [("y\n", 3, 0), ("n\n", 4, 1), ("\n", 4, 1)])
def test_delete_asks(
    invoke: Invoke, own: Filled, monkeypatch: pytest.MonkeyPatch, *, answer: str, left: int, code: int
) -> None:
    monkeypatch.setattr("runfolio_plugins.cli.commands.deleting.somebody_is_there", lambda: True)
    result = invoke("delete", "#3", *own.at, input=answer, code=code)
    assert "Delete this run for good? [y/N]" in result.stderr
    assert ("Nothing was done" in result.stderr) is bool(code)
    assert len(listed(invoke, own)) == left


def test_sync_sends_what_was_made_offline(invoke: Invoke, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_url
    monkeypatch.setenv("RUNFOLIO_MODE", "offline")
    with runfolio.open_history(store, project="demo") as history, history.start_run(system_metrics=False) as run:
        run.log("loss", 0.5)
    assert "sent" not in invoke("list", "--store", store, code=1).stderr
    monkeypatch.delenv("RUNFOLIO_MODE")
    done = json.loads(invoke("sync", "--store", store, "-o", "json").stdout)
    assert (done["completed"], done["ok"]) == ([run.id], True)
    assert invoke("sync", "--store", store).stdout == "nothing to send\n"
    assert '"loss": 0.5' in invoke("last", "--store", store, "--project", "demo", "--any-user").stdout


@pytest.mark.not_in_memory("other processes use the store")
@pytest.mark.clouds_on_request("starts processes")
def test_the_next_command_sends_what_a_killed_process_left(invoke: Invoke, store_url: str) -> None:
    store = store_url
    code = (
        f"import runfolio, os, signal\nrun = runfolio.open_history({store!r}, project='demo').start_run("
        "system_metrics=False)\nfor step in range(1000): run.log('loss', step, step=step)\nprint(run.id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run_id = killed.stdout.strip()
    result = invoke("info", run_id, "--store", store)
    assert f"sent what an earlier process left of {run_id}" in result.stderr
    record = json.loads(result.stdout)
    assert (record["status"], record["loss"]) == ("Failed", 999)
    assert invoke("info", run_id, "--store", store).stderr == ""


def test_config_says_where_values_come_from(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("runfolio.toml").write_text('project = "from file"\n[output]\nlimit = 5\n', encoding="utf-8")
    monkeypatch.setenv("RUNFOLIO_MODE", "offline")
    lines = json.loads(invoke("config", "-o", "json", "--store", str(tmp_path)).stdout)
    found = {one["key"]: (one["value"], one["origin"].split()[0]) for one in lines}
    assert found["store"] == (tmp_path.as_uri(), "argument")
    assert found["project"] == ("from file", "project")
    assert found["output.limit"] == ("5", "project")
    assert found["mode"] == ("offline", "environment")
    assert found["fsync"] == ("false", "default")
    table = invoke("config").stdout.splitlines()
    assert table[0].split() == ["Setting", "Value", "Comes", "from"]
    assert invoke("config", "mode", "--query", "value", "-o", "tsv").stdout == "offline\n"
    assert "output.limit" in invoke("config", "nonsense", code=2).stderr


def test_a_broken_configuration_is_an_error_but_help_still_works(invoke: Invoke) -> None:
    Path("runfolio.toml").write_text("project = [\n", encoding="utf-8")
    for command in (["list"], ["config"]):
        result = invoke(*command, code=1)
        assert result.stderr.startswith("Error: ")
        assert "runfolio.toml" in result.stderr
    invoke("--help")
    invoke("list", "--help")


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_an_odd_setting_is_told(invoke: Invoke, own: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_STOER", "x")
    result = invoke("list", *own.at)
    assert "Warning: " in result.stderr
    assert "RUNFOLIO_STOER" in result.stderr


def test_a_store_of_a_project_file_needs_trust(invoke: Invoke) -> None:
    Path("runfolio.toml").write_text('store = "s3://bucket/prefix"\n', encoding="utf-8")
    refused = invoke("list", code=1).stderr
    assert "runfolio trust" in refused
    assert "Traceback" not in refused
    assert invoke("trust", "--list").stdout == ""
    assert invoke("trust").stdout == "Approved s3://bucket/prefix\n"
    assert [one["url"] for one in json.loads(invoke("trust", "--list", "-o", "json").stdout)] == ["s3://bucket/prefix"]
    assert "runfolio trust" not in invoke("list", code=1).stderr
    assert "No longer" in invoke("trust", "s3://bucket/prefix", "--revoke").stdout
    assert "was not approved" in invoke("trust", "s3://bucket/prefix", "--revoke", code=1).stderr
    assert "runfolio trust" in invoke("list", code=1).stderr


def test_trust_has_nothing_to_do_for_a_local_store(invoke: Invoke) -> None:
    assert "no approval" in invoke("trust").stderr
    assert "alone" in invoke("trust", "--list", "--revoke", code=2).stderr


def test_store_info(invoke: Invoke, own: Filled) -> None:
    shown = invoke("store", "info", "--store", own.url).stdout
    assert ["runs", "5"] in [line.split() for line in shown.splitlines()]
    found = json.loads(invoke("store", "info", "--store", own.url, "-o", "json").stdout)
    assert (found["figures"]["runs"], found["ok"]) == (5, True)
    assert invoke("store", "info", "--store", own.url, "--query", "figures.runs", "-o", "tsv").stdout == "5\n"


def test_store_check_tries_and_leaves_nothing(invoke: Invoke, own: Filled, objects: Backend) -> None:
    before = [info.key for info in objects.list()]
    result = invoke("store", "check", "--store", own.url)
    assert "can be shared" in result.stdout
    assert "create only if absent" in result.stdout
    assert "FAILED" not in result.stdout
    assert before == [info.key for info in objects.list()]
    assert json.loads(invoke("store", "check", "--store", own.url, "-o", "json").stdout)["ok"] is True


def test_store_repair_rebuilds_a_lost_index(invoke: Invoke, own: Filled, objects: Backend) -> None:
    objects.delete([info.key for room in (layout.LOG, layout.INDEX) for info in objects.list(room)])
    assert listed(invoke, own) == []
    assert ["runs", "5"] in [line.split() for line in invoke("store", "repair", "--store", own.url).stdout.splitlines()]
    assert listed(invoke, own) == own.ids[::-1]


def test_store_gc_deletes_only_when_told(invoke: Invoke, own: Filled, objects: Backend) -> None:
    left = layout.artifact(own.ids[0], "outputs/late.bin")
    invoke("delete", "#1", "--yes", *own.at)
    objects.put(left, b"came after the delete")
    dry = invoke("store", "gc", "--store", own.url)
    assert "--delete" in dry.stderr
    assert objects.stat(left).size > 0
    assert json.loads(invoke("store", "gc", "--delete", "--store", own.url, "-o", "json").stdout)["ok"] is True
    with pytest.raises(runfolio.NotFoundError):
        objects.stat(left)
    assert len(listed(invoke, own)) == 3

"""The group `store` and `init --store`: where a store is named, copied, tried and counted."""

from __future__ import annotations

import json
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


@pytest.mark.clouds_on_request("makes five runs of its own")
@pytest.mark.parametrize("command", ["info", "check", "repair", "gc"])
def test_a_store_is_named_by_position_or_option_but_once(invoke: Invoke, own: Filled, command: str) -> None:
    by_position = invoke("store", command, own.url, "-o", "json").stdout
    assert json.loads(by_position)["url"] == (Path(own.url).as_uri() if own.url.startswith("/") else own.url)
    assert json.loads(invoke("store", command, "--store", own.url, "-o", "json").stdout)["ok"] is True
    assert "twice" in invoke("store", command, own.url, "--store", own.url, code=2).stderr


def test_copy_and_copy_again(invoke: Invoke, own: Filled, tmp_path: Path, make_store_url: Callable[[], str]) -> None:
    target = make_store_url()
    first = json.loads(invoke("store", "copy", own.url, target, "-o", "json").stdout)
    assert (first["runs"], first["copied"], first["ok"]) == (5, 5, True)
    assert "5 there already" in invoke("store", "copy", own.url, target).stdout
    for word in (*own.ids, own.other):
        mine, theirs = (
            json.loads(invoke("info", word, "--store", one, "--project", "demo").stdout) for one in (own.url, target)
        )
        assert mine == theirs
    at = ["--store", target, "--project", "demo"]
    assert len(invoke("download", "#3", *at, "-d", str(tmp_path / "files"), "-o", "json").stdout) > 0
    assert (tmp_path / "files" / "outputs" / "model.pkl").read_bytes()[-1] == 2


@pytest.mark.local_only("a project's file may name other stores than folders only with approval")
def test_copy_of_some_runs_between_named_stores(invoke: Invoke, own: Filled, tmp_path: Path) -> None:
    Path("runfolio.toml").write_text(
        f'[stores.old]\nurl = "{own.url}"\n[stores.new]\nurl = "{tmp_path / "new"}"\n', encoding="utf-8"
    )
    report = json.loads(invoke("store", "copy", "old", "new", "--where", "Accuracy > 0.9", "-o", "json").stdout)
    assert (report["runs"], report["copied"]) == (2, 2)
    assert "1 copied" in invoke("store", "copy", "old", "new", "--project", "other one").stdout
    ids = invoke("list", "--store", "new", "--project", "*", "--query", "[].run_id", "-o", "tsv").stdout.splitlines()
    assert sorted(ids) == sorted([own.ids[1], own.ids[2], own.other])


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_a_copy_that_is_not_whole_says_so(
    invoke: Invoke, own: Filled, objects: Backend, make_store_url: Callable[[], str]
) -> None:
    """By what is named and by its exit code; a source that is none is an error, and so is the same store twice."""
    objects.put(layout.artifact(own.ids[0], "outputs/model.pkl"), b"rot")
    said = invoke("store", "copy", own.url, make_store_url(), code=1).stdout
    assert "outputs/model.pkl is damaged in the source" in said
    assert "no Runfolio store" in invoke("store", "copy", make_store_url(), own.url, code=1).stderr
    assert "same store" in invoke("store", "copy", own.url, own.url, code=1).stderr


@pytest.mark.clouds_on_request("makes five runs of its own")
def test_edits_and_deletes_follow(
    own: Filled, make_store_url: Callable[[], str], open_backend: Callable[[str], Backend]
) -> None:
    target = make_store_url()
    with runfolio.open_history(own.url, project="demo") as history, runfolio.open_history(target) as other:
        history.copy_to(other)
        history.run(own.ids[0]).edit(name="later")
        history.run(own.ids[1]).delete()
        report = history.copy_to(other, where="name = 'later'")  # deletes are carried, whatever is asked for
        assert (report.copied, report.deleted, report.ok) == (1, 1, True)
        assert other.run(own.ids[0]).record.name == "later"
        with pytest.raises(runfolio.RunNotFoundError):
            other.run(own.ids[1])
        left = sorted(info.key.rsplit("/", 1)[1] for info in open_backend(target).list(layout.run_folder(own.ids[1])))
        assert [name for name in left if name != "start.json"] == [name for name in left if "-" in name]
        assert len(left) == 2
        assert history.copy_to(other).copied == 0

"""Promotion: versions of files that are verified, kept, and found again by name, alias and link."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import runfolio as rf
from runfolio import layout
from runfolio.plugins import Plugins
from runfolio.store.manifests import encode_manifest

REFUSED = "many words, all refused before a request is made"
FILES = {"outputs/m.pkl": b"a model", "outputs/tree/a.txt": b"a", "outputs/tree/b/c.txt": b"bc", "logs/x.txt": b"x"}


def make(history: rf.History, **files: bytes) -> rf.Run:
    """A run that has ended, with files."""
    with history.start_run(name="r") as run:
        for path, data in (files or FILES).items():
            run.log_bytes(path, data)
    return history.run(run.id)


def objects(history: rf.History, prefix: str = layout.ASSETS) -> Sequence[str]:
    return [info.key for info in history._backend.list(prefix)]


def test_a_file_is_promoted_and_found_by_its_name(history: rf.History) -> None:
    run = make(history)
    made = run.promote("./outputs/m.pkl", name="iris")
    assert (made.name, made.version, made.run_id, made.path) == ("iris", 1, run.id, "outputs/m.pkl")
    assert made.sha256 == hashlib.sha256(FILES["outputs/m.pkl"]).hexdigest()
    assert history.assets.get("iris") == made
    path = history.assets.local_path("iris")
    assert (path.name, path.read_bytes()) == ("m.pkl", b"a model")


def test_a_folder_is_promoted(history: rf.History) -> None:
    made = make(history).promote("outputs/tree/", name="tree")
    path = history.assets.local_path("tree")
    assert path.name == "tree"
    assert {one.relative_to(path).as_posix(): one.read_bytes() for one in path.rglob("*") if one.is_file()} == {
        "a.txt": b"a", "b/c.txt": b"bc"
    }  # fmt: skip
    # As `sha256sum` prints it, in the folder.
    lines = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (("a.txt", b"a"), ("b/c.txt", b"bc"))
    )
    assert made.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_a_prefix_is_no_part_of_a_name(history: rf.History) -> None:
    with pytest.raises(rf.ArtifactNotFoundError, match=r"outputs/m\.pkl"):
        make(history).promote("outputs/m", name="iris")
    assert objects(history) == []


def test_promoting_again_makes_a_new_version_and_one_can_go_back(history: rf.History) -> None:
    first = make(history).promote("outputs/m.pkl", name="iris")
    second = make(history, **{"outputs/m.pkl": b"better"}).promote("outputs/m.pkl", name="iris")
    assert [one.version for one in history.assets.versions("iris")] == [2, 1]
    assert history.assets.local_path("iris").read_bytes() == b"better"
    assert history.assets.local_path("iris@1").read_bytes() == b"a model"
    assert history.assets.get("iris@latest") == second
    link = history.assets.link("iris@1")
    assert history.assets.get(link) == first


def test_the_evidence(history: rf.History) -> None:
    run = make(history)
    run.promote("outputs/m.pkl", name="iris")
    made = history.assets["iris"]
    (manifest,) = [key for key in objects(history, layout.run_folder(run.id)) if "manifest" in key]
    assert made.evidence == {
        "manifests": {manifest.rsplit("/", 1)[1]: hashlib.sha256(history._backend.get(manifest)).hexdigest()},
        "run_number": 1,
        "snapshot": None,
        "status": "Completed",
    }
    assert made.who == history.user_id
    assert json.loads(json.dumps(made.to_dict()))["promoted_utc"].endswith("+00:00")


# Refusals. Nothing is published.


def test_a_run_that_has_not_ended_is_refused(history: rf.History) -> None:
    with history.start_run() as run:
        run.log_bytes("outputs/m.pkl", b"x")
        assert run.flush(timeout=60)
        with pytest.raises(rf.RunStateError):
            history.run(run.id).promote("outputs/m.pkl", name="iris")
    assert objects(history) == []


def test_a_file_of_a_writer_that_has_not_ended_is_refused(history: rf.History) -> None:
    """Its manifest is published before its end, and may still change."""
    run, late = make(history), "late.0123456789abcdef"
    row = {"path": "outputs/late", "key": "outputs/late", "size": 1, "status": "stored"}
    row["sha256"] = hashlib.sha256(b"x").hexdigest()
    history._backend.put(layout.artifact(run.id, "outputs/late"), b"x")
    history._backend.put(layout.manifest(run.id, late), encode_manifest([row], late))
    for path in ("outputs/late", "outputs"):
        with pytest.raises(rf.RunStateError, match="late"):
            run.promote(path, name="iris")
    assert objects(history) == []
    assert run.promote("outputs/tree", name="iris").version == 1


def test_a_file_that_was_not_stored_is_refused(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_ARTIFACT_LIMIT", "10")
    with rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"])) as history:
        run = make(history, **{"outputs/d/small": b"x", "outputs/d/large": b"x" * 11})
        with pytest.raises(rf.RunStateError, match="too large"):
            run.promote("outputs/d", name="iris")
        assert objects(history) == []


def test_contents_that_were_changed_are_refused(history: rf.History) -> None:
    run = make(history)
    history._backend.put(layout.artifact(run.id, "outputs/m.pkl"), b"A MODEL")
    with pytest.raises(rf.FormatError):
        run.promote("outputs/m.pkl", name="iris")
    with pytest.raises(rf.FormatError):
        run.promote("outputs", name="iris")
    assert objects(history) == []
    assert run.promote("outputs/tree", name="iris").version == 1


def test_a_plugin_may_refuse(store: str) -> None:
    asked = []

    class RefusedError(Exception):
        pass

    def refuse(run: rf.Run, artifact: rf.Artifact) -> None:
        asked.append((run.id, artifact.path))
        if artifact.path.endswith("c.txt"):
            raise RefusedError

    plugin = SimpleNamespace(__name__="strict", runfolio_promoting=rf.hookimpl(refuse))
    with rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"], extra=[plugin])) as history:
        run = make(history)
        with pytest.raises(RefusedError) as caught:
            run.promote("outputs/tree", name="iris")
        assert "plugin" in caught.value.__notes__[0]
        assert asked == [(run.id, "outputs/tree/a.txt"), (run.id, "outputs/tree/b/c.txt")]
        assert objects(history) == []
        assert run.promote("outputs/m.pkl", name="iris").version == 1


@pytest.mark.clouds_on_request(REFUSED)
@pytest.mark.parametrize("name", ["", "a/b", "a@b", "..", "con", "x.link", "a\\b", "a:b", "x" * 141, "a\n"])
def test_names_that_cannot_be_those_of_files_are_refused(history: rf.History, name: str) -> None:
    with pytest.raises(rf.InvalidNameError):
        make(history).promote("outputs/m.pkl", name=name)
    assert not Path("assets").exists()


def test_reading_only_is_reading_only(history: rf.History, store: str) -> None:
    run = make(history)
    run.promote("outputs/m.pkl", name="iris")
    with rf.open_history(store, project="p", read_only=True) as reader:
        writes: Sequence[Callable[[], object]] = (
            lambda: reader.run(run.id).promote("outputs/m.pkl", name="iris"),
            lambda: reader.assets.alias("iris", "prod"),
            lambda: reader.assets.retract("iris"),
        )
        for write in writes:
            with pytest.raises(rf.ReadOnlyError):
                write()
        assert reader.assets.local_path("iris").read_bytes() == b"a model"
    assert len(objects(history)) == 1


# What was promoted is kept.


def test_an_asset_outlives_its_run(history: rf.History) -> None:
    run = make(history)
    run.promote("outputs/tree", name="tree")
    run.delete()
    with pytest.raises(rf.RunNotFoundError):
        run.refresh()
    left = {key.removeprefix(layout.run_folder(run.id)).split("/")[0] for key in objects(history, layout.RUNS)}
    assert left == {"start.json", "edits", "outputs"}
    history.gc(dry_run=False)
    assert (history.assets.local_path("tree") / "a.txt").read_bytes() == b"a"
    assert history.assets["tree"].run_id == run.id


def test_what_was_taken_back_is_gone_for_everybody_and_no_longer_kept(history: rf.History) -> None:
    first = make(history).promote("outputs/m.pkl", name="iris")
    run = make(history, **{"outputs/m.pkl": b"worse"})
    second = run.promote("outputs/m.pkl", name="iris")
    history.assets.alias("iris@2", "prod")
    link = history.assets.link("iris@2")
    run.delete()
    before = objects(history)
    history.assets.retract("iris@2", "trained on the test set")
    assert set(before) < set(objects(history))
    assert history.assets["iris"] == first
    for word in ("iris@2", "iris@prod", link):
        with pytest.raises(rf.AssetNotFoundError, match="trained on the test set"):
            history.assets.get(word)
    with pytest.raises(rf.AssetNotFoundError):
        history.assets.retract("iris@2")
    (record, _) = history.assets.versions("iris")
    assert (record.version, record.retraction and record.retraction["reason"]) == (2, "trained on the test set")
    history.gc(dry_run=False)
    assert objects(history, f"{layout.run_folder(second.run_id)}outputs/") == []
    assert make(history).promote("outputs/m.pkl", name="iris").version == 4


def test_a_version_without_its_bytes_says_what_to_do_and_gc_takes_it_back(history: rf.History) -> None:
    """As a promotion leaves it that was killed while the run was being deleted."""
    run = make(history)
    made = run.promote("outputs/m.pkl", name="iris")
    run.delete()
    history._backend.delete([layout.artifact(run.id, "outputs/m.pkl")])
    with pytest.raises(rf.StorageError, match="runfolio store gc"):
        history.assets.local_path("iris")
    assert any(made.word in problem for problem in history.gc(dry_run=True).problems)
    history.gc(dry_run=False)
    with pytest.raises(rf.AssetNotFoundError):
        history.assets.local_path("iris")


# Aliases.


def test_an_alias_stands_for_one_version_at_a_time(history: rf.History) -> None:
    for data in (b"1", b"2"):
        make(history, **{"outputs/m": data}).promote("outputs/m", name="iris")
    history.assets.alias("iris@1", "production")
    assert history.assets["iris@production"].version == 1
    assert history.assets.alias("iris", "production").aliases == ["production"]
    assert history.assets.local_path("iris@production").read_bytes() == b"2"
    history.assets.remove_alias("iris", "production")
    with pytest.raises(rf.AssetNotFoundError):
        history.assets.get("iris@production")
    with pytest.raises(rf.AssetNotFoundError):
        history.assets.remove_alias("iris", "production")
    assert len(objects(history, f"{layout.ASSETS}iris/aliases/")) == 3


@pytest.mark.clouds_on_request(REFUSED)
@pytest.mark.parametrize("alias", ["7", "latest", "a@b", "a/b", ""])
def test_words_that_mean_something_else_are_no_aliases(history: rf.History, alias: str) -> None:
    make(history).promote("outputs/m.pkl", name="iris")
    with pytest.raises(rf.InvalidNameError):
        history.assets.alias("iris", alias)


def test_what_is_not_there_is_named(history: rf.History) -> None:
    make(history).promote("outputs/m.pkl", name="iris")
    for word in ("rose", "iris@7", "iris@prod"):
        with pytest.raises(rf.AssetNotFoundError):
            history.assets.get(word)
    with pytest.raises(rf.AssetNotFoundError, match="iris"):
        history.assets.get("rose")
    assert [one.name for one in history.assets] == list(history.assets.names()) == ["iris"]


# Links.


def test_the_link_is_a_small_file_without_paths_or_credentials(history: rf.History, store: str) -> None:
    run = make(history)
    made = run.promote("outputs/m.pkl", name="model.pkl")
    text = Path("assets/model.pkl.link").read_text()
    assert json.loads(text) == {
        "asset": "model.pkl",
        "format": 1,
        "kind": "asset-link",
        "run": run.id,
        "sha256": made.sha256,
        "size": 7,
        "store_id": history._connection.open().store_id,
        "version": 1,
    }
    assert store not in text
    assert history.assets.local_path("assets/model.pkl.link").read_bytes() == b"a model"


def test_no_link_where_none_is_wanted(history: rf.History) -> None:
    make(history).promote("outputs/m.pkl", name="iris", link=False)
    assert not Path("assets").exists()


def test_a_link_is_not_written_through_a_symbolic_link(history: rf.History, tmp_path: Path) -> None:
    Path("assets").symlink_to(tmp_path)
    with pytest.raises(rf.InvalidKeyError) as caught:
        make(history).promote("outputs/m.pkl", name="iris")
    assert "runfolio assets link iris@1" in "\n".join(caught.value.__notes__)
    assert not (tmp_path / "iris.link").exists()
    assert history.assets["iris"].version == 1


def test_a_link_into_another_store_is_told(history: rf.History, make_store_url: Callable[[], str]) -> None:
    """It asks for nothing but this very version with this very hash, in the store that is configured."""
    make(history).promote("outputs/m.pkl", name="iris")
    with rf.open_history(make_store_url(), project="p", plugins=Plugins(disabled=["system_metrics"])) as other:
        run = make(other, **{"outputs/m.pkl": b"another"})
        with pytest.raises(rf.AssetNotFoundError) as caught:
            other.assets.get("assets/iris.link")
        assert "another store" in "\n".join(caught.value.__notes__)
        run.promote("outputs/m.pkl", name="iris", link=False)
        with pytest.raises(rf.AssetNotFoundError, match="another store"):
            other.assets.get("assets/iris.link")


@pytest.mark.clouds_on_request(REFUSED)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"kind": "asset-link"}',
        '{"kind": "asset-link", "format": 2}',
        *(
            json.dumps(
                {
                    "kind": "asset-link", "format": 1, "asset": "iris", "version": 1, "sha256": "0" * 64,
                    "size": 1, "run": "r", "store_id": "s",
                    **change,
                }
            )
            for change in (
                {"asset": "../iris"}, {"asset": 7}, {"version": True}, {"version": 0}, {"sha256": "../x"}, {"size": "1"}
            )
        ),
    ],
)  # fmt: skip
def test_a_link_that_is_none_is_refused(history: rf.History, text: str) -> None:
    make(history).promote("outputs/m.pkl", name="iris")
    Path("strange.link").write_text(text)
    with pytest.raises(rf.FormatError):
        history.assets.get(Path("strange.link"))


def test_a_link_that_is_not_there(history: rf.History) -> None:
    with pytest.raises(rf.NotFoundError):
        history.assets.get("assets/none.link")


# The cache.


def test_a_copy_is_fetched_once_and_verified_at_each_use(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(history)
    run.promote("outputs/m.pkl", name="iris")
    path = history.assets.local_path("iris")
    key = layout.artifact(run.id, "outputs/m.pkl")
    history._backend.put(key, b"a MODEL")
    assert history.assets.local_path("iris").read_bytes() == b"a model"
    path.write_bytes(b"changed")
    with pytest.raises(rf.StorageError):
        history.assets.local_path("iris")
    history._backend.put(key, b"a model")
    assert history.assets.local_path("iris") == path
    assert path.read_bytes() == b"a model"


@pytest.mark.not_in_memory("other processes use the store")
@pytest.mark.clouds_on_request("starts processes")
def test_many_processes_want_one_asset(history: rf.History, store: str, own_surroundings: Path) -> None:
    data = bytes(range(256)) * 20_000
    make(history, **{"outputs/m": data}).promote("outputs/m", name="iris")
    code = (
        "import sys, hashlib, runfolio as rf\n"
        "print(hashlib.sha256(rf.assets.local_path('iris').read_bytes()).hexdigest())"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "RUNFOLIO_STORE": store}
        )
        for _ in range(4)
    ]
    answers = {child.communicate(timeout=120)[0].decode().strip() for child in children}
    assert answers == {hashlib.sha256(data).hexdigest()}
    assert list(own_surroundings.rglob("*.runfolio-partial")) == []


def test_code_asks_for_the_path_alone(history: rf.History, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make(history).promote("outputs/m.pkl", name="iris")
    assert rf.assets.local_path("iris", store=store).read_bytes() == b"a model"
    monkeypatch.setenv("RUNFOLIO_STORE", store)
    assert rf.assets.local_path(Path("assets/iris.link")).read_bytes() == b"a model"


def test_a_record_that_contradicts_itself_is_refused(history: rf.History) -> None:
    make(history).promote("outputs/m.pkl", name="iris")
    key = layout.asset("iris", 1)
    document = json.loads(history._backend.get(key))
    history._backend.put(key, json.dumps({**document, "sha256": "0" * 64}).encode())
    with pytest.raises(rf.FormatError):
        history.assets.get("iris")


@pytest.mark.not_in_memory("other processes use the store")
@pytest.mark.clouds_on_request("starts processes")
def test_promotion_killed_anywhere_is_repaired_by_doing_it_again(
    script: Callable[..., Any], history: rf.History
) -> None:
    """Killed after it was published and before the link: the version is whole, and a link can be made."""
    run = make(history)
    done = script(
        f"""
        import os, signal
        import runfolio as rf
        from runfolio import promotion
        promotion.write_link = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
        rf.open_history().run({run.id!r}).promote("outputs/m.pkl", name="iris")
        """
    )
    assert done.returncode == -9
    assert history.assets["iris"].version == 1
    assert history.assets.link("iris").read_bytes()
    assert run.promote("outputs/m.pkl", name="iris").version == 2

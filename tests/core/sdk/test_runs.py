"""Runs as records: params, tags, edits, words that name them, queries, comparison, pickling."""

from __future__ import annotations

import pickle
from datetime import UTC

import pytest

import runfolio as rf


def test_params_are_typed_nested_and_set_once(history: rf.History) -> None:
    with history.start_run(params={"lr": 1e-3, "n": 7}) as run:
        run.params.update(optimizer={"name": "adam", "betas": [0.9, 0.99]}, flag=True, nothing=None)
        run.params.update(lr=1e-3)
        with pytest.raises(rf.RunStateError, match="lr"):
            run.params.update(lr=0.1, other=1)
        assert "other" not in run.params
        run.params["epochs"] = 3
    params = history.last().record.params
    assert params == {
        "lr": 1e-3, "n": 7, "optimizer.name": "adam", "optimizer.betas": [0.9, 0.99],
        "flag": True, "nothing": None, "epochs": 3,
    }  # fmt: skip
    assert type(params["n"]) is int
    assert type(params["flag"]) is bool


def test_summary_tags_note_and_goal(history: rf.History) -> None:
    with history.start_run(name="baseline", tags=["prod"], note="first") as run:
        run.summary["best_epoch"] = 7
        run.summary["best_epoch"] = 8
        run.tags.add("sota")
        run.tags.discard("prod")
        run.note = "seed 3"
        run.define_metric("val/acc", goal="min")
        run.log("val/acc", 0.5)
        with pytest.raises(rf.InvalidValueError):
            run.define_metric("val/acc", goal="best")
    record = history.last().record
    assert (record.name, record.note, list(record.tags)) == ("baseline", "seed 3", ["sota"])
    assert record.summary == {"best_epoch": 8}
    assert record.definitions["val/acc"]["goal"] == "min"


def test_the_record_says_when_and_where(history: rf.History) -> None:
    with history.start_run(script="train.py", argv=["--lr", "1", "--api-key", "s3cret"]) as run:
        pass
    record = history.run(run.id).record
    assert record.status == "Completed"
    assert record.created_utc is not None
    assert record.created_utc.tzinfo is not None
    assert record.end_time_utc is not None
    assert record.created_utc.astimezone(UTC) <= record.end_time_utc.astimezone(UTC)
    assert record.duration_seconds is not None
    assert record.duration_seconds >= 0
    assert (record.script_name, record.experiment) == ("train.py", "train.py")
    assert "s3cret" not in " ".join(record.arguments)
    assert record.properties["PythonVersion"]
    assert "pytest" in history.run(run.id).packages
    assert record.to_dict()["properties"]["CommitId"] is None


def test_an_exception_fails_the_run_with_the_callers_traceback(history: rf.History) -> None:
    with pytest.raises(ZeroDivisionError), history.start_run() as run:  # noqa: PT012 (a run that logs, then fails)
        run.log("before", 1)
        _ = 1 / 0
    record = history.run(run.id).record
    assert record.status == "Failed"
    folder = history._reader.folder(run.id)
    traceback = next(iter(folder.ends.values()))["traceback"]
    assert "ZeroDivisionError" in traceback
    assert "runfolio/" not in traceback
    assert history.run(run.id).metric("before").values() == [1]


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), "Canceled"), (SystemExit(0), "Completed"), (SystemExit(3), "Failed")],
    ids=repr,
)
def test_ways_to_leave(history: rf.History, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), history.start_run() as run:
        raise error
    assert history.run(run.id).status == status


def test_words_that_name_a_run(history: rf.History) -> None:
    with history.start_run() as first:
        pass
    with history.start_run(project="other#1 x") as second:
        pass
    assert history.run(first.id) == first
    assert history.run(first.short_id).id == first.id
    assert history.run("#1").id == first.id
    assert history.run("p#1").id == first.id
    assert history.run("other#1 x#1").id == second.id
    assert history.run(number=1, project="other#1 x").id == second.id
    assert history.run("@last").id == first.id
    assert history.run("@last:any", project="*").id == second.id
    for word in ("zzzzz", "p#99", "nonsense!", "p_1506000000250-00000"):
        with pytest.raises(rf.RunNotFoundError):
            history.run(word)


def test_queries_find_sort_and_cut(history: rf.History) -> None:
    for number in range(5):
        with history.start_run(params={"lr": 10.0**-number, "kind": "svm" if number % 2 else "tree"}) as run:
            run.log("val/acc", number / 10)
            run.log("mixed", "text" if number == 3 else number)
    found = history.runs(where="params.lr < .5 and max(`val/acc`) > .15", order_by="-`val/acc`", limit=2)
    assert [run.record.metrics["val/acc"].value for run in found] == [0.4, 0.3]
    assert len(history.runs(where="params.kind = 'svm'")) == 2
    assert len(history.runs(where="mixed = 'text'")) == 1
    assert len(history.runs(where="mixed >= 0")) == 4
    assert history.best("val/acc").record.metrics["val/acc"].value == 0.4
    assert history.best("val/acc", goal="min").record.metrics["val/acc"].value == 0.0
    assert [run.number for run in history.runs()] == [5, 4, 3, 2, 1]
    assert [run.number for run in history.runs()[1:3]] == [4, 3]
    assert history.runs()[-1].number == 1
    table = history.runs().to_arrow(columns=["val/acc", "params.kind"])
    assert table.column_names == ["val/acc", "params.kind"]
    frame = history.runs(order_by="number").to_pandas()
    assert frame["val/acc"].tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert frame["params.kind"].tolist()[:2] == ["tree", "svm"]
    with pytest.raises(rf.QueryError, match="expected"):
        history.runs(where="params.lr <")
    with pytest.raises(rf.RunNotFoundError):
        history.best("never logged")


def test_edits_win_by_order_and_archived_runs_leave_the_list(history: rf.History) -> None:
    with history.start_run() as run:
        pass
    stored = history.run(run.id)
    stored.edit(name="one")
    stored.edit(name="two", note="n")
    stored.tag(add=["a", "b"])
    stored.tag(remove=["a"])
    assert (stored.name, stored.record.note, list(stored.record.tags)) == ("two", "n", ["b"])
    stored.archive()
    assert len(history.runs()) == 0
    assert len(history.runs(archived=True)) == 1
    stored.unarchive()
    assert len(history.runs()) == 1


def test_a_deleted_run_is_gone_for_good(history: rf.History) -> None:
    with history.start_run() as run:
        run.log("loss", 0.5)
        run.log_bytes("m.pkl", b"x")
    history.run(run.id).delete()
    assert len(history.runs()) == 0
    with pytest.raises(rf.RunNotFoundError):
        history.run(run.id)
    history.repair()
    assert len(history.runs().refresh()) == 0
    with history.start_run() as following:
        pass
    assert following.number == 2


def test_handles_survive_pickling(history: rf.History) -> None:
    with history.start_run() as run:
        run.log("loss", 0.5)
        again = pickle.loads(pickle.dumps(run))
        assert type(again) is rf.Run
    assert again.refresh().status == "Completed"
    assert len(pickle.loads(pickle.dumps(history)).runs()) == 1


def test_reprs_are_rich_and_escaped(history: rf.History) -> None:
    with history.start_run(name="<script>") as run:
        run.log("<b>", 1)
    html = history.last()._repr_html_() + history.runs()._repr_html_()
    assert "<script>" not in html
    assert "&lt;b&gt;" in html
    assert run.id in repr(history.last())


def test_several_projects_live_in_one_store(history: rf.History) -> None:
    for project in ("2024", "a #1 b", "ümläut"):
        with history.start_run(project=project) as run:
            run.log("x", 1)
        assert run.number == 1
        assert len(history.runs(project)) == 1
    assert len(history.runs("*")) == 3
    assert len(history.runs()) == 0
    for bad in ("a/b", " a", "x" * 200, "", "a\nb"):
        with pytest.raises(rf.InvalidNameError):
            history.start_run(project=bad or " ")


def test_reading_where_no_store_exists_names_the_path(store: str) -> None:
    with pytest.raises(rf.StoreNotFoundError, match="store"):
        rf.open_history(store, must_exist=True)
    with pytest.raises(rf.StoreNotFoundError):
        len(rf.open_history(store).runs("*"))


def test_a_read_only_history_refuses_every_write(history: rf.History, store: str) -> None:
    with history.start_run() as run:
        pass
    reader = rf.open_history(store, read_only=True, project="p")
    stored = reader.run(run.id)
    for call in (
        reader.start_run, lambda: stored.edit(name="x"), stored.archive, stored.delete, reader.repair, reader.sync,
        lambda: reader.gc(dry_run=False), lambda: reader.attach(run.id), lambda: reader.resume_run(run.id),
    ):  # fmt: skip
        with pytest.raises(rf.ReadOnlyError):
            call()
    assert len(reader.runs()) == 1

"""Repair: the run folders are the truth, whatever became of the index."""

from __future__ import annotations

from typing import Any

import pytest

from runfolio import layout
from runfolio.index.folding import fold
from runfolio.index.repairing import repair
from runfolio.index.sweeping import info
from runfolio.index.view import Index
from runfolio.layout import Segment
from runfolio.store.wrapping import WrappedBackend


@pytest.fixture
def filled(store: Any) -> Any:
    """Runs of all sorts, partly folded."""
    made = store.documents
    for number in range(6):
        store.run(number)
    store.write(made.edit(made.run_id(1), "name", "x"), made.delete(made.run_id(2)))
    fold(Index(store.backend), force=True)
    store.write(made.start(made.run_id(7)), made.attempt(made.run_id(3), 2, "main.00000000000000bb"))
    store.write(made.end(made.run_id(4), "rank1.00000000000000cc"))
    fold(Index(store.backend), force=True)
    store.write(made.edit(made.run_id(7), "tag:t", value=True))
    return store


def seen(store: Any) -> Any:
    rows = Index(store.backend).refresh().rows()
    return {run_id: {key: value for key, value in row.items() if key != "changed"} for run_id, row in rows.items()}


def test_the_index_rebuilt_from_nothing_is_the_same(filled: Any) -> None:
    before = seen(filled)
    filled.backend.delete([*filled.keys(layout.INDEX), *filled.keys(layout.LOG)])
    report = repair(Index(filled.backend))
    assert (report.seq, report.runs, report.deleted, report.unreadable) == (1, 6, 1, [])
    assert seen(filled) == before


def test_a_damaged_index_is_repaired(filled: Any) -> None:
    before = seen(filled)
    for key in filled.keys(layout.INDEX):
        filled.backend.put(key, b"rubbish")
    assert info(Index(filled.backend)).damaged is not None
    report = repair(Index(filled.backend))
    assert report.damaged
    assert seen(filled) == before
    assert info(Index(filled.backend)).damaged is None


def test_repair_adds_what_was_never_announced_and_drops_what_has_no_folder(filled: Any) -> None:
    made = filled.documents
    filled.folder(made.start(made.run_id(8)))
    filled.backend.delete(filled.keys(layout.run_folder(made.run_id(0))))
    log = filled.keys(layout.LOG)
    dry = repair(Index(filled.backend), dry_run=True)
    assert dry.seq == 0
    assert made.run_id(8) not in seen(filled)
    report = repair(Index(filled.backend))
    assert report.added == dry.added == [made.run_id(8)]
    assert filled.keys(layout.LOG) == log, "repair never deletes log entries"
    rows = seen(filled)
    assert made.run_id(8) in rows


def test_a_run_without_folder_is_dropped_once_its_entries_are_gone(filled: Any) -> None:
    run_id = filled.documents.run_id(0)
    for _ in range(2):
        fold(Index(filled.backend), force=True)
    filled.backend.delete(filled.keys(layout.run_folder(run_id)))
    assert repair(Index(filled.backend)).dropped == [run_id]
    assert run_id not in seen(filled)


def test_all_rows_are_marked_as_changed_and_the_log_as_held(filled: Any) -> None:
    report = repair(Index(filled.backend))
    view = Index(filled.backend).refresh()
    assert {row["changed"] for row in view.rows().values()} == {report.seq}
    assert view.unfolded == 0
    assert view.base_seq is None


@pytest.mark.parametrize("kind", ["start", "end", "edit"])
def test_unreadable_documents_are_reported_and_do_no_more_harm(filled: Any, kind: str) -> None:
    made, run_id = filled.documents, filled.documents.run_id(1)
    key = {
        "start": layout.start(run_id),
        "end": layout.end(run_id, made.writer(run_id)),
        "edit": layout.edit(run_id, 1, "aa"),
    }[kind]
    filled.backend.put(key, b'{"format": 1}')
    for _ in range(2):
        fold(Index(filled.backend), force=True)
    report = repair(Index(filled.backend))
    assert report.unreadable == [key]
    assert report.hidden == ([run_id] if kind == "start" else [])
    ids = Index(filled.backend).refresh().ids
    assert (run_id in ids) == (kind != "start")
    assert len(ids) == (6 if kind != "start" else 5)


def test_a_document_of_another_run_is_not_believed(filled: Any) -> None:
    one, other = filled.documents.run_id(0), filled.documents.run_id(1)
    key = layout.start(one)
    filled.backend.put(key, filled.backend.get(layout.start(other)))
    assert repair(Index(filled.backend)).unreadable == [key]


def test_covered_live_segments_go(filled: Any) -> None:
    run_id = filled.documents.run_id(0)
    writer, other = "main.00000000000000aa", "rank1.00000000000000bb"
    live, merged = layout.live(run_id), layout.metrics(run_id)
    covered = [
        layout.segment(live, Segment(*part)) for part in ((writer, 0, 5), (writer, 5, 9), (other, 0, 3), (other, 3, 6))
    ]
    kept = [
        layout.segment(live, Segment(*part)) for part in ((other, 0, 6), (other, 6, 8), ("w.00000000000000cc", 0, 4))
    ]
    kept.append(layout.segment(merged, Segment(writer, 0, 9)))
    for key in [*covered, *kept]:
        filled.backend.put(key, b"rows")
    report = repair(Index(filled.backend))
    assert sorted(report.covered) == sorted(covered)
    assert {*filled.keys(live), *filled.keys(merged)} == {*kept}


def test_a_fold_during_the_scan_is_joined(filled: Any) -> None:
    """What is logged, folded and taken out of the log while the folders are read is still there."""
    made = filled.documents
    late = made.run_id(50)

    class Meanwhile(WrappedBackend):
        done = False

        def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
            if key.startswith(layout.RUNS) and not self.done:
                self.done = True
                filled.write(made.start(late))
                for _ in range(3):
                    fold(Index(filled.backend), force=True)
            return self.inner.get(key, start, end)

    backend = Meanwhile(filled.backend)
    repair(Index(backend))
    assert backend.done
    assert late in seen(filled)

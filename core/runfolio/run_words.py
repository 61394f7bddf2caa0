"""The words by which people name a run: ``k3f9q``, ``iris#7``, ``#7``, ``@last``, the best one, or the whole id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from runfolio.errors import InvalidNameError, RunNotFoundError
from runfolio.ids import ALPHABET, parse_run_id
from runfolio.run import Run

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.history import History

_SHORT: Final = re.compile(rf"[{ALPHABET}]{{5}}")
_NUMBER: Final = re.compile(r"(?P<project>.*)#(?P<number>[0-9]+)", re.DOTALL)
_LAST: Final = frozenset({"@last", "last"})
_LAST_ANY: Final = frozenset({"@last:any", "last:any"})


def find_run(history: History, word: str | None, *, number: int | None = None, project: str | None = None) -> Run:
    """Return the run that a word names. See `runfolio.history.History.run`.

    Raises:
        RunNotFoundError: none does, or several do.
    """
    if number is not None:
        return _numbered(history, number, project or history.project)
    if word is None or word in _LAST:
        return history.last(project)
    if word in _LAST_ANY:
        return history.last(project, any_user=True)
    try:
        parse_run_id(word)
    except InvalidNameError:
        pass
    else:
        run = Run(history, word)
        run.refresh()
        return run
    named = _NUMBER.fullmatch(word)
    if named:
        return _numbered(history, int(named["number"]), named["project"] or project or history.project)
    return _short(history, word, project)


def find_best(history: History, metric: str, project: str | None, goal: str) -> Run:
    """Return the run with the best value of a metric. See `runfolio.history.History.best`.

    Raises:
        RunNotFoundError: no run has a number under this name.
    """
    quoted = "`" + metric.replace("`", "``") + "`"
    sign = "-" if goal == "max" else ""
    for run in history.runs(
        project,
        where=f"{goal}(metrics.{quoted}) is not null",
        order_by=f"{sign}{goal}(metrics.{quoted})",
        limit=1,
    ):
        return run
    raise RunNotFoundError(
        f"No run in project {project or history.project!r} of {history.url} has a number under the metric {metric!r}",
        key=metric,
    )


def _numbered(history: History, number: int, project: str) -> Run:
    import pyarrow.compute as pc  # noqa: PLC0415 (loaded on use)

    table = history._reader.view().table  # noqa: SLF001 (the same subject)
    table = table.filter(pc.equal(table["run_number"], number))
    if project != "*":
        table = table.filter(pc.equal(table["project"], project))
    return _only(history, table, f"number {number} of project {project!r}")


def _short(history: History, word: str, project: str | None) -> Run:
    import pyarrow.compute as pc  # noqa: PLC0415 (loaded on use)

    folded = word.lower()
    if not _SHORT.fullmatch(folded):
        raise RunNotFoundError(
            f"{word!r} names no run: give an id, its last five characters, project#7, #7, @last or @last:any", key=word
        )
    table = history._reader.view().table  # noqa: SLF001 (the same subject)
    table = table.filter(pc.ends_with(table["run_id"], f"-{folded}"))
    if project is not None and project != "*":
        table = table.filter(pc.equal(table["project"], project))
    return _only(history, table, repr(word))


def _only(history: History, table: pa.Table, what: str) -> Run:
    from runfolio.records import record_of  # noqa: PLC0415 (loaded on use)

    if table.num_rows == 0:
        raise RunNotFoundError(
            f"There is no run {what} in {history.url}: `runfolio list --project '*'` shows all", key=what
        )
    if table.num_rows > 1:
        ids = ", ".join(table["run_id"].to_pylist()[:5])
        raise RunNotFoundError(
            f"{table.num_rows} runs of {history.url} answer to {what}: give the whole id, for example one of {ids}",
            key=what,
        )
    record = record_of(table.to_pylist()[0])
    return Run(history, record.run_id, record)

"""A lazy set of runs: filtered, sorted and cut by the index, read when it is first looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from runfolio.records import Record, record_of
from runfolio.run import Run

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from runfolio.history import History
    from runfolio.query import Order, Where

_DEFAULT_COLUMNS = ("run_number", "name", "status", "experiment", "start_time_utc", "duration_seconds", "run_id")


class RunSet(Sequence[Run]):
    """Runs of a history, newest first unless ordered otherwise.

    Nothing is read before the first look; `refresh` reads anew.

    Made by `History.runs`. Slicing gives a run set; an index gives a `Run` whose record is known already.
    """

    def __init__(
        self,
        history: History,
        *,
        project: str | None,
        experiment: str | None = None,
        where: Where | None = None,
        order: Sequence[Order] = (),
        limit: int | None = None,
        archived: bool | None = False,
        user: str | None = None,
        table: pa.Table | None = None,
    ) -> None:
        self._history = history
        self._project = project
        self._experiment = experiment
        self._where = where
        self._order = order
        self._limit = limit
        self._archived = archived
        self._user = user
        self._table = table

    def _rows(self) -> pa.Table:
        """The chosen rows of the index, all its columns."""
        if self._table is None:
            self._table = self._select(self._history._reader.view().table)  # noqa: SLF001 (a run set is a part of its history)
        return self._table

    def _select(self, table: pa.Table) -> pa.Table:
        import pyarrow.compute as pc  # noqa: PLC0415 (loaded on use)

        from runfolio.index.columns import extract  # noqa: PLC0415
        from runfolio.index.layers import kept_rows, one_array  # noqa: PLC0415
        from runfolio.query import materialise, sort_indices  # noqa: PLC0415

        for column, wanted in (
            ("project", self._project),
            ("experiment", self._experiment),
            ("hidden", self._archived),
            ("user_id", self._user),
        ):
            if wanted is not None:
                others = pc.invert(pc.fill_null(pc.equal(table[column], wanted), fill_value=False))
                table = kept_rows(table, one_array(others))
        if self._where is not None:
            terms = materialise(self._where.terms, lambda term: extract(table, term), table.num_rows)
            table = table.filter(self._where.mask(terms))
        if self._order:
            terms = materialise(
                [one for order in self._order for one in order.terms], lambda term: extract(table, term), table.num_rows
            )
            table = table.take(sort_indices(self._order, terms))
        return table if self._limit is None else table.slice(0, self._limit)

    def refresh(self) -> RunSet:
        """Forget what was read, so that the next look reads the store anew. Returns the set itself."""
        self._table = None
        return self

    def records(self) -> list[Record]:
        """Return the records of all runs of the set."""
        return [record_of(row) for row in self._rows().to_pylist()]

    def ids(self) -> list[str]:
        """Return the ids of all runs of the set."""
        ids: list[str] = self._rows()["run_id"].to_pylist()
        return ids

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the flat records, as the command line prints them."""
        return [record.to_dict() for record in self.records()]

    def to_arrow(self, columns: Sequence[str] | str | None = None) -> pa.Table:
        """Return the runs as an Arrow table, one row a run.

        Args:
            columns: what to put into it: fields, metrics, ``params.x``, ``max(`val/acc`)``, as in a query. By default
                all fields and the last value of every metric and param that any of the runs has.

        Raises:
            QueryError: a column cannot be understood.
        """
        from runfolio.tables import flat_table  # noqa: PLC0415 (loads pyarrow)

        return flat_table(self._rows(), columns)

    def to_pandas(self, columns: Sequence[str] | str | None = None) -> pd.DataFrame:
        """Return the runs as a pandas DataFrame, one row a run. The columns are those of `to_arrow`."""
        frame: pd.DataFrame = self.to_arrow(columns).to_pandas()
        return frame

    def __len__(self) -> int:
        return int(self._rows().num_rows)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> RunSet: ...
    def __getitem__(self, index: int | slice) -> Run | RunSet:
        table = self._rows()
        if isinstance(index, slice):
            places = range(table.num_rows)[index]
            part = table.slice(places.start, len(places)) if places.step == 1 else table.take(list(places))
            return RunSet(self._history, project=self._project, table=part)
        place = range(table.num_rows)[index]
        return self._run(record_of(table.slice(place, 1).to_pylist()[0]))

    def __iter__(self) -> Iterator[Run]:
        for batch in self._rows().to_batches(max_chunksize=1000):
            for row in batch.to_pylist():
                yield self._run(record_of(row))

    def _run(self, record: Record) -> Run:
        return Run(self._history, record.run_id, record)

    def __repr__(self) -> str:
        state = "not read yet" if self._table is None else f"{len(self)} runs"
        return f"<RunSet of {self._history.url}: {state}>"

    def _repr_html_(self) -> str:
        from runfolio.notebook_html import table_html  # noqa: PLC0415 (only in notebooks)

        shown = [record.to_dict() for record in self[:20].records()]
        metrics = dict.fromkeys(name for record in self[:20].records() for name in record.metrics)
        return table_html(shown, [*_DEFAULT_COLUMNS, *metrics], len(self))

"""Runs as a flat Arrow table: fields, and a column for each metric and param."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.index.columns import extract
from runfolio.query import parse_columns
from runfolio.query.terms import Term
from runfolio.values import load_json

if TYPE_CHECKING:
    from runfolio.query import Column

_NESTED = ("params", "metrics", "summary")


def flat_table(runs: pa.Table, columns: Sequence[str] | str | None = None) -> pa.Table:
    """Return one row a run with the columns that were asked for, or all there are.

    See `runfolio.run_set.RunSet.to_arrow`.
    """
    if columns is not None:
        chosen: list[Column] = parse_columns(columns)
        return pa.table({column.title: _column(runs, column.term) for column in chosen})
    flat = {name: runs[name] for name in runs.column_names if name not in _NESTED}
    for source in ("param", "metric"):
        for name in names_of(runs, source):
            title = f"{source}s.{name}" if source == "param" or name in flat else name
            flat[title] = _column(runs, Term(source, name))
    return pa.table(flat)


def names_of(runs: pa.Table, source: Literal["param", "metric"]) -> list[str]:
    """Return the names of the metrics or params that any of the runs has, sorted."""
    return sorted({name for name, _ in _kinds(runs, source)})


def _kinds(runs: pa.Table, source: Literal["param", "metric"]) -> set[tuple[str, str]]:
    """Each name with each kind that its values have."""
    items: Any = pc.list_flatten(runs[f"{source}s"])
    items = items.combine_chunks() if isinstance(items, pa.ChunkedArray) else items
    if len(items) == 0:
        return set()
    kind = items.field("kind")
    pairs = (
        pa.table({"name": _plain(items.field("name")), "kind": _plain(kind)}).group_by(["name", "kind"]).aggregate([])
    )
    return set(zip(pairs["name"].to_pylist(), pairs["kind"].to_pylist(), strict=True))


def _plain(array: Any) -> Any:
    return array.cast(pa.string()) if pa.types.is_dictionary(array.type) else array


def _column(runs: pa.Table, term: Term) -> Any:
    """The values of a term in the narrowest type that holds all of them: numbers, bools, texts, else JSON text."""
    if term.source == "field":
        return runs[term.name] if term.name in runs.column_names else extract(runs, term)
    if term.source == "tag" or term.statistic != "last":
        return extract(runs, term)
    if term.source == "metric":
        lists = _lists(runs, term.name)
        if lists is not None:
            return lists
    kinds = {kind for name, kind in _kinds(runs, term.source) if name == term.name}
    number = extract(runs, Term(term.source, term.name, "last", "number"))
    if kinds == {"int"} and not extract(runs, Term(term.source, term.name, "last", "text")).is_valid().true_count:
        return pc.cast(number, pa.int64())
    if kinds <= {"float", "int"}:
        return number
    if kinds == {"bool"}:
        return pc.cast(number, pa.bool_())
    text = extract(runs, Term(term.source, term.name, "last", "text"))
    if kinds == {"str"}:
        return text
    return pc.coalesce(text, pc.cast(number, pa.string()))


def _lists(runs: pa.Table, name: str) -> pa.Array | None:
    """The last values of a metric that was logged as a list in any of the runs, or None when it never was."""
    items = runs["metrics"]
    flat: Any = pc.list_flatten(items)
    if len(flat) == 0:
        return None
    flat = flat.combine_chunks() if isinstance(flat, pa.ChunkedArray) else flat
    parents: Any = pc.list_parent_indices(items)
    parents = parents.combine_chunks() if isinstance(parents, pa.ChunkedArray) else parents
    here = pc.and_(pc.equal(_plain(flat.field("name")), name), pc.is_valid(flat.field("list")))
    texts: Iterable[str] = flat.field("list").filter(here).to_pylist()
    values: list[Any] = [None] * runs.num_rows
    found = False
    for place, text in zip(parents.filter(here).to_pylist(), texts, strict=True):
        values[place] = load_json(text.encode())
        found = True
    if not found:
        return None
    scalars = extract(runs, Term("metric", name, "last", "number")).to_pylist()
    mixed = [value if value is not None else scalar for value, scalar in zip(values, scalars, strict=True)]
    try:
        return pa.array(mixed)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        from runfolio.values import dump_json  # noqa: PLC0415 (only for lists of mixed kinds)

        return pa.array([None if value is None else dump_json(value).decode() for value in mixed], pa.string())

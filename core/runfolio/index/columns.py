"""One value of each run as an Arrow array: what `where`, `order_by` and columns work on. No loop over runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.errors import QueryError
from runfolio.index.layers import one_array

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.query.terms import Reading, Term

_NUMBERS: Final = ("float", "int", "bool")
_ARROW: Final[dict[Reading, pa.DataType]] = {"number": pa.float64(), "text": pa.string(), "present": pa.bool_()}
_LISTS: Final = {"param": "params", "metric": "metrics", "tag": "tags"}
_MICROSECONDS: Final = 1e6


def extract(table: pa.Table, term: Term) -> pa.Array:
    """Return the value of a term for each row of a view's table.

    Numbers are float64 (bools 0 and 1, times in seconds since 1970); texts are strings (times as ISO 8601 in UTC). A
    value of the other kind is null, as is one that the run lacks. With reading ``present`` the array is boolean and has
    no nulls.

    Raises:
        QueryError: the table has no such field.
    """
    if term.source == "field":
        return _field(table, term)
    lists = table.column(_LISTS[term.source])
    read = {"param": _param, "metric": _metric, "tag": _tag}[term.source]
    chunks = [_chunk(chunk, term, read) for chunk in lists.chunks]
    return pa.concat_arrays(chunks) if chunks else pa.array([], _ARROW[term.reading])


def _chunk(lists: pa.Array, term: Term, read: Callable[[pa.Array, Term], pa.Array]) -> pa.Array:
    """The values of one chunk of a list column: each chunk has a dictionary of its own."""
    items, parents = lists.flatten(), pc.list_parent_indices(lists).cast(pa.int64())
    found = _equal(items if term.source == "tag" else items.field("name"), term.name)
    return _spread(read(items.filter(found), term), parents.filter(found), len(lists), term.reading)


def _equal(words: pa.Array, word: str) -> pa.Array:
    """Where a column of words has this word. Dictionaries are compared by their codes."""
    if isinstance(words, pa.DictionaryArray):
        codes = pc.filter(
            pa.array(range(len(words.dictionary)), words.indices.type),
            pc.equal(words.dictionary, pa.scalar(word, pa.string())),
        )
        if not len(codes):
            return pa.repeat(pa.scalar(value=False), len(words))
        matches = pc.equal(words.indices, codes[0]) if len(codes) == 1 else pc.is_in(words.indices, value_set=codes)
    else:
        matches = pc.equal(words, pa.scalar(word, pa.string()))
    return pc.fill_null(matches, fill_value=False)


def _spread(values: pa.Array, parents: pa.Array, rows: int, reading: Reading) -> pa.Array:
    """Values of some rows as an array over all rows."""
    # index_in gives the first element of a row, should a foreign file name one twice.
    places = pc.index_in(pa.array(range(rows), pa.int64()), value_set=parents)
    spread = values.take(places)
    return pc.fill_null(spread, fill_value=False) if reading == "present" else spread


def _param(items: pa.Array, term: Term) -> pa.Array:
    if term.reading == "present":
        return pc.invert(_equal(items.field("kind"), "null"))
    if term.reading == "text":
        return _where(_equal(items.field("kind"), "str"), items.field("text"))
    return _where(_is_number(items), items.field("value"))


def _metric(items: pa.Array, term: Term) -> pa.Array:
    if term.reading == "present":
        return pa.repeat(pa.scalar(value=True), len(items))
    if term.reading == "text":
        usable = term.statistic == "last"
        texts = _where(_equal(items.field("kind"), "str"), items.field("text"))
        return texts if usable else pa.nulls(len(items), pa.string())
    if term.statistic == "count":
        return items.field("count").cast(pa.float64())
    last = _where(_is_number(items), items.field("last"))
    if term.statistic == "last":
        return last
    # A single scalar is its own smallest and largest value, and is stored once.
    single = pc.and_(pc.equal(items.field("count"), 1), pc.is_finite(last))
    return pc.coalesce(items.field(term.statistic), _where(single, last))


def _is_number(items: pa.Array) -> pa.Array:
    kinds = items.field("kind")
    found = _equal(kinds, _NUMBERS[0])
    for kind in _NUMBERS[1:]:
        found = pc.or_(found, _equal(kinds, kind))
    return found


def _where(condition: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(pc.fill_null(condition, fill_value=False), values, pa.scalar(None, values.type))


def _tag(items: pa.Array, term: Term) -> pa.Array:
    value = term.name if term.reading == "text" else True
    return pa.repeat(pa.scalar(value, pa.string() if term.reading == "text" else pa.bool_()), len(items)).cast(
        _ARROW[term.reading]
    )


def _field(table: pa.Table, term: Term) -> pa.Array:
    if term.name not in table.schema.names:
        raise QueryError(f"A run has no field {term.name!r}; params are named params.<name>", key=term.name)
    column = one_array(table.column(term.name))
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if term.reading == "present":
        return pc.is_valid(column)
    if term.reading == "number":
        return _as_number(column)
    return _as_text(column)


def _as_number(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return pc.divide(column.cast(pa.int64()).cast(pa.float64(), safe=False), _MICROSECONDS)
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column.cast(pa.float64(), safe=False)
    return pa.nulls(len(column), pa.float64())


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_timestamp(column.type):
        # As documents spell it: fractions of six digits, and the offset.
        return pc.binary_join_element_wise(pc.strftime(column, format="%Y-%m-%dT%H:%M:%S"), "+00:00", "")
    return pa.nulls(len(column), pa.string())

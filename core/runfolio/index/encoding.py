"""Rows of the index as the columns of a checkpoint, and back, without loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import pyarrow as pa

from runfolio.ids import parse_run_id
from runfolio.index.cells import (
    END,
    START,
    Cell,
    Item,
    hex_cell,
    int_cell,
    json_cell,
    metric_item,
    summary_of,
    text_cell,
    texts_cell,
    time_cell,
    time_text,
    value_items,
    value_of,
    values_of,
)
from runfolio.index.difference import difference, from_json_text, json_text, patched
from runfolio.index.row import Document, Row, identical
from runfolio.index.schema import CHECKPOINT
from runfolio.index.shown import Shown, shown

_START_TEXTS: Final = {
    "experiment": "experiment",
    "script": "script_name",
    "target": "target",
    "user_id": "user_id",
    "host": "host",
    "mode": "mode",
    "parent": "parent_run_id",
    "snapshot": "commit_id",
}
_EDITABLE: Final = ("name", "note", "description")
_START_TIMES: Final = {"created": "created_utc", "started": "start_time_utc"}
_COUNTS: Final = ("files", "bytes", "rows")
Beats = Mapping[str, Mapping[str, Any]]


def encode(rows: Iterable[tuple[str, Row]], beats: Mapping[str, Beats] | None = None) -> pa.Table:
    """Return rows as a table of the schema `CHECKPOINT`, in the order given.

    Args:
        rows: run ids with their rows.
        beats: for the runs that still run, the beats of their writers. A table that shows beats is for showing only:
            decoding gives the rows, but a checkpoint must not be made of it.
    """
    live = beats or {}
    records = [encode_row(run_id, row, live.get(run_id)) for run_id, row in rows]
    columns = [_array([record[field.name] for record in records], field.type) for field in CHECKPOINT]
    return pa.table(columns, schema=CHECKPOINT)


def encode_row(run_id: str, row: Row, beats: Beats | None = None) -> dict[str, Cell]:
    """Return the cells of one row."""
    cells = _cells(run_id, row, shown(row, beats))
    patch = difference(_restored(cells), _plain(row))
    cells["rest"] = None if patch is None else json_text(patch)
    return cells


def decode_row(cells: Mapping[str, Cell]) -> Row:
    """Return the row that `encode_row` made these cells of."""
    plain = _restored(cells)
    if cells["rest"] is not None:
        plain = patched(plain, from_json_text(cells["rest"]))
    if "attempts" in plain:
        plain["attempts"] = {int(number): document for number, document in plain["attempts"].items()}
    return cast("Row", plain)


def decode(table: pa.Table) -> list[Row]:
    """Return the rows of a table of the schema `CHECKPOINT`."""
    return [decode_row(cells) for cells in _records(table)]


def _records(table: pa.Table) -> list[dict[str, Cell]]:
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        plain = column.cast(pa.int64()) if pa.types.is_timestamp(field.type) else column
        columns.append(plain.to_pylist())
    names = table.schema.names
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _plain(row: Row) -> dict[str, Any]:
    """The row as JSON has it: keys are texts."""
    plain = cast("dict[str, Any]", dict(row))
    if "attempts" in row:
        plain["attempts"] = {str(number): document for number, document in row["attempts"].items()}
    return plain


def _cells(run_id: str, row: Row, seen: Shown) -> dict[str, Cell]:
    project, milliseconds, short = parse_run_id(run_id)
    start, end = seen["start"], seen["end"] or {}
    main_name, main_token = _writer_cells(start.get("main"))
    cells: dict[str, Cell] = dict.fromkeys(CHECKPOINT.names)
    cells.update(
        project=project,
        created_ms=milliseconds,
        short=short,
        uid=hex_cell(start.get("uid"), 16),
        main_name=main_name,
        main_token=main_token,
        changed=int_cell(row.get("changed")),
        deleted=bool(row.get("deleted")),
        started="start" in row,
    )
    if "start" in row:
        _fill_start(cells, start, seen)
    _fill_end(cells, end, seen)
    _fill_values(cells, start, end, seen)
    return cells


def _writer_cells(writer: object) -> tuple[str | None, bytes | None]:
    if not isinstance(writer, str):
        return None, None
    name, _, token = writer.rpartition(".")
    return text_cell(name), hex_cell(token, 8)


def _fill_start(cells: dict[str, Cell], start: Mapping[str, Any], seen: Shown) -> None:
    cells["run_number"] = int_cell(start.get("number"))
    for key, column in _START_TEXTS.items():
        cells[column] = text_cell(start.get(key))
    for key, column in _START_TIMES.items():
        cells[column] = time_cell(start.get(key))
    for column in _EDITABLE:
        cells[column] = text_cell(seen[column])  # type: ignore[literal-required]  # one of three keys of Shown
    cells["hidden"] = seen["hidden"]
    cells["tags"] = texts_cell(seen["tags"])
    cells["argv"] = texts_cell(start.get("argv"))


def _fill_end(cells: dict[str, Cell], end: Mapping[str, Any], seen: Shown) -> None:
    cells["status"] = text_cell(end.get("status"))
    cells["reason"] = text_cell(end.get("reason"))
    cells["exit_code"] = int_cell(end.get("exit_code"))
    cells["attempt"] = int_cell(end.get("attempt"))
    cells["end_time_utc"] = time_cell(end.get("ended"))
    for column in _COUNTS:
        cells[column] = int_cell(seen[column])
    cells["attachments"] = texts_cell(seen["attachments"])


def _fill_values(cells: dict[str, Cell], start: Mapping[str, Any], end: Mapping[str, Any], seen: Shown) -> None:
    cells["properties"] = json_cell(seen["properties"])
    cells["later"] = json_cell(end.get("properties"))
    cells["definitions"] = json_cell(seen["definitions"])
    cells["params"] = _param_items(seen["params"], _mapping(start.get("params")), _mapping(end.get("params")))
    cells["summary"] = value_items(seen["summary"])
    cells["metrics"] = [metric_item(name, summary) for name, summary in sorted(seen["metrics"].items())]


def _param_items(params: Mapping[str, object], first: Mapping[str, Any], later: Mapping[str, Any]) -> list[Item]:
    items = value_items(params)
    for name, item in zip(sorted(params), items, strict=True):
        value = params[name]
        origin = START if name in first and identical(first[name], value) else 0
        item["origin"] = origin | (END if name in later and identical(later[name], value) else 0)
    return items


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _restored(cells: Mapping[str, Cell]) -> dict[str, Any]:
    """The row as these cells alone tell it: one main writer, no edits, documents with the usual fields."""
    row: dict[str, Any] = {}
    if cells["changed"] is not None:
        row["changed"] = cells["changed"]
    if cells["deleted"]:
        row["deleted"] = True
        return row
    later = {} if cells["later"] is None else from_json_text(cells["later"])
    properties = {} if cells["properties"] is None else from_json_text(cells["properties"])
    if cells["started"]:
        row["start"] = _restored_start(cells, {key: value for key, value in properties.items() if key not in later})
    if cells["status"] is not None and cells["main_token"] is not None:
        row["ends"] = {_writer(cells): _restored_end(cells, later)}
    return row


def _writer(cells: Mapping[str, Cell]) -> str:
    return f"{cells['main_name']}.{cells['main_token'].hex()}"


def _restored_start(cells: Mapping[str, Cell], properties: Document) -> Document:
    start: Document = {
        "tags": cells["tags"],
        "argv": cells["argv"],
        "properties": properties,
        "number": cells["run_number"],
    }
    for key, column in _START_TEXTS.items():
        start[key] = cells[column]
    for key, column in _START_TIMES.items():
        start[key] = _time(cells[column])
    for column in _EDITABLE:
        start[column] = cells[column]
    if cells["uid"] is not None:
        start["uid"] = cells["uid"].hex()
    if cells["main_token"] is not None:
        start["main"] = _writer(cells)
    start["params"] = _params(cells, START)
    return {key: value for key, value in start.items() if value is not None}


def _restored_end(cells: Mapping[str, Cell], properties: Document) -> Document:
    end: Document = {key: cells[key] for key in ("status", "reason", "exit_code", "attempt", "attachments", *_COUNTS)}
    end["ended"] = _time(cells["end_time_utc"])
    end["definitions"] = {} if cells["definitions"] is None else from_json_text(cells["definitions"])
    end.update(main=True, properties=properties, failed_uploads=[], left_behind=[])
    end["params"] = _params(cells, END)
    end["summary"] = values_of(cells["summary"])
    end["metrics"] = {item["name"]: summary_of(item) for item in cells["metrics"] or ()}
    return {key: value for key, value in end.items() if value is not None}


def _params(cells: Mapping[str, Cell], origin: int) -> Document:
    return {
        item["name"]: value_of(item["kind"], item["value"], item["text"])
        for item in cells["params"] or ()
        if item["origin"] & origin
    }


def _time(cell: int | None) -> str | None:
    return None if cell is None else time_text(cell)


def _array(values: Sequence[Cell], kind: pa.DataType) -> pa.Array:
    """An array of this type; lists of structs are made field by field, which is what makes it quick."""
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        offsets = [0]
        flat: list[Item] = []
        for items in values:
            flat.extend(items or ())
            offsets.append(len(flat))
        fields = [_array([item[field.name] for item in flat], field.type) for field in kind.value_type]
        elements = pa.StructArray.from_arrays(fields, fields=list(kind.value_type))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), elements, type=kind)
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_list(kind) and pa.types.is_dictionary(kind.value_type):
        plain = pa.array(values, pa.list_(kind.value_type.value_type))
        return _encode_elements(plain, kind)
    return pa.array(values, kind)


def _encode_elements(plain: pa.Array, kind: pa.DataType) -> pa.Array:
    words = plain.values.dictionary_encode().cast(kind.value_type)
    return pa.ListArray.from_arrays(plain.offsets, words, type=kind, mask=plain.is_null() if plain.null_count else None)

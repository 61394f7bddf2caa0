"""The columns of a checkpoint and of the table that a view shows (``docs/format.md``, "Index").

Columns hold what is *shown*, so listing needs no work per run. What the columns cannot say of a row is kept as a JSON
patch in `rest` (`runfolio.index.difference`), so nothing is lost: most rows have none.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

NAMES: Final = pa.dictionary(pa.int32(), pa.string())
"""Texts that many runs share: they compress to next to nothing and are compared as numbers."""
TIME: Final = pa.timestamp("us", tz="UTC")
INSTANT: Final = pa.timestamp("us")


def _struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct([pa.field(name, kind) for name, kind in fields.items()])


VALUE: Final = _struct(name=NAMES, kind=NAMES, value=pa.float64(), text=pa.string())
"""A param or summary value. `text` is a str, the digits of an int beyond 2^53, or JSON for kind ``json``."""
PARAM: Final = _struct(name=NAMES, kind=NAMES, value=pa.float64(), text=pa.string(), origin=pa.int8())
"""As `VALUE`; `origin` is 1 when the start brought it, 2 the end, 3 both."""
METRIC: Final = _struct(
    name=NAMES,
    kind=NAMES,
    count=pa.int64(),
    last=pa.float64(),
    text=pa.string(),
    last_step=pa.int64(),
    min=pa.float64(),
    max=pa.float64(),
    min_step=pa.int64(),
    max_step=pa.int64(),
    list=pa.string(),
)

CHECKPOINT: Final = pa.schema(
    [
        # Who the run is. The id is project, created_ms and short put together.
        pa.field("project", NAMES),
        pa.field("created_ms", pa.int64()),
        pa.field("short", pa.string()),
        pa.field("uid", pa.binary(16)),
        pa.field("main_name", NAMES),
        pa.field("main_token", pa.binary(8)),
        pa.field("changed", pa.int64()),
        pa.field("deleted", pa.bool_()),
        pa.field("started", pa.bool_()),
        # What the start says, with edits.
        pa.field("run_number", pa.int64()),
        pa.field("experiment", NAMES),
        pa.field("script_name", NAMES),
        pa.field("name", NAMES),
        pa.field("note", pa.string()),
        pa.field("description", pa.string()),
        pa.field("target", NAMES),
        pa.field("user_id", NAMES),
        pa.field("host", NAMES),
        pa.field("mode", NAMES),
        pa.field("parent_run_id", pa.string()),
        pa.field("commit_id", NAMES),
        pa.field("created_utc", TIME),
        pa.field("start_time_utc", TIME),
        pa.field("hidden", pa.bool_()),
        pa.field("tags", pa.list_(NAMES)),
        pa.field("argv", pa.list_(pa.string())),
        # What the end of the main writer says; null while there is none.
        pa.field("status", NAMES),
        pa.field("reason", NAMES),
        pa.field("exit_code", pa.int64()),
        pa.field("attempt", pa.int64()),
        pa.field("end_time_utc", TIME),
        # Over all writers.
        pa.field("files", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("attachments", pa.list_(NAMES)),
        pa.field("properties", NAMES),
        pa.field("later", NAMES),
        pa.field("definitions", NAMES),
        pa.field("params", pa.list_(PARAM)),
        pa.field("summary", pa.list_(VALUE)),
        pa.field("metrics", pa.list_(METRIC)),
        pa.field("rest", pa.string()),
    ]
)
"""Columns of a checkpoint, one row a run, newest first. `later` are the properties that the end brought."""

VIEW: Final = pa.schema(
    [
        pa.field("project", NAMES),
        pa.field("run_id", pa.string()),
        pa.field("run_number", pa.int64()),
        pa.field("experiment", NAMES),
        pa.field("script_name", NAMES),
        pa.field("name", NAMES),
        pa.field("note", pa.string()),
        pa.field("description", pa.string()),
        pa.field("status", NAMES),
        pa.field("liveness", NAMES),
        pa.field("target", NAMES),
        pa.field("user_id", NAMES),
        pa.field("host", NAMES),
        pa.field("parent_run_id", pa.string()),
        pa.field("created_utc", TIME),
        pa.field("start_time_utc", TIME),
        pa.field("end_time_utc", TIME),
        pa.field("duration_seconds", pa.float64()),
        pa.field("hidden", pa.bool_()),
        pa.field("tags", pa.list_(NAMES)),
        pa.field("argv", pa.list_(pa.string())),
        pa.field("attachments", pa.list_(NAMES)),
        pa.field("files", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("commit_id", NAMES),
        pa.field("properties", NAMES),
        pa.field("params", pa.list_(VALUE)),
        pa.field("metrics", pa.list_(METRIC)),
        pa.field("definitions", NAMES),
        pa.field("summary", pa.list_(VALUE)),
    ]
)
"""Columns of `runfolio.index.view.View.table`, one row a run that is not deleted, newest first."""

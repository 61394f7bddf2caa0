"""Flat records as a table: metric columns first, then duration, run id, script, start and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeGuard

from runfolio.records import FIELDS
from runfolio_plugins.cli.plain import Plain
from runfolio_plugins.cli.tables import Table

LAST_COLUMNS: Final = ("duration", "run_id", "script_name", "start_time_utc", "status")
"""The built-in fields of the table, after the metrics."""
SPARE: Final = ("Start_time_utc", "Script_name", "Duration")
"""Built-in columns that make room for metrics on a narrow terminal, the first one first."""
HIDDEN_PREFIX: Final = "system/"
"""Metrics of the machine: in the record, and in a table when asked for with ``--columns``."""
_MARKS: Final = frozenset({"run_id", "run_number", "experiment_id", "heartbeat_enabled"})
WHOLE: Final = frozenset({"Duration", "Run_id", "Start_time_utc", "End_time_utc", "Created_utc", "Status"})

Record = dict[str, Plain]


def is_record(value: object) -> TypeGuard[Record]:
    """Whether this is a whole flat record, and not what a query made of one."""
    return isinstance(value, dict) and value.keys() >= _MARKS


def header(key: str) -> str:
    """Return the header of a column: built-in fields with a capital, metrics under their own names."""
    return f"{key[:1].upper()}{key[1:]}" if key in FIELDS else key


def metric_names(records: Sequence[Mapping[str, Plain]]) -> list[str]:
    """Return the keys of the metrics in these records, alphabetically, without those of the machine."""
    names = {key for record in records for key in record if key not in FIELDS}
    return sorted(name for name in names if not name.startswith(HIDDEN_PREFIX))


def record_columns(records: Sequence[Mapping[str, Plain]]) -> list[str]:
    """Return the keys that a table of these records shows, in order."""
    return [*metric_names(records), *LAST_COLUMNS]


def records_table(records: Sequence[Mapping[str, Plain]]) -> Table:
    """Return the table of whole records. A run without a metric has an empty cell."""
    keys = record_columns(records)
    return Table(
        headers=[header(key) for key in keys],
        rows=[[record.get(key) for key in keys] for record in records],
        optional=len(keys) - len(LAST_COLUMNS),
        spare=SPARE,
        whole=WHOLE,
    )


def properties_table(record: Mapping[str, Plain]) -> Table:
    """Return one record as names and values, one a line: metrics first, nested objects with dotted names."""
    metrics = sorted(key for key in record if key not in FIELDS)
    rows: list[list[Plain]] = [[key, record[key]] for key in metrics]
    for key in sorted(key for key in record if key in FIELDS):
        value = record[key]
        if isinstance(value, dict):
            rows.extend([f"{key}.{name}", item] for name, item in value.items())
        else:
            rows.append([header(key), value])
    return Table(headers=["Name", "Value"], rows=rows, whole=frozenset({"Name"}), longest=120)

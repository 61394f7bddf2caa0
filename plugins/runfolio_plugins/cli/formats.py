"""The output formats: json, jsonc (coloured), table and tsv, of records and of whatever a query made of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from typing import Final

import click

from runfolio_plugins.cli.escaping import escape, escape_json
from runfolio_plugins.cli.plain import Plain
from runfolio_plugins.cli.runs_table import is_record, record_columns, records_table
from runfolio_plugins.cli.tables import Table, layout

OUTPUTS: Final = ("json", "jsonc", "table", "tsv")
MakeTable = Callable[[Plain], Table]
"""Makes the table of a command's own data; results of queries get the one that `any_table` finds."""

_TOKENS: Final = re.compile(r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>-?\b[\w.+-]+\b)')
_COLOURS: Final = {"key": "blue", "text": "green", "word": "cyan"}
_STATUS: Final = {"Completed": "green", "Failed": "red", "Canceled": "yellow", "Lost": "red", "Running": "blue"}


def render(data: Plain, output: str, *, make_table: MakeTable | None = None) -> str:
    """Return data in an output format, without a final line end.

    Args:
        data: plain data.
        output: one of `OUTPUTS`.
        make_table: how this data looks as a table; None: found from its shape.
    """
    if output == "tsv":
        return tsv(data)
    if output == "table":
        if make_table is None and data in (None, []):
            return ""
        return table_text(make_table(data) if make_table else any_table(data))
    text = json_text(data)
    return _colour(text) if output == "jsonc" and colours() else text


def json_text(data: Plain) -> str:
    """Return indented JSON, in which no character can act on a terminal."""
    return escape_json(json.dumps(data, indent=2, ensure_ascii=not _takes_all_letters(), allow_nan=False))


def _compact(data: Plain) -> str:
    return escape_json(json.dumps(data, ensure_ascii=not _takes_all_letters(), allow_nan=False))


def _takes_all_letters() -> bool:
    """Whether standard output is Unicode; JSON for any other is spelled in ASCII, and so stays JSON."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith(("utf", "ascii", "usascii"))


def colours() -> bool:
    """Whether output may be coloured: on a terminal, unless NO_COLOR is set; elsewhere when FORCE_COLOR is."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def _colour(text: str) -> str:
    return _TOKENS.sub(lambda found: click.style(found[0], fg=_COLOURS[found.lastgroup or "word"]), text)


def _paint(header: str, text: str) -> str:
    if not header:
        return click.style(text, bold=True)
    if header == "Status":
        return click.style(text, fg=_STATUS.get(text.strip()))
    return text


def table_text(table: Table) -> str:
    """Return a table as it is printed: coloured and cut to width on a terminal, plain and whole elsewhere."""
    terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if terminal else None
    lines, left_out = layout(table, columns=columns, paint=_paint if colours() else None)
    if left_out:
        names = ", ".join(left_out[:5]) + (", …" if len(left_out) > 5 else "")  # noqa: PLR2004 (a line's worth of names)
        click.echo(
            f"{len(left_out)} columns not shown ({names}): widen the terminal, choose --columns, or use -o json",
            err=True,
        )
    return "\n".join(lines)


def any_table(data: Plain) -> Table:
    """Return the table of data of any shape.

    Whole records get the columns of ``runfolio list``; other objects their own keys; lists are rows of numbered
    columns; a single value stands under ``Result``.
    """
    rows = data if isinstance(data, list) else [data]
    if rows and all(is_record(row) for row in rows):
        return records_table([row for row in rows if is_record(row)])
    objects = [row for row in rows if isinstance(row, dict)]
    if objects and len(objects) == len(rows):
        keys = _keys(objects)
        return Table(keys, [[row.get(key) for key in keys] for row in objects])
    lists = [row for row in rows if isinstance(row, list)]
    if lists and len(lists) == len(rows):
        size = max(len(row) for row in lists)
        return Table(
            [f"Column{place}" for place in range(1, size + 1)], [[*row, *[None] * (size - len(row))] for row in lists]
        )
    return Table(["Result"], [[row] for row in rows])


def _keys(objects: list[dict[str, Plain]]) -> list[str]:
    return list(dict.fromkeys(key for row in objects for key in row))


def tsv(data: Plain) -> str:
    r"""Return data as lines of values divided by tabs, without a header.

    Texts escape the backslash, tab, line ends and control characters (``\\``, ``\t``, ``\n``, ``\x1b``); null is empty;
    numbers keep all of their digits; lists and objects inside a line are JSON.
    """
    if data is None:
        return ""
    rows = data if isinstance(data, list) else [data]
    if rows and all(is_record(row) for row in rows):
        records = [row for row in rows if is_record(row)]
        keys = record_columns(records)
        return "\n".join("\t".join(_tsv_cell(record.get(key)) for key in keys) for record in records)
    keys = _keys([row for row in rows if isinstance(row, dict)])
    return "\n".join(_tsv_row(row, keys) for row in rows)


def _tsv_row(row: Plain, keys: list[str]) -> str:
    if isinstance(row, dict):
        return "\t".join(_tsv_cell(row.get(key)) for key in keys)
    if isinstance(row, list):
        return "\t".join(_tsv_cell(value) for value in row)
    return _tsv_cell(row)


def _tsv_cell(value: Plain) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return escape(value.replace("\\", "\\\\"))
    return _compact(value)

"""Tables as text: a header underlined by dashes, numbers to the right, and what a terminal's width leaves room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runfolio_plugins.cli.cells import LONGEST_TEXT, cell, cut, is_number, pad, width
from runfolio_plugins.cli.escaping import escape

if TYPE_CHECKING:
    from runfolio_plugins.cli.plain import Plain

GAP: Final = "  "
LONGEST_HEADER: Final = 40
NARROWEST: Final = 12
"""A text column is not made narrower than this to fit a terminal."""

_LISTS, _SPARE, _OTHERS, _KEPT = 0, 1, 1000, 1001

Paint = Callable[[str, str], str]
"""Called with a header and a padded cell; returns the cell as a terminal shows it."""


@dataclass(slots=True)
class Table:
    """What is to be shown.

    Attributes:
        headers: one name a column.
        rows: values by row, as long as `headers`.
        optional: how many of the first columns may be left out on a narrow terminal: first those that hold nothing but
            lists, then the columns of `spare`, then the others; of each the last first.
        spare: headers of further columns that may be left out, the least important one first.
        whole: headers of columns that are never narrowed, since half of their text is of no use.
        longest: columns that a text may take.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Plain]]
    optional: int = 0
    spare: Sequence[str] = ()
    whole: frozenset[str] = field(default_factory=frozenset)
    longest: int = LONGEST_TEXT


@dataclass(slots=True)
class _Column:
    header: str
    cells: list[str]
    right: bool
    fixed: bool
    rank: int
    """Columns of a lower rank are left out first; those of `_KEPT` never."""

    @property
    def width(self) -> int:
        return max(width(self.header), *(width(text) for text in self.cells), 1)


def layout(table: Table, *, columns: int | None = None, paint: Paint | None = None) -> tuple[list[str], list[str]]:
    """Return a table's lines, and the headers of the columns there was no room for.

    Args:
        table: what to show.
        columns: width of the terminal; None shows everything at full width.
        paint: colours cells; None leaves them plain.
    """
    shown = [_column(table, place) for place in range(len(table.headers))]
    left_out = _fit(shown, columns) if columns is not None else []
    widths = [column.width for column in shown]
    lines = [_line([(column.header, column.header) for column in shown], shown, widths, paint and _bold(paint))]
    lines.append(GAP.join("-" * size for size in widths))
    lines.extend(
        _line([(column.header, column.cells[row]) for column in shown], shown, widths, paint)
        for row in range(len(table.rows))
    )
    return lines, left_out


def _bold(paint: Paint) -> Paint:
    return lambda _header, text: paint("", text)


def _column(table: Table, place: int) -> _Column:
    values = [row[place] for row in table.rows]
    name = table.headers[place]
    present = [value for value in values if value is not None]
    return _Column(
        header=cut(escape(name), LONGEST_HEADER),
        cells=[cell(value, table.longest) for value in values],
        right=bool(present) and all(is_number(value) for value in present),
        fixed=name in table.whole or not any(isinstance(value, (str, list, dict)) for value in present),
        rank=_rank(table, place, present),
    )


def _rank(table: Table, place: int, present: Sequence[Plain]) -> int:
    if place < table.optional:
        return _LISTS if present and all(isinstance(value, list) for value in present) else _OTHERS
    name = table.headers[place]
    return _SPARE + table.spare.index(name) if name in table.spare else _KEPT


def _line(texts: list[tuple[str, str]], shown: list[_Column], widths: list[int], paint: Paint | None) -> str:
    parts: list[str] = []
    for (header, text), column, size in zip(texts, shown, widths, strict=True):
        padded = pad(text, size, right=column.right)
        parts.append(paint(header, padded) if paint else padded)
    line = GAP.join(parts)
    return line if paint else line.rstrip(" ")


def _total(shown: list[_Column]) -> int:
    return sum(column.width for column in shown) + len(GAP) * max(len(shown) - 1, 0)


def _fit(shown: list[_Column], columns: int) -> list[str]:
    """Narrow the widest texts, then leave out columns, until the table fits. Returns what was left out, in order."""
    while (excess := _total(shown) - columns) > 0:
        soft = [column for column in shown if not column.fixed and column.width > NARROWEST]
        if not soft:
            break
        widest = max(soft, key=lambda column: column.width)
        next_size = max((column.width for column in soft if column.width < widest.width), default=NARROWEST)
        size = max(widest.width - excess, next_size, NARROWEST)
        size = size if size < widest.width else widest.width - 1
        widest.cells = [cut(text, size) for text in widest.cells]
        widest.header = cut(widest.header, size)
    before = list(shown)
    while _total(shown) > columns and any(column.rank < _KEPT for column in shown):
        lowest = min(column.rank for column in shown)
        del shown[max(at for at, column in enumerate(shown) if column.rank == lowest)]
    return [column.header for column in before if not any(column is kept for kept in shown)]

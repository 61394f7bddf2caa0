"""``runfolio compare``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from runfolio.comparing import ComparedFile, ComparedMetric, changes
from runfolio_plugins.cli.emitting import emit, note
from runfolio_plugins.cli.escaping import escape_text
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import (
    Output,
    debug_options,
    open_history,
    output_options,
    project_option,
    store_option,
)
from runfolio_plugins.cli.plain import Plain, plain
from runfolio_plugins.cli.run_words import chosen_words, find_runs, many_runs
from runfolio_plugins.cli.tables import Table

if TYPE_CHECKING:
    from runfolio.comparing import ComparedValue, Comparison

_EXAMPLES = """
runfolio compare k3f9q @last
runfolio compare '#3' '#4' '#5' --all
runfolio compare k3f9q p0x2m -o json --query sections.params
"""
_HASHED = {"artifacts", "source"}
_MEASURED = {"params", "hardware", "summary"}
_PAIR = 2
_HASHES = (40, 64)
_SHORT_HASH = 12


@click.command(cls=Command, examples=_EXAMPLES)
@many_runs
@click.option("--all", "everything", is_flag=True, help="Show what is the same, too.")
@click.option("--no-source", is_flag=True, help="Do not fetch the sources of the runs to compare them line by line.")
@project_option()
@store_option
@output_options("table")
@debug_options
def compare(
    *,
    words: tuple[str, ...],
    named: tuple[str, ...],
    everything: bool,
    no_source: bool,
    project: str | None,
    store: str | None,
    output: Output,
    query: str | None,
) -> None:
    """Show what differs between two or more runs: what explains their results on top, what differs most first.

    Compared are the source (file by file, with unified diffs from the first run), params, arguments, packages,
    hardware, properties, metrics (last and best values, and the step from which on the curves part), summaries, the
    files by hash, and the record.
    """
    chosen = chosen_words(words, named, least=2)
    with open_history(store, project) as history:
        runs = find_runs(history, chosen, project, least=2)
        comparison = history.compare(runs, source=not no_source)
        if not everything:
            comparison = comparison.differences()
        emit(comparison.to_dict(), output, query, make_table=lambda _data: _table(comparison), sort=False)
        if output.format == "table" and query is None:
            for text in _diffs(comparison):
                click.echo(escape_text(text))
        for problem in comparison.problems:
            note(problem)
        if not comparison.sections:
            note("the runs do not differ")


def _table(comparison: Comparison) -> Table:
    """One line for each value that is compared, one column for each run; run numbers at the very top."""
    first: list[list[Plain]] = []
    rows: list[list[Plain]] = []
    for section, values in comparison.sections.items():
        for value in values:
            cells = [plain(one) for one in value.values]
            if section in _HASHED:
                cells = [*map(_short_hash, cells)]
            row: list[Plain] = [section, value.name, *cells, _difference(section, value)]
            (first if (section, value.name) == ("record", "run_number") else rows).append(row)
            if isinstance(value, ComparedMetric) and value.goal is not None and [*value.best] != [*value.values]:
                rows.append(
                    [section, f"{value.name} (best: {value.goal})", *map(plain, value.best), _change(value.best)]
                )
    headers = ["Section", "Name", *(run.id for run in comparison.runs), "Difference"]
    return Table(headers, [*first, *rows], whole=frozenset({"Section", "Name"}))


def _difference(section: str, value: ComparedValue) -> str:
    """How far the numbers lie apart, and from which step on; nothing where there is no more to say than the values."""
    if isinstance(value, ComparedMetric):
        parts = [_change(value.values)]
        if value.diverges_at is not None:
            parts.append(f"apart from step {value.diverges_at} on")
        elif value.common_steps:
            parts.append(f"the same at {value.common_steps} common steps")
        return ", ".join(filter(None, parts))
    return _change(value.values) if section in _MEASURED else ""


def _change(values: Sequence[object]) -> str:
    """The change from the first run to the second, or for more than two the span of them all."""
    found = changes(values)
    numbers = [one for one in found if one is not None]
    if len(numbers) < len(values) or not any(numbers):
        return ""
    if len(values) > _PAIR:
        return f"span {max(numbers) - min(numbers):.6g}"
    base = values[0]
    percent = f" ({numbers[1] / abs(base):+.1%})" if isinstance(base, (int, float)) and base else ""
    return f"{numbers[1]:+.6g}{percent}"


def _diffs(comparison: Comparison) -> Iterator[str]:
    for value in comparison.sections.get("source", ()):
        if isinstance(value, ComparedFile):
            yield from (diff for diff in value.diffs if diff)


def _short_hash(value: Plain) -> Plain:
    return value[:_SHORT_HASH] if isinstance(value, str) and len(value) in _HASHES else value

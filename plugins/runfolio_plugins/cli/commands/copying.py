"""``runfolio store copy``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import Output, debug_options, open_history, output_options, project_option
from runfolio_plugins.cli.reports import emit_report

if TYPE_CHECKING:
    from runfolio.copying import CopyProgress

_EXAMPLES = """
runfolio store copy ./history s3://bucket/prefix
runfolio store copy team archive --where "tag:prod"
runfolio store copy s3://bucket/prefix ./backup --project iris -o json
"""


@click.command("copy", cls=Command, examples=_EXAMPLES)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("--where", metavar="QUERY", help="Only runs for which this holds.")
@project_option("Only runs of this project. Default: all projects.")
@click.option(
    "--trust-server",
    is_flag=True,
    help="Do not read back what was copied on the server's side: compare its size, not its hash.",
)
@output_options("table")
@debug_options
def copy(
    *,
    source: str,
    target: str,
    where: str | None,
    project: str | None,
    trust_server: bool,
    output: Output,
    query: str | None,
) -> None:
    """Copy runs from the store SRC into the store DST.

    Each is a folder, a URL or the name of a configured store. Ids stay; nothing in DST is overwritten. What is there is
    compared and left, so a copy that was interrupted is continued by the same command. The exit code is 1 when
    something could not be copied as it is.
    """
    with (
        open_history(source) as history,
        open_history(target, write=True, must_exist=False, send_leftovers=False) as other,
        _progress() as told,
    ):
        report = history.copy_to(other, where=where, project=project, verify=not trust_server, progress=told)
    emit_report(report, output, query)


@contextmanager
def _progress() -> Generator[Callable[[CopyProgress], None] | None]:
    """A bar on the terminal, where there is one."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 (only for a terminal)
    from rich.filesize import decimal  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs, {task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(decimal(0), total=None)

        def told(so_far: CopyProgress) -> None:
            bar.update(task, completed=so_far.runs, total=so_far.of, description=decimal(so_far.bytes))

        yield told

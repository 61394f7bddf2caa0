"""``runfolio sync``."""

from __future__ import annotations

import click

from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import Output, debug_options, open_history, output_options, store_option
from runfolio_plugins.cli.reports import emit_report

_EXAMPLES = """
runfolio sync
runfolio sync --store s3://bucket/prefix -o json
"""


@click.command(cls=Command, examples=_EXAMPLES)
@store_option
@output_options("table")
@debug_options
def sync(*, store: str | None, output: Output, query: str | None) -> None:
    """Send what is still on this machine to the store: offline runs, and what killed processes left in their journals.

    It may be repeated and interrupted: each value arrives once.
    """
    with open_history(store, write=True, must_exist=False, send_leftovers=False) as history:
        emit_report(history.sync(), output, query)

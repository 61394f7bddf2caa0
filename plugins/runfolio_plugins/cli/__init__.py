"""The command line: ``runfolio``. A plugin like any other; its commands come in through the hook that others use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.hookspecs import hookimpl

if TYPE_CHECKING:
    import click


def main() -> None:
    """Run the program ``runfolio`` with the arguments of this process, and exit with its code."""
    # Not at the top: this module is loaded with the plugins of every history, which need no command line.
    from runfolio_plugins.cli.program import run_program  # noqa: PLC0415 (see above)

    run_program()


@hookimpl
def runfolio_register_commands(cli: click.Group) -> None:
    """Add our commands."""
    from runfolio_plugins.cli.catalogue import add_commands  # noqa: PLC0415 (as in `main`)

    add_commands(cli)

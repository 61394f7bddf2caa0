"""The program: the group, the commands of all plugins, and the surroundings that a process of its own may set up."""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING

import click

from runfolio.plugins import Plugins
from runfolio_plugins.cli.escaping import escape_text
from runfolio_plugins.cli.group import OWN, CommandGroup
from runfolio_plugins.cli.options import debug_options

if TYPE_CHECKING:
    from pluggy import HookImpl

_HOOK = "runfolio_register_commands"
_HELP = """Run history for data-science experiments, kept in storage you already own.

A run is given as its id, as the five characters at its end, as #7 (run number 7 of this project), as PROJECT#7, or as
@last.
"""
_EXAMPLES = """
runfolio init                             make this folder a project, with a sample script
runfolio run train.py --lr 0.01           run a script and record it
runfolio list                             the runs of this project, newest first
runfolio best Accuracy                    the run with the highest Accuracy
runfolio info @last -a driver_log         what my last run printed
runfolio COMMAND --help                   more about a command, with examples
"""


def run_program() -> None:
    """Run the command line of this process. Does not return."""
    _set_up_output()
    build().main(prog_name="runfolio")


def build(plugins: Plugins | None = None) -> CommandGroup:
    """Return the group with the commands of all plugins.

    A plugin that fails to add its commands is named on standard error and left out.

    Args:
        plugins: the plugins to ask; by default those that are installed.
    """
    plugins = plugins or Plugins()
    group = _group(plugins)
    found: list[HookImpl] = getattr(plugins.hook, _HOOK).get_hookimpls()
    # Ours first, so that a plugin that takes one of our names is the one that is refused.
    for implementation in sorted(found, key=lambda one: (one.plugin_name != OWN, one.plugin_name)):
        try:
            group.register_from(implementation.plugin_name, lambda one=implementation: one.function(group))  # type: ignore[misc]  # a default binds it
        except Exception as error:  # noqa: BLE001 (isolating plugins is the point)
            name = implementation.plugin_name
            click.echo(
                escape_text(
                    f"Warning: the commands of the plugin {name!r} are left out: {type(error).__name__}: {error}"
                ),
                err=True,
            )
    return group


def _group(plugins: Plugins) -> CommandGroup:
    @debug_options
    @click.version_option(message="%(prog)s %(version)s", package_name="runfolio")
    def runfolio() -> None:
        pass

    return click.command(
        "runfolio",
        cls=CommandGroup,
        help=_HELP,
        examples=_EXAMPLES,
        plugins=plugins,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        subcommand_metavar="COMMAND ...",
    )(runfolio)


def _set_up_output() -> None:
    """Make output safe in any locale, and print warnings of the SDK as lines. Only for a process of our own."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logger = logging.getLogger("runfolio")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Lines())
        logger.addHandler(handler)
        logger.setLevel(logging.WARNING)


class _Lines(logging.Formatter):
    """``Warning: text``, with a traceback only when debugging."""

    def format(self, record: logging.LogRecord) -> str:
        # docstring inherited
        text = f"{record.levelname.capitalize()}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            debugging = logging.getLogger("runfolio").isEnabledFor(logging.DEBUG)
            text += f"\n{self.formatException(record.exc_info)}" if debugging else f": {type(error).__name__}: {error}"
        return escape_text(text)

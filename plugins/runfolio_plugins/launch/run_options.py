"""The options that describe a tracked run, for each command that begins some."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

SCRIPT_SETTINGS: Final = {
    # Everything after the script belongs to the script, whatever it looks like.
    "allow_interspersed_args": False,
    "ignore_unknown_options": False,
}
"""Context settings of a command whose last arguments are a script and what belongs to it."""

_OPTIONS: Final = (
    click.option("-t", "--tag", "tags", metavar="WORD", multiple=True, help="A tag; may be given again."),
    click.option("--note", metavar="TEXT", help="A note about the run."),
    click.option(
        "--project", metavar="NAME", help="Name of the project. Default: as configured, else the name of its folder."
    ),
    click.option("--experiment", metavar="NAME", help="What groups runs. Default: the name of the script."),
    click.option("-m", "module", is_flag=True, help="SCRIPT is the name of a module, as for `python -m`."),
    click.option("--snapshot", type=click.Choice(["full", "git", "off"]),
                 help="What is stored of the project: all, what Git tracks, nothing. Default: full."),
    click.option("--no-system-metrics", is_flag=True, help="Do not sample CPU, memory, disk, network and GPU."),
    click.option("--python", metavar="PATH", help="The interpreter. Default: the one that runs this command."),
    click.option("--grace", metavar="SECONDS", type=click.FloatRange(min=0), default=10.0, show_default=True,
                 help="Time between passing a signal on to the script and killing it."),
    click.option("--time-limit", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True),
                 help="End the script after so long; the run is then Failed, with exit code 124."),
    click.option("--retries", metavar="N", type=click.IntRange(min=0), default=0, show_default=True,
                 help="Try a script that fails so often again, each time as another attempt of the run."),
    click.option("--store", metavar="URL", help="Folder or URL of the store. Default: as configured."),
)  # fmt: skip


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, and hand the command what they say as a `LaunchRequest` without a script: `request`."""

    @functools.wraps(command)
    def call(*arguments: Any, no_system_metrics: bool, **options: Any) -> Any:
        from runfolio_plugins.launch.request import LaunchRequest  # noqa: PLC0415 (loaded on use)

        said = {name: options.pop(name) for name in _NAMES}
        system_metrics = False if no_system_metrics else None
        request = LaunchRequest(script="", folder=str(Path.cwd()), system_metrics=system_metrics, **said)
        return command(*arguments, request=request, **options)

    for option in reversed(_OPTIONS):
        call = option(call)
    return call


_NAMES: Final = (
    "tags", "note", "project", "experiment", "module", "snapshot", "python", "grace", "time_limit", "retries", "store",
)  # fmt: skip

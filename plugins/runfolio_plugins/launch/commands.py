"""The commands of this plugin. What a command needs is loaded when it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runfolio_plugins.launch.run_options import SCRIPT_SETTINGS, run_options

if TYPE_CHECKING:
    from runfolio_plugins.launch.request import LaunchRequest


@click.command(context_settings=SCRIPT_SETTINGS, short_help="Run a script and record it.")
@click.option("-n", "--name", metavar="TEXT", help="A name for the run.")
@click.option("--in-place", is_flag=True, help="Run in the project itself instead of a copy of it.")
@click.option("-d", "--detach", is_flag=True, help="Print the run id and go on in the background.")
@click.option("--target", metavar="NAME", default="local", show_default=True, help="Where to run.")
@click.option(
    "--capture", metavar="FOLDER", multiple=True, help="Store this folder besides outputs; may be given again."
)
@run_options
@click.argument("script")
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run(
    context: click.Context,
    script: str,
    arguments: tuple[str, ...],
    *,
    request: LaunchRequest,
    name: str | None,
    in_place: bool,
    detach: bool,
    target: str,
    capture: tuple[str, ...],
) -> None:
    """Run SCRIPT with ARGS and record it: output, files, values it logs, code state, environment.

    SCRIPT is a Python file, a module (-m), a shell script or any program. It runs in a copy of the project, with the
    root of the copy as current folder; everything it writes below ./outputs is stored. Everything after SCRIPT belongs
    to the script. The exit code is the script's.

    \b
    Examples:
      runfolio run train.py --lr 0.01
      runfolio run --name baseline --tag sweep train.py -c config.yml
      runfolio run -m mypackage.train --epochs 3
      runfolio run --detach train.py
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    request = replace(
        request,
        script=script,
        arguments=arguments,
        name=name,
        in_place=in_place,
        target=target,
        capture=capture,
    )
    if target != "local":
        from runfolio_plugins.launch.submitting import submit_and_show  # noqa: PLC0415 (loaded on use)

        context.exit(submit_and_show(request, detach=detach))
    if detach:
        from runfolio_plugins.launch.background import launch_detached  # noqa: PLC0415 (loaded on use)

        context.exit(launch_detached(request))
    from runfolio_plugins.launch.foreground import launch_here  # noqa: PLC0415 (loaded on use)

    context.exit(launch_here(request))


@click.command(hidden=True)
@click.option("--store", metavar="URL", required=True)
@click.option("--store-options", metavar="JSON", default="{}")
@click.option("--single-writer", is_flag=True)
@click.option("--capture", metavar="FOLDER", multiple=True)
@click.option("--python", metavar="PATH")
@click.option("--no-system-metrics", is_flag=True)
@click.option("--grace", metavar="SECONDS", type=click.FloatRange(min=0), default=10.0)
@click.argument("run_id", metavar="RUN")
@click.pass_context
def go_on(
    context: click.Context,
    run_id: str,
    *,
    store: str,
    store_options: str,
    single_writer: bool,
    capture: tuple[str, ...],
    python: str | None,
    no_system_metrics: bool,
    grace: float,
) -> None:
    """Execute RUN, which was submitted from elsewhere, here. The jobs of targets do this."""
    from runfolio_plugins.launch.submitted import go_on as execute  # noqa: PLC0415 (loaded on use)

    profile = {"url": store, "options": json.loads(store_options), "single_writer": single_writer}
    rest = {
        "capture": capture,
        "python": python,
        "grace": grace,
        "system_metrics": False if no_system_metrics else None,
    }
    context.exit(execute(run_id, profile, rest))


@click.command(context_settings=SCRIPT_SETTINGS, short_help="Run the source of an earlier run again.")
@click.option("-n", "--name", metavar="TEXT", help="A name for the run.")
@click.option("--project", metavar="NAME", help="Name of the project. Default: that of the current folder.")
@click.option("--store", metavar="URL", help="Folder or URL of the store. Default: as configured.")
@click.argument("word", metavar="RUN")
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def rerun(
    context: click.Context,
    word: str,
    arguments: tuple[str, ...],
    *,
    name: str | None,
    project: str | None,
    store: str | None,
) -> None:
    """Run the source of RUN again, as it was then, with its arguments, or with ARGS in their place.

    What the project ignores (data, local settings) is that of today. The exit code is the script's.

    \b
    Examples:
      runfolio rerun @last
      runfolio rerun k3f9q -- --lr 0.1
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    from runfolio_plugins.launch.foreground import launch_here  # noqa: PLC0415 (loaded on use)
    from runfolio_plugins.launch.rerunning import find_request  # noqa: PLC0415 (loaded on use)

    given = arguments[1:] if arguments[:1] == ("--",) else arguments or None
    context.exit(launch_here(find_request(word, given, project=project, store=store, name=name)))


@click.command(short_help="Make a project, with a sample script.")
@click.argument("name", required=False)
@click.option("--store", metavar="URL", help="Write this store into the configuration of the project.")
def init(name: str | None, store: str | None) -> None:
    """Make a project: a folder NAME, or the current folder without one.

    Writes runfolio.toml, a sample script, ignore files and a README. Files that exist are never overwritten.

    \b
    Examples:
      runfolio init
      runfolio init iris
      runfolio init iris --store s3://bucket/history
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    from runfolio_plugins.launch.project_template import make_project  # noqa: PLC0415 (loaded on use)

    for line in make_project(Path.cwd(), name, store=store):
        click.echo(line)


@click.command(
    context_settings={"ignore_unknown_options": True}, short_help="Log a value, from a shell script inside a run."
)
@click.argument("name")
@click.argument("value", type=click.UNPROCESSED)
@click.option("--step", metavar="N", type=int, help="Where in the series. Default: one after the last.")
@click.option("--text", is_flag=True, help="VALUE is a text, whatever it looks like.")
def metric(name: str, value: str, step: int | None, *, text: bool) -> None:
    """Log VALUE under NAME in the run that this shell script belongs to.

    VALUE becomes an int, a float (nan and inf too), a bool (true, false), or else a text.

    \b
    Examples:
      runfolio metric accuracy 0.93
      runfolio metric loss -0.5 --step 12
      runfolio metric build --text 007
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    from runfolio_plugins.launch.shell_metric import log_from_shell, parse_value  # noqa: PLC0415 (loaded on use)

    log_from_shell(name, value if text else parse_value(value), step)


@click.command(short_help="Store the outputs of a run that goes on, from inside it.")
@click.option("--timeout", metavar="SECONDS", type=float, default=600.0, show_default=True, help="How long to wait.")
@click.pass_context
def capture(context: click.Context, timeout: float) -> None:
    """Store what lies in ./outputs now, from inside a tracked run. Otherwise it is stored when the run ends.

    \b
    Examples:
      runfolio capture
      runfolio capture --timeout 60
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    from runfolio_plugins.launch.mailbox import ask  # noqa: PLC0415 (loaded on use)

    try:
        answer = ask({"kind": "capture"}, timeout=timeout)
    except TimeoutError as error:
        raise click.ClickException(f"{error}; it may still be storing") from error
    if answer is None:
        raise click.ClickException("This is not inside of a tracked run: `runfolio run SCRIPT` starts one")
    if "error" in answer:
        raise click.ClickException(str(answer["error"]))
    for path, reason in answer["problems"].items():
        click.echo(f"{path} was not stored: {reason}", err=True)
    click.echo(
        f"{len(answer['stored'])} files stored" + (f", {len(answer['waiting'])} waiting" if answer["waiting"] else "")
    )
    context.exit(0 if answer["ok"] and not answer["problems"] else 1)


@click.command(short_help="Remove kept working copies of ended runs.")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "--all", "everything", is_flag=True, help="Remove all that no run uses, not only those whose time is over."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--force", is_flag=True, help="Also those with files that did not reach the store yet: these are then lost."
)
def clean(runs: tuple[str, ...], *, everything: bool, dry_run: bool, force: bool) -> None:
    """Remove kept working copies: those whose time is over, those of RUN (an id or its last five characters), or --all.

    The copy of a run is kept when the script made files outside of what is stored, or when storage failed: for seven
    days, and only the newest ten. Every `runfolio run` removes what is over.

    \b
    Examples:
      runfolio clean
      runfolio clean k3f9q
      runfolio clean --all --dry-run
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    from runfolio_plugins.launch.cleaning import clean_up  # noqa: PLC0415 (loaded on use)

    for line in clean_up(runs, everything=everything, dry_run=dry_run, force=force):
        click.echo(line)
    sys.stdout.flush()

"""The commands for many runs, and for runs that go on by themselves. What a command needs is loaded when it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runfolio_plugins.launch.run_options import SCRIPT_SETTINGS, run_options

if TYPE_CHECKING:
    from runfolio_plugins.launch.request import LaunchRequest
    from runfolio_plugins.launch.sweep_arguments import Arguments


@click.command(context_settings=SCRIPT_SETTINGS, short_help="Run a script with many combinations of arguments.")
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
              help="So many runs at a time.")  # fmt: skip
@click.option("--random", "count", metavar="N", type=click.IntRange(min=1),
              help="Only so many combinations, chosen by chance; ranges like 0.001..1:log are drawn from.")  # fmt: skip
@click.option("--seed", metavar="N", type=int, help="Choose the same combinations as another sweep with this seed.")
@click.option("--csv", "table", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="A run for each row: the column lr becomes --lr VALUE.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only print the arguments of each run.")
@click.option("-d", "--detach", is_flag=True, help="Print the name of the sweep and go on in the background.")
@click.option("-n", "--name", metavar="TEXT", help="A name; the runs are called NAME-1, NAME-2 and so on.")
@run_options
@click.argument("script")
@click.argument("words", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def sweep(
    context: click.Context,
    script: str,
    words: tuple[str, ...],
    *,
    request: LaunchRequest,
    jobs: int,
    count: int | None,
    seed: int | None,
    table: Path | None,
    dry_run: bool,
    detach: bool,
    name: str | None,
) -> None:
    """Run SCRIPT once for each combination of the lists in ARGS, such as 0.01,0.1,1. Each is a tracked run.

    All runs have the source of the project as it is now. What differs is in their params, and the name of the sweep is
    a tag of each. Everything after SCRIPT belongs to the script; a comma that divides nothing is written \\,. The sweep
    goes on when its processes are killed: the next runfolio command sees to it. The exit code is 0 when all scripts
    succeed.

    \b
    Examples:
      runfolio sweep train.py --lr 0.01,0.1,1 --batch 32,64
      runfolio sweep --jobs 4 --random 20 --seed 1 train.py --lr 0.0001..1:log linear,rbf
      runfolio sweep --csv settings.csv train.py
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    chosen = _arguments(words, count, seed, table)
    if dry_run:
        for one in chosen:
            click.echo(" ".join(one.words))
        return
    context.exit(_sweep(replace(request, script=script, name=name), chosen, jobs, detach=detach))


def _arguments(words: tuple[str, ...], count: int | None, seed: int | None, table: Path | None) -> list[Arguments]:
    from runfolio_plugins.launch.sweep_arguments import from_csv, grid, sample  # noqa: PLC0415 (loaded on use)

    if count is not None and table is not None:
        raise click.UsageError("--random and --csv exclude each other.")
    if seed is not None and count is None:
        raise click.UsageError("--seed needs --random.")
    if table is not None:
        return from_csv(words, table)
    return grid(words) if count is None else sample(words, count, seed)


def _sweep(request: LaunchRequest, chosen: list[Arguments], jobs: int, *, detach: bool) -> int:
    from runfolio_plugins.launch.sweeping import (  # noqa: PLC0415 (loaded on use)
        INTERRUPTED,
        Watch,
        cancel_sweep,
        continue_sweeps,
        plan_sweep,
        start_queue,
    )

    continue_sweeps()
    planned = plan_sweep(request, chosen, jobs)
    click.echo(f"Sweep: {planned.id}")
    start_queue(planned)
    if detach:
        return 0
    runs = "1 run" if len(chosen) == 1 else f"{len(chosen)} runs"
    click.echo(f"{runs}, {jobs} at a time; tag:{planned.id} finds them. Ctrl-C cancels what has not ended.", err=True)
    watch = Watch(planned)
    try:
        return watch.until_ended()
    except KeyboardInterrupt:
        click.echo(f"runfolio: {planned.id} is canceled: nothing more begins, and what runs is told to end", err=True)
        cancel_sweep(planned)
    try:
        watch.until_ended()
    except KeyboardInterrupt:
        click.echo(f"runfolio: {planned.id} ends in the background: runfolio jobs shows it", err=True)
    return INTERRUPTED


@click.command(short_help="Show what runs and what waits.")
@click.option("--once", is_flag=True, help="Show it once, also on a terminal.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="Format of the result.")  # fmt: skip
@click.option("--project", metavar="NAME", help="Name of the project, '*' for all. Default: of the current folder.")
@click.option("--store", metavar="URL", help="Folder or URL of the store. Default: as configured.")
def jobs(*, once: bool, output: str, project: str | None, store: str | None) -> None:
    """Show the runs of the project that have not ended, on any machine, and what waits in the sweeps of this one.

    On a terminal the table stays up to date until nothing runs any more; Ctrl-C ends only the table. Progress is the
    metric "progress" (from 0 to 1) where a run logs it, else the last step. Values are those of the last heartbeat.

    \b
    Examples:
      runfolio jobs
      runfolio jobs --once --project '*'
      runfolio jobs -o json
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    from runfolio_plugins.launch.watching import show_jobs  # noqa: PLC0415 (loaded on use)

    show_jobs(store, project, output=output, once=once)


@click.command(short_help="Wait until runs have ended.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="Wait no longer; then exit with 124.")
@click.option("--project", metavar="NAME", help="Name of the project. Default: that of the current folder.")
@click.option("--store", metavar="URL", help="Folder or URL of the store. Default: as configured.")
@click.argument("words", metavar="RUN...", nargs=-1, required=True)
@click.pass_context
def wait(
    context: click.Context, words: tuple[str, ...], *, timeout: float | None, project: str | None, store: str | None
) -> None:
    """Wait until runs, or the runs of sweeps of this machine, have ended, and print how.

    The exit code is that of the script; of several, the first one that is not 0.

    \b
    Examples:
      runfolio wait k3f9q && runfolio promote k3f9q -ap outputs/model.pkl -n iris
      runfolio wait @last '#12' --timeout 3600
      runfolio wait sweep_k3f9q
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    from runfolio_plugins.launch.waiting import wait_for  # noqa: PLC0415 (loaded on use)
    from runfolio_plugins.launch.watching import open_here  # noqa: PLC0415 (loaded on use)

    with open_here(store, project, write=True) as history:
        context.exit(wait_for(history, words, project, timeout))


@click.command(short_help="Ask runs or sweeps to end.")
@click.option("--project", metavar="NAME", help="Name of the project. Default: that of the current folder.")
@click.option("--store", metavar="URL", help="Folder or URL of the store. Default: as configured.")
@click.argument("words", metavar="RUN...", nargs=-1, required=True)
def cancel(words: tuple[str, ...], *, project: str | None, store: str | None) -> None:
    """Ask runs of this machine, or sweeps, to end, and return at once.

    A script is told by SIGTERM and has some time to end (`runfolio run --grace`); what it made is stored, and its run
    is Canceled. Of a sweep, nothing more begins, and what runs is told to end.

    \b
    Examples:
      runfolio cancel @last
      runfolio cancel sweep_k3f9q && runfolio wait sweep_k3f9q
    """  # noqa: D301 (click's mark for a paragraph that is not wrapped)
    from runfolio_plugins.launch.sweep_plan import find_sweep  # noqa: PLC0415 (loaded on use)
    from runfolio_plugins.launch.sweeping import cancel_sweep  # noqa: PLC0415
    from runfolio_plugins.launch.watching import open_here  # noqa: PLC0415

    with open_here(store, project) as history:
        for word in words:
            found = find_sweep(word)
            if found is not None:
                cancel_sweep(found)
                click.echo(f"Asked {found.id} to end")
            else:
                run = history.run(word, project=project)
                run.cancel()
                click.echo(f"Asked {run.id} to end")

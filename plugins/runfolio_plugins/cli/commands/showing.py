"""``runfolio last``, ``runfolio info`` and ``runfolio best``: one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from runfolio_plugins.cli.emitting import emit, note
from runfolio_plugins.cli.files import find_file, print_file
from runfolio_plugins.cli.formats import any_table
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import (
    Output,
    debug_options,
    open_history,
    output_options,
    project_option,
    store_option,
)
from runfolio_plugins.cli.run_words import chosen_word, find_run, one_run
from runfolio_plugins.cli.runs_table import properties_table

if TYPE_CHECKING:
    from runfolio.run import Run
    from runfolio_plugins.cli.plain import Plain
    from runfolio_plugins.cli.tables import Table

_LAST = """
runfolio last
runfolio last --query status -o tsv
runfolio last --any-user -o table
"""
_INFO = """
runfolio info @last
runfolio info k3f9q -o table
runfolio info -r '#7' --query '{loss: loss, lr: params.lr}'
runfolio info @last -a driver_log
runfolio info @last -a outputs/cm.png > cm.png
runfolio info @last --artifacts -o table
"""
_BEST = """
runfolio best Accuracy
runfolio best loss --goal min
runfolio best val/acc --query best.value -o tsv
"""


@click.command(cls=Command, examples=_LAST)
@click.option("--any-user", is_flag=True, help="The most recent run of anybody, not only mine.")
@project_option()
@store_option
@output_options("json")
@debug_options
def last(*, any_user: bool, project: str | None, store: str | None, output: Output, query: str | None) -> None:
    """Show your most recent run of the project, as a flat record."""
    with open_history(store, project) as history:
        emit(_whole(history.last(project, any_user=any_user)), output, query)


@click.command(cls=Command, examples=_INFO)
@one_run
@click.option(
    "-a", "--artifact", metavar="NAME", help="Print this file of the run: its path, or driver_log, control_log."
)
@click.option("--artifacts", is_flag=True, help="List the files of the run instead.")
@project_option()
@store_option
@output_options("json")
@debug_options
def info(
    *,
    word: str | None,
    named: str | None,
    artifact: str | None,
    artifacts: bool,
    project: str | None,
    store: str | None,
    output: Output,
    query: str | None,
) -> None:
    """Show one run as a flat record, or print one of its files.

    driver_log is what the script printed, control_log the launcher's own story. Any other file is printed byte by byte;
    to a terminal only if it is text.
    """
    chosen = chosen_word(word, named)
    if artifact is not None and artifacts:
        raise click.UsageError("--artifact and --artifacts exclude each other.")
    with open_history(store, project) as history:
        run = find_run(history, chosen, project)
        if artifact is not None:
            print_file(find_file(run, artifact))
        elif artifacts:
            emit(_files(run), output, query, make_table=any_table if len(run.artifacts) else None)
        else:
            emit(_whole(run), output, query, make_table=_properties)


def _whole(run: Run) -> dict[str, object]:
    """The flat record, and how the run ended."""
    ending = run.ending
    return {**run.to_dict(), "ending": None if ending is None else ending.to_dict()}


def _properties(record: Plain) -> Table:
    return properties_table(record) if isinstance(record, dict) else any_table(record)


def _files(run: Run) -> list[dict[str, object]]:
    return [
        {
            "path": one.path,
            "size": one.size,
            "kind": one.kind,
            "media_type": one.media_type,
            "step": one.step,
            "status": one.status,
            "sha256": one.sha256,
        }
        for one in run.artifacts.list()
    ]


@click.command(cls=Command, examples=_BEST)
@click.argument("metric")
@click.option(
    "--goal",
    type=click.Choice(["max", "min"]),
    help="Which value is best. Default: what the runs say with define_metric, else max.",
)
@project_option("Name of the project, '*' for all of them. Default: that of the current folder.")
@store_option
@output_options("json")
@debug_options
def best(
    *,
    metric: str,
    goal: Literal["max", "min"] | None,
    project: str | None,
    store: str | None,
    output: Output,
    query: str | None,
) -> None:
    """Show the run with the best value of METRIC, as a flat record with that value under "best".

    The best value is the highest (or lowest) that was ever logged in the run, which need not be the last one.
    """
    with open_history(store, project) as history:
        chosen = goal or history.goal(metric, project)
        if chosen is None:
            chosen = "max"
            note(
                f"no run says which value of {metric!r} is best, so the highest is taken: "
                f"choose with --goal, or say it in the script with define_metric"
            )
        run = history.best(metric, project, goal=chosen)
        summary = run.record.metrics[metric]
        value = summary.max if chosen == "max" else summary.min
        step = summary.max_step if chosen == "max" else summary.min_step
        record = run.to_dict()
        if "best" in record:
            record["metrics.best"] = record.pop("best")
        record["best"] = {"metric": metric, "goal": chosen, "value": value, "step": step}
        note(
            f"{metric} {'reaches' if chosen == 'max' else 'falls to'} {value:g} in {run.id}"
            f"{'' if step is None else f' at step {step}'}"
        )
        emit(record, output, query)
